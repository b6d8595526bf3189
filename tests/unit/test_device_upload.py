"""Frames on their way to a device: every sample, nothing else changed, and nothing used before it is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from device_frames import NAMES, noise, parts_of
from hypothesis import given
from hypothesis import strategies as st
from sink_clips import make_frames, make_info

from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet, StreamInfo

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from fake_cuda import FakeCuda  # noqa: E402

from streammatte.device.upload import OnDevice  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402

torch.set_num_threads(1)


class Given:
    """A source of what it is told."""

    def __init__(self, events: list[Any], info: StreamInfo | None = None) -> None:
        self.info = info or make_info()
        self.notes = ["so far"]
        self.closed = 0
        self._events = events

    def events(self) -> Iterator[Frame | Packet]:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event

    def close(self) -> None:
        self.closed += 1


def uploaded(frame: Frame, lane: Any = None) -> Frame:
    (event,) = OnDevice(Given([frame]), lane or Lane("cpu")).events()
    assert isinstance(event, Frame)
    return event


@given(st.sampled_from(NAMES), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.booleans())
def test_samples_arrive_as_they_were(name: str, size: tuple[int, int], alpha: bool) -> None:
    frame = noise(name, size, alpha)
    there = uploaded(frame)
    assert len(parts_of(there)) == len(parts_of(frame))
    for part, wanted in zip(parts_of(there), parts_of(frame), strict=True):
        assert part.dtype == (torch.uint8 if frame.format.bits <= 8 else torch.int32)
        np.testing.assert_array_equal(part.numpy(), wanted)
    same = replace(there, planes=(), alpha=None), replace(frame, planes=(), alpha=None)
    assert same[0] == same[1]


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
def test_the_sources_memory_may_be_used_again(name: str) -> None:
    frame = noise(name, (8, 6), alpha=True)
    wanted = [part.copy() for part in parts_of(frame)]
    there = uploaded(frame)
    for part in parts_of(frame):
        part.flags.writeable = True
        part[...] = 0
    for part, before in zip(parts_of(there), wanted, strict=True):
        np.testing.assert_array_equal(part.numpy(), before)


def test_packets_and_frames_that_are_there_pass_as_they_are() -> None:
    packet, first = Packet(1, None), noise("yuv420p", (8, 6))
    there = uploaded(first)
    events = list(OnDevice(Given([packet, there, first]), Lane("cpu")).events())
    assert events[0] is packet
    assert events[1] is there
    assert isinstance(events[2].planes[0], torch.Tensor)


def test_all_else_is_the_sources() -> None:
    source = Given([])
    on_device = OnDevice(source, Lane("cpu"))
    assert on_device.info is source.info
    source.notes.append("mended")
    assert on_device.notes == ["so far", "mended"]
    on_device.notes = ["other"]
    assert source.notes == ["other"]
    on_device.close()
    assert source.closed == 1


def test_what_came_before_a_failure_is_given() -> None:
    frames = make_frames(make_info(), "com", range(2))
    events = OnDevice(Given([*frames, SourceError("cut off")]), Lane("cpu")).events()
    assert [next(events).seq, next(events).seq] == [0, 1]  # type: ignore[union-attr]
    with pytest.raises(SourceError, match="cut off"):
        next(events)


@pytest.mark.parametrize(("name", "conversions"), [("yuv420p", 0), ("yuv420p10le", 1)])
def test_on_a_card_the_lane_waits_for_the_copies_and_nobody_else_does(
    monkeypatch: pytest.MonkeyPatch, name: str, conversions: int
) -> None:
    cuda = FakeCuda(monkeypatch)
    frame = noise(name, (8, 6), alpha=True)
    there = uploaded(frame, cuda.lane)
    for part, wanted in zip(parts_of(there), parts_of(frame), strict=True):
        np.testing.assert_array_equal(part.numpy(), wanted)
    sending: list[Any] = []
    for shape in [(6, 8), (3, 4), (3, 4), (6, 8)]:
        sending += [("pinned", shape), ("pinned to", "copies"), *([("pinned to", "copies")] * conversions)]
    after = [("record", "copies"), ("waits", "lane", "copies"), *([("kept for", "lane")] * 4)]
    assert cuda.log == [*sending, *after]
