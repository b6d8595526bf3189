"""A file as if it were a camera: its frames come when their time has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from streammatte.frame import Frame, Packet
from streammatte.ports import Source
from streammatte.sources.around import Around

__all__ = ["Paced"]


class Paced(Around):
    """`source` by the monotonic clock, from its first frame on; each frame is captured when it is given."""

    def __init__(self, source: Source, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(source)
        self._clock_ns = clock_ns
        self._closed = threading.Event()
        self.info = replace(source.info, live=True)

    def events(self) -> Iterator[Frame | Packet]:
        """The source's events, frames in their time."""
        start: tuple[int, Fraction] | None = None
        for event in self._source.events():
            if isinstance(event, Frame):
                start = start or (self._clock_ns(), event.time)
                due_ns = start[0] + int((event.time - start[1]) * 1_000_000_000)
                if self._closed.wait(max(0, due_ns - self._clock_ns()) / 1e9):
                    return
                event = replace(event, captured_ns=self._clock_ns())
            yield event

    def close(self) -> None:
        """Stop waiting, and release the source."""
        self._closed.set()
        super().close()
