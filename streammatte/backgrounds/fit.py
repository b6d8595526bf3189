"""Where a background picture lies in the frame: `--fit cover|contain|stretch`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame
from streammatte.kernels import host

__all__ = ["Fit", "Placement", "placement", "upright_size"]

Fit = Literal["cover", "contain", "stretch"]


def upright_size(frame: Frame) -> tuple[int, int, Fraction]:
    """(width, height, sample aspect ratio) of the frame turned upright."""
    if frame.rotation % 180 == 0:
        return frame.width, frame.height, frame.sar
    return frame.height, frame.width, 1 / frame.sar


@dataclass(frozen=True, slots=True)
class Placement:
    """The part of the picture that is shown, and the part of the frame it fills; fractions of each, centred."""

    shown_x: float
    shown_y: float
    filled_x: float
    filled_y: float

    def apply(self, image: npt.NDArray[Any], width: int, height: int, border: Any) -> npt.NDArray[Any]:
        """`image` (h, w[, c]) so placed in a (height, width[, c]) picture; the rest is `border`."""
        cut = _centred(image, self.shown_x, self.shown_y)
        inner_w, inner_h = max(1, round(width * self.filled_x)), max(1, round(height * self.filled_y))
        scaled = host.resize(np.ascontiguousarray(cut), inner_w, inner_h)
        if (inner_w, inner_h) == (width, height):
            return scaled
        canvas = np.empty((height, width, *image.shape[2:]), image.dtype)
        canvas[...] = border
        left, top = (width - inner_w) // 2, (height - inner_h) // 2
        canvas[top : top + inner_h, left : left + inner_w] = scaled
        return canvas


def _centred(image: npt.NDArray[Any], part_x: float, part_y: float) -> npt.NDArray[Any]:
    height, width = image.shape[:2]
    w, h = max(1, round(width * part_x)), max(1, round(height * part_y))
    left, top = (width - w) // 2, (height - h) // 2
    return image[top : top + h, left : left + w]


def placement(fit: Fit, picture_aspect: float, frame_aspect: float) -> Placement:
    """How a picture of one display aspect (width / height) lies in a frame of another."""
    ratio = picture_aspect / frame_aspect
    if fit == "stretch" or ratio == 1:
        return Placement(1, 1, 1, 1)
    if fit == "cover":
        return Placement(min(1, 1 / ratio), min(1, ratio), 1, 1)
    return Placement(1, 1, min(1, ratio), min(1, 1 / ratio))
