"""From the file that the sources hold to the ONNX file that runtimes read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from streammatte import registry
from streammatte.catalog import Model
from streammatte.errors import ConfigError, ModelError, SinkError, first_line
from streammatte.weights.tflite_onnx import CONVERTER
from streammatte.weights.tflite_onnx import convert as from_tflite

__all__ = ["check_convertible", "convert", "converter"]

_VERSION = "1"
"""Of the two converters that are written here; a higher number makes caches convert anew."""
_LIBRARIES = ("torch", "onnxscript", "safetensors")
_EXPORT = {"export": registry.Entry("streammatte.exporting:export", extra="torch")}
"""By name: the rooms' order puts whoever knows networks and their export above this one."""


def converter(model: Model) -> str:
    """What converts the model's file, in words that change with the result; "" where it is used as it is."""
    size = f"{model.input.width}x{model.input.height}"
    if model.format == "tflite":
        return CONVERTER
    if model.format == "torch":
        return f"export {_VERSION} of {model.architecture}, {size}, patches in {model.patches}"
    return f"size {_VERSION} fixed to {size}" if model.any_size else ""


def check_convertible(model: Model) -> None:
    """Raises ModelError where the model is not converted here, or what converts it is not installed.

    That is before much is downloaded for nothing.
    """
    if model.format == "transformers":
        raise ModelError(
            f"{model.name}: is fetched by the hub's own client when --prompt-model {model.name} is used; or give it a "
            "folder that transformers has saved: --prompt-model FOLDER"
        )
    missing = [name for name in _LIBRARIES if find_spec(name) is None] if model.format == "torch" else []
    if missing:
        raise ModelError(
            f"{model.name}: its weights are torch's and have to be converted, for which {', '.join(missing)} is not "
            "installed: pip install 'streammatte[torch]'"
        )


def convert(model: Model, file: Path) -> Path:
    """The ONNX file made of `file`, beside it; `file` itself where nothing is to be done. Raises ModelError."""
    onnx = file.with_suffix(".converted.onnx")
    if model.format == "tflite":
        onnx.write_bytes(from_tflite(file.read_bytes(), model.name))
    elif model.format == "torch":
        _export(model, file, onnx)
    elif model.any_size:
        _fix_size(model, file, onnx)
    else:
        if not model.sha256 and not model.md5:
            _loaded(model, file)  # nothing else would tell a network from a page that says there is none
        return file
    return onnx


def _export(model: Model, file: Path, onnx: Path) -> None:
    size = (model.input.width, model.input.height)
    try:
        export = registry.load(_EXPORT, "export", model.name)
        export(model.architecture, onnx, weights=file, size=size, patches=model.patches)
    except (ConfigError, SinkError) as error:
        raise ModelError(f"{model.name}: its weights cannot be converted: {error}") from error


def _fix_size(model: Model, file: Path, onnx: Path) -> None:
    """Runtimes are given pictures of one size, and compile for it."""
    import onnx as library

    network = _loaded(model, file)
    sizes = (1, 3, model.input.height, model.input.width)
    dimensions = network.graph.input[0].type.tensor_type.shape.dim
    found = tuple(each.dim_value for each in dimensions)  # 0 where it is open
    if len(found) != len(sizes) or any(have not in (0, want) for have, want in zip(found, sizes, strict=True)):
        raise ModelError(f"{model.name}: expected a network that takes {sizes}, got {found}")
    for dimension, size in zip(dimensions, sizes, strict=True):
        dimension.dim_value = size
    # What was said of tensors within held for any size.
    del network.graph.value_info[:]
    library.save(network, onnx)


def _loaded(model: Model, file: Path) -> Any:
    import onnx as library

    try:
        return library.load(file, load_external_data=False)
    except Exception as error:  # protobuf's own
        raise ModelError(f"{model.name}: what came is no ONNX file: {first_line(error)}") from error
