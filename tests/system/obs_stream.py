"""Known pictures for a real OBS: a sender that says when it sent which, in this process or by the command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scenes import BT709, make_frame

from streammatte.frame import Frame, StreamInfo
from streammatte.ports import LiveSink
from streammatte.sinks.live import open_live_sink

__all__ = ["COLORS", "HERE", "SIZE", "Command", "Sender", "listening", "number_in", "patches"]

HERE = Path(__file__).parent
SIZE = (640, 360)
COLORS = ((0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.2, 0.9), (0.9, 0.8, 0.2), (0.5, 0.5, 0.5), (0.05, 0.05, 0.05))
"""R'G'B' of the patches, from top to bottom."""
_BITS, _STRIP = 16, 60
"""The number stands in the lowest rows, one cell a bit, most significant first."""
_RATE = 30


def patches(columns: tuple[int, ...] = (0, 128, 255), size: tuple[int, int] = SIZE) -> Frame:
    """Columns of alpha, over rows of colour; the strip for the number is opaque."""
    width, height = size
    rgb = np.empty((height, width, 3), np.float32)
    rows = np.array_split(np.arange(height - _STRIP), len(COLORS))
    for color, where in zip(COLORS, rows, strict=True):
        rgb[where] = color
    rgb[height - _STRIP :] = 0
    frame = make_frame(size=size, rgb=rgb, color=BT709, time_base=Fraction(1, 90_000))
    alpha = np.full((height, width), 255, np.uint8)
    for value, where in zip(columns, np.array_split(np.arange(width), len(columns)), strict=True):
        alpha[: height - _STRIP, where] = value
    return replace(frame, alpha=alpha)


def _numbered(frame: Frame, number: int) -> Frame:
    luma = frame.planes[0].copy()
    cells = np.array_split(luma[-_STRIP:], _BITS, axis=1)
    for bit, cell in enumerate(cells):
        cell[:] = 235 if number >> (_BITS - 1 - bit) & 1 else 16
    return replace(frame, planes=(luma, *frame.planes[1:]))


def number_in(picture: npt.NDArray[np.uint8]) -> int:
    """The number that a screenshot (h, w, 4) of the source shows; -1 where nothing is to be seen."""
    cells = np.array_split(picture[-_STRIP // 2], _BITS, axis=0)
    middles = [cell[len(cell) // 2] for cell in cells]
    if min(middle[3] for middle in middles) < 128:
        return -1
    return int("".join("1" if middle[0] > 127 else "0" for middle in middles), 2)


class Sender:
    """Shows numbered patches on a live sink, thirty a second; `sent` says when (`time.monotonic`)."""

    def __init__(
        self,
        spec: str,
        frame: Frame | None = None,
        opens: Callable[[str, StreamInfo], LiveSink] = open_live_sink,
    ) -> None:
        self._frame = frame or patches()
        self.info = StreamInfo(
            "patches",
            self._frame.width,
            self._frame.height,
            self._frame.format,
            BT709,
            self._frame.time_base,
            Fraction(_RATE),
            live=True,
        )
        self.sink = opens(spec, self.info)
        self.sent: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self.sink.abort()

    def _send(self) -> None:
        start_s, number = time.monotonic(), 0
        while not self._over.wait(max(0.0, start_s + number / _RATE - time.monotonic())):
            number += 1
            frame = _numbered(self._frame, number & 0xFFFF)
            pts = int((time.monotonic() - start_s) * 90_000)
            self.sent[number & 0xFFFF] = time.monotonic()
            self.sink.write(replace(frame, pts=pts, seq=number, captured_ns=time.monotonic_ns()))


class Command:
    """`streammatte ARGUMENTS` with the network of tiny.py, as a process."""

    def __init__(self, tiny_folder: Path, environment: dict[str, str], *arguments: str) -> None:
        self._run = [sys.executable, str(HERE.parent / "tiny.py"), str(tiny_folder), *arguments]
        own = {"STREAMMATTE_CACHE": str(tiny_folder / "cache"), "STREAMMATTE_OFFLINE": "1"}
        self._environment = os.environ | own | environment
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """Start it (again)."""
        self.process = subprocess.Popen(
            self._run,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self.process

    def run(self, timeout_s: float = 60.0) -> tuple[int, str, str]:
        """Run it to its end: exit code, what it said, what it complained of."""
        process = self.start()
        out, err = process.communicate(timeout=timeout_s)
        return process.returncode, out, err

    def end(self, how: int = signal.SIGKILL) -> None:
        """Kill it, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)
        if self.process is not None:
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()


@contextlib.contextmanager
def started(command: Command) -> Iterator[Any]:
    """`command` runs while the block lasts."""
    try:
        yield command.start()
    finally:
        command.end()


def listening(port: int) -> bool:
    """Whether somebody takes connections at this port of the loopback interface, without connecting."""
    wanted = f"{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if local.endswith(f":{wanted}") and state == "0A":
            return True
    return False
