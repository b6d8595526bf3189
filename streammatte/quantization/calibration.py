"""What int8 arithmetic needs to know of a model: engines/<model>.int8.json, written by tools/calibrate.py.

A user's own calibration (`streammatte engines build MODEL --calibrate VIDEO`) is a file of the same form.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streammatte.errors import ModelError

__all__ = ["Activation", "Calibration", "read_calibration", "unsigned_up_to", "write_calibration"]

_STEPS = 127


@dataclass(frozen=True, slots=True)
class Activation:
    """How one tensor is rounded: q = clip(round(x / scale) + zero_point) in `dtype`."""

    scale: float
    zero_point: int
    dtype: str
    """uint8 or int8."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measured once on real pictures, valid for one ONNX file only."""

    onnx_sha256: str
    float_convolutions: frozenset[str]
    """Those whose weights stay float32."""
    activations: dict[str, Activation]
    """By tensor name; every other tensor stays float."""
    biases: dict[str, npt.NDArray[np.float32]]
    """By convolution: added to its bias, (channels,), to undo the mean error that rounding makes."""
    calibrated_on: str = ""
    """In words, for the run report."""
    quantizer: str = ""
    """What measured it."""


def unsigned_up_to(highest: float) -> Activation:
    """How a tensor from 0 to `highest`, such as comes out of a ReLU, is rounded: uint8, of whose 255 steps it uses 127.

    So the same file means the same to every runtime. TensorRT reads uint8 as int8, whose steps end at 127; processors
    without VNNI add pairs of products in 16 bits, which 255 steps overflow. What is larger than was measured is cut
    off at twice `highest` (at `highest` by TensorRT), which more than makes up for the coarser steps.
    """
    return Activation(float(f"{highest / _STEPS:.6g}"), 0, "uint8")


def read_calibration(file: Path) -> Calibration:
    """The facts in `file`. Raises ModelError naming it."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        activations = {name: Activation(*values) for name, values in facts["activations"].items()}
        biases = {name: _floats(text) for name, text in facts["biases"].items()}
        words = {key: str(facts.get(key, "")) for key in ("calibrated_on", "quantizer")}
        return Calibration(facts["onnx_sha256"], frozenset(facts["float_convolutions"]), activations, biases, **words)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: not a calibration ({error}); reinstall streammatte") from error


def write_calibration(file: Path, calibration: Calibration) -> None:
    """Write the facts so that `read_calibration` gives them back (biases as float16). Raises OSError."""
    activations = calibration.activations.items()
    facts = {
        "onnx_sha256": calibration.onnx_sha256,
        "calibrated_on": calibration.calibrated_on,
        "quantizer": calibration.quantizer,
        "float_convolutions": sorted(calibration.float_convolutions),
        "activations": {name: [each.scale, each.zero_point, each.dtype] for name, each in activations},
        "biases": {name: _text(delta) for name, delta in calibration.biases.items()},
    }
    file.write_text(json.dumps(facts, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def _floats(text: str) -> npt.NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)


def _text(delta: npt.NDArray[np.float32]) -> str:
    return base64.b64encode(delta.astype("<f2").tobytes()).decode()
