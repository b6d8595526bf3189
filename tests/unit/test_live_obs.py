"""What those who connect to `--to obs` are sent, when, and at whose pace; OBS itself is in the system tests."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
import pytest
from sink_clips import make_frames, make_info, plane

from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks.bgra import BgraPacker
from streammatte.sinks.obs import ObsSink
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.streams import clients, vp9
from streammatte.sinks.streams.clock import Clock
from streammatte.sinks.streams.webm import coded_block

INFO = make_info(width=320, height=240)
FRAMES = make_frames(INFO, "fgr")
CODECS = ("raw", "vp9")


@pytest.fixture(autouse=True)
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streammatte.sinks.obs._PORT", 0)


@pytest.fixture
def sinks() -> Iterator[Callable[..., ObsSink]]:
    """Opens them, closes what a test has left open, and looks that no thread stays."""
    opened: list[ObsSink] = []

    def open_one(place: str = "raw", info: StreamInfo = INFO, **options: Any) -> ObsSink:
        opened.append(ObsSink(place, info, SinkOptions(**options)))
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.abort()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("obs")] == []


def port_of(sink: ObsSink) -> int:
    return int(str(sink.reach["url"]).rpartition(":")[2])


def await_true(what: Callable[[], object], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.005)
    return False


class Client:
    """Takes what it is sent, as it comes."""

    def __init__(self, sink: ObsSink, reads: bool = True) -> None:
        before = sink._stream.clients.served
        self.connection = socket.create_connection(("127.0.0.1", port_of(sink)), timeout=10)
        self.taken = bytearray()
        self._thread = threading.Thread(target=self._read)
        if reads:
            self._thread.start()
        assert await_true(lambda: sink._stream.clients.served > before)
        if reads:
            assert await_true(lambda: self.taken), "the header comes at once"

    def _read(self) -> None:
        try:
            while piece := self.connection.recv(1 << 20):
                self.taken += piece
        except OSError:
            return

    def ended(self) -> bytes:
        """All that came, once the other side has hung up."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.connection.close()
        return bytes(self.taken)

    def leave(self, rudely: bool = False) -> None:
        if rudely:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self._thread.is_alive():
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


@dataclass
class Seen:
    pts: int
    key: bool
    bgra: np.ndarray | None
    planes: list[np.ndarray]
    matrix: int


def pictures(sink: ObsSink, taken: bytes) -> list[Seen]:
    """What a reader makes of it."""
    decoder: Any = av.CodecContext.create("libvpx-vp9", "r") if sink.reach["codec"] == "vp9" else None
    seen = []
    with av.open(io.BytesIO(taken), format=str(sink.reach["format"])) as container:
        for packet in container.demux(video=0):
            if packet.size:
                frame: Any = (decoder.decode(packet) if decoder else packet.decode())[0]
                bgra = None if decoder else frame.to_ndarray()
                planes = [plane(frame, index) for index in range(4)] if decoder else []
                assert packet.pts is not None
                seen.append(Seen(packet.pts, packet.is_keyframe, bgra, planes, frame.colorspace))
    return seen


def whole(sink: ObsSink, taken: bytearray) -> int:
    """How many pictures are there to the end."""
    width, height = (int(str(sink.reach[side])) for side in ("width", "height"))
    if sink.reach["codec"] == "raw":
        return len(taken) // (width * height * 4)
    place, count = taken.find(bytes.fromhex("1f43b675")), 0
    while 0 < place <= len(taken) - 12:
        place += 12 + int.from_bytes(taken[place + 5 : place + 12], "big")
        count += place <= len(taken)
    return count


def send(sink: ObsSink, frame: Frame, *to: Client) -> None:
    """Write one frame, and wait until all have it."""
    before = [whole(sink, client.taken) for client in to]
    sink.write(frame)
    for client, count in zip(to, before, strict=True):
        assert await_true(lambda client=client, count=count: whole(sink, client.taken) > count)


def flat(value: int, alpha: int) -> Frame:
    frame = FRAMES[0]
    planes = tuple(np.full_like(p, v) for p, v in zip(frame.planes, (value, 128, 128), strict=True))
    return replace(frame, planes=planes, alpha=np.full_like(frame.planes[0], alpha))


# what they get


def test_raw_is_exact(sinks: Any) -> None:
    sink = sinks("raw")
    client = Client(sink)
    for frame in FRAMES:
        send(sink, frame, client)
    report = sink.finish()
    seen = pictures(sink, client.ended())
    packer = BgraPacker("x", INFO)
    for frame, got in zip(FRAMES, seen, strict=True):
        np.testing.assert_array_equal(got.bgra, packer.pack(frame))
        assert got.key
    assert seen[0].pts == 0
    assert np.all(np.diff([got.pts for got in seen]) > 0)
    assert (report.frames, report.codec, sink.kind) == (6, "bgra", "fgr")
    assert report.notes == ("sent as 8-bit BGRA with straight alpha, from yuv420p", "clients served: 1")


