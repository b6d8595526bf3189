"""How opaque the edge is, and how much of it has collapsed to a bare step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streammatte.frame import Plane

__all__ = ["EdgeOpacity"]

_BINS = 10
_LINES = 36
"""Rows looked at, a frame: every thirtieth at 1080 lines. Others come with the next frames."""
_POINTS = 64
_CLEAR, _OPAQUE = 0.05, 0.95
_STEP_PX = 2
_LINES_A_BAND_PX = 270


class EdgeOpacity:
    """Gathers the alphas around the contour of alpha = 0.5, at frame size.

    The contour is sampled where it passes between two neighbours on every few rows, along the row or to the row below:
    by Crofton's formula a fair sample of it whichever way it runs. Around each point:

    - the alphas within a band, 4 px to each side at 1080 lines, go into the histogram;
    - the point is collapsed if no alpha within 2 px lies in [0.05, 0.95]. An antialiased edge, even one as sharp as
      pixels allow, has such an alpha nearly everywhere (not where it runs along the pixel grid, as a box's may); a
      matte thresholded to 0 and 1 has none.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._points = self._collapsed = 0

    def step(self, pha: Plane, peak: int, seq: int) -> None:
        """Take in one frame's alpha (H, W), 0..peak; `seq` turns the rows looked at."""
        rows, columns, weight = _contour(pha, peak, seq)
        band_px = max(1, round(pha.shape[0] / _LINES_A_BAND_PX))
        reach_px = max(band_px, _STEP_PX)
        around = _windows(pha, rows, columns, reach_px)
        band = _middle(around, reach_px - band_px).astype(np.int32)
        bins = np.minimum(band.ravel() * _BINS // peak, _BINS - 1)
        self._counts += weight * np.bincount(bins, minlength=_BINS)
        close = _middle(around, reach_px - _STEP_PX)
        hard = (close < _CLEAR * peak) | (close > _OPAQUE * peak)
        self._points += weight * len(rows)
        self._collapsed += weight * int(np.count_nonzero(hard.all(axis=(1, 2))))

    def opacity(self) -> tuple[float, ...] | None:
        """The histogram so far: shares in ten bins that sum to 1; None where there was no edge."""
        total = int(self._counts.sum())
        return tuple(round(float(count) / total, 4) for count in self._counts) if total else None

    def collapsed(self) -> float | None:
        """The share of the edge so far that is a bare step, in [0, 1]; None where there was no edge."""
        return round(self._collapsed / self._points, 4) if self._points else None


_Indices = npt.NDArray[np.intp]


def _contour(pha: Plane, peak: int, seq: int) -> tuple[_Indices, _Indices, int]:
    """Rows and columns of pixels beside which alpha passes 0.5, at most 128, and how many such each stands for."""
    height, width = pha.shape
    step = max(1, height // _LINES)
    first = seq % step
    inside = pha[first:-1:step] > peak // 2
    below = pha[first + 1 :: step] > peak // 2
    across = np.zeros_like(inside)
    across[:, :-1] = inside[:, 1:] != inside[:, :-1]
    found = np.flatnonzero(across | (inside != below[: len(inside)]))
    weight = max(1, len(found) // _POINTS)
    found = found[seq % weight :: weight]
    # Either pixel of a pair in turn, so that the two sides of the contour count alike.
    other, along = np.arange(len(found)) % 2, across.ravel()[found]
    return first + step * (found // width) + other * ~along, found % width + other * along, weight


def _windows(pha: Plane, rows: _Indices, columns: _Indices, reach_px: int) -> Plane:
    """(n, 2 reach + 1, 2 reach + 1): the surroundings of n pixels, the frame's border repeated."""
    offsets = np.arange(-reach_px, reach_px + 1)
    y = np.clip(rows[:, None] + offsets, 0, pha.shape[0] - 1)
    x = np.clip(columns[:, None] + offsets, 0, pha.shape[1] - 1)
    windows: Plane = pha[y[:, :, None], x[:, None, :]]
    return windows


def _middle(windows: Plane, margin: int) -> Plane:
    return windows[:, margin:-margin, margin:-margin] if margin else windows
