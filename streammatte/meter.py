"""How long each stage takes, and the run report."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from streammatte.inspection import Inspection

__all__ = [
    "GovernorStep",
    "Incident",
    "LiveOutput",
    "LiveReport",
    "Meter",
    "OutputReport",
    "RefinerReport",
    "RunReport",
    "StageTimes",
    "StudentReport",
    "StudentSpan",
    "StudentTurn",
    "peak_rss_mb",
]

_SHORTEST_S = 1e-6
_STEP = math.log(1.01)


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Work per frame of one stage, waiting not counted, in milliseconds; within 1 % of the exact percentile."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


class _Histogram:
    """Durations in buckets 1 % apart: percentiles in constant memory, however long the stream."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0

    def add(self, seconds: float) -> None:
        bucket = round(math.log(max(seconds, _SHORTEST_S) / _SHORTEST_S) / _STEP)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._total += 1

    def percentile_ms(self, part: float) -> float:
        rank, seen = math.ceil(part * self._total), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return float(f"{_SHORTEST_S * math.exp(bucket * _STEP) * 1e3:.4g}")
        return 0.0


class Meter:
    """Times stages by name, from any thread."""

    def __init__(self) -> None:
        self._histograms: dict[str, _Histogram] = {}
        self._adding = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as one frame's work in stage `name`."""
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """One frame's work in stage `name`, timed by the caller."""
        with self._adding:
            self._histograms.setdefault(name, _Histogram()).add(seconds)

    def stages(self) -> dict[str, StageTimes]:
        """Percentiles so far, in the order stages were first seen."""
        return {
            name: StageTimes(*(histogram.percentile_ms(part) for part in (0.5, 0.95, 0.99)))
            for name, histogram in list(self._histograms.items())
        }


@dataclass(frozen=True, slots=True)
class OutputReport:
    """One output of a run."""

    path: str
    codec: str
    frames: int


@dataclass(frozen=True, slots=True)
class RefinerReport:
    """A network of its own that took the mattes to frame size, or that found who is wanted."""

    model: str
    model_licence: str
    weights_sha256: str
    runtime: str
    precision: str
    device: str


@dataclass(frozen=True, slots=True)
class StudentSpan:
    """Frames in a row that one network answered for."""

    network: str
    """student or teacher."""
    from_s: float
    """Time of the first of them."""
    to_s: float
    """Time of the last."""
    frames: int


@dataclass(frozen=True, slots=True)
class StudentTurn:
    """Live: when one network took over from the other."""

    at_s: float
    """The frame's time."""
    to: str
    """student or teacher."""
    why: str


@dataclass(frozen=True, slots=True)
class StudentReport:
    """What a student did in a run."""

    teacher: str
    frames_taught: int
    """Pictures it was taught."""
    frames_held_out: int
    """Pictures it was examined on, and not taught."""
    apart: float
    """On these, at last, the mean of how far it was from its teacher: see `agreement.apart`."""
    steps: int
    seconds: float
    """What looking for pictures, teaching and examining took, beside the run or before it."""
    precision: str
    """What it was taught in."""
    frames_student: int
    """Frames that it answered for."""
    frames_teacher: int
    spans: tuple[StudentSpan, ...]
    """Who answered when; of a file."""
    lessons: int = 1
    checks: int = 0
    """Live: frames that were shown to both."""
    turns: tuple[StudentTurn, ...] = ()
    """Live: who took over when, and why."""
    notes: tuple[str, ...] = ()
    """Why nothing was taught, or nothing more."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which live outputs showed the card in place of the composite."""

    at_s: float
    """Since the start of the run."""
    duration_s: float
    frames: int
    """Frames of the source that were held back."""
    why: str


@dataclass(frozen=True, slots=True)
class GovernorStep:
    """A change of how much is done for a matte, made to keep to the time there is."""

    at_s: float
    was: str
    now: str
    why: str


@dataclass(frozen=True, slots=True)
class LiveOutput:
    """How one output of a live run fared."""

    name: str
    frames: int
    """Composites shown; cards are not counted."""
    cards: int
    rate: float
    """Composites a second, from the first to the last."""
    dropped: int
    """Composites it had no time for."""
    latency: StageTimes | None
    """From capture to when the output had taken the frame; None where the source does not tell."""


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What only a live run can tell."""

    outputs: tuple[LiveOutput, ...]
    capture_dropped: int
    """Frames that a newer one overtook before they were looked at."""
    idle_s: float
    """Time in which nobody looked at any output, and the network rested."""
    incidents: tuple[Incident, ...]
    steps: tuple[GovernorStep, ...]
    changes: int
    """Settings changed while running."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What ran, how fast, and whatever was done otherwise than asked."""

    input: str
    outputs: tuple[OutputReport, ...]
    frames_in: int
    frames_out: int
    frames_dropped: int
    duration_s: float
    """Of the video that was read, by its timestamps."""
    wall_s: float
    """From the start of the pipeline to the last output's completion; loading the model is not in it."""
    throughput_fps: float
    model: str
    model_licence: str
    weights_sha256: str
    runtime: str
    precision: str
    device: str
    fallbacks: tuple[str, ...]
    """Everything done otherwise than asked, with the reason; empty where nothing was."""
    passed_over: tuple[str, ...]
    """Runtimes that `--runtime auto` would have taken first, and why this machine cannot use them."""
    stages: dict[str, StageTimes]
    av_drift_ms: float | None
    """Greatest shift between picture and sound that the outputs have and the source has not; None without sound."""
    peak_rss_mb: float | None
    """The process's largest resident memory; None where the system does not tell."""
    interrupted: bool = False
    """The run was stopped before the end of the input; what was done until then is complete."""
    network_runs: int = 0
    """Frames that the network saw; the others' mattes were carried along the motion."""
    cuts: int = 0
    """Scene cuts at which temporal state was dropped."""
    inspection: Inspection | None = None
    """What can be said of the mattes without knowing the truth; None where nothing watched."""
    live: LiveReport | None = None
    """Only of a live run."""
    refiner: RefinerReport | None = None
    """None where no network refines."""
    prompter: RefinerReport | None = None
    """None where no network looks for who is wanted."""
    student: StudentReport | None = None
    """None where none was taught for this run."""
    streammatte: str = field(default="")

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return asdict(self)


def peak_rss_mb() -> float | None:
    """Largest resident set of this process so far, in MiB; None on Windows."""
    if sys.platform == "win32":
        return None
    # On Linux a process inherits getrusage's peak from the one that started it; this one is its own.
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="ignore").splitlines()
        return round(int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
