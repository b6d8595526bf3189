"""Live streams over loopback: what arrives, who may listen where, what is hidden, and peers that go, come and hang."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from loopback import HAS_SRT, free_port
from sink_clips import make_frames, make_info

from streammatte.color import ColorSpec
from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.kernels.host import frame_rgb
from streammatte.sinks import network
from streammatte.sinks.network import NetworkSink
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.streams.network_plan import Target, plan_stream
from streammatte.sinks.streams.streaming import Pictures, Streaming
from streammatte.sources.file import FileSource
from streammatte.srt import SrtAddress, SrtError, SrtListener, connect

INFO = make_info(width=320, height=240)
FRAMES = make_frames(INFO, "com")
srt_here = pytest.mark.skipif(not HAS_SRT, reason="libsrt is not installed")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_AGAIN_S", 0.1)


@pytest.fixture
def sinks() -> Iterator[Callable[..., NetworkSink]]:
    opened: list[NetworkSink] = []

    def open_one(place: str, info: StreamInfo = INFO, options: SinkOptions | None = None) -> NetworkSink:
        opened.append(NetworkSink(place, info, options or SinkOptions()))
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.abort()
        assert sink._sending.ended.is_set()


def await_true(what: Callable[[], object]) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


def write_until(sink: NetworkSink, done: Callable[[], object]) -> bool:
    """Frames as a camera gives them."""

    def write() -> object:
        sink.write(FRAMES[0])
        time.sleep(0.02)
        return done()

    return await_true(write)


class Peer:
    """Reads a stream in a thread of its own until it ends or `leave` is called."""

    def __init__(self, opens: Callable[[], Any], **options: Any) -> None:
        self._opens, self._options = opens, options
        self.frames: list[av.VideoFrame] = []
        self.failure: BaseException | None = None
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            with av.open(self._opens(), "r", timeout=10.0, **self._options) as container:
                for frame in container.decode(video=0):
                    self.frames.append(frame)
                    if self._leaving.is_set():
                        return
        except (OSError, av.FFmpegError) as error:
            self.failure = error

    def leave(self) -> None:
        self._leaving.set()
        self.join()

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


class SrtFile:
    """An SRT connection as a file to read from, closed by its reader's end."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def read(self, size: int) -> bytes:
        try:
            while (datagram := self._connection.receive()) is None:
                pass
        except SrtError:
            return b""
        return datagram

    def close(self) -> None:
        self._connection.close()


def rtmp_peer(port: int) -> Peer:
    return Peer(lambda: f"rtmp://127.0.0.1:{port}/live", options={"listen": "1", "analyzeduration": "100000"})


def published(sinks: Any, port: int, **kwargs: Any) -> NetworkSink:
    """A sink, once FFmpeg listens."""
    sink: list[NetworkSink] = []

    def opens() -> bool:
        with contextlib.suppress(SinkError):
            sink.append(sinks(f"rtmp://127.0.0.1:{port}/live/secret-key", **kwargs))
        return bool(sink)

    assert await_true(opens)
    return sink[0]


def accept(listener: SrtListener) -> Any:
    found: list[Any] = []
    assert await_true(lambda: (c := listener.accept()) is not None and not found.append(c))
    return found[0]


def assert_same_picture(frame: av.VideoFrame) -> None:
    for index, plane in enumerate(FRAMES[0].planes):
        sent = np.frombuffer(frame.planes[index], np.uint8).reshape(frame.planes[index].height, -1)
        assert np.abs(sent[:, : plane.shape[1]].astype(int) - plane).mean() < 2


# what arrives


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_rtmp(sinks: Any, codec: str) -> None:
    port = free_port()
    peer = rtmp_peer(port)
    sink = published(sinks, port, options=SinkOptions(codec=codec))
    assert sink.watched()
    assert write_until(sink, lambda: len(peer.frames) > 3)
    report = sink.finish()
    peer.join()
    assert_same_picture(peer.frames[-1])
    assert peer.frames[0].key_frame
    assert report.codec == codec
    assert "without sound" in report.notes[0]
    assert "reconnected" not in "".join(report.notes)


@srt_here
def test_srt_caller(sinks: Any) -> None:
    port = free_port(socket.SOCK_DGRAM)
    listener = SrtListener(SrtAddress.parse(f"srt://127.0.0.1:{port}?mode=listener"))
    sink = sinks(f"srt://127.0.0.1:{port}?latency=20000")
    peer = Peer(lambda: SrtFile(accept(listener)))
    assert write_until(sink, lambda: len(peer.frames) > 3)
    sink.finish()
    peer.join()
    listener.close()
    assert_same_picture(peer.frames[-1])
    assert (peer.frames[0].colorspace, peer.frames[0].color_range) == (1, 1)


