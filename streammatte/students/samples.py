"""What a student learns from: pictures at its own input size, with the alpha that the teacher gave them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["MULTIPLE", "Samples", "input_size", "shown"]

_Map: TypeAlias = npt.NDArray[np.float32]

MULTIPLE = 32
"""Both sides of a student's input are one of it."""
_AREA_PX = 256 * 160


def input_size(width: float, height: float) -> tuple[int, int]:
    """(width, height) of the student's input for pictures of this shape; about 41 000 pixels, multiples of 32.

    No side is longer than twice the other: what is more so is squeezed.
    """
    shape = min(max(width / height, 0.5), 2.0)
    wide = max(MULTIPLE, MULTIPLE * round(math.sqrt(_AREA_PX * shape) / MULTIPLE))
    high = max(MULTIPLE, MULTIPLE * round(_AREA_PX / wide / MULTIPLE))
    return wide, high


def shown(image: _Map, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A picture (h, w, 3) or alpha (h, w), float32 in [0, 1], at `size` (width, height) as uint8 in 0..255."""
    method = cv2.INTER_AREA if image.shape[1] >= size[0] and image.shape[0] >= size[1] else cv2.INTER_LINEAR
    sized: Any = cv2.resize(image, size, interpolation=method)
    return np.asarray(cv2.convertScaleAbs(sized, alpha=255.0), np.uint8)


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures and their mattes, in no order that counts."""

    src: npt.NDArray[np.uint8]
    """(n, h, w, 3) RGB."""
    pha: npt.NDArray[np.uint8]
    """(n, h, w); 255 is opaque."""

    @staticmethod
    def of(pairs: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]) -> Samples:
        """Those of pictures (h, w, 3) and mattes (h, w); at least one, all of one size."""
        return Samples(np.stack([src for src, _ in pairs]), np.stack([pha for _, pha in pairs]))

    def __len__(self) -> int:
        return len(self.src)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.src.shape[2], self.src.shape[1]
