"""What `ports.LiveSink` promises, over every live sink."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_fakes import fake_camera, fake_pipewire
from loopback import HAS_SRT, free_port
from sink_clips import make_frames, make_info

from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Packet, StreamInfo
from streammatte.ports import LiveSink
from streammatte.registry import LIVE_SINKS
from streammatte.sinks.live import live_kind, open_live_sink

CODECS = {
    "vcam": "i420",
    "pipewire": "i420",
    "preview": "mjpeg",
    "window": "mjpeg",
    "obs": "bgra",
    "http": "mjpeg",
    "srt": "h264",
    "rtmp": "h264",
    "rtmps": "h264",
    "udp": "h264",
    "null": "none",
}
UNSEEN = ("preview", "window", "http", "obs", "null")
"""They pack a picture only where somebody looks."""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fakes are Linux programs")


@pytest.fixture(params=LIVE_SINKS)
def spec(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`--to`'s value for each sink, with all it needs in place."""
    name: str = request.param
    port = free_port()
    places = {
        "obs": f"obs:{port}",
        "http": f"http://127.0.0.1:{port}",
        "srt": f"srt://127.0.0.1:{port}?mode=listener",
        "udp": "udp://127.0.0.1:9",
    }
    if name == "vcam":
        fake_camera(tmp_path, monkeypatch)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    if name == "pipewire":
        with fake_pipewire(monkeypatch):
            yield name
    elif name.startswith("rtmp"):
        monkeypatch.setattr("streammatte.sinks.streams.links.RtmpLink", Taken)
        yield f"{name}://127.0.0.1:{port}/live/key"
    elif name == "srt" and not HAS_SRT:
        pytest.skip("libsrt is not installed")
    else:
        yield places.get(name, name)


class Taken:
    """In place of an RTMP server: it takes everything."""

    closed = False

    def __init__(self, *given: object) -> None: ...
    def open(self) -> None: ...
    def write(self, content: bytes) -> None: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


def named(spec: str) -> str:
    return spec.partition(":")[0]


@pytest.fixture
def sinks(spec: str) -> Iterator[Any]:
    """Opens them, and closes what a test has left open."""
    opened: list[LiveSink] = []

    def open_one(info: StreamInfo) -> LiveSink:
        opened.append(open_live_sink(spec, info))
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.abort()


def test_every_sink_is_covered() -> None:
    assert set(LIVE_SINKS) == set(CODECS)


def test_it_reports_what_it_showed(spec: str, sinks: Any) -> None:
    info = make_info()
    sink = sinks(info)
    for frame in make_frames(info, sink.kind):
        sink.write(frame)
    report = sink.finish()
    assert (report.name, report.frames, report.codec, report.av_drift_ms) == (sink.name, 6, CODECS[named(spec)], None)
    assert sink.kind == live_kind(spec) == ("fgr" if spec.startswith("obs") else "com")
    assert sink.name.startswith("preview" if spec == "window" else named(spec))
    json.dumps(sink.reach)
    assert "\n" not in "".join(report.notes)


def test_showing_nothing_is_no_fault(sinks: Any) -> None:
    assert sinks(make_info()).finish().frames == 0


def test_it_is_closed_once(sinks: Any) -> None:
    info = make_info()
    sink = sinks(info)
    sink.finish()
    sink.abort()
    with pytest.raises(SinkError, match="closed"):
        sink.finish()
    with pytest.raises(SinkError, match="closed"):
        sink.write(make_frames(info, sink.kind)[0])


def test_abort_may_come_at_any_time(sinks: Any) -> None:
    info = make_info()
    sink = sinks(info)
    sink.write(make_frames(info, sink.kind)[0])
    sink.abort()
    sink.abort()


def test_sound_is_ignored(sinks: Any) -> None:
    sink = sinks(make_info())
    sink.write_packet(Packet(1, None))
    assert sink.finish().frames == 0


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv444p10le", "gbrp", "gray", "yuv410p"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_it_takes_every_picture(sinks: Any, name: str, rotation: int) -> None:
    info = make_info(name, 63, 47, rotation=rotation)
    sink = sinks(info)
    sink.write(make_frames(info, sink.kind)[0])
    assert sink.finish().frames == 1


def test_a_frame_of_another_size_is_refused(spec: str, sinks: Any) -> None:
    sink = sinks(make_info())
    odd = make_frames(make_info(width=80), sink.kind)[0]
    if named(spec) in UNSEEN:
        sink.write(odd)  # nobody looks
    else:
        with pytest.raises(SinkError, match=r"80x48.*64x48"):
            sink.write(odd)


def test_showing_waits_for_nobody(sinks: Any) -> None:
    info = make_info(width=640, height=480)
    sink = sinks(info)
    frame = make_frames(info, sink.kind)[0]
    start = time.monotonic()
    for _ in range(60):
        sink.write(frame)
    assert time.monotonic() - start < 1.5


def test_any_thread_may_ask_whether_it_is_watched(sinks: Any) -> None:
    sink, answers = sinks(make_info()), []
    askers = [threading.Thread(target=lambda: answers.append(sink.watched())) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(answers) == 3
    assert set(answers) <= {True, False}


def test_an_unknown_sink_names_the_known() -> None:
    with pytest.raises(ConfigError, match="--to: unknown 'vcamera'; one of vcam, pipewire, preview, window"):
        open_live_sink("vcamera:x", make_info())
