"""Whether an engine in another precision says what float32 says, on pictures that ship with the models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.catalog import InputSpec, engines_dir
from streammatte.errors import ModelError
from streammatte.ports import Session

__all__ = ["Difference", "compare", "normalized", "parity_batches"]


@dataclass(frozen=True, slots=True)
class Difference:
    """|alpha - alpha of the reference| over all pixels of all pictures; NaN anywhere makes each of them NaN."""

    mean: float
    p99: float
    max: float

    def __str__(self) -> str:
        return f"mean {self.mean:.4f}, p99 {self.p99:.3f}, max {self.max:.3f} of alpha"

    def within(self, mean: float, p99: float) -> bool:
        """Whether the engine may be trusted; NaN never is."""
        return self.mean <= mean and self.p99 <= p99


def parity_batches(spec: InputSpec) -> list[npt.NDArray[np.float32]]:
    """The pictures of engines/parity as batches (1, 3, h, w) for a network. Raises ModelError where there are none."""
    files = sorted((engines_dir() / "parity").glob("*.jpg"))
    pictures = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]
    if not pictures or any(picture is None for picture in pictures):
        raise ModelError(f"no pictures in {engines_dir() / 'parity'}: reinstall streammatte")
    return [normalized(np.asarray(picture, np.uint8), spec) for picture in pictures]


def normalized(picture: npt.NDArray[np.uint8], spec: InputSpec) -> npt.NDArray[np.float32]:
    """An RGB picture (H, W, 3) uint8 as the network's batch (1, 3, h, w): averaged down, (x / 255 - mean) / std."""
    small = cv2.resize(picture, (spec.width, spec.height), interpolation=cv2.INTER_AREA).astype(np.float32)
    normal = (small / np.float32(255) - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def compare(reference: Session, candidate: Session, batches: Iterable[npt.NDArray[np.float32]]) -> Difference:
    """How far `candidate`'s outputs are from `reference`'s."""
    apart = np.stack([np.abs(reference.run(batch) - candidate.run(batch)) for batch in batches])
    return Difference(float(apart.mean()), float(np.quantile(apart, 0.99)), float(apart.max()))
