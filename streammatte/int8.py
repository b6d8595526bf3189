"""int8 engines: whose calibration applies, and the Q/DQ network built from it.

A user's own calibration lies in `calibrations` in the cache, one a model, and is used in place of the shipped one.
"""

from __future__ import annotations

from pathlib import Path

from streammatte.catalog import Int8Spec, Model
from streammatte.engine_cache import EngineCache
from streammatte.errors import ModelError
from streammatte.quantization.calibration import read_calibration
from streammatte.quantization.qdq import BUILDER, quantize
from streammatte.weights.cache import Weights, cache_dir, sha256_of

__all__ = ["CALIBRATION_SUFFIX", "applied_calibration", "own_calibration", "quantized"]

CALIBRATION_SUFFIX = ".int8.json"


def own_calibration(model: Model) -> Path:
    """Where the user's calibration of `model` is, if there is one."""
    return cache_dir() / "calibrations" / f"{model.name}{CALIBRATION_SUFFIX}"


def applied_calibration(model: Model, spec: Int8Spec, weights: Weights) -> tuple[Path, str | None]:
    """The user's own where it is one of these weights, else the shipped one; and what a report must say of it."""
    own = own_calibration(model)
    if not own.exists():
        return spec.calibration, None
    try:
        found = read_calibration(own)
    except ModelError:
        why = "cannot be read"
    else:
        if found.onnx_sha256 == weights.sha256:
            return own, f"int8 calibrated on {found.calibrated_on}"
        why = "was measured on other weights"
    return spec.calibration, f"{own} {why} and is not used; `streammatte engines remove {model.name}` deletes it"


def quantized(calibration: Path, weights: Weights, cache: Path) -> Path:
    """The Q/DQ network of `weights` among the engines in `cache`, built where it is not there.

    Raises ModelError, ValueError where the calibration does not fit, OSError where the network cannot be kept.
    """
    key = {"of": weights.sha256, "calibration_sha256": sha256_of(calibration), "builder": BUILDER}
    store = EngineCache(cache / "engines", key, ".onnx")
    found = store.load(lambda path: path)
    if found is None:
        store.store(lambda path: _build(calibration, weights, path))
        found = store.load(lambda path: path)
    if found is None:
        raise OSError(store.note)
    return found


def _build(file: Path, weights: Weights, path: Path) -> None:
    import onnx

    calibration = read_calibration(file)
    if calibration.onnx_sha256 != weights.sha256:
        raise ValueError(f"{file.name} was measured on other weights")
    onnx.save(quantize(onnx.load(weights.path), calibration), path)
