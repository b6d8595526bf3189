"""What int8 arithmetic needs to know of a model: engines/<model>.int8.json, written by tools/calibrate.py."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streammatte.errors import ModelError

__all__ = ["Activation", "Calibration", "read_calibration"]


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


def read_calibration(file: Path) -> Calibration:
    """The facts in `file`. Raises ModelError naming it."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        activations = {name: Activation(*values) for name, values in facts["activations"].items()}
        biases = {name: _floats(text) for name, text in facts["biases"].items()}
        return Calibration(facts["onnx_sha256"], frozenset(facts["float_convolutions"]), activations, biases)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: not a calibration ({error}); reinstall streammatte") from error


def _floats(text: str) -> npt.NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)
