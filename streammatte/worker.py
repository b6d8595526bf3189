"""A thread whose end can be waited for, whatever interrupts the wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Worker"]


class Worker(threading.Thread):
    """A thread that says itself when it has ended.

    Not by `join`: interrupted by Ctrl-C, it takes a thread that runs for one that has ended (Python before 3.13,
    bpo-45274), and an output would be completed under the hands of its encoder.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)  # the process must not hang on a blocked read
        self.ended = threading.Event()
        self._work = work

    def run(self) -> None:
        """Work, then say so."""
        try:
            self._work()
        finally:
            self.ended.set()
