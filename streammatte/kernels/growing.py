"""From coefficients at a small size to alpha at frame size, compiled: one pass, and colour only where it decides."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Plane
from streammatte.kernels.compiled import compiled

__all__ = ["grow"]

_EMPTY, _FULL, _FLAT, _COLOR = 0, 1, 2, 3
"""What a cell of the small grid needs: nothing (alpha 0 or peak), `b` alone, or all coefficients."""


def grow(coefficients: npt.NDArray[np.float32], frame: Frame) -> Plane:
    """Alpha (H, W), 0..peak, as a . I + b with coefficients (4, h, w) interpolated linearly to every pixel.

    I is the frame's samples as they are, chroma taken from the nearest row and linearly along it (co-sited left). The
    coefficients are a1, a2, a3 (of the planes in order; of the first alone for gray) and b; alpha 1.0 is 1.
    """
    out: Any = np.empty((frame.height, frame.width), frame.format.dtype)
    luma = frame.planes[0]
    first, second = frame.planes[1:] if len(frame.planes) == 3 else (luma, luma)
    chroma = frame.format.model == "yuv"
    log2_w, log2_h = (frame.format.log2_chroma_w, frame.format.log2_chroma_h) if chroma else (0, 0)
    _grow(coefficients, luma, first, second, log2_w, log2_h, np.float32(frame.format.peak), out)
    return cast(Plane, out)


_TRACE = np.float32(1.5 / 255)
"""Where colour decides, less than this is noise of the fit: it would be seen by nobody, and worked on by all."""


@compiled
def _grow(maps: Any, luma: Any, first: Any, second: Any, log2_w: Any, log2_h: Any, peak: Any, out: Any) -> None:
    height, width = out.shape
    high, wide = maps.shape[1], maps.shape[2]
    share, starts = _columns(width, wide)
    rows = np.empty((4, wide + 1), np.float32)
    kinds = np.empty(wide, np.uint8)
    at = -1
    for y in range(height):
        place = min(max((y + 0.5) * high / height - 0.5, 0.0), high - 1.0)
        top = int(place)
        low = min(top + 1, high - 1)
        if top != at:
            at = top
            _classify(maps, top, low, np.float32(0.5) / peak, kinds)
        part = np.float32(place - top)
        for c in range(4):
            for x in range(wide):
                rows[c, x] = maps[c, top, x] + part * (maps[c, low, x] - maps[c, top, x])
            rows[c, wide] = rows[c, wide - 1]
        line, luma_line = out[y], luma[y]
        first_line, second_line = first[y >> log2_h], second[y >> log2_h]
        begin = 0
        while begin < wide:
            end = begin + 1
            while end < wide and kinds[end] == kinds[begin]:
                end += 1
            left, right = starts[begin], starts[end]
            if kinds[begin] == _EMPTY:
                line[left:right] = 0
            elif kinds[begin] == _FULL:
                line[left:right] = peak
            elif kinds[begin] == _FLAT:
                _flat(rows[3], share, starts, peak, begin, end, line)
            else:
                _color(rows, share, starts, peak, begin, end, luma_line, first_line, second_line, log2_w, line)
            begin = end


@compiled
def _columns(width: Any, wide: Any) -> tuple[Any, Any]:
    """For each pixel of a row where in its cell it lies; for each cell its first pixel."""
    share = np.empty(width, np.float32)
    starts = np.full(wide + 1, width, np.int32)
    for x in range(width - 1, -1, -1):
        place = min(max((x + 0.5) * wide / width - 0.5, 0.0), wide - 1.0)
        share[x] = place - int(place)
        starts[int(place)] = x
    for i in range(wide - 1, -1, -1):  # cells without a pixel, where the frame is the smaller one
        starts[i] = min(starts[i], starts[i + 1])
    return share, starts


@compiled
def _classify(maps: Any, top: Any, low: Any, half: Any, kinds: Any) -> None:
    """What each cell between two small rows needs, from its four corners."""
    wide = kinds.size
    for x in range(wide):
        right = min(x + 1, wide - 1)
        colored = False
        for c in range(3):
            colored |= maps[c, top, x] != 0 or maps[c, low, x] != 0
            colored |= maps[c, top, right] != 0 or maps[c, low, right] != 0
        a, b, c, d = maps[3, top, x], maps[3, low, x], maps[3, top, right], maps[3, low, right]
        if colored:
            kinds[x] = _COLOR
        elif max(max(a, b), max(c, d)) < half:
            kinds[x] = _EMPTY
        elif min(min(a, b), min(c, d)) > 1 - half:
            kinds[x] = _FULL
        else:
            kinds[x] = _FLAT


@compiled
def _flat(offsets: Any, share: Any, starts: Any, peak: Any, begin: int, end: int, line: Any) -> None:
    for i in range(begin, end):
        base, rise = offsets[i] * peak + np.float32(0.5), (offsets[i + 1] - offsets[i]) * peak
        for x in range(starts[i], starts[i + 1]):
            line[x] = min(max(base + share[x] * rise, np.float32(0)), peak)


@compiled
def _color(
    rows: Any,
    share: Any,
    starts: Any,
    peak: Any,
    begin: int,
    end: int,
    luma: Any,
    first: Any,
    second: Any,
    log2_w: int,
    line: Any,
) -> None:
    """Cell by cell: what is the same for all pixels of one stays in registers."""
    last, half = first.size - 1, np.float32(0.5)
    trace, most = _TRACE * peak, peak - _TRACE * peak
    for i in range(begin, end):
        a, b, c, d = rows[0, i] * peak, rows[1, i] * peak * half, rows[2, i] * peak * half, rows[3, i] * peak
        da, db = rows[0, i + 1] * peak - a, rows[1, i + 1] * peak * half - b
        dc, dd = rows[2, i + 1] * peak * half - c, rows[3, i + 1] * peak - d
        for x in range(starts[i], starts[i + 1]):
            t = share[x]
            near = x >> log2_w
            beside = min(near + (1 if x & log2_w else 0), last)
            u = np.float32(first[near]) + np.float32(first[beside])
            v = np.float32(second[near]) + np.float32(second[beside])
            value = d + t * dd + (a + t * da) * np.float32(luma[x]) + (b + t * db) * u + (c + t * dc) * v
            if value < trace:
                value = np.float32(0)
            if value > most:
                value = peak
            line[x] = value + half
