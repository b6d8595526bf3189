"""One stream out of several openings of it: numbers and times go on."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet, StreamInfo

__all__ = ["Resumed"]


class Resumed:
    """Puts frames and packets of every later opening behind those of the one before, as far as the clock went on."""

    def __init__(self, info: StreamInfo) -> None:
        """`info` is of the first opening, whose events stay as they are."""
        self._info = info
        self._next = 0
        self._last: Fraction | None = None
        self._seen_s = time.monotonic()
        self._shift: Fraction | None = Fraction(0)
        """Seconds added to times; None until the first frame after an opening."""
        self._layout = _layout(info)  # said now: streams of a closed input must not be looked at
        self._sound = True

    def reopened(self, info: StreamInfo) -> None:
        """What comes now is of another opening. Raises SourceError where it does not go on with the same pictures."""
        now, before = _pictures(info), _pictures(self._info)
        if now != before:
            raise SourceError(f"{info.name}: came back as {now}, it was {before}; start again")
        self._shift = None
        self._sound = _layout(info) == self._layout

    def event(self, event: Frame | Packet) -> Frame | Packet | None:
        """The event at its place; None for packets that have none, before the first frame or of other streams."""
        if isinstance(event, Frame):
            return self._frame(event)
        if self._shift is None or not self._sound:
            return None
        return replace(event, start_s=event.start_s - self._shift)

    def _frame(self, frame: Frame) -> Frame:
        resumes = self._shift is None
        if self._shift is None:
            last = self._last if self._last is not None else frame.time
            self._shift = last + Fraction(time.monotonic() - self._seen_s) - frame.time
        if self._shift:
            frame = self._moved(frame, self._shift, resumes)
        self._last, self._seen_s, self._next = frame.time, time.monotonic(), frame.seq + 1
        return frame

    def _moved(self, frame: Frame, shift: Fraction, resumes: bool) -> Frame:
        base = self._info.time_base
        earliest = 0 if self._last is None else int(self._last / base) + 1
        return replace(
            frame,
            pts=max(earliest, round((frame.time + shift) / base)),
            time_base=base,
            duration=round(frame.duration * frame.time_base / base),
            seq=self._next,
            discontinuity=resumes or frame.discontinuity,
        )


def _pictures(info: StreamInfo) -> str:
    """All that frames must keep to."""
    color = info.color
    codes = (
        f"matrix {color.matrix}, primaries {color.primaries}, transfer {color.transfer}, full range {color.full_range}"
    )
    alpha = " with alpha" if info.has_alpha else ""
    return f"{info.width}x{info.height} {info.format.name}{alpha} turned by {info.rotation} ({codes}, sar {info.sar})"


def _layout(info: StreamInfo) -> list[tuple[int, str, str]]:
    return [(index, stream.type, str(getattr(stream, "name", ""))) for index, stream in info.passthrough]
