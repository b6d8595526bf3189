"""Several frames in the network at once, their mattes in the order of the frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from streammatte.frame import Frame, Matte, Packet

__all__ = ["with_mattes"]

_Waiting: TypeAlias = Packet | tuple[Frame, Future[Matte]]


def with_mattes(
    events: Iterable[Frame | Packet], matte: Callable[[Frame], Matte], streams: int
) -> Iterator[tuple[Frame, Matte] | Packet]:
    """Each frame with its matte, and packets between them where they were.

    With one stream a frame is done before the next is asked for, as live video needs it. With more, `matte` is called
    from that many threads, and up to `streams` + 1 frames are held.
    """
    if streams == 1:
        for event in events:
            yield event if isinstance(event, Packet) else (event, matte(event))
        return
    pool = ThreadPoolExecutor(streams, thread_name_prefix="infer")
    try:
        waiting: deque[_Waiting] = deque()
        for event in events:
            waiting.append(event if isinstance(event, Packet) else (event, pool.submit(matte, event)))
            while waiting and (_ready(waiting[0]) or _frames(waiting) > streams + 1):
                yield _finished(waiting.popleft())
        yield from map(_finished, waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ready(waiting: _Waiting) -> bool:
    return isinstance(waiting, Packet) or waiting[1].done()


def _frames(waiting: Iterable[_Waiting]) -> int:
    return sum(not isinstance(entry, Packet) for entry in waiting)


def _finished(waiting: _Waiting) -> tuple[Frame, Matte] | Packet:
    return waiting if isinstance(waiting, Packet) else (waiting[0], waiting[1].result())
