"""Whether anybody looks: where nobody does, the network rests."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from streammatte.live.presenter import Screen

__all__ = ["Audience"]


class Audience:
    """Those who look at `screens`. Recordings, and a first composite that is still to come, count as somebody."""

    def __init__(self, screens: Sequence[Screen], *, recorded: bool) -> None:
        self._screens, self._recorded = screens, recorded
        self._gone = threading.Event()
        self._looked_s = time.monotonic()
        self.idle_s = 0.0
        """How long nobody has looked, in all."""

    @property
    def idle(self) -> bool:
        """Nobody looks."""
        return self._gone.is_set()

    def look(self) -> None:
        """Ask again; from one thread."""
        now_s, before_s = time.monotonic(), self._looked_s
        self._looked_s = now_s
        if self._recorded or any(_watched(screen) for screen in self._screens):
            self._gone.clear()
        else:
            self.idle_s += now_s - before_s if self.idle else 0.0
            self._gone.set()


def _watched(screen: Screen) -> bool:
    return not screen.failure and (not screen.begun or screen.sink.watched())