def test_vp9_is_close(sinks: Any) -> None:
    sink = sinks("vp9")
    client = Client(sink)
    for frame in FRAMES * 4:
        send(sink, frame, client)
    report = sink.finish()
    seen = pictures(sink, client.ended())
    assert len(seen) == 24
    assert [i for i, got in enumerate(seen) if got.key] == [0, 4, 8, 12], "often at first"
    for frame, got in zip(FRAMES * 4, seen, strict=True):
        for want, shown in zip((*frame.planes, frame.alpha), got.planes, strict=True):
            assert want is not None
            assert np.abs(shown.astype(int) - want).mean() < 1
        assert got.matrix == 1, "the matrix is said"
    assert seen[0].pts == 0
    assert np.all(np.diff([got.pts for got in seen]) > 0)
    assert (report.codec, report.notes[-1]) == ("vp9", "clients served: 1")


@pytest.mark.parametrize("codec", CODECS)
def test_a_player_connects_to_its_url(codec: str, sinks: Any) -> None:
    sink = sinks(codec)
    stop = threading.Event()

    def show() -> None:
        while not stop.wait(0.02):
            sink.write(flat(180, 128))

    showing = threading.Thread(target=show)
    showing.start()
    try:
        with av.open(str(sink.reach["url"]), format=str(sink.reach["format"]), timeout=10) as container:
            stream = container.streams.video[0]
            size = (stream.codec_context.width, stream.codec_context.height)
            packets = [packet for packet, _ in zip(container.demux(stream), range(5), strict=False)]
    finally:
        stop.set()
        showing.join()
    assert size == (sink.reach["width"], sink.reach["height"]) == (320, 240)
    assert all(packet.size for packet in packets)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv444p10le", "gbrp", "gray", "yuv410p"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_every_picture_arrives_upright(codec: str, name: str, rotation: int, sinks: Any) -> None:
    info = make_info(name, 63, 47, rotation=rotation)
    sink, frame = sinks(codec, info), make_frames(info, "fgr")[0]
    client = Client(sink)
    send(sink, frame, client)
    sink.finish()
    (got,) = pictures(sink, client.ended())
    want = BgraPacker("x", info).pack(frame)
    assert (sink.reach["width"], sink.reach["height"]) == want.shape[1::-1]
    if codec == "raw":
        np.testing.assert_array_equal(got.bgra, want)
    else:
        assert got.planes[3].shape == want.shape[:2]
        assert np.abs(got.planes[3].astype(int) - want[..., 3]).mean() < 2


# when


@pytest.mark.parametrize("codec", CODECS)
def test_who_comes_late_begins_with_the_next_picture(codec: str, sinks: Any) -> None:
    sink = sinks(codec)
    first = Client(sink)
    for frame in FRAMES[:3]:
        send(sink, frame, first)
    late = Client(sink)
    send(sink, flat(200, 77), first, late)
    send(sink, flat(210, 99), first, late)
    sink.finish()
    seen = pictures(sink, late.ended())
    assert len(seen) == 2
    assert (seen[0].pts, seen[0].key) == (0, True)
    alphas = [got.bgra[..., 3] if got.bgra is not None else got.planes[3] for got in seen]
    assert [np.abs(alpha.astype(int) - want).max() <= 2 for alpha, want in zip(alphas, (77, 99), strict=True)]
    assert len(pictures(sink, first.ended())) == 5


