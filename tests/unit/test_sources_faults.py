"""Inputs that are missing, cut, damaged or something else: one line that says what, where and what to do."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import av
import pytest
from clips import film, noise_frame, smooth_frame, write_clip

from streammatte.errors import ConfigError, SourceError
from streammatte.frame import Frame
from streammatte.sources import SourceOptions, open_source
from streammatte.sources.clock import Clock

SALVAGE = SourceOptions(salvage=True)


def frames_of(path: Path | str, options: SourceOptions = SALVAGE) -> tuple[list[Frame], Any]:
    source = open_source(str(path), options)
    frames = [event for event in source.events() if isinstance(event, Frame)]
    source.close()
    return frames, source


def refuses(path: Path | str, match: str, **options: Any) -> str:
    with pytest.raises(SourceError, match=match) as caught:
        frames_of(path, SourceOptions(**options))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("nosuch.mp4", "no such file"),
        ("nosuch.png", "no such file"),
        ("nosuch_%04d.png", "no file has such a name"),
        ("no*.png", "no file has such a name"),
    ],
)
def test_missing(tmp_path: Path, name: str, match: str) -> None:
    refuses(tmp_path / name, match)


def test_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("Dear diary,\n" * 40)
    (tmp_path / "empty.mp4").touch()
    refuses(tmp_path / "text.mp4", "not a video or picture")
    refuses(tmp_path / "empty.mp4", "empty")
    (tmp_path / "folder").mkdir()
    refuses(tmp_path / "folder", "holds no pictures")


def test_sound_only(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    refuses(tmp_path / "a.wav", "holds no video, only audio")


def test_no_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()
    refuses(tmp_path / "a.mkv", "no video|not a video")
    path = film(tmp_path / "a.mkv", 1)
    content = bytearray(path.read_bytes())
    at = content.index(b"x264 - core")
    content[at + 700 :] = bytes(len(content) - at - 700)
    path.write_bytes(content)
    refuses(path, "no video frame|decoded|incomplete|damaged")


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("http://127.0.0.1:9/a.mp4", "cannot be opened .*refused"),
        ("rtsp://127.0.0.1:9/a", "cannot be opened .*refused"),
        ("gopher-x://a/b", "unknown URL scheme 'gopher-x'"),
    ],
)
def test_urls(url: str, match: str) -> None:
    refuses(url, match)


def test_http(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 12)
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        frames, source = frames_of(f"{url}/a.mp4", SourceOptions())
        assert (len(frames), source.info.live) == (12, False)
        refuses(f"{url}/b.mp4", "cannot be opened .*404")
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        pass


def test_bad_graph() -> None:
    refuses("lavfi:no_such_filter", "not a filter graph")


@pytest.mark.parametrize("share", [0.5, 0.9, 0.995])
@pytest.mark.parametrize("faststart", [True, False])
def test_cut_mp4(tmp_path: Path, share: float, faststart: bool) -> None:
    how = {"movflags": "+faststart"} if faststart else {"movflags": "frag_keyframe+empty_moov"}
    path = cut(film(tmp_path / "a.mp4", 100, container_options=how), share)
    if faststart or share < 0.9:
        refuses(
            path,
            "cut off" if faststart else "incomplete|cut off",
        )
    frames, source = frames_of(path)
    assert 0 < len(frames) < 100
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    if faststart:
        assert any("cut off" in note for note in source.notes)


def test_cut_is_seen_on_opening(tmp_path: Path) -> None:
    path = cut(film(tmp_path / "a.mp4", 60, container_options={"movflags": "+faststart"}), 0.98)
    with pytest.raises(SourceError, match=r"cut off: \d+ bytes are there of at least \d+"):
        open_source(str(path))


def test_cut_before_the_index(tmp_path: Path) -> None:
    path = cut(film(tmp_path / "a.mp4", 30), 0.5)
    refuses(path, "cut off before its index")
    with pytest.raises(SourceError, match="index"):
        frames_of(path)  # nothing to salvage without an index


def test_cut_matroska(tmp_path: Path) -> None:
    path = cut(film(tmp_path / "a.mkv", 100), 0.6)
    assert "--salvage" in refuses(path, r"at \d|ends at \d\.\d\d s of 4\.00 s")
    frames, source = frames_of(path)
    assert 40 < len(frames) < 80
    assert source.notes


def test_damage_in_the_middle(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 60, size=(320, 240))
    content = bytearray(path.read_bytes())
    at = len(content) // 2
    content[at : at + 500] = bytes((i * 37 + 11) % 256 for i in range(500))
    path.write_bytes(content)
    assert "--salvage" in refuses(path, "is damaged at|cannot be decoded")
    frames, source = frames_of(path)
    assert 40 < len(frames) < 61
    assert any("damaged" in note or "decoded" in note for note in source.notes)


def test_whole_files_are_not_accused(tmp_path: Path) -> None:
    """A short last frame, sound longer than the picture, and the reverse."""
    options = SourceOptions()
    long_sound = film(tmp_path / "a.mp4", 20, audio_from_s=0.0)
    assert len(frames_of(long_sound, options)[0]) == 20
    frames = [smooth_frame("yuv420p", (32, 32), i) for i in range(4)]
    for name in ("slow.mkv", "slow.mp4"):
        write_clip(tmp_path / name, frames, "mpeg4", pts=[0, 1000, 4000, 6000], time_base=Fraction(1, 1000))
        assert len(frames_of(tmp_path / name, options)[0]) == 4


def test_start_beyond_the_end(tmp_path: Path) -> None:
    refuses(film(tmp_path / "a.mp4", 10), r"ends before --start 3 s", start_s=3)


def test_repeated_timestamps_are_put_right(tmp_path: Path) -> None:
    # the concat demuxer's clock is what a careless recorder writes: a second clip that begins where it likes
    film(tmp_path / "a.ts", 5)
    (tmp_path / "b.ts").write_bytes((tmp_path / "a.ts").read_bytes() * 2)
    frames, source = frames_of(tmp_path / "b.ts", SourceOptions())
    stamps = [frame.pts for frame in frames]
    assert stamps == sorted(set(stamps))
    assert len(frames) > 5
    assert any("timestamp" in note for note in source.notes)


def test_clock() -> None:
    clock = Clock("x", Fraction(1, 1000), Fraction(25), forgiving=True)
    stamps = [(0, 0), (40, 40), (40, 40), (30, 30), (None, 160), (None, None), (None, None), (5, 5), (45, 45)]
    frames: list[Any] = [SimpleNamespace(pts=pts, dts=dts) for pts, dts in stamps]
    assert [clock.pts(frame) for frame in frames[:7]] == [0, 40, 41, 42, 160, 200, 240]
    late: Any = SimpleNamespace(pts=5000, dts=None)
    assert clock.pts(late) == 5000
    assert [(clock.pts(frame), clock.jumped) for frame in frames[7:]] == [(5040, True), (5080, False)]
    assert (clock.made, clock.bumped) == (3, 2)
    assert len(clock.notes()) == 3


def test_time_that_runs_back(tmp_path: Path) -> None:
    film(tmp_path / "a.ts", 50)
    (tmp_path / "b.ts").write_bytes((tmp_path / "a.ts").read_bytes() * 2)
    refuses(tmp_path / "b.ts", "time runs back by")
    frames, _ = frames_of(tmp_path / "b.ts")
    steps = {after.pts - before.pts for before, after in pairwise(frames)}
    assert steps == {3600}
    assert [frame.seq for frame in frames if frame.discontinuity] == [50]


def test_changing_size(tmp_path: Path) -> None:
    film(tmp_path / "a.ts", 5, size=(64, 48))
    film(tmp_path / "b.ts", 5, size=(96, 64))
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    refuses(tmp_path / "c.ts", "changes from 64x48 yuv420p to 96x64 yuv420p")


def test_ffmpeg_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = film(tmp_path / "a.mkv", 60, size=(320, 240))
    content = bytearray(path.read_bytes())
    content[5000:9000] = bytes(4000)
    path.write_bytes(content)
    capfd.readouterr()
    frames_of(path)
    assert capfd.readouterr() == ("", "")


_CHILD = """
import sys
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from streammatte.sources import SourceOptions, open_source
options = SourceOptions(**eval(sys.argv[1]))
source = open_source("-", options)
frames = [e for e in source.events() if hasattr(e, "planes")]
last = frames[-1]
print(len(frames), last.format.name, last.width, last.planes[0][0, 0], float(last.time))
"""


def _piped(payload: bytes, options: str = "{}") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", _CHILD, options]
    root = str(Path(__file__).parents[2])
    return subprocess.run(command, input=payload, capture_output=True, timeout=60, check=False, cwd=root)


def test_stdin_container(tmp_path: Path) -> None:
    done = _piped(film(tmp_path / "a.mkv", 12).read_bytes())
    assert done.stdout.split()[:3] == [b"12", b"yuv420p", b"96"], done.stderr
    assert done.stderr == b""


@pytest.mark.parametrize("first", [True, False])
def test_stdin_mp4_needs_its_index_first(tmp_path: Path, first: bool) -> None:
    frames = [noise_frame("yuv420p", (640, 480), i) for i in range(12)]  # more than FFmpeg keeps to go back in
    how = {"container_options": {"movflags": "+faststart"}} if first else {}
    path = write_clip(tmp_path / "a.mp4", frames, options={"preset": "ultrafast"}, **how)
    done = _piped(path.read_bytes())
    if first:
        assert done.stdout.split()[:1] == [b"12"], done.stderr
    else:
        assert b"give the file by its name" in done.stderr
        assert b"faststart" in done.stderr


RAW = "{'input_format': 'rawvideo', 'input_size': (6, 4), 'input_pix_fmt': 'rgb24', 'input_rate': Fraction(50)%s}"


def test_stdin_rawvideo() -> None:
    payload = b"".join(bytes([1, i, 3]) * 24 for i in range(5))
    assert _piped(payload, RAW % "").stdout.split() == [b"5", b"gbrp", b"6", b"4", b"0.08"]


def test_stdin_rawvideo_cut() -> None:
    payload = bytes(72) * 3 + bytes(10)
    assert b"incomplete" in _piped(payload, RAW % "").stderr
    assert _piped(payload, RAW % ", 'salvage': True").stdout.split()[0] == b"3"


def test_rawvideo_needs_its_facts() -> None:
    with pytest.raises(ConfigError, match="--input-size, --input-pix-fmt, --input-rate"):
        open_source("-", SourceOptions(input_format="rawvideo"))
    facts = SourceOptions(input_format="rawvideo", input_size=(4, 4), input_pix_fmt="rgb23", input_rate=Fraction(25))
    with pytest.raises(ConfigError, match="no pixel format 'rgb23'"):
        open_source("-", facts)


@pytest.mark.parametrize("options", [{"start_s": -1.0}, {"duration_s": 0.0}, {"input_rate": Fraction(0)}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SourceOptions(**options)
