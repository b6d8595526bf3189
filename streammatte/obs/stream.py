"""What a live run serves to OBS: where it is, and in which container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

__all__ = ["CODECS", "LOOPBACK", "Serving", "Stream", "assumed", "points_at_a_stream", "streams_of"]

CODECS = {"raw": "nut", "vp9": "webm"}
"""codec -> container"""
_DEFAULT_PORT = 8091
LOOPBACK = "127.0.0.1"
_EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Stream:
    """One output `--to obs`."""

    url: str
    """tcp://HOST:PORT"""
    format: str
    """FFmpeg's name of the container: nut or webm."""

    @property
    def port(self) -> int | None:
        """The port it is served at."""
        return urlsplit(self.url).port

    @property
    def codec(self) -> str:
        """raw or vp9."""
        return next(codec for codec, container in CODECS.items() if container == self.format)

    def seen_from(self, own_address: str) -> Stream:
        """The same stream as a reader finds it to whom this machine is `own_address`."""
        host = own_address if not _is_loopback(own_address) else urlsplit(self.url).hostname or LOOPBACK
        host = LOOPBACK if host in _EVERYWHERE else host
        return replace(self, url=f"tcp://{f'[{host}]' if ':' in host else host}:{self.port}")


@dataclass(frozen=True, slots=True)
class Serving:
    """A live run, and what it serves to OBS."""

    pid: int
    streams: tuple[Stream, ...]

    def fitting(self, codec: str | None, port: int | None) -> Stream | None:
        """The first stream of that codec and port; None says that either will do."""
        fits = (s for s in self.streams if codec in (None, s.codec) and port in (None, s.port))
        return next(fits, None)


def streams_of(outputs: object) -> tuple[Stream, ...]:
    """The streams among `state()["outputs"]` of a live run; other outputs are passed over."""
    entries = outputs.values() if isinstance(outputs, Mapping) else ()
    return tuple(Stream(str(entry["url"]), str(entry["format"])) for entry in entries if _is_stream(entry))


def _is_stream(entry: Any) -> bool:
    return isinstance(entry, Mapping) and points_at_a_stream(entry.get("url"), entry.get("format"))


def assumed(codec: str | None, port: int | None) -> Stream:
    """What `--to obs` serves where nothing else is said."""
    return Stream(f"tcp://{LOOPBACK}:{port or _DEFAULT_PORT}", CODECS[codec or "raw"])


def points_at_a_stream(url: object, container: object) -> bool:
    """`url` and `container` are such as `--to obs` serves."""
    try:
        parts = urlsplit(str(url))
        bare = parts.scheme == "tcp" and parts.port and not (parts.path or parts.query or parts.username)
    except ValueError:
        return False
    return bool(bare) and container in CODECS.values()


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
