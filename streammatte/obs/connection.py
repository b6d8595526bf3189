"""A connection to OBS's WebSocket server (obs-websocket 5). Everything that can go wrong is one line.

obsws-python is GPL: it is imported only here, and only when asked for. It logs each failure with a traceback, and the
password with each connection; its logger is silenced before it can.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from streammatte.errors import ConfigError, SinkError, StreammatteError, first_line

__all__ = ["Connection", "Refused", "connect"]

_ANSWER_S = 10.0
_OLD_ANSWER_S = 2.0
_FAREWELL_S = 1.0
_SETTINGS = "Tools > WebSocket Server Settings"


class Refused(SinkError):
    """OBS understood a request and does not do it; `code` is obs-websocket's RequestStatus."""

    NOT_FOUND = 600
    OTHER_TYPE = 602
    NOT_RENDERED = 702

    def __init__(self, request: str, code: int, comment: str) -> None:
        super().__init__(f"OBS refuses {request}: {comment or 'no reason given'} (code {code}); see OBS's log")
        self.code = code


class Connection:
    """Of one client to OBS; closed when it is left as a context."""

    def __init__(self, client: Any, place: str) -> None:
        self._client = client
        self.place = place
        """host:port"""
        version = self.ask("GetVersion")
        self.version = str(version.get("obsVersion"))
        self.websocket_version = str(version.get("obsWebSocketVersion"))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        _close(self._client.ws)

    @property
    def own_address(self) -> str:
        """This machine's address as OBS sees it, but for address translation on the way."""
        return str(self._client.ws.sock.getsockname()[0])

    def ask(self, request: str, **fields: Any) -> dict[str, Any]:
        """Make a request and return what OBS answers. Raises Refused, or SinkError where no answer comes."""
        with _one_line(self.place):
            answer = self._client.req(request, fields)
            status = answer["requestStatus"]
            if not status["result"]:
                raise Refused(request, int(status["code"]), str(status.get("comment", "")))
            return dict(answer.get("responseData") or {})


def connect(host: str, port: int, password: Callable[[], str]) -> Connection:
    """Connect to OBS; `password` is called once, and only if OBS wants one.

    Raises ConfigError where something given is wrong or missing, SinkError where OBS is not there, too old or silent.
    """
    library, host = _library(), f"[{host}]" if ":" in host else host
    place = f"{host}:{port}"
    with _one_line(place):
        word = password() if _greeting(host, port).get("authentication") else ""
        client = library.ObsClient(host=host, port=port, password=word, timeout=_ANSWER_S)
        try:
            _identify(library, client, place)
            return Connection(client, place)
        except BaseException:
            _close(client.ws)
            raise


def _library() -> ModuleType:
    try:
        from obsws_python import baseclient
    except ModuleNotFoundError as error:
        remedy = "pip install 'streammatte[obs]'"
        raise ConfigError("obs", f"needs {error.name}, which is not installed: {remedy}") from error
    logging.getLogger("obsws_python").setLevel(logging.CRITICAL + 1)
    module: ModuleType = baseclient
    return module


def _greeting(host: str, port: int) -> dict[str, Any]:
    """What OBS says first. The library cannot tell who is there, and leaves connections open that lead nowhere."""
    import websocket

    first = websocket.create_connection(f"ws://{host}:{port}", timeout=_ANSWER_S)
    try:
        hello = json.loads(first.recv())
    except (TimeoutError, websocket.WebSocketTimeoutException) as error:
        raise _silent(first, f"{host}:{port}") from error
    finally:
        _close(first)
    inner = hello.get("d") if isinstance(hello, dict) else None
    if not isinstance(inner, dict) or "obsWebSocketVersion" not in inner:
        raise _not_obs(f"{host}:{port}", "it speaks another protocol")
    return inner


def _close(socket: Any) -> None:
    with suppress(Exception):  # it may be broken already
        socket.close(timeout=_FAREWELL_S)
    socket.shutdown()  # `close` leaves it open where the other side has closed first


def _silent(first: Any, place: str) -> SinkError:
    """obs-websocket 4 waits for the client's first word; nobody else does."""
    with suppress(Exception):
        first.settimeout(_OLD_ANSWER_S)
        first.send(json.dumps({"request-type": "GetVersion", "message-id": "1"}))
        version = json.loads(first.recv())["obs-websocket-version"]
        return SinkError(f"OBS at {place} has obs-websocket {version}; 5 is needed: update OBS to 28 or later")
    return SinkError(f"{place} does not answer within {_ANSWER_S:g} s; if it is OBS, restart it")


def _identify(library: ModuleType, client: Any, place: str) -> None:
    try:
        client.authenticate()
    except library.OBSSDKError as error:
        if not client.password:
            raise SinkError(f"OBS at {place} turns the connection away: {first_line(error)}") from error
        where = f"it stands in OBS: {_SETTINGS} > Show Connect Info"
        raise ConfigError("password", f"OBS at {place} does not take it; {where}") from error


@contextmanager
def _one_line(place: str) -> Iterator[None]:
    """What goes wrong between here and `place`, as our errors."""
    import websocket as failed
    from obsws_python.error import OBSSDKError

    try:
        yield
    except StreammatteError:
        raise
    except ConnectionRefusedError as error:
        how = f"start it, and switch its server on: {_SETTINGS} > Enable WebSocket server"
        raise SinkError(f"OBS does not listen at {place}: {how}") from error
    except (failed.WebSocketConnectionClosedException, ConnectionError) as error:
        raise SinkError(f"{place} closed the connection: {first_line(error)}; is it OBS? See its log") from error
    except (failed.WebSocketTimeoutException, OBSSDKError, TimeoutError) as error:
        raise SinkError(f"OBS at {place} does not answer: {first_line(error)}; if it hangs, restart it") from error
    except (failed.WebSocketAddressException, OSError) as error:
        raise ConfigError("--host", f"{place} cannot be reached: {first_line(error)}") from error
    except failed.WebSocketBadStatusException as error:
        raise _not_obs(place, f"it answers with HTTP status {error.status_code}") from error
    except (failed.WebSocketException, ValueError, KeyError, TypeError) as error:
        raise _not_obs(place, "it speaks another protocol") from error  # not in its own words: they may be anything


def _not_obs(place: str, why: str) -> ConfigError:
    return ConfigError("--obs-port", f"{place} is not OBS's WebSocket server ({why}); its port: {_SETTINGS}")
