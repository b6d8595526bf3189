"""The bounded queue between two threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

__all__ = ["Cancelled", "Handoff", "Overflow"]

T = TypeVar("T")
Overflow = Literal["wait", "drop_oldest"]


class Cancelled(Exception):
    """The other side is gone; there is nobody to work for."""


class Handoff(Generic[T]):
    """One producer puts, one consumer iterates; at most `capacity` items are between them.

    A full hand-off makes the producer wait (files) or drops its oldest item and counts it in `dropped` (live).
    `close` ends the stream after what is queued, from either side; `cancel` ends it at once and drops what is queued.
    """

    def __init__(self, capacity: int, overflow: Overflow = "wait") -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._overflow = overflow
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Hand `item` over. Raises Cancelled where nobody will take it."""
        with self._changed:
            while self._overflow == "wait" and len(self._items) >= self._capacity and not self._ended:
                self._changed.wait()
            if self._ended:
                raise Cancelled
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Items in order until `close` (then the loop ends) or `cancel` (then it raises Cancelled)."""
        while True:
            with self._changed:
                while not self._items and not self._ended:
                    self._changed.wait()
                if self._cancelled:
                    raise Cancelled
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

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
