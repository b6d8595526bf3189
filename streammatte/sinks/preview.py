"""`--to preview`: a page on this machine that shows the picture; `--to window` opens it in the user's browser."""

from __future__ import annotations

import webbrowser
from functools import partial

from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks.broadcast import Broadcast
from streammatte.sinks.i420 import I420Packer
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.preview_page import LOOPBACK, PageServer, Viewer
from streammatte.sinks.showing import ShowsFrames
from streammatte.worker import Worker

__all__ = ["PreviewSink", "WindowSink"]

_POLL_S = 0.1


class PreviewSink(ShowsFrames):
    """Serves `url`, on 127.0.0.1 alone: frames as motion JPEG, coded only while somebody looks.

    `place` is the port; "" takes any that is free. Each viewer gets the newest frame whenever it has taken the last.
    Raises ConfigError for what is no port, SinkError for one that is taken.
    """

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        port = _port(place)
        self._packer = I420Packer("preview", info)
        self._broadcast = Broadcast(self._packer.width, self._packer.height)
        try:
            self._server = PageServer((LOOPBACK, port), partial(Viewer, self._broadcast))
        except OSError as error:
            raise SinkError(f"preview: port {port} cannot be had: {error.strerror}; use another or none") from error
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/"
        super().__init__(f"preview {self.url}", "mjpeg")
        self._serving = Worker("preview", partial(self._server.serve_forever, _POLL_S))
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


class WindowSink(PreviewSink):
    """A preview, opened in the user's browser."""

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        super().__init__(place, info, options)
        self._opened = webbrowser.open(self.url)

    def _notes(self) -> tuple[str, ...]:
        missing = () if self._opened else (f"no browser could be opened; the picture was at {self.url}",)
        return (*super()._notes(), *missing)


def _port(place: str) -> int:
    if place and not (place.isdecimal() and 0 < int(place) < 65536):
        raise ConfigError("--to", f"preview:{place}: {place!r} is no port; give 1 to 65535, or leave it out")
    return int(place or 0)
