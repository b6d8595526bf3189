"""What carries a stream away: a connection that is written to like a file, and made anew when it breaks."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Protocol

from streammatte.sinks.streams.network_plan import Target
from streammatte.sinks.streams.rtmp import RtmpLink
from streammatte.srt import DATAGRAM, SrtConnection, SrtListener, connect

__all__ = ["DATAGRAM", "Link", "Links"]

_POLL_S = 0.05


class Link(Protocol):
    """One connection. `close` may be called from any thread, and ends what the others wait in."""

    closed: bool

    def open(self) -> None:
        """Connect, or wait for a caller. Raises OSError."""

    def write(self, content: bytes) -> None:
        """Send; blocks no longer than a peer may reasonably take. Raises OSError where it is gone."""

    def check(self) -> None:
        """Raises OSError where the peer is known to be gone."""

    def close(self) -> None:
        """Hang up."""


class Links:
    """Makes connections to `target`, one after the other."""

    def __init__(self, target: Target, head: bytes, size: tuple[int, int]) -> None:
        """`head`: what a stream of (width, height) begins with. Raises OSError where the place to listen is taken."""
        self._target, self._head, self._size = target, head, size
        self._listener = SrtListener(target.srt) if target.srt is not None and target.srt.listens else None

    def link(self) -> Link:
        """The next one, not open yet."""
        target = self._target
        if target.srt is not None:
            return _SrtLink(target, self._listener)
        if target.scheme == "udp":
            return _UdpLink(target.host, target.port, target.ttl)
        return RtmpLink(target.url, self._head, self._size)

    def close(self) -> None:
        """Listen no longer."""
        if self._listener is not None:
            self._listener.close()


class _SrtLink:
    """A call of ours, or the first caller that comes; a second one waits until it has gone."""

    def __init__(self, target: Target, listener: SrtListener | None) -> None:
        self.closed = False
        self._target, self._listener = target, listener
        self._connection: SrtConnection | None = None

    def open(self) -> None:
        assert self._target.srt is not None
        if self._listener is None:
            self._connection = connect(self._target.srt)
        while self._connection is None and not self.closed and self._listener is not None:
            self._connection = self._listener.accept()
            if self._connection is None:
                time.sleep(_POLL_S)
        if self.closed:
            self.close()
            raise ConnectionAbortedError("closed")

    def write(self, content: bytes) -> None:
        assert self._connection is not None
        self._connection.send(content)

    def check(self) -> None:
        if self._connection is not None and not self._connection.up:
            raise ConnectionAbortedError("the peer has gone")

    def close(self) -> None:
        self.closed = True
        if self._connection is not None:
            self._connection.close()


class _UdpLink:
    """Datagrams to whoever may listen, of which nothing is known."""

    def __init__(self, host: str, port: int, ttl: int | None) -> None:
        self.closed = False
        self._place, self._ttl = (host, port), ttl
        self._socket: socket.socket | None = None

    def open(self) -> None:
        family, _, _, _, place = socket.getaddrinfo(*self._place, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        if self._ttl is not None:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, self._ttl)
        self._socket.connect(place)

    def write(self, content: bytes) -> None:
        assert self._socket is not None
        with suppress(ConnectionRefusedError):  # nobody listens on that machine yet
            self._socket.send(content)

    def check(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
        if self._socket is not None:
            self._socket.close()
