"""What is done to every pixel to follow figures through a clip (`subjects.figures`), compiled.

Labels, alpha and what is held are small maps (h, w); trust and picture may be larger, and are read at the nearest
pixel. What is held is coded, 0 to 255, one channel a figure: so it is moved and summed in a fraction of the time.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.kernels.compiled import compiled

__all__ = ["COLORS", "color_counts", "divide", "hold", "meetings", "tally"]

_Map: TypeAlias = npt.NDArray[np.float32]
_Labels: TypeAlias = npt.NDArray[np.int32]
_Table: TypeAlias = npt.NDArray[np.bool_]
_Coded: TypeAlias = npt.NDArray[np.uint8]

COLORS = 512
"""Cells of a colour histogram: 8 of each of R, G and B."""
_EVERY_PX = 2
"""Colours are counted on every second pixel of every second row."""
_LEAST = np.float32(0.001)
"""A colour that was never seen of somebody is still this share of all that is likely."""
_FOREIGN = np.float32(0.125)
"""Who has less than this share of a colour that another has much of does not keep a pixel for having held it."""
_ANYWHERE = np.float32(0.3)
"""Who is not near may be there all the same, but less likely by this."""
_LEAST_TRUST = np.float32(0.2)
_CODED = np.float32(1 / 255)


def meetings(one: _Labels, other: _Labels, counts: tuple[int, int]) -> _Table:
    """Which labels of `one` share pixels with which of `other`, of so many each."""
    out = np.zeros(counts, np.bool_)
    _meetings(one, other, out)
    return out


def tally(labels: _Labels, count: int, pha: _Map, held: _Coded, trust: _Map) -> npt.NDArray[np.float64]:
    """Sums over the pixels of each label, (count, 3 + n): of alpha, alpha * x, alpha * y, alpha * each held share.

    What is held counts in full where `trust` is 1, and a fifth of that where it is 0.
    """
    out = np.zeros((count, 3 + held.shape[2]), np.float64)
    _tally(labels, pha, held, trust, out)
    return out


def color_counts(labels: _Labels, count: int, pha: _Map, src: _Map) -> _Map:
    """A histogram of `src`, RGB in [0, 1], weighted by alpha, for each label: (count, COLORS)."""
    out = np.zeros((count, COLORS), np.float32)
    _color_counts(labels, pha, src, out)
    return out


def hold(labels: _Labels, there: _Table, pha: _Map) -> _Coded:
    """What is held (h, w, n) where each part belongs to who is `there`, (parts, n): all of what is half opaque."""
    out = np.zeros((*labels.shape, there.shape[1]), np.uint8)
    _hold(labels, there, pha, out)
    return out


def divide(labels: _Labels, there: _Table, pha: _Map, held: _Coded, near: _Coded, src: _Map, palettes: _Map) -> _Map:
    """Shares (h, w, n) of those who are `there`, (parts, n), in the part that a pixel belongs to; their sum is 1.

    Who held a pixel, as `hold` has it, keeps it, unless its colour is another's rather: `palettes` (n, COLORS), the sum
    of each being 1, say whose. What is left is shared by colour, and by who is `near` (h, w, n). Beyond all parts there
    are no shares.
    """
    out = np.zeros(held.shape, np.float32)
    _divide(labels, there, pha, held, near, src, palettes, out)
    return out


@compiled
def _meetings(one: Any, other: Any, out: Any) -> None:
    for y in range(one.shape[0]):
        for x in range(one.shape[1]):
            out[one[y, x], other[y, x]] = True


@compiled
def _tally(labels: Any, pha: Any, held: Any, trust: Any, out: Any) -> None:
    height, width, count = held.shape
    down, along = trust.shape[0] / height, trust.shape[1] / width
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label:
                alpha = pha[y, x]
                out[label, 0] += alpha
                out[label, 1] += alpha * x
                out[label, 2] += alpha * y
                believed = trust[int((y + 0.5) * down), int((x + 0.5) * along)]
                weight = _CODED * alpha * (_LEAST_TRUST + (1 - _LEAST_TRUST) * believed)
                for i in range(count):
                    out[label, 3 + i] += weight * held[y, x, i]


@compiled
def _cell(src: Any, y: Any, x: Any) -> Any:
    cell = 0
    for i in range(3):
        cell = cell * 8 + min(7, max(0, int(src[y, x, i] * 8)))
    return cell


@compiled
def _color_counts(labels: Any, pha: Any, src: Any, out: Any) -> None:
    height, width = labels.shape
    down, along = src.shape[0] / height, src.shape[1] / width
    for y in range(0, height, _EVERY_PX):
        for x in range(0, width, _EVERY_PX):
            if labels[y, x]:
                out[labels[y, x], _cell(src, int((y + 0.5) * down), int((x + 0.5) * along))] += pha[y, x]


@compiled
def _hold(labels: Any, there: Any, pha: Any, out: Any) -> None:
    height, width, count = out.shape
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label:
                firm = np.uint8(min(np.float32(255), np.float32(510) * pha[y, x]))
                for i in range(count):
                    out[y, x, i] = firm if there[label, i] else 0


@compiled
def _divide(labels: Any, there: Any, pha: Any, held: Any, near: Any, src: Any, palettes: Any, out: Any) -> None:
    height, width, count = held.shape
    down, along = src.shape[0] / height, src.shape[1] / width
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if not label:
                continue
            cell = _cell(src, int((y + 0.5) * down), int((x + 0.5) * along))
            most, likely = np.float32(0), np.float32(0)
            for i in range(count):
                if there[label, i]:
                    colored = palettes[i, cell] + _LEAST
                    most = max(most, colored)
                    likely += colored * (near[y, x, i] * _CODED + _ANYWHERE)
            known = np.float32(0)
            for i in range(count):
                if there[label, i]:
                    believed = min(np.float32(1), (palettes[i, cell] + _LEAST) / (most * _FOREIGN))
                    out[y, x, i] = held[y, x, i] * _CODED * believed
                    known += out[y, x, i]
            all_there_is = min(np.float32(1), np.float32(2) * pha[y, x])
            free, total = max(np.float32(0), all_there_is - known), max(known, all_there_is)
            for i in range(count):
                if there[label, i]:
                    fit = (palettes[i, cell] + _LEAST) * (near[y, x, i] * _CODED + _ANYWHERE) / likely
                    out[y, x, i] = (out[y, x, i] + free * fit) / total
