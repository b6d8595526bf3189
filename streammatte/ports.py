"""The ports of the house: what every adapter promises, and all that the pipeline knows of them.

One contract suite per port (tests/contract) runs over every implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from streammatte.catalog_facts import StateSpec
from streammatte.frame import Frame, Layer, Matte, Packet, Plane, StreamInfo

__all__ = [
    "Arithmetic",
    "Background",
    "BuildProgress",
    "Compositor",
    "DeviceSession",
    "Foreground",
    "LiveSink",
    "Precision",
    "Prompter",
    "RecurrentRuntime",
    "RecurrentSession",
    "Refiner",
    "Runtime",
    "Selector",
    "Session",
    "SessionInfo",
    "Sink",
    "SinkKind",
    "SinkReport",
    "Source",
    "Stabilizer",
    "Tracker",
]


Precision = Literal["int8", "fp16", "bf16", "f32"]

BuildProgress: TypeAlias = Callable[[str, int, int], None]
"""Told what a runtime that builds an engine is at: the phase in words, steps done, steps in all. Called from the thread
that loads. What it raises ends the build, leaves nothing of it, and is raised by `load`."""


class Source(Protocol):
    """Where frames come from.

    `info` is known from the moment the source is open. `events` may be iterated once; it yields frames with
    strictly increasing pts and seq 0, 1, 2, ..., with the packets of other streams between them in stream order.
    It raises SourceError where decoding fails or the input ends before its declared end. `close` may be called
    at any time, more than once, from another thread only once iteration has stopped.
    """

    info: StreamInfo
    notes: list[str]
    """Whatever was taken otherwise than the input says (mended timestamps, ...); complete once `events` has ended."""

    def events(self) -> Iterator[Frame | Packet]:
        """Frames and passing packets, in stream order, until the end of the input."""

    def close(self) -> None:
        """Release the input."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a loaded engine is, for the run report."""

    runtime: str
    """Library and version, e.g. "openvino 2026.4.1"."""
    device: str
    """The device in words, e.g. the CPU's full name."""
    precision: Precision
    """What the arithmetic really runs in; int8 means int8 where the network is quantised, float elsewhere."""
    streams: int = 1
    """How many threads may call `run` at once."""
    cache_hit: bool = False
    """The built engine came from the cache."""
    notes: tuple[str, ...] = ()
    """Anything done otherwise than asked, and why."""


class Session(Protocol):
    """A loaded engine: one network at one input size."""

    info: SessionInfo

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map a normalised (1, 3, h, w) float32 batch to the network's raw output (1, planes, h, w) float32.

        The result is the caller's own: a later call does not write into it. Called from `info.streams` threads at a
        time, no more.
        """

    def close(self) -> None:
        """Release the engine."""


@runtime_checkable
class DeviceSession(Session, Protocol):
    """A session that also takes what already is on its device."""

    device: str
    """Torch's name of it: cuda:0."""
    capturable: bool
    """`run_on` may be captured in a CUDA graph, once it has been called."""
    batch: int | None
    """How many pictures `run_on` takes, each time; None: any number."""

    def run_on(self, batch: Any) -> Any:
        """`run` of a contiguous float32 torch tensor (n, 3, h, w) on `device`; the result (n, planes, h, w) is one too,
        which the next call may write over.

        Put on torch's current stream, and not waited for; called from one thread at a time.
        """


@runtime_checkable
class RecurrentSession(Session, Protocol):
    """A session that hands a state on from picture to picture: `run` is called with them in order, one at a time.

    A call that raises leaves the state as it was.
    """

    fgr: npt.NDArray[np.float32] | None
    """The subject's own colour (1, 3, h, w) of the last `run`; None before the first and where it was not asked for."""

    def reset(self) -> None:
        """Forget: the next picture has none before it, as the first has."""


class Runtime(Protocol):
    """A library that runs ONNX networks."""

    name: str
    trusted: bool
    """It is the house's reference, or its plain arithmetic: only its int8 engines are compared with f32. Of the others
    every engine is, before it is used."""
    strongly_typed: bool
    """It computes in what the graph says, so that fp16 takes a graph of its own. Others round an f32 network
    themselves."""

    def unavailable(self) -> str | None:
        """Why this runtime cannot be used here, with what to do; None if it can."""

    def declined(self) -> str | None:
        """Why `auto` goes on to the next one although this one can be used here; None if it should not."""

    def precisions(self) -> tuple[Precision, ...]:
        """What `auto` tries on this machine's hardware, best first; f32 is always among them."""

    def identity(self) -> tuple[str, str]:
        """What `SessionInfo.runtime` and `.device` of its sessions are, without loading one; only where available."""

    def load(
        self,
        onnx: Path,
        sha256: str,
        *,
        output: int,
        precision: Precision,
        cache: Path | None,
        streams: int = 1,
        building: BuildProgress | None = None,
    ) -> Session:
        """Load `onnx` (whose bytes hash to `sha256`) and return a session that computes output number `output`.

        `streams` is how many pictures are wanted under way at once: 1 gives each the whole machine, for latency; more
        share it, for throughput. A runtime may give fewer. For int8 `onnx` is a Q/DQ network; for fp16, where the
        runtime is strongly typed, one whose graph says what is float16. Built engines are kept below `cache` unless it
        is None. Raises RuntimeUnavailable where the precision cannot be had.
        """


@runtime_checkable
class RecurrentRuntime(Runtime, Protocol):
    """A runtime that runs recurrent networks too."""

    def load_recurrent(
        self, onnx: Path, sha256: str, *, output: int, state: StateSpec, precision: Precision, cache: Path | None
    ) -> RecurrentSession:
        """`load` of a network that hands on `state`, for one picture at a time, and no state yet.

        The subject's own colour is asked for where `state` has its number.

        Raises ModelError where the network has no such inputs and outputs.
        """


