"""One suite over every source: what streammatte.ports.Source promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from clips import film, noise_frame, write_clip

from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet
from streammatte.ports import Source
from streammatte.sources import SourceOptions, open_source


def _png_folder(folder: Path) -> str:
    for i in (1, 2, 10):
        write_clip(folder / f"p{i}.png", [noise_frame("gbrp", (32, 24), i).reformat(format="rgb24")], "png")
    return str(folder)


MAKERS: dict[str, Callable[[Path], str]] = {
    "pattern": lambda folder: "pattern:64x48@25?frames=4",
    "pattern 10 bit": lambda folder: "pattern:63x47@24000/1001?frames=3&format=yuv422p10le",
    "file": lambda folder: str(film(folder / "a.mp4", 12, audio_from_s=0.0)),
    "matroska": lambda folder: str(film(folder / "a.mkv", 12)),
    "transport stream": lambda folder: str(film(folder / "a.ts", 12, audio_from_s=0.0)),
    "lavfi": lambda folder: "lavfi:testsrc2=size=64x48:rate=25:duration=0.2",
    "folder": _png_folder,
    "sequence": lambda folder: _png_folder(folder) + "/p%d.png",
    "picture": lambda folder: _png_folder(folder) + "/p2.png",
}


@pytest.fixture(params=MAKERS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    opened = open_source(MAKERS[request.param](tmp_path))
    yield opened
    opened.close()


def test_frames_keep_the_contract(source: Source) -> None:
    info = source.info
    frames = [event for event in source.events() if isinstance(event, Frame)]
    assert frames
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    assert all(after.pts > before.pts for before, after in pairwise(frames))
    for frame in frames:
        frame.check()
        assert (frame.width, frame.height) == (info.width, info.height)
        assert (frame.format, frame.color, frame.sar) == (info.format, info.color, info.sar)
        assert (frame.time_base, frame.rotation) == (info.time_base, info.rotation)
        assert (frame.alpha is not None, frame.interlaced) == (info.has_alpha, info.interlaced)
        assert (frame.captured_ns is not None) == info.live
    assert info.frame_count in (None, len(frames))


def test_rows_are_contiguous(source: Source) -> None:
    frame = next(event for event in source.events() if isinstance(event, Frame))
    for plane in frame.planes:
        assert plane.strides[1] == plane.itemsize
        assert plane.strides[0] >= plane.shape[1] * plane.itemsize


def test_packets_belong_to_announced_streams(source: Source) -> None:
    announced = {index for index, _ in source.info.passthrough}
    seen = {event.stream_index for event in source.events() if isinstance(event, Packet)}
    assert seen == announced


def test_second_iteration_is_refused(source: Source) -> None:
    list(source.events())
    with pytest.raises(SourceError, match="already read"):
        source.events()


def test_close_twice_also_in_the_middle(source: Source) -> None:
    events = source.events()
    frame = next(event for event in events if isinstance(event, Frame))
    source.close()
    source.close()
    assert list(events) == []
    assert int(np.sum(frame.planes[0], dtype=np.int64)) >= 0  # its memory outlives the source


def test_start_and_duration(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 50)
    for spec in (str(tmp_path / "a.mp4"), "pattern:32x32@25?frames=50"):
        options = SourceOptions(start_s=0.4, duration_s=0.2)
        source = open_source(spec, options)
        frames = [event for event in source.events() if isinstance(event, Frame)]
        source.close()
        assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
        assert source.info.duration_s == pytest.approx(0.2)
