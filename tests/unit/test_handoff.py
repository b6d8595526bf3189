"""The hand-off between two threads: bounded, in order, counted where it drops, and ended from either side."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammatte.handoff import Cancelled, Handoff, Overflow

PATIENCE_S = 10.0
"""Longest wait for what should come at once."""
STILL_S = 0.05
"""How long what must not happen is watched not happening."""


class Side(threading.Thread):
    """One side of a hand-off, in a thread; `error` is what it raised."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.error = error

    def ended(self) -> bool:
        self.join(PATIENCE_S)
        return not self.is_alive()

    def waits(self) -> bool:
        self.join(STILL_S)
        return self.is_alive()


def filled(count: int, capacity: int, overflow: Overflow = "wait") -> Handoff[int]:
    handoff: Handoff[int] = Handoff(capacity, overflow)
    for item in range(count):
        handoff.put(item)
    return handoff


def test_items_come_in_order_until_close() -> None:
    handoff = filled(3, 3)
    handoff.close()
    assert list(handoff) == [0, 1, 2]
    assert list(handoff) == []


def test_a_full_handoff_makes_the_producer_wait() -> None:
    handoff = filled(2, 2)
    producer = Side(lambda: handoff.put(2))
    assert producer.waits()
    items = iter(handoff)
    assert next(items) == 0
    assert producer.ended()
    handoff.close()
    assert list(items) == [1, 2]
    assert handoff.dropped == 0


def test_an_empty_handoff_makes_the_consumer_wait() -> None:
    handoff: Handoff[int] = Handoff(1)
    seen: list[int] = []
    consumer = Side(lambda: seen.extend(handoff))
    assert consumer.waits()
    handoff.put(7)
    assert consumer.waits(), "the stream is not over yet"
    handoff.close()
    assert consumer.ended()
    assert seen == [7]


@given(st.integers(1, 8), st.integers(0, 40))
def test_drop_oldest_keeps_the_newest_and_counts_the_rest(capacity: int, count: int) -> None:
    handoff = filled(count, capacity, "drop_oldest")
    handoff.close()
    kept = list(handoff)
    assert kept == list(range(count))[-capacity:]
    assert handoff.dropped == count - len(kept)


def test_cancel_wakes_a_waiting_producer() -> None:
    handoff = filled(1, 1)
    producer = Side(lambda: handoff.put(1))
    assert producer.waits()
    handoff.cancel()
    assert producer.ended()
    assert isinstance(producer.error, Cancelled)


def test_cancel_wakes_a_waiting_consumer() -> None:
    handoff: Handoff[int] = Handoff(1)
    consumer = Side(lambda: list(handoff))
    assert consumer.waits()
    handoff.cancel()
    assert consumer.ended()
    assert isinstance(consumer.error, Cancelled)


@pytest.mark.parametrize("overflow", ["wait", "drop_oldest"])
def test_cancel_drops_what_is_queued_on_both_sides(overflow: Overflow) -> None:
    handoff = filled(2, 3, overflow)
    handoff.cancel()
    with pytest.raises(Cancelled):
        handoff.put(2)
    with pytest.raises(Cancelled):
        next(iter(handoff))


def test_cancel_lets_go_of_what_was_queued() -> None:
    """A few 4K frames are memory worth giving back."""
    handoff: Handoff[Side] = Handoff(1)
    item = Side(lambda: None)
    assert item.ended()
    handoff.put(item)
    gone = weakref.ref(item)
    del item
    assert gone() is not None
    handoff.cancel()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("overflow", ["wait", "drop_oldest"])
def test_a_closed_handoff_takes_nothing_more_but_gives_what_it_has(overflow: Overflow) -> None:
    handoff = filled(2, 3, overflow)
    handoff.close()
    with pytest.raises(Cancelled):
        handoff.put(2)
    assert list(handoff) == [0, 1]


def test_close_wakes_a_waiting_producer() -> None:
    """The consumer has had enough: a run that is stopped."""
    handoff = filled(1, 1)
    producer = Side(lambda: handoff.put(1))
    assert producer.waits()
    handoff.close()
    assert producer.ended()
    assert isinstance(producer.error, Cancelled)
    assert list(handoff) == [0]


def test_cancel_is_stronger_than_close() -> None:
    handoff = filled(2, 2)
    handoff.close()
    handoff.cancel()
    with pytest.raises(Cancelled):
        list(handoff)


@pytest.mark.parametrize("capacity", [1, 4])
def test_nothing_is_lost_between_two_threads(capacity: int) -> None:
    handoff: Handoff[int] = Handoff(capacity)
    most = 0

    def produce() -> None:
        for item in range(2000):
            handoff.put(item)
        handoff.close()

    def consume() -> None:
        nonlocal most
        for item in handoff:
            seen.append(item)
            most = max(most, len(handoff._items))

    seen: list[int] = []
    sides = [Side(produce), Side(consume)]
    assert all(side.ended() for side in sides)
    assert [side.error for side in sides] == [None, None]
    assert seen == list(range(2000))
    assert most <= capacity


def test_a_slow_consumer_gets_the_newest_of_a_live_stream() -> None:
    handoff: Handoff[int] = Handoff(2, "drop_oldest")
    taken, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def consume() -> None:
        for item in handoff:
            seen.append(item)
            taken.set()
            go_on.wait(PATIENCE_S)

    consumer = Side(consume)
    handoff.put(0)
    assert taken.wait(PATIENCE_S)
    for item in range(1, 10):
        handoff.put(item)
    handoff.close()
    go_on.set()
    assert consumer.ended()
    assert seen == [0, 8, 9]
    assert handoff.dropped == 7
