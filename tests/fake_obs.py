"""An OBS for tests: as much of obs-websocket 5 as `streammatte obs` uses, on a real socket.

It can want a password, be too old, keep silent or hang up. What it holds can be looked at and changed at any time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import cv2
import numpy as np

Mood = Literal["well", "old", "silent", "hangs up", "hangs up when asked", "stops when asked", "another"]
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
_SALT, _CHALLENGE = "salt", "challenge"
_NOT_FOUND, _OTHER_TYPE, _NOT_RENDERED = 600, 602, 702
DEFAULTS = {"is_local_file": True, "buffering_mb": 2, "looping": False, "clear_on_media_end": True}


class _Refusal(Exception):
    def __init__(self, code: int, comment: str) -> None:
        super().__init__(comment)
        self.code = code


class FakeObs:
    """Serves from construction until `close`, each client in a thread of its own."""

    def __init__(self, password: str | None = None, mood: Mood = "well", *, linear_alpha: bool = True) -> None:
        self.password, self.mood = password, mood
        self.defaults = {**DEFAULTS, "linear_alpha": False} if linear_alpha else DEFAULTS
        self.inputs: dict[str, tuple[str, dict[str, Any]]] = {}
        """name -> kind, settings"""
        self.scenes: dict[str, list[dict[str, Any]]] = {"Scene": []}
        """name -> scene items; groups are among them, as in OBS."""
        self.program = "Scene"
        self.picture: Callable[[], np.ndarray | None] = lambda: None
        """The screenshot of any source; None: cannot be rendered."""
        self.refuses: dict[str, tuple[int, str]] = {}
        """request -> code, comment"""
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> FakeObs:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        for one in (self._socket, *self._clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def changes(self) -> list[str]:
        """The requests so far that change something."""
        return [request for request in self.asked if not request.startswith("Get")]

    def add_item(self, scene: str, source: str, *, kind: str = "INPUT", group: bool = False) -> None:
        """`source` into `scene`; kind SCENE for scenes and groups."""
        item = {"sourceName": source, "sourceType": f"OBS_SOURCE_TYPE_{kind}", "isGroup": group}
        self.scenes[scene].append({**item, "sceneItemId": 1 + len(self.scenes[scene])})

    # the wire

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError), client:
            if self.mood == "hangs up":
                return
            with client.makefile("rb") as stream:
                _shake_hands(client, stream)
                self._talk(client, stream)

    def _talk(self, client: socket.socket, stream: Any) -> None:
        if self.mood == "silent":
            _received(stream)
        if self.mood == "old":
            asked = json.loads(_received(stream))
            _send(client, {"message-id": asked["message-id"], "obs-websocket-version": "4.9.1", "status": "ok"})
            return
        if self.mood == "another":
            _send(client, {"welcome": "to a chat"})
            return
        authentication = {} if self.password is None else {"challenge": _CHALLENGE, "salt": _SALT}
        hello = {"obsWebSocketVersion": "5.1.0", "rpcVersion": 1}
        _send(client, {"op": 0, "d": hello | ({"authentication": authentication} if authentication else {})})
        if self.password is not None and json.loads(_received(stream))["d"].get("authentication") != self._proof():
            client.sendall(bytes([0x88, 2]) + (4009).to_bytes(2, "big"))
            return
        if self.password is None:
            _received(stream)
        _send(client, {"op": 2, "d": {"negotiatedRpcVersion": 1}})
        while True:
            self._answer(client, json.loads(_received(stream))["d"])

    def _proof(self) -> str:
        def digest(text: str) -> str:
            return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

        return digest(digest(f"{self.password}{_SALT}") + _CHALLENGE)

    def _answer(self, client: socket.socket, wish: dict[str, Any]) -> None:
        request = wish["requestType"]
        self.asked.append(request)
        if request != "GetVersion" and self.mood == "hangs up when asked":
            raise EOFError
        if request != "GetVersion" and self.mood == "stops when asked":
            return
        status: dict[str, Any] = {"result": True, "code": 100}
        answer: dict[str, Any] = {}
        try:
            if request in self.refuses:
                raise _Refusal(*self.refuses[request])
            answer = self._answered(request, wish.get("requestData", {}))
        except _Refusal as refusal:
            status = {"result": False, "code": refusal.code, "comment": str(refusal)}
        inner = {"requestType": request, "requestId": wish["requestId"], "requestStatus": status}
        _send(client, {"op": 7, "d": inner | {"responseData": answer}})

    # requests: what they ask with -> what they are answered

    def _answered(self, request: str, wish: dict[str, Any]) -> dict[str, Any]:
        table: dict[str, Callable[..., dict[str, Any] | None]] = {
            "GetVersion": lambda: {"obsVersion": "29.0.2", "obsWebSocketVersion": "5.1.0"},
            "GetCurrentProgramScene": lambda: {"currentProgramSceneName": self.program},
            "GetSceneList": lambda: {"scenes": [{"sceneName": scene} for scene in reversed(self.scenes)]},
            "GetSceneItemList": self._items,
            "GetGroupSceneItemList": self._items,
            "GetInputDefaultSettings": lambda **_: {"defaultInputSettings": self.defaults},
            "GetInputSettings": self._settings,
            "SetInputSettings": self._set,
            "CreateInput": self._create,
            "CreateSceneItem": self._create_item,
            "RemoveInput": self._remove,
            "GetVideoSettings": lambda: {"baseWidth": 1920, "baseHeight": 1080},
            "SetSceneItemTransform": self._transform,
            "GetMediaInputStatus": lambda **_: {"mediaState": "OBS_MEDIA_STATE_PLAYING"},
            "GetSourceActive": self._active,
            "GetSourceScreenshot": self._screenshot,
        }
        return table[request](**wish) or {}

    def _items(self, **wish: Any) -> dict[str, Any]:
        return {"sceneItems": self.scenes[wish["sceneName"]]}

    def _settings(self, **wish: Any) -> dict[str, Any]:
        if wish["inputName"] in self.scenes:
            raise _Refusal(_OTHER_TYPE, "The specified source is not an input.")
        kind, settings = self._input(wish["inputName"])
        return {"inputKind": kind, "inputSettings": settings}

    def _set(self, **wish: Any) -> None:
        assert wish["overlay"]
        self._input(wish["inputName"])[1].update(wish["inputSettings"])

    def _create(self, **wish: Any) -> dict[str, Any]:
        self.inputs[wish["inputName"]] = (wish["inputKind"], dict(wish["inputSettings"]))
        return self._create_item(sceneName=wish["sceneName"], sourceName=wish["inputName"])

    def _create_item(self, **wish: Any) -> dict[str, Any]:
        self.add_item(wish["sceneName"], wish["sourceName"])
        return {"sceneItemId": self.scenes[wish["sceneName"]][-1]["sceneItemId"]}

    def _remove(self, **wish: Any) -> None:
        self._input(wish["inputName"])
        del self.inputs[wish["inputName"]]
        for items in self.scenes.values():
            items[:] = [item for item in items if item["sourceName"] != wish["inputName"]]

    def _transform(self, **wish: Any) -> None:
        (item,) = (item for item in self.scenes[wish["sceneName"]] if item["sceneItemId"] == wish["sceneItemId"])
        item["sceneItemTransform"] = wish["sceneItemTransform"]

    def _active(self, **wish: Any) -> dict[str, Any]:
        shown = any(item["sourceName"] == wish["sourceName"] for item in self.scenes[self.program])
        return {"videoActive": shown, "videoShowing": shown}

    def _screenshot(self, **wish: Any) -> dict[str, Any]:
        picture = self.picture()
        if picture is None:
            raise _Refusal(_NOT_RENDERED, "Failed to render screenshot.")
        png = cv2.imencode(f".{wish['imageFormat']}", picture)[1].tobytes()
        return {"imageData": f"data:image/png;base64,{base64.b64encode(png).decode()}"}

    def _input(self, name: str) -> tuple[str, dict[str, Any]]:
        if name not in self.inputs:
            raise _Refusal(_NOT_FOUND, f"No source was found by the name of `{name}`.")
        return self.inputs[name]


def _shake_hands(client: socket.socket, stream: Any) -> None:
    key = ""
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(": ")
        key = value if name.lower() == "sec-websocket-key" else key
    accept = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    client.sendall(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())


def _received(stream: Any) -> str:
    """The next text message; EOFError where the client leaves. Messages of more than one frame are not taken."""
    head = _exactly(stream, 2)
    length = head[1] & 0x7F
    if length > 125:
        length = int.from_bytes(_exactly(stream, 2 if length == 126 else 8), "big")
    key = _exactly(stream, 4)
    payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(_exactly(stream, length)))
    if head[0] != 0x81:
        raise EOFError
    return payload.decode()


def _exactly(stream: Any, size: int) -> bytes:
    got: bytes = stream.read(size)
    if len(got) < size:
        raise EOFError
    return got


def _send(client: socket.socket, message: dict[str, Any]) -> None:
    payload = json.dumps(message).encode()
    size = len(payload)
    short = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    client.sendall(b"\x81" + (short if size < 1 << 16 else b"\x7f" + size.to_bytes(8, "big")) + payload)
