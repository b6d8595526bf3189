"""Control of a live run from outside: a small HTTP API on the loopback interface, behind a token.

    GET  /v1/state                                         what holds now
    POST /v1/change {"name": "bg", "value": "office.png"}  change one thing
    POST /v1/stop                                          end the run

Every request bears `Authorization: Bearer TOKEN`; the token stands in the run's file (runs.py), which its owner alone
can read. Answers are JSON, errors `{"error": "one line"}`. A page in a browser cannot get in: it has no token, the Host
header must be the loopback address (against DNS rebinding), and there are no CORS headers.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socketserver
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from streammatte.errors import StreammatteError
from streammatte.live.runs import Run, announce, runs_folder, withdraw

__all__ = ["ControlServer", "Controls"]

_LARGEST_BODY = 64 << 10
_IDLE_S = 10.0
"""After so long without a word a connection is closed."""
_POLL_S = 0.05
_ROUTES = {"/v1/state": "GET", "/v1/change": "POST", "/v1/stop": "POST"}


class Controls(Protocol):
    """What can be done to a live run. Any method may be called from any thread, several at a time."""

    def state(self) -> dict[str, object]:
        """What holds now, as JSON values; quick.

        `input` is the source as the user named it. Each name that `change` takes is there with a value it would take.
        """

    def change(self, name: str, value: str) -> dict[str, object]:
        """Change one thing, wait until it shows, and return what holds then.

        Names: bg, model, mirror ("on", "off"), paused ("on", "off"), half_life (seconds), quality. The answer holds
        `name` with its new value, and `after_frames`: how many frames went out before it showed, None where nothing
        is shown. Raises ConfigError, or another StreammatteError, and then all is as it was.
        """

    def stop(self) -> None:
        """Ask the run to end; returns at once."""


class _Refusal(Exception):
    """A request that is not served: the status, and the line that says why."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class ControlServer:
    """Serves `controls` from construction until `close`, and lists the run in `folder` (default: `runs_folder()`).

    Raises ConfigError where the run cannot be listed.
    """

    def __init__(self, controls: Controls, folder: Path | None = None) -> None:
        self.token = secrets.token_urlsafe(32)
        self._http = _Server(controls, self.token)
        self.port = int(self._http.server_address[1])
        run = Run(
            pid=os.getpid(),
            port=self.port,
            token=self.token,
            input=str(controls.state().get("input", "")),
            started=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        self._thread = threading.Thread(target=self._http.serve_forever, args=(_POLL_S,), name="control", daemon=True)
        try:
            self.path = announce(run, runs_folder() if folder is None else folder)
        except BaseException:
            self._http.server_close()
            raise
        self._thread.start()

    def __enter__(self) -> ControlServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take the run off the list and stop serving. May be called more than once; not from a request's thread."""
        withdraw(self.path)
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, controls: Controls, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.controls = controls
        self.authorization = f"Bearer {token}".encode()
        self.hosts = {f"{name}:{self.server_address[1]}" for name in ("127.0.0.1", "localhost")}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is its own affair."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "streammatte"
    sys_version = ""
    timeout = _IDLE_S
    server: _Server

    def do_GET(self) -> None:
        """Answer any request: what a path allows is in _ROUTES."""
        try:
            self._admit()
            answer = self._served()
        except _Refusal as refusal:
            self._send(refusal.status, {"error": str(refusal)})
        except StreammatteError as error:
            self._send(400, {"error": str(error)})
        except Exception as error:
            self._send(500, {"error": f"{type(error).__name__}: {error}; this is a bug: please report it"})
        else:
            self._send(200, answer)
            if self.path == "/v1/stop":  # once the answer is out: the server ends with the run
                self.server.controls.stop()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _admit(self) -> None:
        if self.headers.get_all("Host") is None or set(self.headers.get_all("Host", [])) - self.server.hosts:
            raise _Refusal(400, f"the Host header must be 127.0.0.1:{self.server.server_address[1]}")
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self.server.authorization):
            raise _Refusal(401, "no valid token: send Authorization: Bearer TOKEN with the token of the run's file")
        method = _ROUTES.get(self.path)
        if method is None:
            raise _Refusal(404, f"no such path; one of {', '.join(_ROUTES)}")
        if self.command != method:
            raise _Refusal(405, f"{self.path} takes {method}")

    def _served(self) -> dict[str, object]:
        body = self._body()
        if self.path == "/v1/state":
            return self.server.controls.state()
        if self.path == "/v1/stop":
            return {"stopping": True}
        try:
            wish = json.loads(body)
            name, value = wish["name"], wish["value"]
        except (ValueError, TypeError, KeyError, RecursionError):
            name = value = None
        if not (isinstance(name, str) and isinstance(value, str)):
            raise _Refusal(400, 'expected {"name": "...", "value": "..."}, both text')
        return self.server.controls.change(name, value)

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise _Refusal(400, "send the body whole, with Content-Length")
        text = self.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdecimal()):
            raise _Refusal(400, "Content-Length must be a number")
        if len(text) > 9 or int(text) > _LARGEST_BODY:
            raise _Refusal(413, f"the body may have {_LARGEST_BODY} bytes")
        try:
            body = self.rfile.read(int(text))
        except OSError:
            body = b""
        if len(body) < int(text):
            raise _Refusal(400, "the body is shorter than its Content-Length")
        return body

    def _send(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer, ensure_ascii=False, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == 405:
            self.send_header("Allow", _ROUTES[self.path])
        if status != 200:  # the body may still be unread, and would be taken for the next request
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses by itself (a malformed request line, an unknown method), as JSON."""
        self._send(code, {"error": message or self.responses.get(code, ("refused", ""))[0]})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged: the terminal is the run's."""