def test_udp(sinks: Any) -> None:
    receiver = socket.socket(type=socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(5)
    sink = sinks(f"udp://127.0.0.1:{receiver.getsockname()[1]}")
    assert sink.watched(), "cannot be told"
    for frame in FRAMES:
        sink.write(frame)
        time.sleep(0.05)
    datagrams = [receiver.recv(2000)]
    assert all(len(datagram) <= 1316 and len(datagram) % 188 == 0 for datagram in datagrams)
    assert datagrams[0][0] == 0x47
    receiver.close()
    sink.write(FRAMES[0])
    time.sleep(0.1)
    sink.write(FRAMES[0])
    assert "reconnected" not in "".join(sink.finish().notes), "nobody there is no fault"


class Kept:
    """A link that keeps what it carries."""

    closed = False

    def __init__(self) -> None:
        self.content = b""

    def open(self) -> None: ...
    def check(self) -> None: ...
    def close(self) -> None: ...
    def write(self, content: bytes) -> None:
        assert len(content) <= 1316
        self.content += content


def sent(info: StreamInfo, frames: list[Frame], folder: Path, options: SinkOptions | None = None) -> list[Frame]:
    """What a player makes of the stream."""
    target, options = Target.parse("udp://127.0.0.1:9", SinkOptions()), options or SinkOptions()
    plan, link = plan_stream(target, info, options), Kept()
    pictures, streaming = Pictures(plan, info), Streaming(plan, info, options, link)
    for frame in frames:
        streaming.write(pictures.convert(frame))
        time.sleep(0.002)
    streaming.close()
    (folder / "a.ts").write_bytes(link.content)
    source = FileSource(str(folder / "a.ts"))
    found = [event for event in source.events() if isinstance(event, Frame)]
    source.close()
    return found


@pytest.mark.parametrize(
    ("name", "color", "matrix"),
    [
        ("yuv420p", ColorSpec(1, 1, 1, False), 1),
        ("yuv420p", ColorSpec(6, 1, 1, False), 6),
        ("yuv420p", ColorSpec(), 6),
        ("yuv420p", ColorSpec(1, 1, 1, True), 1),
        ("yuv422p", ColorSpec(1, 1, 1, False), 1),
        ("yuv444p10le", ColorSpec(1, 1, 1, False), 1),
        ("gbrp", ColorSpec(0, 1, 1, True), 1),
        ("gray", ColorSpec(1, 1, 1, True), 1),
    ],
)
@pytest.mark.parametrize("rotation", [0, 90, 180])
def test_colours_of_every_picture(name: str, color: ColorSpec, matrix: int, rotation: int, tmp_path: Path) -> None:
    info = make_info(name, 127, 96, color=color, rotation=rotation)
    frame = make_frames(info, "com")[0]
    found = sent(info, [frame] * 3, tmp_path, SinkOptions(crf=1))
    assert len(found) == 3
    width, height = (128, 96) if rotation % 180 == 0 else (96, 128)
    assert (found[0].width, found[0].height) == (width, height)
    assert (found[0].color.matrix, found[0].color.full_range) == (matrix, False)
    assert (found[0].color.primaries, found[0].color.transfer) == (1, 1)
    as_stored = np.rot90(frame_rgb(found[-1], width, height), -rotation // 90)
    assert np.abs(as_stored[:, :127] - frame_rgb(frame, 127, 96)).mean() < 0.01


def test_a_key_frame_each_second_and_none_is_held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(10**9, 10**12, 200_000_000))
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(times))
    target, link = Target.parse("udp://127.0.0.1:9", SinkOptions()), Kept()
    plan = plan_stream(target, INFO, SinkOptions())
    pictures, streaming = Pictures(plan, INFO), Streaming(plan, INFO, SinkOptions(), link)
    for _ in range(12):  # the card's own five a second, at one and the same pts
        before = len(link.content)
        streaming.write(pictures.convert(FRAMES[0]))
        assert len(link.content) > before
    streaming.close()
    (tmp_path / "a.ts").write_bytes(link.content)
    with av.open(str(tmp_path / "a.ts")) as container:
        packets = [(p.pts, p.dts, p.is_keyframe) for p in container.demux(video=0) if p.size]
    assert [number for number, (_, _, key) in enumerate(packets) if key] == [0, 5, 10]
    assert all(pts == dts for pts, dts, _ in packets)
    assert {after[0] - before[0] for before, after in pairwise(packets)} == {18000}


