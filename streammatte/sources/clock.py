"""Timestamps: where a frame stands, strictly increasing, with `--start` as zero."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import av

from streammatte.errors import SourceError

__all__ = ["Clock", "Window"]

_JUMP_S = Fraction(1)


class Window:
    """The part of the input that is wanted, on the input's own clock and moved so that its start is 0."""

    def __init__(self, origin: Fraction, start: Fraction, end: Fraction | None, time_base: Fraction) -> None:
        """`origin` is where the input begins; `start` and `end` count from there. Start 0 moves nothing."""
        self.time_base = time_base
        self.start_s = origin + start
        self.end_s = None if end is None else origin + end
        self.first_pts: int | None = ceil(self.start_s / time_base) if start else None
        self.end_pts = None if self.end_s is None else ceil(self.end_s / time_base)
        self.shift = self.first_pts or 0
        """Ticks of the video's time base taken from every pts."""
        self.shift_s = self.shift * time_base
        """The same in seconds, exactly: what other streams subtract."""

    def before(self, pts: int) -> bool:
        """The frame comes too early to be shown."""
        return self.first_pts is not None and pts < self.first_pts

    def after(self, pts: int) -> bool:
        """The frame comes when everything wanted has been shown."""
        return self.end_pts is not None and pts >= self.end_pts


class Clock:
    """Gives each decoded frame its pts, and counts where the input had to be put right."""

    def __init__(self, name: str, time_base: Fraction, rate: Fraction | None, *, forgiving: bool) -> None:
        self._name = name
        self._time_base = time_base
        self._step = max(1, round(1 / ((rate or Fraction(25)) * time_base)))
        self._forgiving = forgiving
        self._offset = 0
        self._last: int | None = None
        self.made = 0
        """Frames without a timestamp, given one from the decoding time or the frame rate."""
        self.bumped = 0
        """Frames whose pts was not after the one before, moved up by one tick."""
        self.jumped = False
        """The frame just given follows a jump in the input's clock."""

    def pts(self, frame: av.VideoFrame) -> int:
        """This frame's pts. Raises SourceError where time runs back by over a second, unless forgiving."""
        stamp = self._stamp(frame) + self._offset
        self.jumped = False
        if self._last is not None and stamp <= self._last:
            stamp = self._put_right(stamp, self._last)
        self._last = stamp
        return stamp

    def _stamp(self, frame: av.VideoFrame) -> int:
        if frame.pts is not None:
            return int(frame.pts)
        self.made += 1
        if frame.dts is not None:
            return int(frame.dts)
        return 0 if self._last is None else self._last + self._step - self._offset

    def _put_right(self, stamp: int, last: int) -> int:
        back = (last - stamp) * self._time_base
        if back <= _JUMP_S:
            self.bumped += 1
            return last + 1
        if not self._forgiving:
            at = float(last * self._time_base)
            raise SourceError(
                f"{self._name}: time runs back by {float(back):.2f} s at {at:.2f} s (joined files?);"
                " remux it, or give --salvage to go on"
            )
        self._offset += last + self._step - stamp
        self.jumped = True
        return last + self._step

    def notes(self) -> list[str]:
        """What was put right, in words."""
        out = []
        if self.made:
            out.append(f"{self.made} frames had no timestamp; taken from decoding time or frame rate")
        if self.bumped:
            out.append(f"{self.bumped} frames had a repeated or earlier timestamp; moved up by one tick")
        if self._offset:
            out.append("the input's clock jumped back; video goes on where it was")
        return out
