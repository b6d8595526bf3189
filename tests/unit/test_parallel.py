"""Mattes come in the order of their frames, however many are under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from scenes import make_frame

from streammatte.frame import Frame, Matte, Packet
from streammatte.parallel import with_mattes


def events(count: int) -> list[Frame | Packet]:
    out: list[Frame | Packet] = [Packet(1, "first")]
    for seq in range(count):
        out += [make_frame(size=(16, 16), seq=seq, pts=seq), Packet(1, seq)]
    return out


def matte_of(frame: Frame) -> Matte:
    return Matte(np.zeros((2, 2), np.float32), np.zeros((2, 2, 3), np.float32), frame.seq, float(frame.time))


def flat(outcome: list[tuple[Frame, Matte] | Packet]) -> list[object]:
    return [entry.payload if isinstance(entry, Packet) else (entry[0].seq, entry[1].seq) for entry in outcome]


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_order_is_kept_though_later_frames_are_done_first(streams: int) -> None:
    last_first = threading.Event()

    def matte(frame: Frame) -> Matte:
        if streams > 1 and frame.seq == 0:
            assert last_first.wait(10)
        if frame.seq == 1:
            last_first.set()
        return matte_of(frame)

    expected: list[object] = ["first"]
    for seq in range(9):
        expected += [(seq, seq), seq]
    assert flat(list(with_mattes(events(9), matte, streams))) == expected


def test_streams_are_used_and_not_exceeded() -> None:
    together = threading.Barrier(3)
    now, most, lock = 0, 0, threading.Lock()

    def matte(frame: Frame) -> Matte:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(10)
        with lock:
            now -= 1
        return matte_of(frame)

    assert len(list(with_mattes(events(6), matte, 3))) == 13
    assert most == 3


def test_one_stream_asks_for_nothing_ahead() -> None:
    asked = []

    def source() -> Iterator[Frame | Packet]:
        for event in events(3):
            asked.append(event)
            yield event

    outcome = with_mattes(source(), matte_of, 1)
    assert isinstance(next(outcome), Packet)
    assert not isinstance(next(outcome), Packet)
    assert len(asked) == 2


@pytest.mark.parametrize("streams", [2, 3])
def test_few_frames_are_held(streams: int) -> None:
    asked = 0

    def source() -> Iterator[Frame | Packet]:
        nonlocal asked
        for seq in range(40):
            asked += 1
            yield make_frame(size=(16, 16), seq=seq)

    for given, _ in enumerate(with_mattes(source(), matte_of, streams), start=1):
        assert asked - given <= streams + 2


@pytest.mark.parametrize("streams", [1, 2])
def test_an_error_comes_out_and_no_thread_stays(streams: int) -> None:
    def matte(frame: Frame) -> Matte:
        if frame.seq == 3:
            raise ValueError("three")
        return matte_of(frame)

    before = threading.active_count()
    with pytest.raises(ValueError, match="three"):
        list(with_mattes(events(9), matte, streams))
    assert threading.active_count() == before