@pytest.mark.parametrize(
    ("size", "rate", "mbits"),
    [((64, 48), 30, 1.0), ((1280, 720), 30, 3.0), ((1920, 1080), 30, 6.8), ((3840, 2160), 60, 8.0)],
)
def test_the_rate_has_a_ceiling_by_size(size: tuple[int, int], rate: int, mbits: float) -> None:
    target = Target.parse("udp://127.0.0.1:9", SinkOptions())
    plan = plan_stream(target, make_info(width=size[0], height=size[1], rate=Fraction(rate)), SinkOptions())
    assert int(dict(plan.options)["maxrate"]) / 1e6 == pytest.approx(mbits, abs=0.05)
    assert f"at most {mbits:.1f} Mbit/s" in plan.notes[0]


# what is refused


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (SinkOptions(codec="vp9"), "--codec: .* takes h264 or hevc, not 'vp9'"),
        (SinkOptions(pix_fmt="yuv444p"), "--pix-fmt: .* takes yuv420p"),
        (SinkOptions(crf=52), "--crf: 52 is out of range; h264 takes 0 to 51"),
        (SinkOptions(preset="hasty"), "--preset: libx264 does not take preset 'hasty'"),
    ],
)
def test_what_cannot_be_sent(options: SinkOptions, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        NetworkSink("udp://127.0.0.1:9", INFO, options)


@pytest.mark.parametrize(
    ("place", "match"),
    [
        ("srt://127.0.0.1", "give srt://HOST:PORT"),
        ("srt://:9000", "give srt://HOST:PORT"),
        ("srt://127.0.0.1:9000?mode=rendezvous", "give caller or listener"),
        ("srt://127.0.0.1:9000?wait=1", "'wait' is no option of srt:// here"),
        ("srt://127.0.0.1:9000?latency=soon", "latency 'soon' is no whole number"),
        ("srt://127.0.0.1:9000?passphrase=short", "a passphrase has 10 to 79 bytes"),
        ("rtmp://127.0.0.1/live", "give rtmp://HOST/APP/KEY"),
        ("rtmps://me:word@host/live/key", "give rtmps://HOST/APP/KEY, without a user name"),
        ("udp://127.0.0.1", "give udp://HOST:PORT"),
        ("udp://127.0.0.1:99999", "Port out of range"),
        ("srt://:9000?mode=listener", "would listen beyond this machine; allow it with --listen 0.0.0.0"),
        ("srt://0.0.0.0:9000?mode=listener", "allow it with --listen 0.0.0.0"),
        ("srt://192.0.2.7:9000?mode=listener", "allow it with --listen 192.0.2.7"),
    ],
)
def test_what_is_no_address(place: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        NetworkSink(place, INFO)
    assert "\n" not in str(caught.value)
    assert "short" not in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")


@srt_here
def test_listening_beyond_this_machine_where_it_was_asked_for(sinks: Any) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sinks(f"srt://:{port}?mode=listener", options=SinkOptions(listen="0.0.0.0"))


def test_nobody_there(sinks: Any) -> None:
    port = free_port()
    match = rf"^rtmp://127\.0\.0\.1:{port}/live/…: cannot be reached \(connection refused\); check the address"
    with pytest.raises(SinkError, match=match):
        NetworkSink(f"rtmp://127.0.0.1:{port}/live/secret-key", INFO)


@srt_here
def test_no_srt_peer_there(sinks: Any) -> None:
    place = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}?streamid=secret-key&connect_timeout=100"
    with pytest.raises(SinkError, match=r"streamid=….*cannot be reached.*timed out.*mode=listener") as caught:
        NetworkSink(place, INFO)
    assert "secret" not in str(caught.value)


def test_without_libsrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streammatte.srt.find_library", lambda name: None)
    monkeypatch.setattr("streammatte.srt._library", __import__("streammatte.srt").srt._library.__wrapped__)
    with pytest.raises(SinkError, match="needs libsrt, which is not installed"):
        NetworkSink("srt://127.0.0.1:9", INFO)


@srt_here
def test_a_port_to_listen_at_that_is_taken(sinks: Any) -> None:
    place = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}?mode=listener"
    sinks(place)
    with pytest.raises(SinkError, match=r"cannot be listened at .* stop what has that port, or give another"):
        NetworkSink(place, INFO)


