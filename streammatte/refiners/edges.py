"""`--feather` and `--shift`: the alpha's edge made softer, or moved outward or inward, at frame size.

The contour moves by grey dilation or erosion (Serra, "Image Analysis and Mathematical Morphology", 1982), pixel by
pixel with the two 3 x 3 elements that make an octagon together; the last part of a pixel is a mix of before and after.
Nothing is decided: a soft pixel stays soft, and a ramp is moved as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any, TypeAlias

import cv2
import numpy as np

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels.boxes import subject_box
from streammatte.kernels.gaussian import gaussian
from streammatte.ports import Refiner

__all__ = ["SQUARE_SHARE", "EdgeRefiner"]

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_SQUARE = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
SQUARE_SHARE = 1 / 3  # of the steps: then no direction goes more than 8 % too far or too short
_REACH = 4  # sigmas

_Step: TypeAlias = Callable[[Any, Any], Any]


class EdgeRefiner:
    """Another refiner's alpha with its edge moved by `shift_px` (outward where positive), then blurred.

    `feather_px` is the Gaussian's sigma. Both are in pixels of the frame as it is stored.
    """

    def __init__(self, refiner: Refiner, *, feather_px: float = 0.0, shift_px: float = 0.0) -> None:
        self._refiner, self._feather_px, self._shift_px = refiner, feather_px, shift_px

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth."""
        pha = self._refiner.refine(matte, frame)
        box = subject_box(pha, ceil(max(0.0, self._shift_px) + _REACH * self._feather_px) + 1)
        if box is None:
            return pha
        place = box.of(0, frame.format)
        shaped = np.zeros_like(pha)
        shaped[place] = gaussian(_shifted(pha[place], self._shift_px), self._feather_px)
        return shaped


def _shifted(pha: Plane, shift_px: float) -> Plane:
    step: _Step = cv2.dilate if shift_px > 0 else cv2.erode
    for done_px in range(ceil(abs(shift_px))):
        moved, left_px = _moved(pha, step, done_px), abs(shift_px) - done_px
        pha = moved if left_px >= 1 else _mixed(pha, moved, left_px)
    return pha


def _moved(pha: Plane, step: _Step, done_px: int) -> Plane:
    """One pixel on. Where few are done, both elements mixed: one alone would go 30 % too short or 40 % too far."""
    if done_px < 3:
        return _mixed(step(pha, _CROSS), step(pha, _SQUARE), SQUARE_SHARE)
    moved: Plane = step(pha, _SQUARE if done_px % 3 == 0 else _CROSS)
    return moved


def _mixed(one: Plane, other: Plane, share: float) -> Plane:
    mixed: Plane = cv2.addWeighted(one, 1 - share, other, share, 0)  # type: ignore[assignment]
    return mixed
