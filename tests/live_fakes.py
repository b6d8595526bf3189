"""What stands in for pyvirtualcam, GStreamer and PipeWire in the tests of the live sinks."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest


class FakeCamera:
    """As pyvirtualcam.Camera, on a file; keeps what it was sent."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "video10"
        self.place.touch()
        self.opened: list[dict[str, Any]] = []
        self.sent: list[Any] = []
        self.closed = 0
        self.refusal: Exception | None = None
        self.failure: Exception | None = None

    def __call__(self, width: int, height: int, fps: float, *, fmt: str, device: str | None) -> FakeCamera:
        if self.refusal is not None:
            raise self.refusal
        self.opened.append({"width": width, "height": height, "fps": fps, "fmt": fmt, "device": device})
        self.device = device or str(self.place)
        return self

    def send(self, picture: Any) -> None:
        if self.failure is not None:
            raise self.failure
        assert picture.dtype == np.uint8
        self.sent.append(picture)

    def sleep_until_next_frame(self) -> None:
        raise AssertionError("a sink never waits for a frame rate")

    def close(self) -> None:
        self.closed += 1


def fake_camera(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCamera:
    """Makes `import pyvirtualcam` give a module with this camera."""
    camera = FakeCamera(folder)
    module = SimpleNamespace(Camera=camera, PixelFormat=SimpleNamespace(I420="I420"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)  # type: ignore[arg-type]
    return camera


class FakePipeWire:
    """Programs of a folder that is first in PATH, and a daemon's socket; the child writes what it reads to `out`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.dump = folder / "dump.json"
        self.dump.write_text("[]")
        self.program("gst-launch-1.0", f'printf "%s\\n" "$@" > {folder}/arguments; exec cat > {self.out}')
        self.program("gst-inspect-1.0", "exit 0")
        self.program("pw-dump", f"echo x >> {folder}/dumps; exec cat {self.dump}")

    def program(self, name: str, script: str) -> None:
        """Put a shell script in the place of `name`."""
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    @property
    def arguments(self) -> list[str]:
        return (self.folder / "arguments").read_text().splitlines()

    @property
    def dumps(self) -> int:
        """How often pw-dump was asked."""
        asked = self.folder / "dumps"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    def lists(self, pid: int, *, links: int) -> None:
        """pw-dump lists a node of `pid` with so many links, and somebody else's camera that is linked."""
        kinds = "PipeWire:Interface:"
        objects: list[dict[str, Any]] = [
            {"id": 5, "type": f"{kinds}Client", "info": {"props": {"pipewire.sec.pid": pid}}},
            {"id": 6, "type": f"{kinds}Node", "info": {"props": {"client.id": 5}}},
            {"id": 7, "type": f"{kinds}Client", "info": {"props": {"pipewire.sec.pid": 1}}},
            {"id": 8, "type": f"{kinds}Node", "info": {"props": {"client.id": 7}}},
            {"id": 9, "type": f"{kinds}Link", "info": {"output-node-id": 8}},
            {"id": 10, "type": f"{kinds}Core", "info": None},
            *[{"id": 20 + i, "type": f"{kinds}Link", "info": {"output-node-id": 6}} for i in range(links)],
        ]
        self.dump.write_text(json.dumps(objects))


@contextmanager
def fake_pipewire(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePipeWire]:
    """A session with a daemon that listens. Its folder's name is short: sockets have room for 107 bytes."""
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(f"{name}/pipewire-0")
        daemon.listen()
        monkeypatch.setenv("PATH", name, prepend=":")
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        for variable in ("PIPEWIRE_REMOTE", "PIPEWIRE_RUNTIME_DIR"):
            monkeypatch.delenv(variable, raising=False)
        yield FakePipeWire(Path(name))
