"""What surrounds the pixels of an output file: times, other streams, tags, errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from sink_clips import (
    FILM,
    PQ,
    Mastering,
    audio_source,
    content_light,
    decode,
    make_frames,
    make_info,
    mastering_numbers,
    passthrough,
    stream_bytes,
    subtitle_source,
    write_all,
)

from streammatte.color import ColorSpec
from streammatte.errors import SinkError
from streammatte.frame import Packet
from streammatte.ports import SinkKind
from streammatte.sinks import SinkOptions, open_sink

VFR = [0, 3000, 3001, 9000, 20000, 20100]
TICK = Fraction(1, 90000)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.mp4", "com"), ("a.mov", "com"), ("a.mov", "fgr"), ("a.mp4", "pha"), ("a.m4v", "com")],
)
@pytest.mark.parametrize(
    ("time_base", "rate", "pts", "last"),
    [
        (FILM, 1 / FILM, list(range(30)), 1),
        (Fraction(1, 24000), 1 / FILM, [1001 * i for i in range(30)], 1001),
        (TICK, None, VFR, 5000),
        (TICK, None, [45000 + t for t in VFR], 5000),
        (Fraction(1, 1_000_000), Fraction(30), [i * 33_333 for i in range(8)], 33_333),
    ],
)
def test_times_are_identical(
    tmp_path: Path,
    name: str,
    kind: SinkKind,
    time_base: Fraction,
    rate: Fraction | None,
    pts: list[int],
    last: int,
) -> None:
    info = make_info(time_base=time_base, rate=rate)
    frames = make_frames(info, kind, pts, last)
    write_all(open_sink(tmp_path / name, kind, info, SinkOptions()), frames)
    assert [f.pts * f.time_base for f in decode(tmp_path / name)] == [f.time for f in frames]
    with av.open(str(tmp_path / name)) as container:
        stream: Any = container.streams.video[0]
        assert stream.duration * stream.time_base == (pts[-1] + last - pts[0]) * time_base


@pytest.mark.parametrize(("name", "kind"), [("a.mkv", "com"), ("a.mkv", "fgr"), ("a.webm", "fgr")])
def test_matroska_rounds_times_to_1_ms_and_says_so(tmp_path: Path, name: str, kind: SinkKind) -> None:
    info = make_info(time_base=FILM, rate=1 / FILM)
    frames = make_frames(info, kind, range(30))
    report = write_all(open_sink(tmp_path / name, kind, info, SinkOptions()), frames)
    assert any("1 ms" in note for note in report.notes)
    errors = [abs(f.pts * f.time_base - g.time) for f, g in zip(decode(tmp_path / name), frames, strict=True)]
    assert max(errors) <= Fraction(1, 2000)


def test_the_last_duration_falls_back_to_the_step_before(tmp_path: Path) -> None:
    info = make_info(time_base=FILM)
    write_all(open_sink(tmp_path / "a.mp4", "com", info, SinkOptions()), make_frames(info, "com", range(4), last=0))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream: Any = container.streams.video[0]
        assert stream.duration * stream.time_base == 4 * FILM


# audio and subtitles


@pytest.fixture
def tone(tmp_path: Path) -> Iterator[tuple[Any, Any, list[Packet], Path]]:
    path = audio_source(tmp_path / "tone.mp4")
    container, streams, packets = passthrough(path)
    yield container, streams, packets, path
    container.close()


def test_audio_is_byte_identical_in_every_output(tmp_path: Path, tone: Any) -> None:
    """Several sinks are given the same packets; none may spoil them for the next."""
    _, streams, packets, path = tone
    info = make_info(passthrough=streams)
    names: list[tuple[str, SinkKind]] = [
        ("a.mp4", "com"),
        ("b.mkv", "fgr"),
        ("c.mov", "fgr"),
        ("d.mp4", "pha"),
    ]
    sinks = [open_sink(tmp_path / name, kind, info, SinkOptions()) for name, kind in names]
    before = [(p.payload.pts, p.payload.dts, p.payload.time_base, bytes(p.payload)) for p in packets]
    frames = {kind: make_frames(info, kind, range(12)) for kind in ("com", "fgr", "pha")}
    for index in range(12):
        for sink in sinks:
            sink.write(frames[sink.kind][index])
        for packet in packets[index * 3 : index * 3 + 3]:
            for sink in sinks:
                sink.write_packet(packet)
    reports = [sink.finish() for sink in sinks]
    assert before == [(p.payload.pts, p.payload.dts, p.payload.time_base, bytes(p.payload)) for p in packets]
    given = stream_bytes(path)[: len(packets[:36])]
    for (name, _), report in zip(names, reports, strict=True):
        read = stream_bytes(tmp_path / name)
        assert [b for b, _ in read] == [b for b, _ in given], name
        assert max(abs((t - read[0][1]) - (g - given[0][1])) for (_, t), (_, g) in zip(read, given, strict=True)) <= (
            Fraction(1, 1000) if name.endswith("mkv") else 0
        )
        assert report.av_drift_ms is not None
        assert report.av_drift_ms <= (1.0 if name.endswith("mkv") else 0.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.audio[0].language == "fra"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_start_is_taken_off(tmp_path: Path, tone: Any, name: str) -> None:
    _, streams, packets, _ = tone
    info = make_info(passthrough=streams)
    start = Fraction(1, 5)
    late = [Packet(p.stream_index, p.payload, start) for p in packets if p.payload.pts * p.payload.time_base >= start]
    report = write_all(open_sink(tmp_path / name, "com", info, SinkOptions()), make_frames(info, "com"), late)
    read = [t for _, t in stream_bytes(tmp_path / name)]
    expected = [p.payload.pts * p.payload.time_base - start for p in late]
    bound = Fraction(0) if name == "a.mp4" else Fraction(1, 1000)
    assert max(abs(t - e) for t, e in zip(read, expected, strict=True)) <= bound
    assert report.av_drift_ms is not None
    assert report.av_drift_ms <= 1000 * bound


@pytest.mark.parametrize("codec", ["libopus", "flac", "libmp3lame"])
def test_other_audio_codecs_are_copied(tmp_path: Path, codec: str) -> None:
    path = audio_source(tmp_path / "tone.mkv", codec)
    container, streams, packets = passthrough(path)
    info = make_info(passthrough=streams)
    for name in ("a.mp4", "a.mkv"):
        report = write_all(
            open_sink(tmp_path / name, "com", info, SinkOptions()),
            make_frames(info, "com", range(12)),
            packets,
        )
        assert report.av_drift_ms is not None
        read = b"".join(b for b, _ in stream_bytes(tmp_path / name))
        assert read == b"".join(bytes(p.payload) for p in packets)
    container.close()


def test_what_the_container_cannot_hold_is_left_out(tmp_path: Path, tone: Any) -> None:
    _, streams, packets, _ = tone
    info = make_info(passthrough=streams)
    report = write_all(open_sink(tmp_path / "a.webm", "com", info, SinkOptions()), make_frames(info, "com"), packets)
    assert any("aac" in note and "left out" in note and ".mkv" in note for note in report.notes)
    assert report.av_drift_ms is None
    with av.open(str(tmp_path / "a.webm")) as container:
        assert [s.type for s in container.streams] == ["video"]


def test_pcm_goes_into_mov_and_mkv_but_not_mp4(tmp_path: Path) -> None:
    container, streams, packets = passthrough(audio_source(tmp_path / "tone.mkv", "pcm_s16le"))
    info = make_info(passthrough=streams)
    frames = make_frames(info, "com", range(12))
    for name in ("a.mov", "a.mkv", "a.mp4"):
        report = write_all(open_sink(tmp_path / name, "com", info, SinkOptions()), frames, packets)
        assert any("pcm_s16le" in note for note in report.notes) == name.endswith("mp4")
        assert (report.av_drift_ms is None) == name.endswith("mp4")
    container.close()
    given = b"".join(bytes(p.payload) for p in packets)
    assert b"".join(b for b, _ in stream_bytes(tmp_path / "a.mov")) == given


def test_subtitles_are_copied_or_left_out(tmp_path: Path) -> None:
    container, streams, packets = passthrough(subtitle_source(tmp_path / "text.srt"))
    info = make_info(passthrough=streams)
    frames = make_frames(info, "com")
    kept = write_all(open_sink(tmp_path / "a.mkv", "com", info, SinkOptions()), frames, packets)
    lost = write_all(open_sink(tmp_path / "a.mp4", "com", info, SinkOptions()), frames, packets)
    container.close()
    assert stream_bytes(tmp_path / "a.mkv", "subtitle") == [
        (b"un", Fraction(1, 25)),
        (b"deux", Fraction(4, 25)),
    ]
    assert not [note for note in kept.notes if "left out" in note]
    assert any("left out" in note and ".mkv" in note for note in lost.notes)


# tags


@pytest.mark.parametrize(
    ("name", "kind", "codec"),
    [
        ("a.mp4", "com", "h264"),
        ("a.mp4", "com", "hevc"),
        ("a.mp4", "com", "av1"),
        ("a.mkv", "com", "h264"),
        ("a.webm", "com", "vp9"),
        ("a.mkv", "fgr", "ffv1"),
        ("a.mov", "fgr", "prores"),
    ],
)
def test_rotation_colour_and_shape_read_back(tmp_path: Path, name: str, kind: SinkKind, codec: str) -> None:
    color = ColorSpec(6, 5, 6, False)
    info = make_info(rotation=90, sar=Fraction(4, 3), color=color)
    report = write_all(
        open_sink(tmp_path / name, kind, info, SinkOptions(codec=codec)), make_frames(info, kind, range(3))
    )
    read = decode(tmp_path / name)[0]
    assert read.rotation % 360 == 90
    assert (read.colorspace, read.color_primaries, read.color_trc, read.color_range) == (6, 5, 6, 1)
    with av.open(str(tmp_path / name)) as container:
        sar = container.streams.video[0].sample_aspect_ratio
    assert sar == Fraction(4, 3) or any("4:3" in note for note in report.notes)
    assert codec not in ("h264", "hevc", "prores") or sar == Fraction(4, 3)


@pytest.mark.parametrize("rotation", [180, 270])
def test_rotation_sign(tmp_path: Path, rotation: int) -> None:
    info = make_info(rotation=rotation)
    write_all(open_sink(tmp_path / "a.mp4", "com", info, SinkOptions()), make_frames(info, "com"))
    assert decode(tmp_path / "a.mp4")[0].rotation % 360 == rotation


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", None), ("a.mkv", None), ("a.mp4", "h264"), ("a.mp4", "av1"), ("a.webm", None)],
)
def test_hdr_reads_back(tmp_path: Path, name: str, codec: str | None) -> None:
    info = make_info("yuv420p10le", color=PQ, mastering_display=Mastering(), content_light=(1000, 400))
    options = SinkOptions(codec=codec)
    report = write_all(open_sink(tmp_path / name, "com", info, options), make_frames(info, "com", range(3)))
    read = decode(tmp_path / name)[0]
    assert read.format.name == "yuv420p10le"
    assert (read.colorspace, read.color_primaries, read.color_trc) == (9, 9, 16)
    shown = Mastering()
    points = [float(x) for point in (*shown.primaries, shown.white_point) for x in point]
    assert mastering_numbers(read) == pytest.approx([*points, 0.0001, 1000], rel=0.3 if report.codec == "av1" else 0)
    assert content_light(read) == (1000, 400)
    assert report.codec == (codec or ("av1" if name.endswith("webm") else "hevc"))


def test_hdr_that_has_no_place_is_noted(tmp_path: Path) -> None:
    info = make_info("yuv420p10le", color=PQ, mastering_display=Mastering())
    report = write_all(open_sink(tmp_path / "a.mov", "fgr", info, SinkOptions()), make_frames(info, "fgr", range(2)))
    assert any("HDR" in note for note in report.notes)


@pytest.mark.parametrize(("name", "kind"), [("a.mp4", "com"), ("a.mkv", "com"), ("a.mov", "fgr")])
def test_interlaced_stays_flagged(tmp_path: Path, name: str, kind: SinkKind) -> None:
    info = make_info(interlaced=True)
    write_all(open_sink(tmp_path / name, kind, info, SinkOptions()), make_frames(info, kind, range(3)))
    assert all(frame.interlaced_frame for frame in decode(tmp_path / name))


def test_interlaced_that_cannot_be_coded_is_noted(tmp_path: Path) -> None:
    info = make_info(interlaced=True)
    report = write_all(open_sink(tmp_path / "a.mkv", "fgr", info, SinkOptions()), make_frames(info, "fgr", range(3)))
    assert any("interlaced" in note for note in report.notes)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_metadata_is_carried_and_added_to(tmp_path: Path, name: str) -> None:
    info = make_info(metadata=(("title", "Gare"), ("comment", "old"), ("major_brand", "qt  ")))
    options = SinkOptions(extra_metadata=(("comment", "new"),))
    write_all(open_sink(tmp_path / name, "com", info, options), make_frames(info, "com"))
    with av.open(str(tmp_path / name)) as container:
        read = {key.lower(): value for key, value in container.metadata.items()}
    assert (read["title"], read["comment"]) == ("Gare", "new")
    assert read.get("major_brand") != "qt  " or name.endswith("mov")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_what_made_the_file_is_found_in_it(tmp_path: Path, name: str) -> None:
    info = make_info()
    options = SinkOptions(extra_metadata=(("encoded_by", "streammatte; model u2net"),))
    write_all(open_sink(tmp_path / name, "com", info, options), make_frames(info, "com"))
    with av.open(str(tmp_path / name)) as container:
        assert "streammatte; model u2net" in container.metadata.values()


def test_hevc_is_tagged_for_quicktime(tmp_path: Path) -> None:
    info = make_info("yuv420p10le")
    write_all(open_sink(tmp_path / "a.mp4", "com", info, SinkOptions()), make_frames(info, "com"))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


# what is refused


@pytest.mark.parametrize(
    ("name", "kind", "options", "words"),
    [
        ("a.xyz", "com", {}, "unknown extension"),
        ("a.mp4", "fgr", {}, ".mov (ProRes 4444)"),
        ("a.mov", "fgr", {"codec": "h264"}, "cannot hold alpha"),
        ("a.mp4", "com", {"codec": "ffv1"}, "it holds h264, hevc, av1, vp9"),
        ("a.webm", "com", {"codec": "h264"}, "it holds vp9, av1"),
        ("a.mp4", "com", {"codec": "divx"}, "'divx'"),
        ("a.mp4", "com", {"crf": 99}, "0 to 51"),
        ("a.webm", "com", {"crf": -1}, "0 to 63"),
        ("a.mp4", "com", {"pix_fmt": "yuv420p12le"}, "it takes yuv420p"),
        ("a.mp4", "com", {"preset": "warp"}, "cannot be written"),
        ("a.jpg", "fgr", {}, "use .png"),
        ("out", "com", {"codec": "h264"}, "is no h264"),
        ("a_%d_%d.png", "com", {}, "one frame number"),
        ("a.png", "com", {}, "a_%06d.png"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, name: str, kind: SinkKind, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SinkError) as caught:
        open_sink(tmp_path / name, kind, make_info(frame_count=6), SinkOptions(**options))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_one_image_takes_one_frame(tmp_path: Path) -> None:
    info = make_info()
    sink = open_sink(tmp_path / "a.png", "com", info, SinkOptions())
    first, second = make_frames(info, "com", range(2))
    sink.write(first)
    with pytest.raises(SinkError, match="more frames"):
        sink.write(second)
    assert list(tmp_path.iterdir()) == []


def test_choices_of_the_user_are_kept(tmp_path: Path) -> None:
    info = make_info("yuv422p10le")
    options = SinkOptions(codec="h264", pix_fmt="yuv420p", crf=40, preset="ultrafast")
    report = write_all(open_sink(tmp_path / "a.mp4", "com", info, options), make_frames(info, "com"))
    assert decode(tmp_path / "a.mp4")[0].format.name == "yuv420p"
    assert any("yuv422p10le to yuv420p" in note for note in report.notes)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SinkError, match="is a file"):
        open_sink(tmp_path / "file", "com", make_info(), SinkOptions())


def test_nothing_reaches_the_terminal(tmp_path: Path) -> None:
    """x265 and SVT-AV1 write to the terminal by themselves unless told not to."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from sink_clips import *\n"
        "from streammatte.sinks import SinkOptions, open_sink\n"
        "for codec in ('h264', 'hevc', 'av1', 'vp9'):\n"
        "    for kind in ('com', 'pha'):\n"
        "        info = make_info('yuv420p10le')\n"
        "        path = Path(sys.argv[2]) / f'{codec}{kind}.mp4'\n"
        "        write_all(open_sink(path, kind, info, SinkOptions(codec=codec)), make_frames(info, kind))\n"
    )
    run = [sys.executable, "-c", script, str(Path(__file__).parents[1]), str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(list(tmp_path.iterdir())) == 8


# full disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs failed: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.tmpfs
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp4", "com"),
        ("a.mkv", "fgr"),
        ("a.mov", "fgr"),
        ("a.webm", "fgr"),
        ("out", "com"),
        ("o_%d.png", "fgr"),
    ],
)
@pytest.mark.parametrize("frames", [1, 60])
def test_a_full_disk_is_noticed_and_leaves_nothing(small_disk: Path, name: str, kind: SinkKind, frames: int) -> None:
    """One frame: the output only meets the full disk at the end. Sixty: on the way."""
    info = make_info("yuv420p", 320, 240)
    (small_disk / "ballast").write_bytes(bytes(64 * 1024 - 4096 if frames == 1 else 1024))
    sink = open_sink(small_disk / name, kind, info, SinkOptions(crf=0 if name[-4:] in (".mp4", "webm") else None))
    with pytest.raises(SinkError, match="No space left on device; free some space"):
        write_all(sink, make_frames(info, kind, range(frames)))
    sink.abort()
    assert [p.name for p in small_disk.iterdir()] == ["ballast"]


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be written"):
        open_sink(Path("/proc/a.mp4"), "com", make_info(), SinkOptions())


def test_two_sequences_in_one_folder(tmp_path: Path) -> None:
    info = make_info()
    sinks = [open_sink(tmp_path / f"{kind}_%03d.png", kind, info, SinkOptions()) for kind in ("com", "pha")]
    with pytest.raises(SinkError, match="already being written"):
        open_sink(tmp_path / "com_%03d.png", "com", info, SinkOptions())
    for sink in sinks:
        write_all(sink, make_frames(info, sink.kind))
    expected = [f"{kind}_{number:03d}.png" for kind in ("com", "pha") for number in range(1, 7)]
    assert sorted(p.name for p in tmp_path.iterdir()) == expected
