"""Whoever connects over TCP: each is sent what comes, in a thread of its own and at its own pace; nothing is read."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

import av

from streammatte.handoff import Cancelled, Handoff
from streammatte.worker import Worker

__all__ = ["Clients", "Muxer", "Wire"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

_LOOK_S = 0.1
"""How often it is asked whether a client has hung up, or anybody is to be let in."""
_STUCK_S = 10.0
_LAST_S = 1.0
"""What stays on a screen when a run is over is the last picture: it should arrive."""
_SEND_BUFFER = 1 << 17
"""What waits in a socket is late: a slow client shall miss pictures, not fall behind."""
_MOST = 16
"""Clients at a time: a scene or two; each has a thread."""


class Wire:
    """A client's end of the line, in the shape of a file that can only be written."""

    def __init__(self, connection: socket.socket) -> None:
        self.closed = False
        """FFmpeg writes no more, not even a container's end."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        connection.settimeout(_STUCK_S)
        self._connection = connection

    def write(self, piece: bytes) -> int:
        """Send all of it. Raises OSError where the client is gone, or has taken nothing for too long."""
        self._connection.sendall(piece)
        return len(piece)

    def broken(self) -> bool:
        """The client has hung up, or has spoken: OBS says nothing, but a page in a browser asks first."""
        readable, _, _ = select.select([self._connection], [], [], 0)
        return bool(readable)

    def cut(self) -> None:
        """End what is being sent, from any thread."""
        self.closed = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class Muxer(Protocol[T_contra]):
    """What writes one client's stream; it is made, used and closed in the client's thread."""

    def mux(self, item: T_contra) -> None:
        """Write one item whole. Raises OSError or FFmpegError where the client is gone."""

    def close(self) -> None:
        """Complete the stream; may raise as `mux`."""


class Clients(Generic[T]):
    """Listens at `address` and gives each client what is `put` from then on, through a muxer of its own.

    A client that is slow misses items beyond `waiting`; one that hangs up, or takes nothing for 10 s, is let go. Raises
    OSError where the address cannot be had.
    """

    def __init__(
        self,
        address: tuple[str, int],
        muxer: Callable[[Wire], Muxer[T]],
        waiting: int = 1,
        joined: Callable[[], None] = lambda: None,
    ) -> None:
        """`joined` is called in another thread when somebody has come, before anything is put for them."""
        self._muxer, self._waiting, self._joined = muxer, waiting, joined
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        # With SO_REUSEADDR wherever that does not let two share a port: a run may follow another at once.
        self._listening = socket.create_server(address, family=family)
        self._listening.settimeout(_LOOK_S)
        self.port: int = self._listening.getsockname()[1]
        self.served = self._missed = 0
        self._present: set[_Client[T]] = set()
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._accepting = Worker("obs clients", self._accept)
        self._accepting.start()

    def __len__(self) -> int:
        """How many are connected."""
        return len(self._present)

    @property
    def missed(self) -> int:
        """Items that clients were too slow for, in all."""
        with self._changing:
            return self._missed + sum(client.slot.dropped for client in self._present)

    def put(self, item: T) -> None:
        """Hand `item` to everybody; waits for nobody."""
        with self._changing:
            present = tuple(self._present)
        for client in present:
            with contextlib.suppress(Cancelled):
                client.slot.put(item)

    def close(self) -> None:
        """Let everybody have what is put already, for a second, and hang up; no thread is left."""
        self._closed.set()
        self._accepting.ended.wait()
        with self._changing:
            present = tuple(self._present)
        for client in present:
            client.slot.close()
        end_s = time.monotonic() + _LAST_S
        for client in present:
            if not client.ended.wait(max(0.0, end_s - time.monotonic())):
                client.leave()
        for client in present:
            client.ended.wait()

    def _accept(self) -> None:
        with self._listening:
            while not self._closed.is_set():
                # TimeoutError, or a client that has gone before it was let in.
                with contextlib.suppress(OSError):
                    self._let_in(self._listening.accept()[0])

    def _let_in(self, connection: socket.socket) -> None:
        if len(self._present) >= _MOST:
            connection.close()
            return
        try:
            client = _Client(connection, self._muxer, self._waiting, self._gone)
        except OSError:
            connection.close()
            raise
        with self._changing:
            self._present.add(client)
            self._joined()
            client.start()
            self.served += 1

    def _gone(self, client: _Client[T]) -> None:
        with self._changing:
            self._present.discard(client)
            self._missed += client.slot.dropped


class _Client(Generic[T]):
    """One connection and its thread."""

    def __init__(
        self,
        connection: socket.socket,
        muxer: Callable[[Wire], Muxer[T]],
        waiting: int,
        gone: Callable[[_Client[T]], None],
    ) -> None:
        self.slot: Handoff[T] = Handoff(waiting, "drop_oldest")
        self._connection, self._wire = connection, Wire(connection)
        self._worker = Worker("obs client", partial(self._serve, muxer, gone))
        self.start, self.ended = self._worker.start, self._worker.ended

    def leave(self) -> None:
        """Send it away."""
        self.slot.cancel()
        self._wire.cut()

    def _serve(self, muxer: Callable[[Wire], Muxer[T]], gone: Callable[[_Client[T]], None]) -> None:
        try:
            # Whatever becomes of a client is nobody else's business.
            with self._connection, contextlib.suppress(OSError, av.FFmpegError, Cancelled):
                self._send(muxer(self._wire))
        finally:
            self.slot.cancel()
            gone(self)

    def _send(self, muxer: Muxer[T]) -> None:
        try:
            while not self.slot.over and not self._wire.broken():
                item = self.slot.take(_LOOK_S)
                if item is not None:
                    muxer.mux(item)
        finally:
            self._wire.cut()
            muxer.close()
