"""`--to preview`, `--to http://HOST:PORT`: a page that shows the picture; `--to window` opens it in a browser."""

from __future__ import annotations

import webbrowser
from functools import partial
from urllib.parse import urlsplit

from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks.broadcast import Broadcast
from streammatte.sinks.i420 import I420Packer
from streammatte.sinks.options import LOOPBACK, SinkOptions
from streammatte.sinks.preview_page import PageServer, Viewer
from streammatte.sinks.showing import ShowsFrames
from streammatte.sinks.streams.listening import check_listening
from streammatte.worker import Worker

__all__ = ["PreviewSink", "WebSink", "WindowSink"]

_POLL_S = 0.1


class _PageSink(ShowsFrames):
    """Serves `url`: a page, and its pictures as motion JPEG at /stream and /stream.mjpg, coded only for viewers.

    Each viewer gets the newest frame whenever it has taken the last.
    """

    def __init__(self, name: str, host: str, port: int, info: StreamInfo) -> None:
        """Port 0 is any that is free. Raises SinkError where the port is taken or the address is not ours."""
        self._packer = I420Packer(name, info)
        self._broadcast = Broadcast(self._packer.width, self._packer.height)
        try:
            self._server = PageServer(host, port, partial(Viewer, self._broadcast))
        except OSError as error:
            where = f"port {port}" if host == LOOPBACK else f"{host}, port {port}"
            raise SinkError(f"{name}: {where} cannot be had: {error.strerror}; use another") from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}/"
        super().__init__(self.url if name == "http" else f"{name} {self.url}", "mjpeg")
        self.reach = {"url": self.url}
        self._serving = Worker(name, partial(self._server.serve_forever, _POLL_S))
        self._serving.start()

    def watched(self) -> bool:
        """Whether any viewer is connected."""
        return self._broadcast.viewers > 0

    def _show(self, frame: Frame) -> None:
        # Nothing is kept for those who may come: the first thing they see is what comes next.
        if self.watched():
            self._broadcast.put(self._packer.pack(frame))

    def _close(self) -> None:
        self._broadcast.close()
        self._server.shutdown()
        self._server.server_close()
        self._serving.ended.wait()

    def _notes(self) -> tuple[str, ...]:
        return self._packer.notes


class PreviewSink(_PageSink):
    """The page on 127.0.0.1 alone. `place` is the port; "" takes any that is free.

    Raises ConfigError for what is no port, SinkError for one that is taken.
    """

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        super().__init__("preview", LOOPBACK, _port(place), info)


class WindowSink(PreviewSink):
    """A preview, opened in the user's browser."""

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        super().__init__(place, info, options)
        self._opened = webbrowser.open(self.url)

    def _notes(self) -> tuple[str, ...]:
        missing = () if self._opened else (f"no browser could be opened; the picture was at {self.url}",)
        return (*super()._notes(), *missing)


class WebSink(_PageSink):
    """The page at `http://HOST:PORT`, for other machines too where `--listen` allows that HOST.

    Raises ConfigError for what is no such address, and for one that `--listen` does not allow; SinkError where it
    cannot be had.
    """

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        super().__init__("http", *_address(place, options.listen), info)


def _port(place: str) -> int:
    if place and not (place.isdecimal() and 0 < int(place) < 65536):
        raise ConfigError("--to", f"preview:{place}: {place!r} is no port; give 1 to 65535, or leave it out")
    return int(place or 0)


def _address(place: str, listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(place)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    if not host or not port or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise ConfigError("--to", f"{place}: give http://HOST:PORT, the port from 1 to 65535; the page is at /")
    check_listening(place, host, listen)
    return (LOOPBACK if host == "localhost" else host), port
