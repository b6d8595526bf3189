"""Weighted local means on a small picture around the subject: what its colours are near a pixel, and the room's."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Plane
from streammatte.kernels import host
from streammatte.kernels.boxes import Box

__all__ = ["LocalMean", "Map", "box_mean", "reduced", "small_size", "surely"]

_FEWEST_LINES = 128
_WIDE, _MIDDLE = 90 / 1000, 20 / 1000  # radii over the picture's height
_FAR_SHARE = 0.03  # of the wide window beside the middle one
_EPSILON = 1e-3

Map: TypeAlias = npt.NDArray[np.float32]
"""One component (h, w) float32, in the plane's own units, or a weight in [0, 1], at a reduced size."""


def small_size(box: Box, frame_height: int) -> tuple[tuple[int, int], float]:
    """(width, height) of `box` in a picture reduced by a power of two to 128..255 lines, and that picture's lines."""
    reduction = 1 << max(1, frame_height // _FEWEST_LINES).bit_length() - 1
    return (-(-box.width // reduction), -(-box.height // reduction)), frame_height / reduction


def reduced(plane: Plane, size: tuple[int, int]) -> Map:
    """A plane, or its part in a box, at the small size."""
    return host.resize(plane, *size).astype(np.float32)


def box_mean(value: Map, radius: float) -> Map:
    """The mean in a square window. A running sum may end a hair below 0 where all samples are 0: that is 0."""
    side = max(1, round(radius)) * 2 + 1
    mean = np.asarray(cv2.blur(value, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
    return np.maximum(mean, 0, out=mean)


def surely(share: Map) -> Map:
    """The eighth power of a share in [0, 1]: a pixel that is nearly pure says far more of a colour than a mixed one."""
    square = share * share
    square *= square
    return np.asarray(square * square, np.float32)


class LocalMean:
    """Means of pictures by one weight: of near pixels where these weigh anything, else of farther ones, else of all."""

    def __init__(self, weights: Map, lines: float) -> None:
        self._weights, self._lines = weights, lines
        self._spread = self._blurred(weights)
        self._total = max(float(cv2.mean(self._spread)[0]), _EPSILON)
        self._spread += np.float32(_EPSILON * _FAR_SHARE)

    def of(self, picture: Map) -> tuple[Map, float]:
        """The mean of `picture` (not negative) around each pixel, and over all of it."""
        spread = self._blurred(picture * self._weights)
        far = float(cv2.mean(spread)[0]) / self._total
        spread += np.float32(_EPSILON * _FAR_SHARE * far)
        spread /= self._spread
        return spread, far

    def _blurred(self, values: Map) -> Map:
        wide, middle = (box_mean(values, self._lines * radius) for radius in (_WIDE, _MIDDLE))
        return np.asarray(cv2.scaleAdd(wide, _FAR_SHARE, middle), np.float32)