def test_nothing_is_made_for_nobody(sinks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(BgraPacker, "pack", lambda *args: made.append(args))
    monkeypatch.setattr(vp9, "_Coder", lambda *args: made.append(args))
    for codec in CODECS:
        sink = sinks(codec)
        sink.write(FRAMES[0])
        sink.write(make_frames(make_info(width=80), "fgr")[0])
        assert not sink.watched()
        assert sink.finish().frames == 2
    assert made == []


@pytest.mark.parametrize("codec", CODECS)
def test_it_is_made_once_for_all(codec: str, sinks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    maker, name = (BgraPacker, "pack") if codec == "raw" else (vp9._Coder, "encode")
    original = getattr(maker, name)
    monkeypatch.setattr(maker, name, lambda *args: made.append(1) or original(*args))
    sink = sinks(codec)
    several = [Client(sink) for _ in range(3)]
    for frame in FRAMES[:2]:
        send(sink, frame, *several)
    sink.finish()
    assert [len(pictures(sink, client.ended())) for client in several] == [2, 2, 2]
    assert len(made) == 2


def test_coding_begins_anew_for_the_next_client(sinks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vp9, "_IDLE_S", 0.02)
    begun: list[object] = []
    original = vp9._Coder
    monkeypatch.setattr(vp9, "_Coder", lambda *args: begun.append(1) or original(*args))
    sink = sinks("vp9")
    for _ in range(2):
        client = Client(sink)
        send(sink, FRAMES[0], client)
        client.leave()
        assert await_true(lambda: not sink.watched())
        time.sleep(0.2)
    assert len(begun) == 2


def test_time_starts_slowly_to_be_early_ever_after() -> None:
    clock = Clock()
    given = [5000, 5000, 5100, 6000, 8000, 9000, 9000, 15000]
    assert [clock.since_first(at) for at in given] == [0, 1, 50, 500, 1500, 2500, 2501, 8500]


def test_who_misses_a_coded_picture_waits_for_a_key() -> None:
    written: list[bytes] = []

    class Line:
        def write(self, piece: bytes) -> None:
            written.append(piece)

    muxer = vp9._WebmMuxer(b"header", Line())  # type: ignore[arg-type]
    for number, key in [(6, False), (7, True), (8, False), (10, False), (11, False), (12, True), (13, False)]:
        content = str(number).encode()
        muxer.mux(vp9._Coded(number, number * 33, coded_block(content, b"", key), key))
    assert [len(written), written[0]] == [5, b"header"]
    assert [n for n in range(6, 14) if any(b"\x81\0\0\0%d" % n in piece for piece in written)] == [7, 8, 12, 13]


# at whose pace


@pytest.mark.parametrize("codec", CODECS)
def test_a_slow_client_misses_pictures_and_holds_up_nobody(codec: str, sinks: Any) -> None:
    info = make_info(width=640, height=480)
    noise = make_frames(info, "fgr")[0]
    noise.planes[0][:] = np.random.default_rng(1).integers(16, 235, noise.planes[0].shape)
    sink = sinks(codec, info)
    slow, quick = Client(sink, reads=False), Client(sink)
    count = 40
    for _ in range(count):
        send(sink, noise, quick)
    # What the system keeps for a client that does not read is a few MB.
    assert await_true(lambda: sink._stream.clients.missed > 0) or codec == "vp9"
    report = sink.finish()
    assert len(pictures(sink, quick.ended())) == count
    slow.leave()
    if codec == "raw":
        assert "clients served: 2; pictures dropped for those too slow: " in report.notes[-1]


def test_writing_waits_for_nobody(sinks: Any) -> None:
    info = make_info(width=640, height=480)
    sink, frame = sinks("raw", info), make_frames(info, "fgr")[0]
    stuck = Client(sink, reads=False)
    start = time.monotonic()
    for _ in range(60):
        sink.write(frame)
    assert time.monotonic() - start < 5
    start = time.monotonic()
    sink.finish()
    assert time.monotonic() - start < 5, "a client that takes nothing is sent away"
    stuck.leave()


@pytest.mark.parametrize("rudely", [True, False])
def test_who_hangs_up_disturbs_nobody(rudely: bool, sinks: Any) -> None:
    sink = sinks("raw")
    staying, going = Client(sink), Client(sink, reads=False)
    send(sink, FRAMES[0], staying)
    going.leave(rudely)
    for frame in FRAMES[1:]:
        send(sink, frame, staying)
    assert await_true(lambda: len(sink._stream.clients) == 1)
    sink.finish()
    assert len(pictures(sink, staying.ended())) == 6


@pytest.mark.parametrize("codec", CODECS)
def test_it_is_watched_until_the_last_has_gone(codec: str, sinks: Any) -> None:
    sink = sinks(codec)
    client = Client(sink)
    assert sink.watched()
    client.leave()
    assert await_true(lambda: not sink.watched()), "noticed without a frame"


def test_who_takes_nothing_is_let_go(sinks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_STUCK_S", 0.2)
    info = make_info(width=1280, height=720)
    sink, frame = sinks("raw", info), make_frames(info, "fgr")[0]
    stuck = Client(sink, reads=False)
    end = time.monotonic() + 20
    while sink.watched() and time.monotonic() < end:
        sink.write(frame)
        time.sleep(0.02)
    assert not sink.watched()
    stuck.leave()


def test_clients_are_so_many(sinks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_MOST", 2)
    sink = sinks("raw")
    let_in = [Client(sink) for _ in range(2)]
    with socket.create_connection(("127.0.0.1", port_of(sink)), timeout=5) as refused:
        assert refused.recv(1) == b""
    assert len(sink._stream.clients) == 2
    for client in let_in:
        client.leave()


@pytest.mark.parametrize("codec", CODECS)
def test_the_last_picture_arrives(codec: str, sinks: Any) -> None:
    sink = sinks(codec)
    client = Client(sink)
    send(sink, flat(200, 255), client)
    sink.write(flat(200, 0))
    sink.finish()
    seen = pictures(sink, client.ended())
    last = seen[-1].bgra[..., 3] if seen[-1].bgra is not None else seen[-1].planes[3]
    assert (len(seen), last.max() <= 2) == (2, True)


# who is turned away, and where it listens


@pytest.mark.parametrize("codec", CODECS)
def test_a_browsers_request_gets_no_picture(codec: str, sinks: Any) -> None:
    sink = sinks(codec)
    with socket.create_connection(("127.0.0.1", port_of(sink)), timeout=5) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await_true(lambda: sink._stream.clients.served)
        assert await_true(lambda: not sink.watched())
        sink.write(FRAMES[0])
        taken = b""
        try:
            while piece := browser.recv(4096):
                taken += piece
        except ConnectionError:
            pass
        assert len(taken) < 1024


def test_it_listens_on_loopback_unless_told(sinks: Any) -> None:
    assert sinks()._stream.clients._listening.getsockname()[0] == "127.0.0.1"
    told = sinks(listen="0.0.0.0")
    assert told._stream.clients._listening.getsockname()[0] == "0.0.0.0"
    assert str(told.reach["url"]).startswith("tcp://127.0.0.1:"), "what reaches it from here"


def test_closing_sends_clients_away_and_frees_the_port(sinks: Any) -> None:
    sink = sinks("raw")
    client = Client(sink)
    send(sink, FRAMES[0], client)
    port = port_of(sink)
    sink.finish()
    assert len(pictures(sink, client.ended())) == 1
    again = sinks(f"raw:{port}")
    assert again.reach["url"] == f"tcp://127.0.0.1:{port}"


@pytest.mark.parametrize("codec", CODECS)
def test_a_port_that_is_taken(codec: str, sinks: Any) -> None:
    port = port_of(sinks("raw"))
    with pytest.raises(SinkError, match=rf"port {port} is taken.*--to obs:{codec}:\d+$"):
        sinks(f"{codec}:{port}")


def test_an_address_that_is_not_ours(sinks: Any) -> None:
    with pytest.raises(SinkError, match=r"at 192\.0\.2\.1 cannot be had: .*--listen"):
        sinks("raw", listen="192.0.2.1")


@pytest.mark.parametrize(("place", "codec"), [("", "raw"), ("raw", "raw"), ("vp9", "vp9")])
def test_what_a_place_means(place: str, codec: str, sinks: Any) -> None:
    sink = sinks(place)
    url = f"tcp://127.0.0.1:{port_of(sink)}"
    container = {"raw": "nut", "vp9": "webm"}[codec]
    assert sink.name == f"obs {codec} {url}"
    assert sink.reach == {"url": url, "format": container, "codec": codec, "width": 320, "height": 240}


@pytest.mark.parametrize("place", ["{}", "raw:{}", "vp9:{}"])
def test_a_port_may_be_chosen(place: str, sinks: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert port_of(sinks(place.format(port))) == port


@pytest.mark.parametrize("place", ["h264", "x", "0", "65536", "raw:0", "raw:x", "vp9:-1", "raw:", "8092:raw", ":8092"])
def test_what_is_no_place(place: str, sinks: Any) -> None:
    with pytest.raises(ConfigError, match=r"^--to: obs:") as raised:
        sinks(place)
    assert "\n" not in str(raised.value)


# what goes wrong


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_no_subject_is_refused(codec: str, sinks: Any) -> None:
    sink = sinks(codec)
    client = Client(sink)
    with pytest.raises(SinkError, match=r"80x48.*320x240"):
        sink.write(make_frames(make_info(width=80), "fgr")[0])
    with pytest.raises(SinkError, match="has no alpha"):
        sink.write(make_frames(INFO, "com")[0])
    client.leave()


def test_an_encoder_that_fails_is_said(sinks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> None:
        raise ValueError("no such codec\nat all")

    monkeypatch.setattr(vp9, "_Coder", fails)
    sink = sinks("vp9")
    client = Client(sink)
    sink.write(FRAMES[0])
    with pytest.raises(SinkError, match=r"^obs: VP9 failed: no such codec; --to obs:raw needs no encoder$"):
        await_true(lambda: sink.write(FRAMES[0]))
    client.leave()
