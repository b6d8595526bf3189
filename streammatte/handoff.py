"""The bounded queue between two threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Literal, TypeVar

__all__ = ["Cancelled", "Handoff", "Overflow"]

T = TypeVar("T")
Overflow = Literal["wait", "drop_oldest"]


class Cancelled(Exception):
    """The other side is gone; there is nobody to work for."""


class Handoff(Generic[T]):
    """One producer puts, one consumer takes; at most `capacity` items are between them.

    A full hand-off makes the producer wait (files) or drops its oldest item and counts it in `dropped` (live). Items
    that `kept` is true of (an audio packet between frames) are never dropped and take no place.
    `close` ends the stream after what is queued, from either side; `cancel` ends it at once and drops what is queued.
    """

    def __init__(
        self, capacity: int, overflow: Overflow = "wait", kept: Callable[[T], bool] = lambda item: False
    ) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._overflow = overflow
        self._kept = kept
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Hand `item` over. Raises Cancelled where nobody will take it."""
        with self._changed:
            while self._overflow == "wait" and self._full(item) and not self._ended:
                self._changed.wait()
            if self._ended:
                raise Cancelled
            if self._full(item):
                del self._items[next(i for i, entry in enumerate(self._items) if not self._kept(entry))]
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def _full(self, item: T) -> bool:
        return not self._kept(item) and sum(not self._kept(entry) for entry in self._items) >= self._capacity

    def __iter__(self) -> Iterator[T]:
        """Items in order until `close` (then the loop ends) or `cancel` (then it raises Cancelled)."""
        while not self.over:
            item = self.take()
            if item is not None:
                yield item

    def take(self, timeout_s: float | None = None) -> T | None:
        """The next item; None if none has come in time, or none will. Raises Cancelled after `cancel`."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended, timeout_s)
            if self._cancelled:
                raise Cancelled
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    @property
    def over(self) -> bool:
        """Closed, and everything taken. Raises Cancelled after `cancel`."""
        with self._changed:
            if self._cancelled:
                raise Cancelled
            return self._closed and not self._items

    @property
    def _ended(self) -> bool:
        return self._closed or self._cancelled

    def close(self) -> None:
        """Nothing more is to come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Stop both sides now."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()
