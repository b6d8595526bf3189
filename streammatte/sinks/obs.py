"""`--to obs`: the subject with its alpha, for OBS's Media Source (or anything else that opens tcp://) to connect to."""

from __future__ import annotations

import errno

from streammatte.errors import ConfigError, SinkError, first_line
from streammatte.frame import Frame, StreamInfo
from streammatte.ports import SinkKind
from streammatte.sinks.options import LOOPBACK, SinkOptions
from streammatte.sinks.showing import ShowsFrames
from streammatte.sinks.streams.raw import RawStream
from streammatte.sinks.streams.vp9 import Vp9Stream

__all__ = ["ObsSink"]

_PORT = 8091
_STREAMS: dict[str, type[RawStream] | type[Vp9Stream]] = {"raw": RawStream, "vp9": Vp9Stream}
_EVERYWHERE = ("0.0.0.0", "::")


class ObsSink(ShowsFrames):
    """Listens at `options.listen` and streams to whoever connects, from the next frame on, straight alpha beside F.

    `place` is "[raw|vp9][:PORT]": raw is BGRA in NUT, each value exact; vp9 is VP9 with alpha in WebM. Nothing is made
    while nobody is connected. A client that is slow misses pictures. Raises ConfigError for a place that is none,
    SinkError where the address cannot be had.
    """

    kind: SinkKind = "fgr"

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        codec, port = _parsed(place)
        try:
            self._stream = _STREAMS[codec]((options.listen, port), info)
        except OSError as error:
            raise _refusal(error, codec, options.listen, port) from error
        host = LOOPBACK if options.listen in _EVERYWHERE else options.listen
        url = f"tcp://[{host}]" if ":" in host else f"tcp://{host}"
        url = f"{url}:{self._stream.clients.port}"
        super().__init__(f"obs {codec} {url}", self._stream.codec)
        width, height = self._stream.size
        self.reach = {"url": url, "format": self._stream.container, "codec": codec, "width": width, "height": height}

    def watched(self) -> bool:
        """Whether any client is connected."""
        return len(self._stream.clients) > 0

    def _show(self, frame: Frame) -> None:
        self._stream.show(frame)

    def _close(self) -> None:
        self._stream.close()

    def _notes(self) -> tuple[str, ...]:
        served, missed = self._stream.clients.served, self._stream.clients.missed
        slow = f"; pictures dropped for those too slow: {missed}" if missed else ""
        return (*self._stream.notes, f"clients served: {served}{slow}")


def _parsed(place: str) -> tuple[str, int]:
    """Codec and port."""
    head, _, tail = place.partition(":")
    codec, port = ("raw", place) if head.isdecimal() else (head if place else "raw", tail)
    if codec not in _STREAMS or place.endswith(":"):
        raise ConfigError("--to", f"obs:{place}: give obs, obs:raw or obs:vp9, with a port or without: obs:raw:{_PORT}")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError("--to", f"obs:{place}: {port!r} is no port; give 1 to 65535, or leave it out")
    return codec, int(port or _PORT)


def _refusal(error: OSError, codec: str, address: str, port: int) -> SinkError:
    if error.errno == errno.EADDRINUSE:
        other = f"--to obs:{codec}:{port + 1 if port < 65535 else port - 1}"
        return SinkError(f"obs: port {port} is taken, by another run perhaps; stop that, or give another: {other}")
    why = error.strerror or first_line(error)
    return SinkError(f"obs: port {port} at {address} cannot be had: {why}; give another --listen, or another port")
