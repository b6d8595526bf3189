"""A live sink that takes frames and forgets them, for measuring everything before it."""

from __future__ import annotations

from streammatte.errors import ConfigError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.showing import ShowsFrames

__all__ = ["NullSink"]


class NullSink(ShowsFrames):
    """Counts frames. Somebody always looks, so that nothing idles. Raises ConfigError where a place is given."""

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        if place:
            raise ConfigError("--to", f"null goes nowhere; leave out {':' + place!r}")
        super().__init__("null", "none")

    def _show(self, frame: Frame) -> None:
        pass

    def _close(self) -> None:
        pass
