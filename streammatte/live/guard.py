"""Fail-private: which mattes may be shown. Where one may not, outputs show the card, never the room."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from streammatte.frame import Matte
from streammatte.meter import Incident

__all__ = ["LATE", "Guard", "Incidents"]

LATE = "the network does not answer"
_OLDEST_S = 1.0
"""A matte carried along the motion for longer than this no longer fits its frame. (With three busy processes beside it
on two cores the network takes half of it.)"""
_UNSURE = 0.35
"""Mean of 4 alpha (1 - alpha) from which the network does not know: hair and veils stay below a third of it."""
_ALL = 0.98
"""Coverage from which the whole picture is taken for the subject."""
_BACK = 0.8
"""What was doubted is believed again below this part of its limit, so that the picture does not blink."""


class Guard:
    """Judges each matte in order; remembers what it doubts."""

    def __init__(self) -> None:
        self._doubting = ""

    def doubt(self, matte: Matte) -> str:
        """Why this matte must not be shown, in words; "" if it may."""
        self._doubting = self._judged(matte)
        return self._doubting

    def _judged(self, matte: Matte) -> str:
        if matte.age_s == math.inf:
            return "the network has not answered yet"
        if matte.age_s > _OLDEST_S * (_BACK if self._doubting else 1.0):
            return LATE
        mean = float(matte.pha.mean())
        if not math.isfinite(mean):
            return "the matte is not a number"
        limit = _BACK if self._doubting else 1.0
        if float(np.mean(4 * matte.pha * (1 - matte.pha))) > _UNSURE * limit:
            return "the network is not sure of anything"
        if mean > (1 - (1 - _ALL) / limit if self._doubting else _ALL):
            return "the whole picture was taken for the subject"
        return ""


class Incidents:
    """Collects, from any one thread at a time, when the card was shown and why; the first hundred times."""

    _MOST = 100

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self._all: list[Incident] = []
        self._why, self._since_s, self._frames = "", 0.0, 0

    def frame(self, why: str) -> None:
        """One frame of the source, held back for this reason; "" for one that was shown."""
        now_s = self._clock() - self._start_s
        if why != self._why:
            self.end(now_s)
            self._why, self._since_s = why, now_s
        self._frames += 1

    def end(self, now_s: float | None = None) -> None:
        """What has been going on ends here."""
        if self._why and len(self._all) < self._MOST:
            until_s = self._clock() - self._start_s if now_s is None else now_s
            self._all.append(
                Incident(round(self._since_s, 3), round(until_s - self._since_s, 3), self._frames, self._why)
            )
        self._why, self._frames = "", 0

    def all(self) -> tuple[Incident, ...]:
        """Those that have ended, in their order; at most a hundred."""
        return tuple(self._all)