class Arithmetic(Protocol):
    """How a frame becomes the network's batch, and its output a matte."""

    def batch(self, frame: Frame) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The upright (1, 3, h, w) float32 batch, and the RGB picture (h, w, 3) in [0, 1] it was made from."""

    def pha(self, raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The network's raw output (1, planes, h, w) as alpha (h, w) float32 in [0, 1], upright."""


class Tracker(Protocol):
    """Finds cuts, and how the picture moved. Holds state; `step` is called once per frame, in order."""

    @property
    def cuts(self) -> int:
        """So far. Reading it may wait for a device."""

    def step(self, matte: Matte) -> Matte:
        """`matte` with `flow` and `trust` from the frame before, and `discontinuity` set at a cut.

        A tracker on a device, where the host is not told, sets no `discontinuity`: at a cut it trusts no motion.
        """


class Prompter(Protocol):
    """Finds who is wanted in the picture itself."""

    outlines: bool
    """What it gives is the outline of who is wanted; else a place where they are."""

    def region(
        self, frame: Frame, pha: npt.NDArray[np.float32], place: tuple[float, float] | None
    ) -> npt.NDArray[np.float32] | None:
        """Where who is wanted is in the upright picture, in [0, 1] at any size (h, w); None where nobody is.

        `pha` is the network's matte of `frame`, upright, at any size. `place`, x and y in parts of the upright picture,
        is where the subject was last seen in the shot before; None where it never was.
        """


class Selector(Protocol):
    """Keeps one subject of several. Holds state; `step` is called once per frame, in order, from one thread."""

    notes: list[str]
    """Whatever was taken otherwise than asked, in words; grows as frames come."""

    def step(self, matte: Matte, frame: Frame) -> Matte:
        """The network's matte of `frame` with the subject's alpha alone: nowhere more than it was.

        Mattes with `seen` False are given back as they came; they say how the picture moved.
        """


class Stabilizer(Protocol):
    """Makes mattes steady over time. Holds state; `step` is called once per frame, in order, from one thread."""

    def step(self, matte: Matte) -> Matte:
        """The steadied matte of the same frame; state is dropped first where `matte.discontinuity` is set.

        Where `matte.seen` is False the last matte is given again, brought to this frame as far as the method can. The
        first matte, and one at a discontinuity, is always seen.
        """


class Refiner(Protocol):
    """Takes a matte from network to frame resolution."""

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's dtype, 0..peak."""


class Foreground(Protocol):
    """Estimates the subject's own colour F where the old background shows through."""

    def estimate(self, frame: Frame, alphas: tuple[Plane, ...], matte: Matte | None = None) -> tuple[Plane, ...]:
        """Planes of F like `frame.planes`; bit for bit the source's where alpha is peak, free where it is 0.

        `--despill` alone changes opaque pixels too.

        `alphas` holds alpha at the size and siting of each plane, as in `Layer`; `matte` is what they came of.
        """


class Background(Protocol):
    """What stands behind the subject."""

    shows_room: bool
    """It is made of the source's own picture, so that it must not be shown where the subject is not known."""

    def planes(self, layer: Layer) -> tuple[Plane, ...]:
        """Planes of B for this frame: format, size, colour and orientation of `layer.frame`. Not to be written to."""

    def close(self) -> None:
        """Release files."""


class Compositor(Protocol):
    """Puts the subject over a background."""

    def __call__(self, layer: Layer, background: tuple[Plane, ...], /) -> Frame:
        """The source's frame in everything but its pixels, and opaque. Exactly the background's where alpha is 0."""


SinkKind = Literal["com", "fgr", "pha"]
"""What a sink is given: the composite, the subject with its alpha, or the alpha alone as a gray frame."""


@dataclass(frozen=True, slots=True)
class SinkReport:
    """What a sink wrote."""

    name: str
    frames: int
    codec: str
    av_drift_ms: float | None = None
    """Greatest shift of written video against written audio, beyond what the source has; None without audio."""
    notes: tuple[str, ...] = ()
    """Anything done otherwise than asked, and why."""


class Sink(Protocol):
    """Where frames go. `write` and `write_packet` are called from one thread, in stream order.

    A sink leaves nothing under its final name until `finish` has returned; `abort` leaves nothing at all.
    `fgr` frames carry `alpha`; `pha` frames are gray, full range, of the source's bit depth; `com` frames are like
    the source's. Raises SinkError.
    """

    name: str
    kind: SinkKind

    def write(self, frame: Frame) -> None:
        """Take one frame."""

    def write_packet(self, packet: Packet) -> None:
        """Take one packet of another stream; sinks that hold only pictures ignore it."""

    def finish(self) -> SinkReport:
        """Complete the output and give it its final name."""

    def abort(self) -> None:
        """Drop what was written. Safe at any time, also after `finish` (then it does nothing)."""


class LiveSink(Sink, Protocol):
    """A sink that shows each composite, or the subject with its alpha, to whoever looks just now, and keeps none.

    Opening it sends no picture. `write` shows a frame at once, blocking no longer than about a frame, and raises
    SinkError where the device is gone for good.
    """

    reach: dict[str, object]
    """What those who want to look must know (`url`, `format`, ...), fit for JSON; {} where there is nothing to say."""

    def watched(self) -> bool:
        """Whether anybody looks; True where that cannot be told.

        Asked many times a second, from any thread: what takes long to find out is remembered.
        """
