"""Frames out = frames in, at the very same times, and every other stream byte for byte, through the real program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from clips import film, smooth_frame, write_clip
from sink_clips import Mastering, content_light, decode, mastering_numbers, stream_bytes, subtitle_source

FILM = Fraction(24000, 1001)
MS = Fraction(1, 1000)
_HDR = (
    "log-level=none:repeat-headers=1:max-cll=1000,400:master-display="
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
Reported = Callable[..., dict[str, Any]]


def cfr(path: Path) -> None:
    film(path, 36, rate=FILM, audio_from_s=0.0)


def vfr(path: Path) -> None:
    # Steps of 11 to 900 ms, from a start that is not zero.
    stamps = [500, 511, 540, 541, 600, 700, 1600, 1633, 1667, 1700, 1800, 2000]
    frames = [smooth_frame("yuv420p", (96, 64), i) for i in range(len(stamps))]
    write_clip(path, frames, pts=stamps, time_base=MS, audio_from_s=0.0)


def vfr_fine(path: Path) -> None:
    stamps = [0, 3003, 3004, 9009, 10000, 90000, 90001, 123456]
    frames = [smooth_frame("yuv420p", (96, 64), i) for i in range(len(stamps))]
    write_clip(path, frames, pts=stamps, time_base=Fraction(1, 90000))


def rotated(path: Path) -> None:
    film(path, 12, rotation=90, audio_from_s=0.0)


def hdr(path: Path) -> None:
    frames = [smooth_frame("yuv420p10le", (96, 64), i) for i in range(12)]
    tags = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
    write_clip(path, frames, "libx265", rate=FILM, options={"x265-params": _HDR}, context=tags, audio_from_s=0.0)


def odd(path: Path) -> None:
    frames = [smooth_frame("yuv444p", (639, 359), i) for i in range(8)]
    write_clip(path, frames, "ffv1" if path.suffix == ".mkv" else "libx264", audio_from_s=0.0)


def odd_420(path: Path) -> None:
    write_clip(path, [smooth_frame("yuv420p", (639, 359), i) for i in range(8)], "libvpx-vp9")


def chroma_422(path: Path) -> None:
    write_clip(path, [smooth_frame("yuv422p", (96, 64), i) for i in range(12)], rate=50, audio_from_s=0.0)


def chroma_422_deep(path: Path) -> None:
    write_clip(path, [smooth_frame("yuv422p10le", (96, 64), i) for i in range(12)], rate=25)


def silent(path: Path) -> None:
    film(path, 12)


def late_sound(path: Path) -> None:
    film(path, 50, audio_from_s=0.7)


@dataclass(frozen=True)
class Case:
    """A source, and what is to be found in the outputs beyond frames and times."""

    make: Callable[[Path], None]
    suffix: str
    pix_fmt: str = "yuv420p"
    """Of the outputs."""
    codec: str = "h264"
    size: tuple[int, int] = (96, 64)
    notes: tuple[str, ...] = ()
    """Of the .mkv: all that may differ from the source is said."""


# Matroska counts in milliseconds from 0; AAC in MP4 begins with a packet before 0 that primes the decoder.
_ROUNDED = "times are kept to 1 ms"
_LATER = "all streams are 21 ms later"
CASES = {
    "23.976 mp4": Case(cfr, ".mp4", notes=(_ROUNDED, _LATER)),
    "23.976 mkv": Case(cfr, ".mkv"),
    "VFR mp4": Case(vfr, ".mp4", notes=(_ROUNDED, _LATER)),
    "VFR mkv": Case(vfr, ".mkv"),
    "VFR 90 kHz": Case(vfr_fine, ".mp4", notes=(_ROUNDED,)),
    "rotated mp4": Case(rotated, ".mp4", notes=(_ROUNDED, _LATER)),
    "rotated mov": Case(rotated, ".mov", notes=(_ROUNDED, _LATER)),
    "HDR mp4": Case(hdr, ".mp4", "yuv420p10le", "hevc", notes=(_ROUNDED, _LATER)),
    "HDR mkv": Case(hdr, ".mkv", "yuv420p10le", "hevc"),
    "639x359 4:4:4": Case(odd, ".mkv", "yuv444p", size=(639, 359)),
    "639x359 4:2:0": Case(odd_420, ".webm", size=(640, 360), notes=("639x359 padded to 640x360",)),
    "4:2:2": Case(chroma_422, ".mp4", "yuv422p", notes=(_ROUNDED, _LATER)),
    "4:2:2 10 bit": Case(chroma_422_deep, ".mkv", "yuv422p10le", "hevc"),
    "silent mp4": Case(silent, ".mp4", notes=(_ROUNDED,)),
    "silent mkv": Case(silent, ".mkv"),
    "late sound mp4": Case(late_sound, ".mp4", notes=(_ROUNDED,)),
    "late sound mkv": Case(late_sound, ".mkv"),
}


def times(frames: list[av.VideoFrame]) -> list[Fraction]:
    found = []
    for frame in frames:
        assert frame.pts is not None
        found.append(frame.pts * Fraction(frame.time_base))
    return found


def sound(path: Path) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        has_sound = bool(container.streams.audio)
    return stream_bytes(path) if has_sound else []


def video_duration(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        return Fraction(stream.duration * stream.time_base)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_comes_in_comes_out(tmp_path: Path, reported: Reported, case: Case) -> None:
    source = tmp_path / f"in{case.suffix}"
    case.make(source)
    names = ("out.mp4", "out.mkv", "m.mkv")
    mp4, mkv, matte = outputs = [tmp_path / name for name in names]
    report = reported(source, "-m", "tiny", "--bg", "teal", "-o", mp4, "-o", mkv, "--matte", matte)

    given = decode(source)
    rounded = any((time / MS).denominator > 1 for time in times(given))
    assert (report["frames_in"], report["frames_out"], report["frames_dropped"]) == (len(given), len(given), 0)
    for path in outputs:
        read = decode(path)
        assert len(read) == len(given)
        later = Fraction(21, 1000) if _LATER in case.notes and path != mp4 else 0
        errors = [abs(a - b - later) for a, b in zip(times(read), times(given), strict=True)]
        assert max(errors) <= (MS / 2 if rounded and path != mp4 else 0), path.name
        _same_sound(source, path, later)
        assert [frame.rotation for frame in read] == [frame.rotation for frame in given]
    for path in (mp4, mkv):
        first = decode(path)[0]
        assert (first.format.name, (first.width, first.height)) == (case.pix_fmt, case.size)
        _same_colour(given[0], first)
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == case.codec
    if case.suffix in (".mp4", ".mov") and not case.make.__name__.startswith("vfr"):
        assert video_duration(mp4) == video_duration(source)
    said = [note.partition(": ")[2] for note in report["fallbacks"] if note.startswith(str(mkv))]
    assert [note.startswith(words) for note, words in zip(said, case.notes, strict=True)] == [True] * len(case.notes)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, *names])


def _same_sound(source: Path, path: Path, later: Fraction | int) -> None:
    given, read = sound(source), sound(path)
    assert [packet for packet, _ in read] == [packet for packet, _ in given]
    # MP4 counts sound in samples, and Matroska's milliseconds are whole numbers of them.
    allowed = 0 if path.suffix == ".mp4" or source.suffix == path.suffix else MS / 2
    assert all(abs(a - b - later) <= allowed for (_, a), (_, b) in zip(read, given, strict=True)), path.name


def _same_colour(given: av.VideoFrame, read: av.VideoFrame) -> None:
    tags = ("colorspace", "color_primaries", "color_trc")
    assert [getattr(read, tag) for tag in tags] == [getattr(given, tag) for tag in tags]
    assert (read.color_range or 1) == (given.color_range or 1), "YUV without a range is limited"
    assert mastering_numbers(read) == mastering_numbers(given)
    assert content_light(read) == content_light(given)


def test_the_sources_are_what_they_are_meant_to_be(tmp_path: Path) -> None:
    """Else the test above compares nothing with nothing."""
    for case in CASES.values():
        case.make(tmp_path / f"{case.make.__name__}{case.suffix}")
    first = {path.stem: decode(path)[0] for path in tmp_path.iterdir() if path.suffix != ".mov"}
    assert mastering_numbers(first["hdr"]) == pytest.approx(
        [*(float(v) for p in (*Mastering().primaries, Mastering().white_point) for v in p), 0.0001, 1000]
    )
    assert content_light(first["hdr"]) == (1000, 400)
    assert (first["hdr"].colorspace, first["hdr"].color_trc) == (9, 16)
    assert first["rotated"].rotation % 360 == 90
    assert (first["odd"].width, first["odd_420"].height) == (639, 359)
    assert times(decode(tmp_path / "vfr.mkv"))[:3] == [Fraction(n, 1000) for n in (500, 511, 540)]
    assert times(decode(tmp_path / "cfr.mp4")) == [n / FILM for n in range(36)]
    late = sound(tmp_path / "late_sound.mp4")
    assert len(late) > 50
    assert late[2][1] > Fraction(6, 10)
    assert sound(tmp_path / "silent.mp4") == []
    assert len(sound(tmp_path / "rotated.mp4")) > 20


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_sound_that_is_late_stays_as_late(tmp_path: Path, reported: Reported, name: str) -> None:
    late_sound(tmp_path / name)
    out = tmp_path / f"out{Path(name).suffix}"
    report = reported(tmp_path / name, "-m", "tiny", "--bg", "teal", "-o", out)
    assert report["av_drift_ms"] == 0
    assert sound(out)[0][1] == sound(tmp_path / name)[0][1]
    assert times(decode(out))[0] == 0


def with_subtitles(path: Path, codec_source: Path) -> Path:
    """`film` and the subtitles of another file, in one Matroska."""
    plain = film(path.with_name("plain.mkv"), 12, audio_from_s=0.0)
    with av.open(str(plain)) as pictures, av.open(str(codec_source)) as text, av.open(str(path), "w") as out:
        streams: dict[Any, Any] = {s: out.add_stream_from_template(s) for s in (*pictures.streams, text.streams[0])}
        packets = [p for p in (*pictures.demux(), *text.demux()) if p.size]
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * p.time_base):
            packet.stream = streams[packet.stream]
            out.mux(packet)
    plain.unlink()
    return path


@pytest.mark.usefixtures("tiny")
def test_subtitles(tmp_path: Path, reported: Reported) -> None:
    subtitled = with_subtitles(tmp_path / "in.mkv", subtitle_source(tmp_path / "text.srt"))
    mkv, mp4 = tmp_path / "out.mkv", tmp_path / "out.mp4"
    report = reported(subtitled, "-m", "tiny", "--bg", "teal", "-o", mkv, "-o", mp4)
    given = stream_bytes(subtitled, "subtitle")
    assert [text for text, _ in given] == [b"un", b"deux"]
    assert stream_bytes(mkv, "subtitle") == given
    assert sound(mkv) == sound(subtitled) != []
    assert times(decode(mkv)) == times(decode(subtitled))
    (note,) = [note for note in report["fallbacks"] if "subtitle" in note]
    assert note.startswith(f"{mp4}: subtitle stream 2 (srt) is left out")
    with av.open(str(mp4)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.usefixtures("tiny")
def test_metadata_is_kept_and_the_model_named(tmp_path: Path, reported: Reported) -> None:
    film(tmp_path / "in.mkv", 3, container_metadata={"title": "Gare", "artist": "Lumière"})
    for name in ("out.mkv", "out.mp4"):
        reported(tmp_path / "in.mkv", "-m", "tiny", "--bg", "teal", "-o", tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
        assert (found["title"], found["artist"]) == ("Gare", "Lumière")
        assert any(each.startswith("streammatte; model tiny (CC0-1.0), weights sha256 ") for each in found.values())


def test_half_a_minute_takes_the_memory_of_two_seconds(tmp_path: Path, tiny_folder: Path) -> None:
    """Each run in a process of its own, since a process only knows the most it ever held."""
    program = [sys.executable, str(Path(__file__).parents[1] / "tiny.py"), str(tiny_folder)]
    args = ["-m", "tiny", "--bg", "blur", "-o", str(tmp_path / "out.mkv"), "--codec", "ffv1", "--force", "--json"]
    peaks = {}
    for frames in (50, 750):
        spec = f"lavfi:testsrc2=s=320x180:r=25:d={frames / 25}"
        done = subprocess.run([*program, spec, *args], capture_output=True, text=True, check=True)
        report = json.loads(done.stdout)
        assert report["frames_out"] == frames
        peaks[frames] = report["peak_rss_mb"]
    assert peaks[750] < 1.1 * peaks[50]  # 700 frames of 4:2:0 at this size would be 60 MB
