"""Fetches a file, or a span of one, over HTTP(S) or file://, into a partial file that can be resumed."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from streammatte.errors import ModelError

__all__ = ["Progress", "RangeIgnored", "Span", "fetch", "read_span", "read_tail", "switched_on"]

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes had so far and the bytes expected (None where nobody knows)."""

_TIMEOUT_S = 10.0
_FRUITLESS_ATTEMPTS = 3
"""How often in a row an attempt may bring nothing new before the source is given up."""
_CHUNK = 1 << 18
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Where pip looks for the user's own certificates; SSL_CERT_FILE and SSL_CERT_DIR are Python's own."""


class RangeIgnored(ModelError):
    """The server sends the whole file where a part was asked for."""


class _Dropped(Exception):
    """The connection failed in a way that may pass."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file, in bytes."""

    start: int
    length: int


def fetch(
    url: str, partial: Path, *, span: Span | None = None, token: str = "", progress: Progress | None = None
) -> None:
    """Bring `partial` to hold all of `url`, or of its `span`, going on from the bytes that are there already.

    A bearer `token` goes to the first host only, not to where it redirects. A dropped connection is taken up
    again. Raises ModelError with a one-line reason, RangeIgnored, or OSError where `partial` cannot be
    written.
    """
    best, fruitless = _size(partial), 0
    while True:
        try:
            return _attempt(url, partial, span, token, progress or (lambda done, total: None))
        except _Dropped as error:
            size = _size(partial)
            fruitless = 0 if size > best else fruitless + 1
            best = max(best, size)
            if fruitless >= _FRUITLESS_ATTEMPTS:
                raise ModelError(f"{error}, {_FRUITLESS_ATTEMPTS} times in a row") from error
            time.sleep(0.2 * 2**fruitless)


def read_tail(url: str, length: int) -> tuple[bytes, int]:
    """The last `length` bytes of `url` and its size. Raises ModelError or RangeIgnored."""
    return _read(url, f"bytes=-{length}")


def read_span(url: str, span: Span) -> bytes:
    """A small part of `url`, in memory. Raises ModelError or RangeIgnored."""
    content, _ = _read(url, _range_header(span, 0))
    if len(content) != span.length:
        raise ModelError(f"the server sent {len(content)} bytes where {span.length} were asked for")
    return content


def switched_on(variable: str) -> bool:
    """Whether the environment's `variable` says yes: it is set, and to something else than 0, no, off or false."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "no", "off", "false")


def _read(url: str, header: str) -> tuple[bytes, int]:
    try:
        with _opened(url, header, "") as response:
            _, size = _content_range(response)
            return response.read(), size
    except (_Dropped, OSError, http.client.HTTPException) as error:
        raise ModelError(_reason(error)) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, partial: Path, span: Span | None, token: str, progress: Progress) -> None:
    """One connection. Raises _Dropped where `partial` is not whole after it and another may help."""
    have = _size(partial)
    if span and have > span.length:
        partial.unlink()
        have = 0
    if span and have == span.length:
        return progress(have, have)
    with _opened(url, _range_header(span, have), token, resuming=have > 0) as response:
        if response is None:  # HTTP 416: nothing is left, or the file there has changed
            return _settle(url, partial, token, progress)
        have, total = _place(response, span, have)
        with partial.open("ab" if have else "wb") as target:
            for chunk in _chunks(response):
                target.write(chunk)
                have += len(chunk)
                progress(have, total)
    if total is not None and have != total:
        raise _Dropped(f"the connection broke off at {have} of {total} bytes")
    return None


def _settle(url: str, partial: Path, token: str, progress: Progress) -> None:
    """The server has nothing beyond what `partial` holds: either it is whole, or it is of another file."""
    with _opened(url, "bytes=0-0", token) as response:
        _, total = _content_range(response)
    have = _size(partial)
    if have == total:
        return progress(have, total)
    partial.unlink()
    raise _Dropped("the file on the server has changed")


def _range_header(span: Span | None, have: int) -> str:
    if span:
        return f"bytes={span.start + have}-{span.start + span.length - 1}"
    return f"bytes={have}-" if have else ""


def _place(response: Any, span: Span | None, have: int) -> tuple[int, int | None]:
    """(bytes to keep of the partial file, bytes it will have) by what the server says it sends."""
    if response.status != 206:
        if span:
            raise RangeIgnored("the server cannot send parts of a file")
        length = response.headers.get("Content-Length")
        return 0, int(length) if length else None
    start, size = _content_range(response)
    if start != have + (span.start if span else 0):
        raise ModelError(f"the server sent bytes from {start} on, which were not asked for")
    return have, span.length if span else size


def _content_range(response: Any) -> tuple[int, int]:
    """(first byte, size of the whole file). Raises RangeIgnored where the server does not say."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range") or "")
    if response.status != 206 or match is None:
        raise RangeIgnored("the server cannot send parts of a file")
    return int(match[1]), int(match[2])


def _chunks(response: Any) -> Iterator[bytes]:
    """What the connection brings until it ends or breaks off; guards reading, not the caller's writing."""
    while True:
        try:
            chunk = response.read1(_CHUNK)  # what is there: a stalled connection must not take it along
        except (OSError, http.client.HTTPException) as error:
            raise _Dropped(_reason(error)) from error
        if not chunk:
            return
        yield chunk


@contextlib.contextmanager
def _opened(url: str, span: str, token: str, resuming: bool = False) -> Iterator[Any]:
    """The response to a GET; None for HTTP 416 when `resuming`."""
    try:
        response = _opener().open(_request(url, span, token), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not resuming:
            kind = _Dropped if error.code == 429 or error.code >= 500 else ModelError
            raise kind(f"HTTP {error.code} {error.reason}") from error
        response = None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Where nothing has come yet the network is most likely away: say so at once instead of trying on.
        raise (_Dropped if resuming else ModelError)(_reason(error)) from error
    with response or contextlib.nullcontext() as opened:
        yield opened


def _request(url: str, span: str, token: str) -> urllib.request.Request:
    if not url.startswith(("https://", "http://", "file://")):
        raise ModelError(f"unsupported address {url!r}: expected https, http or file")
    request = urllib.request.Request(url, headers={"User-Agent": "streammatte"})
    if span:
        request.add_header("Range", span)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def _opener() -> urllib.request.OpenerDirector:
    """urllib with the user's proxies and every certificate that Python's or pip's settings name."""
    context = ssl.create_default_context()
    for place in filter(None, map(os.environ.get, _CERTIFICATES)):
        with contextlib.suppress(OSError):  # pip itself will complain of a wrong setting
            context.load_verify_locations(**{"capath" if Path(place).is_dir() else "cafile": place})
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def _reason(error: Exception) -> str:
    """One line: the innermost cause in words."""
    inner = getattr(error, "reason", None) or error
    words = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return "timed out" if isinstance(inner, TimeoutError) else " ".join(str(words).split())
