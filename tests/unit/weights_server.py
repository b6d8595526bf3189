"""A small HTTP server on 127.0.0.1 for the weights tests: with or without Range, and with bad manners."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    files: dict[str, bytes]
    ranges: bool = True
    drop_after: int | None = None
    """Bytes after which each connection breaks off."""
    once: bool = False
    """Only the first connection does; or, with `stall`, stalls."""
    stall: threading.Event | None = None
    """Where a connection would break off it waits for this instead, and sends nothing more."""
    trickle: int | None = None
    """Bytes sent at a time, with a moment between."""
    status: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    """Sent beside the usual ones."""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent: int = 0
    url: str = ""


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    handler = type("Handler", (_Handler,), {"served": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        served = self.served
        served.requests.append((self.path, dict(self.headers.items())))
        if self.path in served.redirects:
            self.send_response(302)
            self.send_header("Location", served.redirects[self.path])
            self.end_headers()
            return
        content = served.files.get(self.path)
        if content is None or self.path in served.status:
            self.send_error(served.status.get(self.path, 404))
            return
        self._answer(content)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, content: bytes) -> None:
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        body, size = content, len(content)
        if span and self.served.ranges:
            start = int(span[1]) if span[1] else max(size - int(span[2]), 0)
            end = min(int(span[2]), size - 1) if span[1] and span[2] else size - 1
            if start >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.end_headers()
                return
            body = content[start : end + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        else:
            self.send_response(200)
        for name, value in self.served.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes" if self.served.ranges else "none")
        self.send_header("Content-Type", "text/html" if self.path.endswith(".html") else "application/zip")
        self.end_headers()
        if self.command == "HEAD":
            return
        served = self.served
        part = body[: served.drop_after]
        if served.once:
            served.drop_after = None
        served.sent += len(part)
        step = served.trickle or max(len(part), 1)
        for start in range(0, len(part), step):
            self.wfile.write(part[start : start + step])
            if served.trickle:
                time.sleep(0.001)
        if served.stall is not None and len(part) < len(body):
            self.wfile.flush()
            served.stall.wait(10)
