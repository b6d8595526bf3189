"""SRT (Secure Reliable Transport), through the libsrt of this machine: PyAV's own FFmpeg is built without it.

Only what a live stream of datagrams needs; values as in libsrt's own API documentation.
"""

from __future__ import annotations

import atexit
import ctypes
import socket
import struct
import sys
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["DATAGRAM", "SrtAddress", "SrtConnection", "SrtError", "SrtListener", "connect"]

DATAGRAM = 1316
"""Bytes of payload in one datagram at most: seven packets of a transport stream."""
_SNDSYN, _RCVSYN, _SNDTIMEO, _RCVTIMEO = 1, 2, 13, 14
_LATENCY, _PASSPHRASE, _PBKEYLEN, _CONNTIMEO, _STREAMID = 23, 26, 27, 36, 46
_CONNECTED = 5
_ASYNC_RECEIVE, _TIMEOUT = 6002, 6003
_ONLY_FATAL = 2
_RECEIVE_MS, _SEND_MS = 500, 5000
"""A receive comes back after so long, having received nothing, and a send fails."""
_PATIENCE_MS = 1500
"""A call takes two rounds, so that even a satellite's is answered by then."""
_KEYS = ("mode", "latency", "passphrase", "pbkeylen", "streamid", "connect_timeout")


class SrtError(OSError):
    """What libsrt says has failed, or that there is no libsrt; `str` is a line without the address."""


@dataclass(frozen=True, slots=True)
class SrtAddress:
    """`srt://HOST:PORT?mode=caller|listener&latency=...`, with the keys and units of FFmpeg and OBS."""

    host: str
    port: int
    listens: bool
    latency_us: int | None = None
    passphrase: str = ""
    key_bytes: int = 0
    stream_id: str = ""
    patience_ms: int = _PATIENCE_MS
    """How long a caller tries."""

    @classmethod
    def parse(cls, url: str) -> SrtAddress:
        """Raises ValueError, with what is wrong and what to give instead."""
        parts = urlsplit(url)
        said = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := [key for key in said if key not in _KEYS]:
            raise ValueError(f"{unknown[0]!r} is no option of srt:// here; {', '.join(_KEYS)} are")
        mode = said.get("mode", "caller")
        if mode not in ("caller", "listener"):
            raise ValueError(f"mode {mode!r} is not known; give caller or listener")
        if parts.port is None or not parts.port or (mode == "caller" and not parts.hostname):
            raise ValueError("give srt://HOST:PORT, with ?mode=listener to wait there for a caller")
        address = cls(
            parts.hostname or "",
            parts.port,
            mode == "listener",
            _number(said, "latency"),
            said.get("passphrase", ""),
            _number(said, "pbkeylen") or 0,
            said.get("streamid", ""),
            _number(said, "connect_timeout") or _PATIENCE_MS,
        )
        if address.passphrase and not 10 <= len(address.passphrase.encode()) <= 79:
            raise ValueError("a passphrase has 10 to 79 bytes")
        return address


def _number(said: dict[str, str], key: str) -> int | None:
    if key not in said:
        return None
    if not said[key].isdecimal():
        raise ValueError(f"{key} {said[key]!r} is no whole number")
    return int(said[key])


class _Socket:
    """One of libsrt's sockets. Closing it, from any thread, ends what waits on it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        """Hang up."""
        _library().srt_close(self._number)

    def _set(self, option: int, value: int | str) -> None:
        content = value.encode() if isinstance(value, str) else struct.pack("=i", value)
        _check(_library().srt_setsockflag(self._number, option, content, len(content)))


class SrtConnection(_Socket):
    """A connection that is up. Datagrams arrive whole, or are given up once they are late."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        for option, value in ((_SNDSYN, 1), (_RCVSYN, 1), (_SNDTIMEO, _SEND_MS), (_RCVTIMEO, _RECEIVE_MS)):
            self._set(option, value)

    @property
    def up(self) -> bool:
        """The peer is there, as far as libsrt knows: it takes a silent one for gone after 5 s."""
        return int(_library().srt_getsockstate(self._number)) == _CONNECTED

    def send(self, datagram: bytes) -> None:
        """Send up to DATAGRAM bytes. Blocks while the buffer is full, 5 s at most. Raises SrtError."""
        _check(_library().srt_send(self._number, datagram, len(datagram)))

    def receive(self) -> bytes | None:
        """The next datagram; None where none has come in half a second. Raises SrtError where the peer is gone."""
        room = ctypes.create_string_buffer(DATAGRAM + 140)  # what others may send: up to a whole Ethernet packet
        size = _library().srt_recv(self._number, room, len(room))
        if size < 0 and _last_error() == _TIMEOUT:
            return None
        return room.raw[: _check(size)]


