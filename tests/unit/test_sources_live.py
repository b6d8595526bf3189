"""A file at its own pace, and pictures flipped as in a mirror."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from scenes import MemorySource, make_frame

from streammatte.frame import Frame
from streammatte.ports import Source
from streammatte.sources.mirrored import Mirrored
from streammatte.sources.paced import Paced


def film(count: int = 5, **facts: object) -> MemorySource:
    return MemorySource([make_frame(seq=n, pts=n, seed=n, **facts) for n in range(count)])  # type: ignore[arg-type]


def frames(source: Source) -> list[Frame]:
    return [event for event in source.events() if isinstance(event, Frame)]


# paced


def test_frames_come_in_their_time() -> None:
    source = Paced(film(6))  # 25 a second
    started = time.monotonic()
    found = frames(source)
    assert 0.18 < time.monotonic() - started < 1
    assert source.info.live
    captured = [frame.captured_ns or 0 for frame in found]
    assert captured == sorted(captured)
    assert (captured[-1] - captured[0]) / 1e9 == pytest.approx(0.2, abs=0.05)


def test_frames_that_are_late_come_at_once() -> None:
    now = iter([0, 10**10, 10**10, *([10**10] * 20)])
    started = time.monotonic()
    assert len(frames(Paced(film(5), lambda: next(now)))) == 5
    assert time.monotonic() - started < 0.15


def test_close_wakes_it() -> None:
    inner = film(2)
    inner._frames = [inner._frames[0], replace(inner._frames[1], pts=10_000)]
    source = Paced(inner)
    threading.Timer(0.1, source.close).start()
    started = time.monotonic()
    assert len(frames(source)) == 1
    assert time.monotonic() - started < 5


# mirrored


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gray", "gbrp"])
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_every_plane_is_flipped(name: str, size: tuple[int, int]) -> None:
    frame = make_frame(name, size, seed=3)
    frame = replace(frame, alpha=frame.planes[0])
    found = frames(Mirrored(MemorySource([frame])))[0].check()
    for plane, before in zip((*found.planes, found.alpha), (*frame.planes, frame.alpha), strict=True):
        assert plane is not None
        assert before is not None
        assert np.array_equal(plane[:, ::-1], before)
        assert plane.flags.c_contiguous
    assert frames(Mirrored(Mirrored(MemorySource([frame]))))[0].planes[0].tobytes() == frame.planes[0].tobytes()


def test_a_picture_stored_on_its_side_is_flipped_as_it_is_shown() -> None:
    frame = make_frame(rotation=90)
    found = frames(Mirrored(MemorySource([frame])))[0]
    assert np.array_equal(found.planes[0][::-1], frame.planes[0])


def test_a_switch_is_a_discontinuity() -> None:
    source, found = Mirrored(film(6), mirrored=False), []
    for event in source.events():
        if not isinstance(event, Frame):
            continue
        found.append(event.discontinuity)
        source.mirrored = event.seq in (1, 2)
    assert found == [False, False, True, False, True, False]
