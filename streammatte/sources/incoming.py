"""Connections that come to us, such as OBS's, by SRT (read like files; also calls of ours) and by RTMP (FFmpeg's)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from streammatte.errors import SourceError
from streammatte.sources.addresses import shown
from streammatte.srt import SrtAddress, SrtConnection, SrtError, SrtListener, connect

__all__ = ["SrtInput", "SrtInputs", "check_rtmp", "wake_rtmp"]

_POLL_S = 0.05
_SILENT_S = 10.0
_RTMP_PORT = 1935
_WAKE_S = 1.0
_HOST_TOO = "give the host too: 127.0.0.1, or 0.0.0.0 for callers from other machines"


class SrtInput:
    """One connection, as a file that ends when the peer goes, is silent for 10 s, or `close` is called."""

    def __init__(self, connection: SrtConnection) -> None:
        self._connection = connection
        self._closed = False
        self._rest = b""

    def read(self, size: int) -> bytes:
        """What has come, `size` bytes at most; waits for something. Nothing at the end."""
        if not self._rest:
            self._rest = self._datagram()
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def _datagram(self) -> bytes:
        since_s = time.monotonic()
        while not self._closed and time.monotonic() - since_s < _SILENT_S:
            try:
                datagram = self._connection.receive()
            except SrtError:
                return b""
            if datagram:
                return datagram
        return b""

    def close(self) -> None:
        """Hang up; from any thread."""
        self._closed = True
        self._connection.close()


class SrtInputs:
    """Makes the connections of one address, one after the other."""

    def __init__(self, spec: str) -> None:
        """Raises SourceError for what is no address, or one to listen at that is taken."""
        self._spec = spec
        try:
            self._address = SrtAddress.parse(spec)
            if self._address.listens and not self._address.host:
                raise ValueError(_HOST_TOO)
            self._listener = SrtListener(self._address) if self._address.listens else None
        except (OSError, ValueError) as error:
            raise SourceError(f"{shown(spec)}: {str(error).lower()}") from error

    def next(self, over: Callable[[], bool]) -> SrtInput | None:
        """A new connection; None once `over`. Raises SourceError where nobody answers our call."""
        try:
            if self._listener is None:
                return SrtInput(connect(self._address))
            while not over():
                if (connection := self._listener.accept()) is not None:
                    return SrtInput(connection)
                time.sleep(_POLL_S)
        except OSError as error:
            if not over():
                why = f"{shown(self._spec)}: cannot be opened ({str(error).lower()})"
                raise SourceError(f"{why}; check the address and that the stream is running") from error
        return None

    def close(self) -> None:
        """Listen no longer."""
        if self._listener is not None:
            self._listener.close()


def check_rtmp(spec: str) -> None:
    """Raises SourceError where `spec` cannot be listened at.

    FFmpeg would only say that something failed, and listens everywhere where no host is given.
    """
    try:
        host, port = _place(spec)
        if not host:
            raise SourceError(f"{spec}: {_HOST_TOO}")
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        why = os.strerror(number) if number is not None and number > 0 else str(error)
        raise SourceError(f"{spec}: cannot be listened at ({why.lower()}); give another port or address") from error


def wake_rtmp(spec: str) -> None:
    """FFmpeg stops listening only for a caller: this one, that says nothing."""
    with suppress(OSError, ValueError):
        socket.create_connection(_place(spec), _WAKE_S).close()


def _place(spec: str) -> tuple[str, int]:
    parts = urlsplit(spec)
    return parts.hostname or "", parts.port or _RTMP_PORT
