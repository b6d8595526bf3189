"""Whether an engine in another precision says what float32 says, on pictures that ship with the models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.catalog import InputSpec, Int8Spec, OutputSpec, engines_dir
from streammatte.errors import ModelError
from streammatte.kernels.host import opacity
from streammatte.ports import Precision, Session

__all__ = ["Difference", "Limits", "compare", "limits_of", "normalized", "parity_batches"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far an engine may be from f32 to be trusted, in alpha."""

    mean: float
    p99: float
    max: float = 1.0
    """int8 may differ as much as it likes at single pixels."""


_FLOATS: dict[Precision, Limits] = {
    "f32": Limits(1e-4, 1e-3, 0.02),
    "fp16": Limits(2e-3, 2e-2, 0.5),
    "bf16": Limits(5e-3, 5e-2, 0.9),
}
"""f32 differs by the order of its sums alone; of the others an edge may move by part of a pixel, and nothing more."""


def limits_of(precision: Precision, int8: Int8Spec | None) -> Limits:
    """What an engine in `precision` is held to; int8 by what the catalogue says of the model, which must say it."""
    if precision != "int8":
        return _FLOATS[precision]
    assert int8 is not None
    return Limits(int8.max_mean, int8.max_p99)


@dataclass(frozen=True, slots=True)
class Difference:
    """|alpha - alpha of the reference| over all pixels of all pictures; NaN anywhere makes each of them NaN."""

    mean: float
    p99: float
    max: float

    def __str__(self) -> str:
        return f"mean {self.mean:.4f}, p99 {self.p99:.3f}, max {self.max:.3f} of alpha"

    def within(self, limits: Limits) -> bool:
        """Whether the engine may be trusted; NaN never is."""
        return self.mean <= limits.mean and self.p99 <= limits.p99 and self.max <= limits.max


def parity_batches(spec: InputSpec, *, trimap: bool = False) -> list[npt.NDArray[np.float32]]:
    """The pictures of engines/parity as batches (1, 3, h, w) for a network. Raises ModelError where there are none.

    (1, 4, h, w) for one that takes a `trimap`: a quarter is background, on the left, a quarter subject, on the right.
    """
    files = sorted((engines_dir() / "parity").glob("*.jpg"))
    pictures = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]
    if not pictures or any(picture is None for picture in pictures):
        raise ModelError(f"no pictures in {engines_dir() / 'parity'}: reinstall streammatte")
    batches = [normalized(np.asarray(picture, np.uint8), spec) for picture in pictures]
    if not trimap:
        return batches
    across = np.repeat(np.array([0, 0.5, 0.5, 1], np.float32), -(-spec.width // 4))[: spec.width]
    plane = np.broadcast_to(across, (1, 1, spec.height, spec.width))
    return [np.concatenate((batch, plane), axis=1) for batch in batches]


def normalized(picture: npt.NDArray[np.uint8], spec: InputSpec) -> npt.NDArray[np.float32]:
    """An RGB picture (H, W, 3) uint8 as the network's batch (1, 3, h, w): averaged down, (x / 255 - mean) / std."""
    small = cv2.resize(picture, (spec.width, spec.height), interpolation=cv2.INTER_AREA).astype(np.float32)
    normal = (small / np.float32(255) - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def compare(
    reference: Session, candidate: Session, batches: Iterable[npt.NDArray[np.float32]], output: OutputSpec
) -> Difference:
    """How far `candidate`'s alphas are from `reference`'s."""
    pairs = ((reference.run(batch), candidate.run(batch)) for batch in batches)
    apart = np.stack([np.abs(opacity(one, output) - opacity(other, output)) for one, other in pairs])
    return Difference(float(apart.mean()), float(np.quantile(apart, 0.99)), float(apart.max()))
