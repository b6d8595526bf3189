"""Where chroma samples sit between luma's, and chroma brought to luma's places."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import ChromaLocation
from streammatte.frame import PixelFormat

__all__ = ["cosited", "upsample"]

# The first luma column, or row, that chroma samples share; locations that are absent sit between two.
_COSITED_X = {
    ChromaLocation.UNSPECIFIED: 0,
    ChromaLocation.LEFT: 0,
    ChromaLocation.TOP_LEFT: 0,
    ChromaLocation.BOTTOM_LEFT: 0,
}
_COSITED_Y = {
    ChromaLocation.TOP_LEFT: 0,
    ChromaLocation.TOP: 0,
    ChromaLocation.BOTTOM_LEFT: 1,
    ChromaLocation.BOTTOM: 1,
}


def cosited(target: PixelFormat, location: ChromaLocation) -> tuple[int | None, int | None]:
    """The first luma column and the first luma row on which chroma of `target` sits; None where it sits between two."""
    first_x = _COSITED_X.get(location) if target.log2_chroma_w == 1 else None
    first_y = _COSITED_Y.get(location) if target.log2_chroma_h == 1 else None
    return first_x, first_y


def upsample(
    plane: npt.NDArray[Any], target: PixelFormat, location: ChromaLocation, width: int, height: int
) -> npt.NDArray[Any]:
    """A chroma plane of `target` at luma's size (height, width), linear between the places where its samples sit."""
    first_x, first_y = cosited(target, location)
    wide, high = plane.shape[1] << target.log2_chroma_w, plane.shape[0] << target.log2_chroma_h
    between = (wide if first_x is None else plane.shape[1], high if first_y is None else plane.shape[0])
    if between != plane.shape[::-1]:
        plane = cv2.resize(plane, between, interpolation=cv2.INTER_LINEAR)
    if first_x is not None:
        halves = _halfway(plane, first_x, axis=1)
        plane = cv2.merge([halves, plane] if first_x else [plane, halves]).reshape(plane.shape[0], wide)
    if first_y is not None:
        rows = np.empty((high, plane.shape[1]), plane.dtype)
        rows[first_y::2], rows[1 - first_y :: 2] = plane, _halfway(plane, first_y, axis=0)
        plane = rows
    return np.ascontiguousarray(plane[:height, :width])


def _halfway(plane: npt.NDArray[Any], first: int, axis: int) -> npt.NDArray[Any]:
    """Between each sample and the one after it, or the one before it where `first` is 1; the last stands for itself."""
    around = (first, 1 - first, 0, 0) if axis == 0 else (0, 0, first, 1 - first)
    longer = cv2.copyMakeBorder(plane, *around, cv2.BORDER_REPLICATE)
    height, width = plane.shape
    neighbours = longer[:height, :width] if first else longer[-height:, -width:]
    return np.asarray(cv2.addWeighted(plane, 0.5, neighbours, 0.5, 0))
