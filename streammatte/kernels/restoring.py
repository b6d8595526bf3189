"""The last step of foreground estimation, at full size, compiled: one pass that leaves most pixels alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.frame import Plane
from streammatte.kernels.compiled import compiled
from streammatte.kernels.words import in_words

__all__ = ["restore"]


def restore(plane: Plane, alpha: Plane, back: npt.NDArray[np.float32], least: float, peak: int, out: Plane) -> None:
    """F over `out` (h, w), which holds F^: `plane` where alpha is peak, from `least` on the equation, else F^ stays.

    F = F^ + a (I - a F^ - (1 - a) B^) with a = alpha / peak (Forte, ICIP 2021). B^ is `back`, smaller than the plane:
    the value nearest to a pixel will do.
    """
    words, run_px, opaque = in_words(alpha, peak)
    _restore(plane, alpha, words, run_px, opaque, back, np.float32(least), np.float32(peak), out)


@compiled
def _restore(
    plane: Any,
    alpha: Any,
    words: Any,
    run_px: int,
    opaque: Any,
    back: Any,
    least: Any,
    peak: Any,
    out: Any,
) -> None:
    height, width = plane.shape
    for y in range(height):
        source, share, target = plane[y], alpha[y], out[y]
        behind = back[(2 * y + 1) * back.shape[0] // (2 * height)]
        for run in range(words.shape[1]):
            word, begin = words[y, run], run * run_px
            if word == opaque:
                for x in range(begin, begin + run_px):
                    target[x] = source[x]
            elif word != 0:
                _solve(source, share, behind, least, peak, begin, begin + run_px, target)
        _solve(source, share, behind, least, peak, words.shape[1] * run_px, width, target)


@compiled
def _solve(source: Any, share: Any, behind: Any, least: Any, peak: Any, begin: int, end: int, target: Any) -> None:
    ratio = np.float32(behind.size) / np.float32(source.size)
    for x in range(begin, end):
        b = behind[int((np.float32(x) + np.float32(0.5)) * ratio)]
        s, i, f = np.float32(share[x]), np.float32(source[x]), np.float32(target[x])
        a = s / peak
        solved = min(max(f + a * (i - b - a * (f - b)) + np.float32(0.5), np.float32(0)), peak)
        target[x] = i if s == peak else (solved if s >= least else f)
