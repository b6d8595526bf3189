"""A network of one layer with a known answer, as a model of the catalogue: no weights to pull, no time to speak of.

`python tiny.py FOLDER ARGUMENTS` is `streammatte ARGUMENTS` where that model, called `tiny`, is the only one.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

import streammatte.catalog
from streammatte.catalog import Int8Spec, Model, read_model
from streammatte.quantization.calibration import Calibration, unsigned_up_to, write_calibration
from streammatte.weights.cache import sha256_of

SIDE = 64
_TOML = """
name = "tiny"
title = "One layer"
summary = "Bright is in, dark is out"
author = "the tests"
citation = "none"
homepage = "https://example.org"
licence = "CC0-1.0"
commercial = "yes"
[weights]
format = "onnx"
sha256 = "{sha256}"
size_bytes = {size}
[input]
width = {side}
height = {side}
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
[output]
index = 0
activation = "none"
[[source]]
kind = "path"
path = "tiny.source"
"""


def tiny_alpha(rgb: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """What the network says of R'G'B' in [0, 1]: 0 up to a mean of 0.4, 1 from 0.6 on."""
    return np.clip((rgb.mean(axis=-1) - 0.4) * 5, 0, 1)


def make_tiny(folder: Path) -> Path:
    """Write the network (tiny.source) and its TOML; returns the TOML."""
    conv = helper.make_node("Conv", ["rgb", "weight", "bias"], ["raw"])
    clip = helper.make_node("Clip", ["raw", "low", "high"], ["alpha"])
    constants = {"weight": np.full((1, 3, 1, 1), 5 / 3), "bias": np.array([-2.0]), "low": 0.0, "high": 1.0}
    graph = helper.make_graph(
        [conv, clip],
        "tiny",
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [onnx.numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    source = folder / "tiny.source"
    source.write_bytes(model.SerializeToString())
    facts = {"sha256": sha256_of(source), "size": source.stat().st_size, "side": SIDE}
    (folder / "tiny.toml").write_text(_TOML.format(**facts), encoding="utf-8")
    return folder / "tiny.toml"


def tiny_model(folder: Path) -> Model:
    """The model that `make_tiny` has put there."""
    return read_model(folder / "tiny.toml")


def calibrated_tiny(folder: Path, file: Path, max_mean: float = 0.01, max_p99: float = 0.05) -> Model:
    """The same model with a calibration, written to `file`, that rounds its (only) activation, the picture."""
    model = tiny_model(folder)
    activations = {"rgb": unsigned_up_to(1.0)}
    write_calibration(file, Calibration(model.sha256, frozenset(), activations, {}, "the tests' pictures", "the tests"))
    return replace(model, int8=Int8Spec(file, max_mean, max_p99))


def _main() -> None:
    only = {"tiny": tiny_model(Path(sys.argv[1]))}
    streammatte.catalog.catalog = lambda: only  # type: ignore[assignment]
    from streammatte.cli.main import main  # after the line above: some commands take the name when imported

    main(sys.argv[2:])


if __name__ == "__main__":
    _main()
