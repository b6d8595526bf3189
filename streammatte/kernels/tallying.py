"""Sums over the parts of a picture, and the division of one part between those who are in it; compiled."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.kernels.compiled import compiled

__all__ = ["COLORS", "color_counts", "divide", "tally"]

_Map: TypeAlias = npt.NDArray[np.float32]
_Labels: TypeAlias = npt.NDArray[np.int32]

COLORS = 512
"""Cells of a colour histogram: 8 of each of R, G and B."""
_EVERY_PX = 2
"""Colours are counted on every second pixel of every second row."""
_LEAST = np.float32(0.002)
"""A colour that was never seen of somebody is still as likely as this share of all."""
_ANYWHERE = np.float32(0.1)
"""Who is not near may be there all the same, but a tenth as likely."""
_LEAST_TRUST = np.float32(0.2)


def tally(labels: _Labels, count: int, pha: _Map, held: _Map, trust: _Map) -> npt.NDArray[np.float64]:
    """Sums over the pixels of each label, (count + 1, 3 + n): of alpha, alpha * x, alpha * y, alpha * each held share.

    `labels`, `pha` and `trust` are (h, w), `held` (h, w, n). What is held counts in full where `trust` is 1, and a
    fifth of that where it is 0.
    """
    out = np.zeros((count + 1, 3 + held.shape[2]), np.float64)
    _tally(labels, pha, held, trust, out)
    return out


def color_counts(labels: _Labels, count: int, pha: _Map, src: _Map) -> npt.NDArray[np.float32]:
    """A histogram of `src` (h, w, 3), RGB in [0, 1], weighted by alpha, for each label: (count + 1, COLORS)."""
    out = np.zeros((count + 1, COLORS), np.float32)
    _color_counts(labels, pha, src, out)
    return out


def divide(labels: _Labels, there: npt.NDArray[np.bool_], held: _Map, near: _Map, src: _Map, palettes: _Map) -> _Map:
    """Shares (h, w, n) of those who are `there`, (count + 1, n), in the part that a pixel belongs to; their sum is 1.

    Who held a pixel keeps it. What nobody held is shared by the colours that each has, `palettes` (n, COLORS), each row
    summing to 1, and by who is `near` (h, w, n). Pixels of parts that nobody is in have no shares.
    """
    out = np.zeros(held.shape, np.float32)
    _divide(labels, there, held, near, src, palettes, out)
    return out


@compiled
def _tally(labels: Any, pha: Any, held: Any, trust: Any, out: Any) -> None:
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            alpha = pha[y, x]
            if alpha > 0:
                row = out[labels[y, x]]
                row[0] += alpha
                row[1] += alpha * x
                row[2] += alpha * y
                weight = alpha * (_LEAST_TRUST + (1 - _LEAST_TRUST) * trust[y, x])
                for i in range(held.shape[2]):
                    row[3 + i] += weight * held[y, x, i]


@compiled
def _cell(src: Any, y: int, x: int) -> int:
    red, green, blue = int(src[y, x, 0] * 7.999), int(src[y, x, 1] * 7.999), int(src[y, x, 2] * 7.999)
    return (red * 8 + green) * 8 + blue


@compiled
def _color_counts(labels: Any, pha: Any, src: Any, out: Any) -> None:
    height, width = labels.shape
    for y in range(0, height, _EVERY_PX):
        for x in range(0, width, _EVERY_PX):
            out[labels[y, x], _cell(src, y, x)] += pha[y, x]


@compiled
def _divide(labels: Any, there: Any, held: Any, near: Any, src: Any, palettes: Any, out: Any) -> None:
    height, width, count = held.shape
    for y in range(height):
        for x in range(width):
            present = there[labels[y, x]]
            cell = _cell(src, y, x)
            known, likely = np.float32(0), np.float32(0)
            for i in range(count):
                if present[i]:
                    known += held[y, x, i]
                    likely += (palettes[i, cell] + _LEAST) * (near[y, x, i] + _ANYWHERE)
            free, total = max(np.float32(0), 1 - known), max(known, np.float32(1))
            for i in range(count):
                if present[i]:
                    fit = (palettes[i, cell] + _LEAST) * (near[y, x, i] + _ANYWHERE) / likely
                    out[y, x, i] = (held[y, x, i] + free * fit) / total