class SrtListener(_Socket):
    """Waits for callers at `address`."""

    def __init__(self, address: SrtAddress) -> None:
        """Raises SrtError where the port cannot be had."""
        super().__init__(_check(_library().srt_create_socket()))
        try:
            self._set(_RCVSYN, 0)
            _prepare(self, address)
            place = _place(address)
            _check(_library().srt_bind(self._number, place, len(place)))
            _check(_library().srt_listen(self._number, 1))
        except OSError:
            self.close()
            raise

    def accept(self) -> SrtConnection | None:
        """The caller that waits, if there is one."""
        number = _library().srt_accept(self._number, None, None)
        if number < 0 and _last_error() == _ASYNC_RECEIVE:
            return None
        return SrtConnection(_check(number))


def connect(address: SrtAddress) -> SrtConnection:
    """Call `address`; blocks for `patience_ms` at most. Raises SrtError."""
    caller = _Socket(_check(_library().srt_create_socket()))
    try:
        caller._set(_CONNTIMEO, address.patience_ms)
        _prepare(caller, address)
        place = _place(address)
        _check(_library().srt_connect(caller._number, place, len(place)))
        return SrtConnection(caller._number)
    except OSError:
        caller.close()
        raise


def _prepare(opened: _Socket, address: SrtAddress) -> None:
    if address.latency_us is not None:
        opened._set(_LATENCY, address.latency_us // 1000)
    if address.passphrase:
        opened._set(_PASSPHRASE, address.passphrase)
    if address.key_bytes:
        opened._set(_PBKEYLEN, address.key_bytes)
    if address.stream_id:
        opened._set(_STREAMID, address.stream_id)


def _place(address: SrtAddress) -> bytes:
    """The address as C's struct sockaddr_in or sockaddr_in6."""
    found = socket.getaddrinfo(address.host or "0.0.0.0", address.port, type=socket.SOCK_DGRAM)
    family, (host, port, *rest) = found[0][0], found[0][4]
    packed = socket.inet_pton(family, str(host).partition("%")[0])
    if family == socket.AF_INET6:
        body = struct.pack("!HI16s", port, rest[0], packed) + struct.pack("=I", rest[1])
    else:
        body = struct.pack("!H4s8x", port, packed)
    sized = sys.platform in ("darwin", "freebsd")
    return (struct.pack("BB", len(body) + 2, family) if sized else struct.pack("=H", family)) + body


@cache
def _library() -> Any:
    names = [name for name in map(find_library, ("srt-gnutls", "srt-openssl", "srt")) if name]
    if not names:
        raise SrtError("needs libsrt, which is not installed (apt install libsrt1.5-openssl, brew install srt)")
    library: Any = ctypes.CDLL(names[0])
    library.srt_getlasterror_str.restype = ctypes.c_char_p
    library.srt_startup()
    library.srt_setloglevel(_ONLY_FATAL)  # it writes to the terminal by itself
    atexit.register(library.srt_cleanup)
    return library


def _last_error() -> int:
    return int(_library().srt_getlasterror(None))


def _check(answer: int) -> int:
    if answer < 0:
        words = _library().srt_getlasterror_str() or b"unknown failure"
        raise SrtError(words.decode(errors="replace").strip().rstrip("."))
    return answer
