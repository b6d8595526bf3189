"""Frames in the network beside other work: several at once for files, one behind the picture for live video."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Look, Matte, Packet
from streammatte.kernels.warping import warp

__all__ = ["Shown", "with_late_mattes", "with_mattes"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame on its way to the network."""

    frame: Frame
    look: Look
    key: bool = True
    """The network should see it."""


_Event: TypeAlias = Shown | Packet
_See: TypeAlias = Callable[[Look], Matte]
_Matted: TypeAlias = Generator[tuple[Frame, Matte] | Packet, None, None]
_Waiting: TypeAlias = Packet | tuple[Frame, "Future[Matte] | Matte"]


def with_mattes(events: Iterable[_Event], see: _See, streams: int) -> _Matted:
    """Each frame with its matte, unseen where it is no keyframe, and packets between them where they were.

    `see` is called from `streams` threads; up to one more keyframe than that, and the frames between, are held.
    """
    pool = ThreadPoolExecutor(streams, thread_name_prefix="infer")
    try:
        waiting: deque[_Waiting] = deque()
        for event in events:
            waiting.append(event if isinstance(event, Packet) else (event.frame, _begun(event, see, pool)))
            while waiting and (_ready(waiting[0]) or _under_way(waiting) > streams + 1):
                yield _finished(waiting.popleft())
        yield from map(_finished, waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begun(shown: Shown, see: _See, pool: ThreadPoolExecutor) -> Future[Matte] | Matte:
    return pool.submit(see, shown.look) if shown.key else shown.look.matte


def _ready(waiting: _Waiting) -> bool:
    return isinstance(waiting, Packet) or isinstance(waiting[1], Matte) or waiting[1].done()


def _under_way(waiting: Iterable[_Waiting]) -> int:
    return sum(isinstance(entry, tuple) and isinstance(entry[1], Future) for entry in waiting)


def _finished(waiting: _Waiting) -> tuple[Frame, Matte] | Packet:
    if isinstance(waiting, Packet):
        return waiting
    frame, matte = waiting
    return frame, matte.result() if isinstance(matte, Future) else matte


def with_late_mattes(events: Iterable[_Event], see: _See) -> _Matted:
    """Each frame at once, never waiting for the network but where nothing is known: at the start and after a cut.

    The network sees one frame at a time. Its matte is given with the first frame after it is done, carried there along
    the motion; it counts as that frame's own.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="infer")
    try:
        late = _Late(see, pool)
        for event in events:
            yield event if isinstance(event, Packet) else (event.frame, late.matte(event))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Late:
    """The one look that is with the network, and the way from its frame to the present one."""

    def __init__(self, see: _See, pool: ThreadPoolExecutor) -> None:
        self._see, self._pool = see, pool
        self._pending: Future[Matte] | None = None
        self._way: npt.NDArray[np.float32] | None = None

    def matte(self, shown: Shown) -> Matte:
        """The matte known for this frame, or an unseen one; the network gets the next look if it is free."""
        now = shown.look.matte
        if now.flow is None:
            if self._pending is not None:
                self._pending.cancel()
            self._pending = None
            return self._pool.submit(self._see, shown.look).result()  # after what it is still busy with
        self._way = now.flow if self._way is None else np.asarray(warp(self._way, now.flow) + now.flow, np.float32)
        if self._pending is not None and self._pending.done():
            seen = self._pending.result()
            now = replace(now, pha=np.asarray(warp(seen.pha, self._way), np.float32), seen=True)
            self._pending = None
        if self._pending is None and shown.key:
            self._pending, self._way = self._pool.submit(self._see, shown.look), None
        return now
