"""Over, and alpha at chroma's size, compiled: what is wholly in front or behind is only copied."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from streammatte.frame import Plane
from streammatte.kernels.compiled import compiled
from streammatte.kernels.words import in_words

__all__ = ["blend", "halve_left"]


def blend(fgr: Plane, bg: Plane, pha: Plane, peak: int) -> Plane:
    """(pha * fgr + (peak - pha) * bg) / peak, rounded once; exactly `fgr` at peak and exactly `bg` at 0."""
    out: Any = np.empty(fgr.shape, fgr.dtype)
    words, run_px, opaque = in_words(pha, peak)
    _blend(fgr, bg, pha, words, run_px, opaque, np.float32(peak) if peak == 255 else np.float64(peak), out)
    return cast(Plane, out)


@compiled
def _blend(fgr: Any, bg: Any, pha: Any, words: Any, run_px: int, opaque: Any, peak: Any, out: Any) -> None:
    height, width = fgr.shape
    for y in range(height):
        front, behind, share, target = fgr[y], bg[y], pha[y], out[y]
        run, runs = 0, words.shape[1]
        while run < runs:
            word, begin = words[y, run], run
            run += 1
            if word == 0 or word == opaque:
                while run < runs and words[y, run] == word:
                    run += 1
                source = front if word == opaque else behind
                target[begin * run_px : run * run_px] = source[begin * run_px : run * run_px]
            else:
                _mix(front, behind, share, peak, begin * run_px, run * run_px, target)
        _mix(front, behind, share, peak, runs * run_px, width, target)


@compiled
def _mix(front: Any, behind: Any, share: Any, peak: Any, begin: int, end: int, target: Any) -> None:
    """In the type of `peak`, which must hold its square exactly: no mean of samples lies half-way, as peak is odd."""
    kind = type(peak)
    for x in range(begin, end):
        a = kind(share[x])
        target[x] = (a * kind(front[x]) + (peak - a) * kind(behind[x])) / peak + kind(0.5)


def halve_left(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A plane of even sides at half the size, for samples co-sited left: [1 2 1] / 4 across, a plain mean down."""
    out = np.empty((plane.shape[0] // 2, plane.shape[1] // 2), np.uint8)
    _halve_left(plane, out)
    return out


@compiled
def _halve_left(plane: Any, out: Any) -> None:
    height, width = out.shape
    for y in range(height):
        upper, lower = plane[2 * y], plane[2 * y + 1]
        left = np.int32(upper[0]) + np.int32(lower[0])
        for x in range(width):
            middle = np.int32(upper[2 * x]) + np.int32(lower[2 * x])
            right = np.int32(upper[2 * x + 1]) + np.int32(lower[2 * x + 1])
            total = left + 2 * middle + right
            out[y, x] = (total + 3 + ((total >> 3) & 1)) >> 3  # half to even
            left = right
