"""A live scene whose every pixel is known: a green subject sits in a magenta room that nobody may see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from scenes import BT709, make_frame, make_look

from streammatte.backgrounds.still import SolidBackground
from streammatte.composing import Stages
from streammatte.foregrounds.off import OffForeground
from streammatte.frame import Frame, Look, Matte, Packet, StreamInfo
from streammatte.inference import Pace
from streammatte.live.pipeline import LivePipeline
from streammatte.ports import SinkKind, SinkReport
from streammatte.refiners.resample import ResampleRefiner
from streammatte.reporting import RunFacts
from streammatte.stabilizers.none import NoStabilizer

SIZE = (64, 48)
ROOM = (1.0, 0.0, 1.0)
SUBJECT = (0.0, 0.7, 0.0)
BEACH = (0.1, 0.2, 0.9)
FACTS = RunFacts("truth", "CC0-1.0", "00" * 32, "none 1.0", "f32", "here", ())
RATE = 100


def _scene() -> tuple[Any, Any]:
    rgb = np.empty((SIZE[1], SIZE[0], 3), np.float32)
    rgb[:] = ROOM
    rgb[16:, 20:44] = SUBJECT
    alpha = np.zeros((SIZE[1], SIZE[0]), np.float32)
    alpha[16:, 20:44] = 1
    return rgb, alpha


PICTURE, TRUTH = _scene()


def room_pixels(frame: Frame) -> int:
    """Chroma samples nearer to the room's colour than to any other of the scene."""
    colors = [make_frame(size=(2, 2), rgb=rgb, color=BT709).planes for rgb in (ROOM, SUBJECT, BEACH)]
    far = [
        sum(np.abs(plane.astype(int) - int(color[i][0, 0])) for i, plane in enumerate(frame.planes) if i)
        for color in colors
    ]
    return int(np.sum((far[0] < far[1]) & (far[0] < far[2])))


class Call:
    """A live source at `RATE` frames a second until `frames` or `close`; `hook(seq)` runs before each."""

    def __init__(self, frames: int = 100, hook: Callable[[int], None] | None = None) -> None:
        first = self._first = make_frame(size=SIZE, rgb=PICTURE, color=BT709)
        self._frames, self._hook = frames, hook
        self._over = threading.Event()
        self.info = StreamInfo(
            "call", *SIZE, first.format, first.color, Fraction(1, 1_000_000), Fraction(RATE), live=True
        )
        self.notes: list[str] = []
        self.closed = 0

    def events(self) -> Iterator[Frame | Packet]:
        start_ns = time.monotonic_ns()
        for seq in range(self._frames):
            if self._hook is not None:
                self._hook(seq)
            if self._over.wait(max(0.0, seq / RATE - (time.monotonic_ns() - start_ns) / 1e9)):
                return
            now_ns = time.monotonic_ns()
            yield replace(
                self._first,
                seq=seq,
                pts=(now_ns - start_ns) // 1000,
                time_base=self.info.time_base,
                captured_ns=now_ns,
            )

    def close(self) -> None:
        self.closed += 1
        self._over.set()


class Network:
    """Knows the truth; `hook(seq)` runs before each answer and may hang, raise or give another alpha."""

    def __init__(self, hook: Callable[[int], Any] | None = None) -> None:
        self.seen: list[int] = []
        self._hook = hook

    def look(self, frame: Frame) -> Look:
        return make_look(frame, np.full((frame.height, frame.width, 3), 0.5, np.float32))

    def see(self, look: Look) -> Matte:
        seq = look.matte.seq
        self.seen.append(seq)
        other = self._hook(seq) if self._hook is not None else None
        return replace(look.matte, pha=TRUTH if other is None else other, seen=True)


class Show:
    """A live sink that keeps what it showed; `hook(frame)` runs before each."""

    kind: SinkKind = "com"

    def __init__(self, name: str = "show", hook: Callable[[Frame], None] | None = None) -> None:
        self.name, self._hook = name, hook
        self.frames: list[Frame] = []
        self.looked_at = True
        self.reach: dict[str, object] = {}
        self.finished = self.aborted = 0

    def watched(self) -> bool:
        return self.looked_at

    def write(self, frame: Frame) -> None:
        if self._hook is not None:
            self._hook(frame)
        self.frames.append(frame)

    def write_packet(self, packet: Packet) -> None:
        raise AssertionError("a live sink takes no packets")

    def finish(self) -> SinkReport:
        self.finished += 1
        return SinkReport(self.name, len(self.frames), "show")

    def abort(self) -> None:
        self.aborted += 1


def pipeline(source: Any, network: Network, *shows: Any, sinks: Any = (), **stages: Any) -> LivePipeline:
    beach = SolidBackground(BEACH)
    whole = Stages(network, NoStabilizer(), ResampleRefiner(), OffForeground(), beach, Pace(live=True))
    return LivePipeline(source, replace(whole, **stages), list(sinks), list(shows), FACTS, beach)
