"""Scene cuts, seen in the small picture the network saw."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Matte

__all__ = ["BINS", "GRID", "HISTOGRAM_THRESHOLD", "LAYOUT_THRESHOLD", "CutDetector"]

BINS = 8
GRID = (16, 16)
HISTOGRAM_THRESHOLD = 0.35
LAYOUT_THRESHOLD = 0.07


class CutDetector:
    """Tells a cut from motion: both what colours there are and where they are must change at once.

    Colours: Hellinger distance of 8 x 8 x 8 RGB histograms, in [0, 1]. Layout: mean absolute difference of 16 x 16
    block means once each picture's own mean is taken out (a change of exposure is no cut), in [0, 1]. A subject that
    moves changes the layout but hardly the colours; a lamp switched on changes the colours but hardly the layout.
    """

    def __init__(self) -> None:
        self._histogram: npt.NDArray[np.float32] | None = None
        self._layout: npt.NDArray[np.float32] | None = None

    def is_cut(self, matte: Matte) -> bool:
        """Whether a new scene starts with this matte's frame; False for the first."""
        histogram, layout = _histogram(matte.src), _layout(matte.src)
        before, self._histogram = self._histogram, histogram
        blocks, self._layout = self._layout, layout
        if before is None or blocks is None:
            return False
        distance = cv2.compareHist(before, histogram, cv2.HISTCMP_BHATTACHARYYA)
        moved = float(np.abs(layout - blocks).mean())
        return distance > HISTOGRAM_THRESHOLD and moved > LAYOUT_THRESHOLD


def _histogram(src: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    counts = cv2.calcHist([np.ascontiguousarray(src[::2, ::2])], [0, 1, 2], None, [BINS] * 3, [0.0, 1.0001] * 3)
    return np.asarray(counts / counts.sum(), np.float32)


def _layout(src: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    blocks = np.asarray(cv2.resize(src, GRID, interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(blocks - blocks.mean(axis=(0, 1)), np.float32)
