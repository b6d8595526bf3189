"""Frames on their way to the host: every sample, once, and not before they are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_frames import NAMES, noise, parts_of
from hypothesis import given
from hypothesis import strategies as st

from streammatte.errors import SinkError
from streammatte.frame import Frame, Packet
from streammatte.ports import SinkKind, SinkReport

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from fake_cuda import FakeCuda  # noqa: E402

from streammatte.device.download import Downloads, FromDevice  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402
from streammatte.kernels.torch.planes import on_device  # noqa: E402

torch.set_num_threads(1)


class Kept:
    """A sink that keeps what it is given."""

    name = "kept"
    kind: SinkKind = "fgr"

    def __init__(self, log: list[Any] | None = None) -> None:
        self.taken: list[Any] = []
        self.aborted = False
        self._log = [] if log is None else log

    def write(self, frame: Frame) -> None:
        self._log.append("written")
        self.taken.append(frame)

    def write_packet(self, packet: Packet) -> None:
        self.taken.append(packet)

    def finish(self) -> SinkReport:
        return SinkReport(self.name, len(self.taken), "kept")

    def abort(self) -> None:
        self.aborted = True


def fetched(frame: Frame) -> Frame:
    sink = Kept()
    FromDevice(sink, Downloads(Lane("cpu"))).write(frame)
    (taken,) = sink.taken
    return taken  # type: ignore[no-any-return]


@given(st.sampled_from(NAMES), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.booleans())
def test_there_and_back_is_the_same_frame(name: str, size: tuple[int, int], alpha: bool) -> None:
    frame = noise(name, size, alpha)
    back = fetched(on_device(frame, "cpu"))
    assert type(back) is Frame
    assert back.check() is back
    for part, wanted in zip(parts_of(back), parts_of(frame), strict=True):
        np.testing.assert_array_equal(part, wanted)
    for field in ("format", "color", "pts", "time_base", "duration", "seq", "rotation", "sar", "discontinuity"):
        assert getattr(back, field) == getattr(frame, field)


def test_planes_of_any_strides_come_whole() -> None:
    there = on_device(noise("yuv444p", (8, 6)), "cpu")
    turned: Any = tuple(plane.t() for plane in there.planes)
    back = fetched(Frame(turned, there.format, there.color, 0, there.time_base, 1, 0))
    for part, wanted in zip(back.planes, turned, strict=True):
        np.testing.assert_array_equal(part, wanted.numpy())


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
def test_the_devices_memory_may_be_used_again(name: str) -> None:
    frame = noise(name, (8, 6))
    there: Any = on_device(frame, "cpu")
    begun = Downloads(Lane("cpu")).begun(there)
    there.planes[0].fill_(0)
    np.testing.assert_array_equal(begun.on_host().planes[0], frame.planes[0])


def test_one_download_serves_all_sinks() -> None:
    downloads = Downloads(Lane("cpu"))
    begun = downloads.begun(on_device(noise("yuv420p", (8, 6), alpha=True), "cpu"))
    assert downloads.begun(begun) is begun
    sinks = Kept(), Kept()
    for sink in sinks:
        FromDevice(sink, downloads).write(begun)
    first, second = (sink.taken[0] for sink in sinks)
    for one, other in zip(parts_of(first), parts_of(second), strict=True):
        assert np.shares_memory(one, other)


def test_a_frame_on_its_way_still_is_one_on_the_device() -> None:
    there = on_device(noise("yuv420p", (8, 6)), "cpu")
    assert Downloads(Lane("cpu")).begun(there).planes is there.planes


def test_maps_come_as_they_are() -> None:
    maps = torch.rand(3, 4), torch.rand(2, 3, 4)[0], torch.arange(6, dtype=torch.uint8)
    for got, wanted in zip(Downloads(Lane("cpu")).fetched(maps).arrays(), maps, strict=True):
        assert not np.shares_memory(got, wanted.numpy())
        assert got.dtype == wanted.numpy().dtype
        np.testing.assert_array_equal(got, wanted.numpy())


def test_all_else_is_the_sinks() -> None:
    sink = Kept()
    from_device = FromDevice(sink, Downloads(Lane("cpu")))
    packet = Packet(1, None)
    from_device.write_packet(packet)
    assert sink.taken == [packet]
    assert (from_device.name, from_device.kind) == ("kept", "fgr")
    assert from_device.finish().frames == 1
    from_device.abort()
    assert sink.aborted


def test_the_sinks_failure_is_the_pipelines() -> None:
    class Full(Kept):
        def write(self, frame: Frame) -> None:
            raise SinkError("the disk is full")

    with pytest.raises(SinkError, match="full"):
        FromDevice(Full(), Downloads(Lane("cpu"))).write(on_device(noise("yuv420p", (8, 6)), "cpu"))


@pytest.mark.parametrize(("name", "conversions"), [("yuv420p", 0), ("yuv420p10le", 1)])
def test_on_a_card_copies_begin_behind_the_lane_and_only_the_sink_waits(
    monkeypatch: pytest.MonkeyPatch, name: str, conversions: int
) -> None:
    frame = noise(name, (8, 6))
    there = on_device(frame, "cpu")
    cuda = FakeCuda(monkeypatch)
    downloads = Downloads(cuda.lane)
    begun = downloads.begun(there)
    copying: list[Any] = []
    for shape in ((6, 8), (3, 4), (3, 4)):
        copying += [("to", "copies")] * conversions
        copying += [("pinned", shape), ("kept for", "copies"), ("pinned copy_", "copies")]
    started = [("waits", "copies", "lane"), *copying, ("record", "copies")]
    assert cuda.log == started
    assert begun.fetched._landed.blocking
    for _ in range(2):
        FromDevice(Kept(cuda.log), downloads).write(begun)
    assert cuda.log == [*started, *([("host waits", "copies"), "written"] * 2)]
