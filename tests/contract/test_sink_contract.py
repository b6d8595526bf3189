"""What `ports.Sink` promises, over every format of every kind."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from sink_clips import decode, make_frames, make_info, write_all

from streammatte.errors import SinkError
from streammatte.ports import SinkKind
from streammatte.sinks import SinkOptions, open_sink

VIDEOS: list[tuple[str, SinkKind, str]] = [
    ("out.mp4", "com", "h264"),
    ("out.mov", "com", "h264"),
    ("out.mkv", "com", "h264"),
    ("out.webm", "com", "vp9"),
    ("out.mov", "fgr", "prores"),
    ("out.webm", "fgr", "vp9"),
    ("out.mkv", "fgr", "ffv1"),
    ("out.mp4", "pha", "h264"),
    ("out.mov", "pha", "h264"),
    ("out.webm", "pha", "vp9"),
    ("out.mkv", "pha", "ffv1"),
]
IMAGES: list[tuple[str, SinkKind, str]] = [
    ("out", "com", "png"),
    ("out", "fgr", "png"),
    ("out", "pha", "png"),
    ("out_%04d.png", "fgr", "png"),
    ("out_%04d.jpg", "com", "jpeg"),
]
every = pytest.mark.parametrize(("name", "kind", "codec"), VIDEOS + IMAGES)
videos = pytest.mark.parametrize(("name", "kind", "codec"), VIDEOS)


def seen(folder: Path) -> list[str]:
    """What a user sees: names that do not start with a dot."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.relative_to(folder).parts[0][0] != ".")


@every
def test_nothing_under_the_final_name_before_finish(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    info = make_info()
    sink = open_sink(tmp_path / name, kind, info, SinkOptions())
    for frame in make_frames(info, kind):
        sink.write(frame)
        assert seen(tmp_path) == []
    report = sink.finish()
    assert seen(tmp_path) != []
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert (report.frames, report.codec, report.av_drift_ms) == (6, codec, None)
    assert (sink.name, sink.kind) == (str(tmp_path / name), kind)


@every
@pytest.mark.parametrize("frames", [0, 1, 6])
def test_abort_leaves_nothing(tmp_path: Path, name: str, kind: SinkKind, codec: str, frames: int) -> None:
    info = make_info()
    sink = open_sink(tmp_path / name, kind, info, SinkOptions())
    for frame in make_frames(info, kind)[:frames]:
        sink.write(frame)
    sink.abort()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


@every
def test_abort_after_finish_keeps_the_output(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    info = make_info()
    sink = open_sink(tmp_path / name, kind, info, SinkOptions())
    write_all(sink, make_frames(info, kind))
    before = seen(tmp_path)
    sink.abort()
    assert seen(tmp_path) == before != []


@every
def test_refuses_to_overwrite_unless_forced(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    info = make_info()
    write_all(open_sink(tmp_path / name, kind, info, SinkOptions()), make_frames(info, kind))
    kept = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(SinkError, match="exists already"):
        open_sink(tmp_path / name, kind, info, SinkOptions())
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == kept
    report = write_all(open_sink(tmp_path / name, kind, info, SinkOptions(force=True)), make_frames(info, kind)[:3])
    assert report.frames == 3
    assert len(seen(tmp_path)) <= len(kept) + 1
    if name.startswith("out_"):
        assert len(seen(tmp_path)) == 3  # the longer run's last images are gone


@every
def test_refuses_what_appeared_while_writing(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    info = make_info()
    sink = open_sink(tmp_path / name, kind, info, SinkOptions())
    for frame in make_frames(info, kind):
        sink.write(frame)
    late = tmp_path / (name % 3 if "%" in name else name)
    if late.suffix:
        late.write_bytes(b"mine")
    else:
        late.mkdir()
        (late / "000003.png").write_bytes(b"mine")
    with pytest.raises(SinkError, match="exists already"):
        sink.finish()
    assert [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()] == [b"mine"]


@every
def test_no_frame_is_an_error(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    sink = open_sink(tmp_path / name, kind, make_info(), SinkOptions())
    with pytest.raises(SinkError, match="no frame"):
        sink.finish()
    assert list(tmp_path.iterdir()) == []


@every
def test_missing_folder(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    with pytest.raises(SinkError, match="does not exist"):
        open_sink(tmp_path / "absent" / name, kind, make_info(), SinkOptions())


@videos
def test_frames_and_times_read_back(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    info = make_info()
    frames = make_frames(info, kind, pts=[0, 1, 2, 5, 6, 9])
    write_all(open_sink(tmp_path / name, kind, info, SinkOptions()), frames)
    read = decode(tmp_path / name)
    assert [f.pts * f.time_base for f in read] == [f.time for f in frames]
    assert {(f.width, f.height) for f in read} == {(64, 48)}


@videos
def test_two_outputs_of_one_name_are_refused(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    sink = open_sink(tmp_path / name, kind, make_info(), SinkOptions())
    with pytest.raises(SinkError, match="already being written"):
        open_sink(tmp_path / name, kind, make_info(), SinkOptions())
    sink.abort()


@every
def test_a_frame_of_another_size_is_refused_or_kept_whole(
    tmp_path: Path, name: str, kind: SinkKind, codec: str
) -> None:
    info = make_info()
    sink = open_sink(tmp_path / name, kind, info, SinkOptions())
    sink.write(make_frames(info, kind)[0])
    odd = make_frames(make_info(width=80), kind)[1]
    if codec in ("png", "jpeg"):
        sink.write(odd)
        sink.abort()
    else:
        with pytest.raises(SinkError, match="80x48"):
            sink.write(odd)
    assert list(tmp_path.iterdir()) == []


@every
def test_the_source_frame_may_be_reused(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    """A sink keeps no view of the planes it was given."""
    info = make_info()
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, spoil in zip(paths, (False, True), strict=True):
        path.mkdir()
        sink = open_sink(path / name, kind, info, SinkOptions())
        for frame in make_frames(info, kind):
            sink.write(frame)
            if spoil:
                for plane in frame.planes:
                    plane[:] = 7
        sink.finish()
    first, second = (sorted(p for p in path.rglob("*") if p.is_file()) for path in paths)
    for one, other in zip(first, second, strict=True):
        if codec in ("png", "jpeg"):
            assert one.read_bytes() == other.read_bytes()
        else:
            assert all(_same(a, b) for a, b in zip(decode(one), decode(other), strict=True))


def _same(a: av.VideoFrame, b: av.VideoFrame) -> bool:
    return all(np.array_equal(bytes(p), bytes(q)) for p, q in zip(a.planes, b.planes, strict=True))
