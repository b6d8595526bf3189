"""fp16 networks: for runtimes that compute in what the graph says, a graph that says float16 where a network bears it.

Made through torch, so of networks that streammatte knows in torch alone.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from streammatte.engine_cache import EngineCache
from streammatte.errors import ModelError, RuntimeUnavailable
from streammatte.ports import BuildProgress
from streammatte.weights.cache import Weights

__all__ = ["halved"]

_BUILDER = "streammatte.halving 1"
"""Goes up where the same weights become another file."""


def halved(weights: Weights, cache: Path, building: BuildProgress | None = None, batch: int = 1) -> Path:
    """The fp16 network of `weights` among the engines in `cache`, made where it is not there; the same input size.

    It takes `batch` pictures at once. Weights whose file is an fp16 network of ours are used as they are. Raises
    RuntimeUnavailable where torch is not installed, ModelError for a network not known in torch, OSError where the
    file cannot be kept, and what `building` raises.
    """
    key = {"of": weights.sha256, "precision": "fp16", "batch": str(batch), "builder": _BUILDER}
    store = EngineCache(cache / "engines", key, ".onnx")
    found = store.load(lambda path: path)
    if found is None:
        content = _content(weights.path, building, batch)
        if content is None:
            return weights.path
        store.store(lambda path: _write(path, content))
        found = store.load(lambda path: path)
    if found is None:
        raise OSError(store.note)
    return found


def _content(weights: Path, building: BuildProgress | None, batch: int) -> bytes | None:
    """The fp16 network's file; None where `weights` is one."""
    for library in ("torch", "onnxscript"):
        if find_spec(library) is None:
            remedy = "pip install 'streammatte[torch]'"
            raise RuntimeUnavailable(f"an fp16 network is made with {library}, which is not installed: {remedy}", {})
    from streammatte.networks.export import to_onnx
    from streammatte.networks.onnx_weights import read_onnx

    if building is not None:
        building("rewriting the network in float16", 0, 1)
    read = read_onnx(weights)
    if read.halved:
        return None
    if not (read.width and read.height):
        raise ModelError(f"{weights}: its input has no fixed size, which an fp16 network needs")
    content = to_onnx(read.network, width=read.width, height=read.height, precision="fp16", batch=batch)
    if building is not None:
        building("rewriting the network in float16", 1, 1)
    return content


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
