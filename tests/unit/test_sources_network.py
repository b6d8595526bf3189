"""Live streams as input: publishers that come to us, go and come again, and streams that break."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from loopback import HAS_SRT, free_port
from scenes import make_frame
from sink_clips import make_frames, make_info

from streammatte.color import ColorSpec
from streammatte.errors import SinkError, SourceError
from streammatte.frame import Frame, Packet
from streammatte.kernels.host import frame_rgb
from streammatte.sinks.network import NetworkSink
from streammatte.sources import network
from streammatte.sources.addresses import awaits_publisher, is_network, listens_rtmp, shown
from streammatte.sources.network import NetworkSource
from streammatte.sources.options import SourceOptions
from streammatte.sources.resumed import Resumed

INFO = make_info(width=160, height=120)
_LASTS_S = 1.5
"""FFmpeg looks at a stream for a second before it says what it is."""
FRAME = make_frames(INFO, "com")[0]
srt_here = pytest.mark.skipif(not HAS_SRT, reason="libsrt is not installed")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_AGAIN_S", 0.1)


class Publisher:
    """Sends frames of `info` to `place` for a while, again and again: as OBS does that is started and stopped."""

    def __init__(self, place: str, *infos: Any) -> None:
        self._place, self._infos = place, infos
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def _publish(self) -> None:
        for info in self._infos:
            sink, frame = self._opened(info), make_frames(info, "com")[0]
            awaited = time.monotonic() + 10
            while not sink.watched() and time.monotonic() < awaited:
                time.sleep(0.02)
            end = time.monotonic() + _LASTS_S
            while time.monotonic() < end:
                sink.write(frame)
                time.sleep(0.02)
            sink.finish()
            time.sleep(0.1)

    def _opened(self, info: Any) -> NetworkSink:
        end = time.monotonic() + 20
        while True:
            try:
                return NetworkSink(self._place, info)
            except SinkError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture(params=["rtmp", pytest.param("srt", marks=srt_here), pytest.param("srt caller", marks=srt_here)])
def places(request: pytest.FixtureRequest) -> tuple[str, str]:
    """What we read, and what a publisher sends to."""
    if request.param == "rtmp":
        port = free_port()
        return f"rtmp://127.0.0.1:{port}/live?listen=1", f"rtmp://127.0.0.1:{port}/live/key"
    address = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    if request.param == "srt":
        return f"{address}?mode=listener&latency=20000", address
    return f"{address}?connect_timeout=3000", f"{address}?mode=listener"


def read(source: NetworkSource, enough: Callable[[list[Frame]], bool]) -> list[Frame]:
    frames: list[Frame] = []
    for event in source.events():
        if isinstance(event, Frame):
            frames.append(event)
        if enough(frames):
            break
    source.close()
    return frames


def test_a_publisher_comes_goes_and_comes_again(places: tuple[str, str]) -> None:
    here, there = places
    publisher = Publisher(there, INFO, INFO)
    source = NetworkSource(here)
    assert source.info.live
    frames = read(source, lambda frames: any(f.discontinuity for f in frames[:-2]))
    publisher.join()
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    assert all(after.time > before.time for before, after in pairwise(frames))
    assert len({(frame.time_base, frame.format, frame.color) for frame in frames}) == 1
    back = [frame for frame in frames if frame.discontinuity]
    assert len(back) == 1
    before = frames[back[0].seq - 1]
    passed_s = ((back[0].captured_ns or 0) - (before.captured_ns or 0)) / 1e9
    assert float(back[0].time - before.time) == pytest.approx(passed_s, abs=1.5), "time goes on by the clock"
    for frame in (frames[0], frames[-1]):
        difference = frame_rgb(frame, 160, 120) - frame_rgb(FRAME, 160, 120)
        assert np.abs(difference).mean() < 0.02
    assert any(note.startswith("the stream broke or ended 1 times, ") for note in source.notes)


@srt_here
def test_other_pictures_are_an_error() -> None:
    address = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    publisher = Publisher(address, INFO, make_info(width=320, height=240))
    source = NetworkSource(f"{address}?mode=listener")
    with pytest.raises(SourceError, match=r"came back as 320x240 .*, it was 160x120 .*; start again") as caught:
        read(source, lambda frames: False)
    source.close()
    publisher.join()
    assert "\n" not in str(caught.value)


@pytest.fixture(params=["rtmp", pytest.param("srt", marks=srt_here)])
def listening(request: pytest.FixtureRequest) -> str:
    if request.param == "rtmp":
        return f"rtmp://127.0.0.1:{free_port()}/live?listen=1"
    return f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}?mode=listener"


def publishing_to(listening: str) -> str:
    address = listening.partition("?")[0]
    return f"{address}/key" if listening.startswith("rtmp") else address


def test_ctrl_c_ends_the_wait(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = threading.Event.wait
    calls = iter(range(1000))

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout == network._POLL_S and next(calls) == 3:
            raise KeyboardInterrupt
        return waited(event, timeout)

    before = set(threading.enumerate())
    monkeypatch.setattr(threading.Event, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        NetworkSource(listening)
    monkeypatch.undo()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


def test_a_caller_that_says_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    publisher_may = threading.Event()

    def strangers() -> None:
        for _ in range(3):
            end = time.monotonic() + 10
            while time.monotonic() < end:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.02)
        publisher_may.set()

    stranger = threading.Thread(target=strangers)
    stranger.start()

    def publish() -> None:
        publisher_may.wait(20)
        Publisher(f"rtmp://127.0.0.1:{port}/live/key", INFO).join()

    publisher = threading.Thread(target=publish)
    publisher.start()
    source = NetworkSource(f"rtmp://127.0.0.1:{port}/live?listen=1")
    assert read(source, lambda frames: len(frames) > 2)
    stranger.join()
    publisher.join()


def test_close_from_another_thread_ends_the_wait_for_the_next(listening: str) -> None:
    publisher = Publisher(publishing_to(listening), INFO)
    source = NetworkSource(listening)
    publisher.join()
    threading.Timer(0.3, source.close).start()
    started = time.monotonic()
    assert read(source, lambda frames: False)
    assert time.monotonic() - started < 8


def test_duration_ends_it_also_while_nobody_publishes(listening: str) -> None:
    publisher = Publisher(publishing_to(listening), INFO)
    source = NetworkSource(listening, SourceOptions(duration_s=2.5))
    started = time.monotonic()
    assert read(source, lambda frames: False)
    assert time.monotonic() - started < 8
    publisher.join()


# what is refused


def test_the_first_call_must_be_answered() -> None:
    with pytest.raises(SourceError, match=r"cannot be opened \(connection refused\)"):
        NetworkSource(f"rtmp://127.0.0.1:{free_port()}/live/key")


@srt_here
def test_the_first_srt_call_must_be_answered() -> None:
    with pytest.raises(SourceError, match=r"cannot be opened \(.*timed out\); check the address and that the stream"):
        NetworkSource(f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}?connect_timeout=100")


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SourceError, match=r"cannot be listened at \(address already in use\); give another port"):
            NetworkSource(f"rtmp://127.0.0.1:{port}/live?listen=1")


@pytest.mark.parametrize("spec", ["rtmp://:1935/live?listen=1", "srt://:9000?mode=listener"])
def test_listening_everywhere_is_said_in_full(spec: str) -> None:
    with pytest.raises(SourceError, match=r"give the host too: 127\.0\.0\.1, or 0\.0\.0\.0 for callers from other"):
        NetworkSource(spec)


@pytest.mark.parametrize("spec", ["srt://127.0.0.1", "srt://127.0.0.1:9000?latency=x"])
def test_what_is_no_srt_address(spec: str) -> None:
    with pytest.raises(SourceError, match=r"give srt://host:port|is no whole number"):
        NetworkSource(spec)


def test_which_are_live() -> None:
    assert is_network("rtsp://a/b")
    assert not is_network("https://a/b.m3u8")
    assert not is_network("clip.mp4")
    assert listens_rtmp("rtmp://127.0.0.1/live?listen=1")
    assert not listens_rtmp("rtmp://127.0.0.1/live?listen=0")
    assert not listens_rtmp("srt://127.0.0.1/live?listen=1")
    assert awaits_publisher("rtmp://127.0.0.1/live?listen=1")
    assert awaits_publisher("srt://127.0.0.1:9001?latency=20000&mode=listener")
    assert not awaits_publisher("srt://127.0.0.1:9001")
    assert not awaits_publisher("in.mp4")


# the one time line


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    found = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr("streammatte.sources.resumed.time.monotonic", lambda: found.now_s)
    return found


def test_another_time_base_and_sound_are_brought_to_the_first(clock: SimpleNamespace) -> None:
    audio = ((1, SimpleNamespace(type="audio", name="aac")),)
    info = make_info(passthrough=audio)
    resumed = Resumed(info)
    frame = make_frame(pts=50, time_base=Fraction(1, 25))
    assert resumed.event(frame) is frame
    sound = Packet(1, "sound")
    assert resumed.event(sound) == sound
    clock.now_s = 103.0
    resumed.reopened(info)
    assert resumed.event(sound) is None, "its place is not known yet"
    back = resumed.event(make_frame(pts=900_000, time_base=Fraction(1, 90000), duration=3600))
    assert isinstance(back, Frame)
    assert (back.pts, back.time_base, back.duration, back.seq, back.discontinuity) == (125, Fraction(1, 25), 1, 1, True)
    moved = resumed.event(sound)
    assert isinstance(moved, Packet)
    assert 10 - moved.start_s == 5
    again = resumed.event(make_frame(pts=900_001, time_base=Fraction(1, 90000)))
    assert isinstance(again, Frame)
    assert (again.pts, again.seq, again.discontinuity) == (126, 2, False)
    resumed.reopened(replace(info, passthrough=()))
    resumed.event(make_frame())
    assert resumed.event(sound) is None, "there is no such sound any more"


@pytest.mark.parametrize("change", [{"color": ColorSpec(6, 1, 1, False)}, {"rotation": 90}, {"width": 80}])
def test_all_that_frames_keep_to_is_compared(change: dict[str, Any]) -> None:
    resumed = Resumed(INFO)
    resumed.reopened(INFO)
    with pytest.raises(SourceError, match="came back as"):
        resumed.reopened(replace(INFO, **change))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("rtsp://me:word@door/1", "rtsp://me:…@door/1"),
        ("rtsp://me@door/1", "rtsp://me@door/1"),
        ("srt://h:1?mode=listener&passphrase=0123456789&latency=5", "srt://h:1?mode=listener&passphrase=…&latency=5"),
        ("https://h/a.m3u8?Token=x%20y&b=1", "https://h/a.m3u8?Token=…&b=1"),
        ("rtmp://h/app?listen=1", "rtmp://h/app?listen=1"),
        ("a:b@c.mp4", "a:b@c.mp4"),
    ],
)
def test_what_is_secret_is_not_shown(spec: str, said: str) -> None:
    assert shown(spec) == said


def test_errors_keep_passwords() -> None:
    with pytest.raises(SourceError, match=r"rtsp://me:…@127\.0\.0\.1") as caught:
        NetworkSource(f"rtsp://me:word@127.0.0.1:{free_port()}/1")
    assert "word" not in str(caught.value)
