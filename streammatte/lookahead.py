"""`--lookahead N`: each matte is also averaged with the next N, which files can wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Matte, Packet
from streammatte.kernels.warping import warp

__all__ = ["WEIGHT", "looking_ahead"]

WEIGHT = 1.0
"""Of the next matte against all that is known so far; each one after it weighs half of the one before."""

_Event: TypeAlias = tuple[Frame, Matte] | Packet
_Average: TypeAlias = Callable[[Matte, list[Matte]], Matte]


def _with(matte: Matte, ahead: list[Matte]) -> Matte:
    total, weights = matte.pha.copy(), np.ones_like(matte.pha)
    way: npt.NDArray[np.float32] | None = None
    trust, share = np.ones_like(matte.pha), WEIGHT
    for later in ahead:
        assert later.onward is not None
        flow, believed = later.onward
        if way is None:
            way, trust = flow, believed
        else:
            trust = np.asarray(trust * warp(believed, way), np.float32)
            way = np.asarray(way + warp(flow, way), np.float32)
        if later.seen:
            weight = np.float32(share) * trust
            total += weight * warp(later.pha, way)
            weights += weight
        share /= 2
    return replace(matte, pha=np.asarray(total / weights, np.float32))


def looking_ahead(events: Iterable[_Event], frames: int, average: _Average = _with) -> Iterator[_Event]:
    """The events, in order and `frames` frames late, each matte averaged with those after it.

    They are brought back along `onward` motion, as far as it is trusted all the way; a cut ends what lies ahead.
    Mattes that the network did not see add nothing. `average` is given a matte and those after it to which motion
    leads, all of its size; it is the host's unless mattes are elsewhere.
    """
    waiting: deque[_Event] = deque()
    for event in events:
        waiting.append(event)
        while sum(not isinstance(each, Packet) for each in waiting) > frames or isinstance(waiting[0], Packet):
            yield _averaged(waiting, average)
            if not waiting:
                break
    while waiting:
        yield _averaged(waiting, average)


def _averaged(waiting: deque[_Event], average: _Average) -> _Event:
    first = waiting.popleft()
    if isinstance(first, Packet):
        return first
    frame, matte = first
    return frame, average(matte, list(_reached(matte, waiting)))


def _reached(matte: Matte, waiting: Iterable[_Event]) -> Iterator[Matte]:
    for event in waiting:
        if isinstance(event, Packet):
            continue
        later = event[1]
        if later.onward is None or later.pha.shape != matte.pha.shape:
            break
        yield later
