"""From what the user typed to an open av container, and from FFmpeg's errors to one line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import av
import av.container
from av.codec.hwaccel import HWAccel

from streammatte.errors import ConfigError, SourceError
from streammatte.sources.addresses import is_network, is_url, listens_rtmp, shown
from streammatte.sources.options import SourceOptions

__all__ = ["LENIENT", "Stream", "can_reopen", "is_live", "open_container", "reason"]

# Titles in old files come in any encoding and are not worth failing for; PyAV 19 is lenient by itself.
LENIENT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_OPEN_TIMEOUT_S = 15.0
_READ_TIMEOUT_S = 30.0
_SILENT_S = 10.0
"""A live stream that sends nothing for so long is taken for gone."""

_LOOKED_AT_US = "1000000"
"""Of a publisher's stream before the first picture is given; FFmpeg would look for 5 s whether sound is to come."""


class Stream(Protocol):
    """A connection that was made before the container is opened, read like a file."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""


def is_live(spec: str, container: av.container.InputContainer) -> bool:
    """Frames come at the clock's pace: a streaming protocol, or HLS and DASH without an end."""
    endless = container.duration is None and container.format.name.split(",")[0] in ("hls", "dash")
    return is_network(spec) or (is_url(spec) and endless)


def can_reopen(spec: str) -> bool:
    """`spec`, which has been opened, is a file on disk: what was read of it can be read again."""
    if spec == "-" or spec.startswith("lavfi:") or (is_url(spec) and not spec.startswith("file://")):
        return False
    return Path(_path(spec)).is_file()


def open_container(
    spec: str, options: SourceOptions, stream: Stream | None = None, hwaccel: HWAccel | None = None
) -> av.container.InputContainer:
    """Open a file, URL, `-` (standard input), `lavfi:GRAPH`, or `stream`. Raises SourceError, ConfigError.

    With `hwaccel` its video is decoded by that or not at all; RuntimeError where FFmpeg cannot even try.
    """
    target, format_, settings = _target(spec, options)
    if stream is not None:
        settings["analyzeduration"] = _LOOKED_AT_US
    try:
        opened: av.container.InputContainer = av.open(
            stream or target,
            "r",
            format=format_,
            options=settings,
            timeout=_timeout(spec, stream),
            hwaccel=hwaccel,
            **LENIENT,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(_why_not_open(shown(spec), target, error)) from error
    if opened.format.name == "tty" and options.input_format is None:
        opened.close()  # FFmpeg would draw any .txt as a terminal's screen
        raise SourceError(f"{spec}: is text, not a video or picture; give --input-format tty to see it drawn")
    return opened


def _timeout(spec: str, stream: Stream | None) -> tuple[float, float] | None:
    """Seconds for opening and for each reading. A publisher may come as late as it likes."""
    if stream is not None or listens_rtmp(spec) or not is_url(spec):
        return None
    return _OPEN_TIMEOUT_S, _SILENT_S if is_network(spec) else _READ_TIMEOUT_S


def _target(spec: str, options: SourceOptions) -> tuple[str, str | None, dict[str, str]]:
    """What av.open is given: name, demuxer, options."""
    if spec.startswith("lavfi:"):
        return spec.removeprefix("lavfi:"), "lavfi", {}
    settings = _raw_settings(options) if options.input_format == "rawvideo" else {}
    if spec == "-":
        # FFmpeg's own pipe protocol reads descriptor 0 without Python in between
        return "pipe:0", options.input_format, settings
    if spec.startswith("file://"):
        return _path(spec), options.input_format, settings
    if spec.startswith(("rtsp://", "rtsps://")):
        settings["rtsp_transport"] = "tcp"  # lost UDP packets are smeared pictures
    if listens_rtmp(spec):
        # The second is of reading and writing alone: a caller that says nothing shall not stand in the way of others.
        settings |= {"listen": "1", "rw_timeout": f"{_SILENT_S * 1e6:.0f}", "analyzeduration": _LOOKED_AT_US}
        spec = spec.partition("?")[0]
    # FFmpeg takes "a:b.mp4" for protocol "a" unless told that it is a file
    target = spec if is_url(spec) else f"file:{spec}"
    return target, options.input_format, settings


def _path(spec: str) -> str:
    """Of a file, however it is named."""
    return unquote(urlsplit(spec).path) if spec.startswith("file://") else spec


def _raw_settings(options: SourceOptions) -> dict[str, str]:
    wanted = {
        "input-size": options.input_size,
        "input-pix-fmt": options.input_pix_fmt,
        "input-rate": options.input_rate,
    }
    missing = [f"--{key}" for key, value in wanted.items() if value is None]
    if missing or options.input_size is None:
        raise ConfigError("--input-format", f"rawvideo says nothing of itself: give {', '.join(missing)} too")
    _check_pix_fmt(str(options.input_pix_fmt))
    width, height = options.input_size
    return {
        "video_size": f"{width}x{height}",
        "pixel_format": str(options.input_pix_fmt),
        "framerate": str(Fraction(options.input_rate or 25)),
    }


def _check_pix_fmt(name: str) -> None:
    try:
        av.VideoFormat(name)
    except ValueError as error:
        raise ConfigError("--input-pix-fmt", f"FFmpeg knows no pixel format {name!r}") from error


def _why_not_open(spec: str, target: str, error: Exception) -> str:
    """One line: what, where, what to do."""
    if spec.startswith("lavfi:"):
        return f"{spec}: not a filter graph FFmpeg can run ({reason(error)}); try lavfi:testsrc2"
    if is_url(spec):
        return _why_no_connection(spec, error)
    path = Path(target.removeprefix("file:"))
    if spec == "-":
        return f"-: standard input is nothing FFmpeg can read ({reason(error)}); raw frames need --input-format"
    if not path.exists():
        return f"{spec}: no such file"
    if isinstance(error, PermissionError):
        return f"{spec}: no permission to read it"
    if path.is_file() and path.stat().st_size == 0:
        return f"{spec}: the file is empty"
    return f"{spec}: not a video or picture FFmpeg can read, or cut off before its index ({reason(error)})"


def _why_no_connection(spec: str, error: Exception) -> str:
    scheme = spec.split("://")[0]
    if isinstance(error, av.error.ProtocolNotFoundError):
        return f"{spec}: unknown URL scheme {scheme!r}; http, https, rtsp, rtmp, srt and udp are known"
    if isinstance(error, av.error.ExitError):
        return f"{spec}: no answer within {_OPEN_TIMEOUT_S:.0f} s; check the address and the network"
    return f"{spec}: cannot be opened ({reason(error)}); check the address and that the stream is running"


def reason(error: Exception) -> str:
    """FFmpeg's own words, without numbers and paths."""
    words = getattr(error, "strerror", None) or str(error)
    return str(words).splitlines()[0].rstrip(".").lower() if words else type(error).__name__
