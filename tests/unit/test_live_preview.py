"""The preview page: what a browser gets, at whose pace, and who is turned away."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import av
import cv2
import numpy as np
import pytest
from loopback import free_port
from sink_clips import make_frames, make_info

from streammatte.color import ColorSpec
from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame
from streammatte.sinks.broadcast import Broadcast
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.preview import PreviewSink, WebSink, WindowSink
from streammatte.sinks.preview_page import _ours

INFO = make_info(width=320, height=240, color=ColorSpec(6, 1, 1, False))
FRAMES = make_frames(INFO, "com")


@pytest.fixture
def sink() -> Iterator[PreviewSink]:
    opened = PreviewSink("", INFO)
    yield opened
    opened.abort()


def port_of(sink: PreviewSink | WebSink) -> int:
    return int(sink.url.rstrip("/").rpartition(":")[2])


def get(sink: PreviewSink | WebSink, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(sink), timeout=5)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    if path != "/stream" or response.status != 200:
        response.read()
    connection.close()
    return response


def await_true(what: Callable[[], object]) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


class Browser:
    """Reads the stream part by part."""

    def __init__(self, sink: PreviewSink) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port_of(sink)), timeout=5)
        host = f"Host: 127.0.0.1:{port_of(sink)}"
        self.connection.sendall(f"GET /stream HTTP/1.1\r\n{host}\r\n\r\n".encode())
        self.file = self.connection.makefile("rb")
        self.head = self._until_blank()
        assert self.file.readline() == b"--frame\r\n"

    def _until_blank(self) -> list[bytes]:
        lines = []
        while (line := self.file.readline().strip()) != b"":
            lines.append(line)
        return lines

    def picture(self) -> np.ndarray:
        kind, length = self._until_blank()
        assert kind == b"Content-Type: image/jpeg"
        jpeg = self.file.read(int(length.partition(b": ")[2]))
        assert self.file.readline() + self.file.readline() == b"\r\n--frame\r\n", "the part's end comes with it"
        return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))

    def close(self) -> None:
        self.file.close()
        self.connection.close()


@pytest.fixture
def browser(sink: PreviewSink) -> Iterator[Browser]:
    opened = Browser(sink)
    assert await_true(sink.watched)
    yield opened
    opened.close()


def flat(value: int) -> Frame:
    frame = make_frames(INFO, "com")[0]
    for plane, level in zip(frame.planes, (value, 128, 128), strict=True):
        plane[:] = level
    return frame


def test_the_page_shows_the_stream(sink: PreviewSink) -> None:
    response = get(sink)
    assert response.status == 200
    assert sink.name == f"preview http://127.0.0.1:{port_of(sink)}/"
    assert not sink.watched(), "a page that has not asked for pictures is nobody"


def test_a_viewer_sees_what_comes(sink: PreviewSink, browser: Browser) -> None:
    assert b"multipart/x-mixed-replace; boundary=frame" in b" ".join(browser.head)
    for value, gray in ((16, 0), (235, 255), (126, 128)):
        sink.write(flat(value))
        picture = browser.picture()
        assert picture.shape == (240, 320, 3)
        assert np.abs(picture.astype(int) - gray).max() <= 3


def test_nothing_of_before_is_shown(sink: PreviewSink) -> None:
    sink.write(flat(235))
    viewer = Browser(sink)
    assert await_true(sink.watched)
    sink.write(flat(16))
    assert viewer.picture().max() <= 3
    viewer.close()


def test_pictures_are_coded_only_for_viewers(sink: PreviewSink, monkeypatch: pytest.MonkeyPatch) -> None:
    coded: list[object] = []
    original = Broadcast._jpeg
    monkeypatch.setattr(Broadcast, "_jpeg", lambda self, picture: coded.append(1) or original(self, picture))
    for frame in FRAMES:
        sink.write(frame)
    assert coded == []
    viewers = [Browser(sink) for _ in range(3)]
    assert await_true(lambda: sink._broadcast.viewers == 3)
    sink.write(FRAMES[0])
    for viewer in viewers:
        viewer.picture()
        viewer.close()
    assert len(coded) == 1, "once, however many look"


def test_a_slow_viewer_holds_up_nobody_and_gets_the_newest(sink: PreviewSink, browser: Browser) -> None:
    noise = make_frames(INFO, "com")[0]
    noise.planes[0][:] = np.random.default_rng(1).integers(16, 235, noise.planes[0].shape)
    slow = Browser(sink)
    start = time.monotonic()
    for _ in range(100):
        sink.write(noise)
        browser.picture()
    assert time.monotonic() - start < 10
    sink.write(flat(16))
    read = 1
    while slow.picture().max() > 60:
        read += 1
    assert read < 90
    slow.close()


def test_it_is_watched_until_the_viewer_goes(sink: PreviewSink, browser: Browser) -> None:
    browser.close()
    assert await_true(lambda: not sink.watched()), "noticed without a frame"


def test_closing_sends_viewers_away(sink: PreviewSink, browser: Browser) -> None:
    sink.finish()
    assert browser.file.read() == b""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port_of(sink)), timeout=1)


# who is turned away


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}"]
)
@pytest.mark.parametrize("path", ["/", "/stream"])
def test_other_names_for_this_machine_are_refused(sink: PreviewSink, host: str, path: str) -> None:
    assert get(sink, path, Host=host.format(port=port_of(sink))).status == 403


def test_localhost_is_ours(sink: PreviewSink) -> None:
    assert get(sink, Host=f"localhost:{port_of(sink)}").status == 200


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200)])
def test_other_sites_get_no_pictures(sink: PreviewSink, site: str, status: int) -> None:
    assert get(sink, "/stream", **{"Sec-Fetch-Site": site}).status == status


def test_other_sites_may_link_but_not_frame_or_read(sink: PreviewSink) -> None:
    response = get(sink, **{"Sec-Fetch-Site": "cross-site"})
    assert response.status == 200
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in response.headers


def test_other_paths_are_not_there(sink: PreviewSink) -> None:
    assert get(sink, "/etc/passwd").status == 404


def test_it_listens_on_loopback_alone(sink: PreviewSink) -> None:
    assert sink._server.server_address[0] == "127.0.0.1"


# the port


def test_the_port_may_be_chosen_and_taken(sink: PreviewSink) -> None:
    port = port_of(sink)
    with pytest.raises(SinkError, match=f"preview: port {port} cannot be had"):
        PreviewSink(str(port), INFO)
    sink.abort()
    again = PreviewSink(str(port), INFO)
    assert again.url == f"http://127.0.0.1:{port}/"
    again.abort()


@pytest.mark.parametrize("place", ["x", "0", "65536", "-1", "80 "])
def test_what_is_no_port(place: str) -> None:
    with pytest.raises(ConfigError, match="is no port"):
        PreviewSink(place, INFO)


# at an address of the user's choice


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_page_at_a_chosen_port(host: str) -> None:
    port = free_port()
    sink = WebSink(f"http://{host}:{port}", INFO)
    assert sink.name == sink.url == f"http://127.0.0.1:{port}/"
    assert sink.reach == {"url": sink.url}
    assert sink._server.server_address[0] == "127.0.0.1"
    assert get(sink).status == 200
    assert get(sink, Host=f"localhost:{port}").status == 200
    for other in ("evil.example", "192.0.2.7", "[::1]"):
        assert get(sink, Host=f"{other}:{port}").status == 403
    assert sink.finish().codec == "mjpeg"


def test_the_page_through_ipv6() -> None:
    try:
        port = free_port(host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    sink = WebSink(f"http://[::1]:{port}/", INFO)
    assert sink.url == f"http://[::1]:{port}/"
    connection = http.client.HTTPConnection("::1", port, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()
    sink.abort()


def test_beyond_this_machine_addresses_are_ours_and_names_are_not() -> None:
    port = free_port(host="0.0.0.0")
    sink = WebSink(f"http://0.0.0.0:{port}", INFO, SinkOptions(listen="0.0.0.0"))
    assert sink._server.server_address[0] == "0.0.0.0"
    assert get(sink).status == 200
    assert get(sink, Host=f"evil.example:{port}").status == 403
    sink.abort()
    for asked, status in {
        "192.168.1.5:8000": True,
        "10.0.0.1:8000": True,
        "[fe80::1]:8000": True,
        "localhost:8000": True,
        "192.168.1.5": False,
        "192.168.1.5:8001": False,
        "laptop.local:8000": False,
        "192.168.1.5.evil.example:8000": False,
        "": False,
        ":8000": False,
    }.items():
        assert _ours(asked, "192.168.1.5", 8000) is status, asked
    assert _ours("192.168.1.5", "192.168.1.5", 80), "browsers leave out the usual port"


@pytest.mark.parametrize(
    ("host", "listen"), [("0.0.0.0", "127.0.0.1"), ("192.0.2.7", "127.0.0.1"), ("0.0.0.0", "192.0.2.7")]
)
def test_others_are_let_in_only_where_it_was_asked_for(host: str, listen: str) -> None:
    match = rf"http://{host}:8000 would listen beyond this machine; allow it with --listen {host}"
    with pytest.raises(ConfigError, match=match):
        WebSink(f"http://{host}:8000", INFO, SinkOptions(listen=listen))


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:x", "http://:8000", "http://127.0.0.1:8000/path"],
)
def test_what_is_no_address_of_a_page(place: str) -> None:
    with pytest.raises(ConfigError, match="give http://HOST:PORT"):
        WebSink(place, INFO)


def test_a_pages_port_that_is_taken_and_an_address_that_is_not_ours(sink: PreviewSink) -> None:
    with pytest.raises(SinkError, match=f"http: port {port_of(sink)} cannot be had: .*; use another"):
        WebSink(f"http://127.0.0.1:{port_of(sink)}", INFO)
    with pytest.raises(SinkError, match=r"http: 192\.0\.2\.7, port 8000 cannot be had"):
        WebSink("http://192.0.2.7:8000", INFO, SinkOptions(listen="192.0.2.7"))


def test_a_simple_client_sees_the_pictures(sink: PreviewSink) -> None:
    found: list[np.ndarray] = []

    def look() -> None:
        with av.open(f"{sink.url}stream.mjpg", timeout=10.0) as container:
            for frame in container.decode(video=0):
                found.append(frame.to_ndarray(format="gray"))
                if len(found) == 3:
                    return

    client = threading.Thread(target=look)
    client.start()

    def shown() -> bool:
        sink.write(flat(126))
        time.sleep(0.02)
        return not client.is_alive()

    assert await_true(shown)
    client.join()
    assert [picture.shape for picture in found] == [(240, 320)] * 3
    assert np.abs(found[-1].astype(int) - 128).max() <= 3


def test_other_sites_get_no_pictures_under_the_other_name_either(sink: PreviewSink) -> None:
    assert get(sink, "/stream.mjpg", **{"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize("opens", [True, False])
def test_a_window_is_the_page_in_the_users_browser(opens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or opens)
    sink = WindowSink("", INFO)
    assert opened == [sink.url]
    notes = sink.finish().notes
    assert any("no browser could be opened" in note for note in notes) is not opens


def test_threads_end_with_the_sink(sink: PreviewSink, browser: Browser) -> None:
    sink.abort()
    browser.close()
    assert await_true(lambda: not [t for t in threading.enumerate() if "process_request" in t.name])