def test_secrets_are_not_shown(sinks: Any) -> None:
    port = free_port()
    peer = rtmp_peer(port)
    sink = published(sinks, port)
    assert sink.reach == {"url": f"rtmp://127.0.0.1:{port}/live/…"}
    report = sink.finish()
    peer.join()
    assert "secret" not in repr(report) + sink.name + sink._sending.name
    shown = Target.parse("srt://h:1?passphrase=0123456789&latency=5000&streamid=x/y", SinkOptions()).shown
    assert shown == "srt://h:1?passphrase=…&latency=5000&streamid=…"
    assert Target.parse("rtmps://h/a/b/key?sign=1", SinkOptions()).shown == "rtmps://h/a/b/…"


def test_a_frame_of_another_size(sinks: Any) -> None:
    sink = sinks("udp://127.0.0.1:9")
    with pytest.raises(SinkError, match=r"64x48.*320x240"):
        sink.write(make_frames(make_info(), "com")[0])


# peers that go, come and hang


def test_an_rtmp_server_that_goes_is_called_again(sinks: Any) -> None:
    port = free_port()
    first = rtmp_peer(port)
    sink = published(sinks, port)
    assert write_until(sink, lambda: first.frames)
    leaving = threading.Thread(target=first.leave)
    leaving.start()
    assert write_until(sink, lambda: not sink.watched()), "nobody can see it now"
    leaving.join()
    second = rtmp_peer(port)
    assert write_until(sink, lambda: len(second.frames) > 2)
    assert sink.watched()
    note = next(note for note in sink.finish().notes if note.startswith("reconnected"))
    second.join()
    assert second.frames[0].key_frame
    assert note.startswith("reconnected 1 times, ")
    assert " s without (" in note
    assert "away at the end" not in note


@srt_here
def test_an_srt_peer_that_goes_is_called_again(sinks: Any) -> None:
    port = free_port(socket.SOCK_DGRAM)
    address = SrtAddress.parse(f"srt://127.0.0.1:{port}?mode=listener")
    listener = SrtListener(address)
    sink = sinks(f"srt://127.0.0.1:{port}?connect_timeout=200")
    peer = accept(listener)
    time.sleep(0.1)  # libsrt tells nobody of a connection that is closed as it is made; then 5 s of silence do
    peer.close()
    listener.close()
    assert await_true(lambda: not sink.watched()), "noticed without a frame"
    listener = SrtListener(address)
    reader = Peer(lambda: SrtFile(accept(listener)))
    assert write_until(sink, lambda: len(reader.frames) > 2)
    assert any("reconnected 1 times" in note for note in sink.finish().notes)
    reader.join()
    listener.close()


@srt_here
def test_callers_come_and_go(sinks: Any) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sink = sinks(f"srt://127.0.0.1:{port}?mode=listener")
    sink.write(FRAMES[0])
    assert not sink.watched()
    for _ in range(2):
        caller = connect(SrtAddress.parse(f"srt://127.0.0.1:{port}"))
        peer = Peer(lambda caller=caller: SrtFile(caller))
        assert write_until(sink, lambda peer=peer: len(peer.frames) > 2)
        assert sink.watched()
        caller.close()
        peer.join()
        assert await_true(lambda: not sink.watched())
    assert "callers served, one after the other: 2" in sink.finish().notes


def test_finish_does_not_wait_for_a_server_that_says_nothing(sinks: Any) -> None:
    port = free_port()
    peer = rtmp_peer(port)
    sink = published(sinks, port)
    assert write_until(sink, lambda: peer.frames)
    leaving = threading.Thread(target=peer.leave)
    leaving.start()
    assert write_until(sink, lambda: not sink.watched())
    leaving.join()
    with socket.create_server(("127.0.0.1", port)) as silent:
        silent.settimeout(10)
        caller, _ = silent.accept()
        start = time.monotonic()
        notes = sink.finish().notes
        assert time.monotonic() - start < 4
        caller.close()
    note = next(note for note in notes if note.startswith("reconnected 0 times"))
    assert "and was away at the end" in note


class Stuck(Kept):
    """A link whose peer takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def write(self, content: bytes) -> None:
        self.released.wait()
        raise ConnectionAbortedError("closed")

    def close(self) -> None:
        self.closed = True
        self.released.set()


@pytest.mark.parametrize("ending", ["finish", "abort"])
def test_a_peer_that_takes_nothing_holds_up_nobody(sinks: Any, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class StuckLinks:
        def __init__(self, *given: Any) -> None: ...
        def link(self) -> Stuck:
            return Stuck()

        def close(self) -> None: ...

    monkeypatch.setattr(network, "Links", StuckLinks)
    sink = sinks("udp://127.0.0.1:9")
    start = time.monotonic()
    for _ in range(60):
        sink.write(FRAMES[0])
    report = getattr(sink, ending)()
    assert time.monotonic() - start < 4
    if report is not None:
        assert any("frames dropped" in note for note in report.notes)
