"""`--refine vitmatte`: alpha from the picture and a trimap by a network at the size of the frame, or near to it.

Yao et al., "ViTMatte: Boosting Image Matting with Pretrained Plain Vision Transformers" (2023). The network's input is
a square, which would squeeze the picture: it is shown the part around all that is unknown, its shape kept and never
enlarged, with as much of the picture around it as there is room for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import FloatImage
from streammatte.frame import Frame
from streammatte.kernels import host
from streammatte.kernels.trimaps import Trimap
from streammatte.refiners.by_trimap import TrimapRefiner, Trimaps, box_of_unknown, coarse

__all__ = ["EdgeNetwork", "VitmatteRefiner"]

_MARGIN = 0.05
"""Of the box's longer side: what surrounds the unknown tells the network what it is."""


class EdgeNetwork(Protocol):
    """A loaded network that takes a picture and its trimap."""

    width: int
    height: int

    def alpha(self, rgb: FloatImage, trimap: Trimap) -> FloatImage:
        """Alpha (height, width) in [0, 1] of R'G'B' (height, width, 3) in [0, 1] and trimap (height, width)."""


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of an upright picture that the network is shown, and how large."""

    rows: slice
    columns: slice
    width: int
    """As shown, in pixels; `height` too. Less than the network's where the picture is smaller."""
    height: int


class VitmatteRefiner(TrimapRefiner):
    """Each frame by itself: nothing is carried from one to the next."""

    def __init__(self, network: EdgeNetwork, trimaps: Trimaps = coarse) -> None:
        super().__init__(trimaps)
        self._network = network

    def _found(self, frame: Frame, trimap: Trimap) -> FloatImage:
        upright = host.turn(trimap, frame.rotation)
        window = _window(upright, self._network)
        place = window.rows, window.columns
        part = upright[place]
        rgb = host.turn(host.frame_rgb(frame, frame.width, frame.height), frame.rotation)[place]
        seen = host.resize(np.ascontiguousarray(rgb), window.width, window.height)
        known = cv2.resize(part, (window.width, window.height), interpolation=cv2.INTER_NEAREST_EXACT)
        shown = self._network.alpha(_padded(seen, self._network), _padded(known, self._network))
        answer = np.ascontiguousarray(shown[: window.height, : window.width])
        pha = np.zeros(upright.shape, np.float32)
        pha[place] = cv2.resize(answer, part.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(host.turn_back(pha, frame.rotation), np.float32)


def _window(trimap: Trimap, network: EdgeNetwork) -> _Window:
    """Around the unknown in the middle, moved where it would reach beyond the picture."""
    height, width = trimap.shape
    rows, columns = box_of_unknown(trimap, 0)
    wide, high = columns.stop - columns.start, rows.stop - rows.start
    margin_px = 2 * _MARGIN * max(wide, high)
    scale = min(1.0, network.width / min(width, wide + margin_px), network.height / min(height, high + margin_px))
    across, shown_wide = _span(columns, width, network.width, scale)
    down, shown_high = _span(rows, height, network.height, scale)
    return _Window(down, across, shown_wide, shown_high)


def _span(box: slice, side: int, most: int, scale: float) -> tuple[slice, int]:
    """Along one side of the picture: what is shown of it, and at how many of the network's `most` pixels."""
    length = min(side, round(most / scale))
    start = min(max(0, (box.start + box.stop - length) // 2), side - length)
    return slice(start, start + length), min(most, max(1, round(length * scale)))


def _padded(image: npt.NDArray[Any], network: EdgeNetwork) -> npt.NDArray[Any]:
    """`image` in the network's upper left corner; beyond it black, and certainly background."""
    below, beside = network.height - image.shape[0], network.width - image.shape[1]
    return cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0)
