"""The preview's page and stream: for this machine's own browser and, where the user asks for it, for the network's."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

from streammatte.sinks.broadcast import Broadcast

__all__ = ["PageServer", "Viewer"]

_STREAMS = ("/stream", "/stream.mjpg")
"""The second for programs that go by a name's ending."""
_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>streammatte preview</title>
<style>html,body{margin:0;height:100%;background:#111}img{width:100%;height:100%;object-fit:contain}</style>
<img src="/stream" alt="What the camera shows">
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LOOK_S = 0.5
_STUCK_S = 10.0
_SEND_BUFFER = 1 << 17
"""What waits in a socket is late: a slow viewer shall drop pictures, not fall behind."""


class PageServer(ThreadingHTTPServer):
    """Serves each viewer in a thread of its own, and says nothing of those who hang up."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, viewer: Any) -> None:
        """Listen. Raises OSError."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), viewer)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer's fault is no fault of the run."""


class Viewer(BaseHTTPRequestHandler):
    """One request: the page, or the pictures of `broadcast` for as long as somebody takes them."""

    timeout = _STUCK_S

    def __init__(self, broadcast: Broadcast, *request: Any) -> None:
        self._broadcast = broadcast
        super().__init__(*request)

    def do_GET(self) -> None:
        """Answer by path; only where the browser's own address line may have said so."""
        refusal = self._refusal()
        if refusal is not None:
            self._answer(refusal, "text/plain; charset=utf-8", refusal.phrase.encode())
        elif self.path == "/":
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", _PAGE)
        else:
            self._stream()

    def log_message(self, *message: Any) -> None:
        """Requests are nobody's news."""

    def _refusal(self) -> HTTPStatus | None:
        """Against DNS rebinding the name asked for must be ours; pictures are for our own page, not for other sites."""
        if not _ours(self.headers.get("Host", ""), *self.connection.getsockname()[:2]):
            return HTTPStatus.FORBIDDEN
        if self.path != "/" and self.path not in _STREAMS:
            return HTTPStatus.NOT_FOUND
        foreign = self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        return HTTPStatus.FORBIDDEN if foreign and self.path in _STREAMS else None

    def _head(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self._head(status, kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._head(HTTPStatus.OK, "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with self._broadcast.viewing() as number:
            self.wfile.write(b"--frame\r\n")
            while not self._broadcast.closed and not self._gone():
                newest = self._broadcast.after(number, _LOOK_S)
                if newest is not None:
                    number, jpeg = newest
                    self._send(jpeg)

    def _send(self, jpeg: bytes) -> None:
        """One part and the boundary after it: browsers show a part when they have seen its end."""
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        self.wfile.write(head.encode() + jpeg + b"\r\n--frame\r\n")

    def _gone(self) -> bool:
        """The viewer has hung up: there is something to read, and it is the end."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)


def _ours(asked: str, address: str, port: int) -> bool:
    """Whether a request's Host names us, who were reached at `address`.

    Somebody's web site can have its own name lead here (DNS rebinding), and its page would then pass for ours. It
    cannot do so with an address, which is no name that leads anywhere, nor with localhost. Through loopback only
    loopback's names are right; through another address any address is, since routers and virtual machines give
    this machine addresses that it does not know of.
    """
    name, _, given = asked.rpartition(":") if not asked.endswith("]") else (asked, "", "")
    if not name:
        name, given = asked, ""
    if given != str(port) and not (port == 80 and not given):  # browsers leave out 80
        return False
    if name == "localhost":
        return True
    with suppress(ValueError):
        wanted, reached = ip_address(name.strip("[]")), ip_address(address.partition("%")[0])
        return wanted == reached if reached.is_loopback else True
    return False
