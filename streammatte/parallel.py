"""Files: several frames in the network at once, beside other work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from streammatte.frame import Frame, Look, Matte, Packet, Shown

__all__ = ["with_mattes"]


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
