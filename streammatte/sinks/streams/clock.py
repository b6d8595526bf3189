"""What time a picture is said to be of, to those who are sent a live stream."""

from __future__ import annotations

import time

__all__ = ["Clock", "now_ms"]

_EARLY_MS = 1500


def now_ms() -> int:
    """The time of a picture that is sent now; frames' own times stand still while a card is shown."""
    return time.monotonic_ns() // 1_000_000


class Clock:
    """One client's time, in ms: from 0, and never twice the same. It starts at half its pace, to be early ever after.

    OBS shows a picture when its time has come, counted from the first one it showed; what held that one up would hold
    up all. With pictures that are overdue it shows the newest at once (lag at 640x360 67 ms, not 174; two busy cores).
    """

    def __init__(self) -> None:
        self._first_ms: int | None = None
        self._last_ms = -1

    def since_first(self, time_ms: int) -> int:
        """What to tell of a picture of `time_ms`, as `now_ms` gave it."""
        if self._first_ms is None:
            self._first_ms = time_ms
        passed_ms = time_ms - self._first_ms
        self._last_ms = max(passed_ms // 2, passed_ms - _EARLY_MS, self._last_ms + 1)
        return self._last_ms
