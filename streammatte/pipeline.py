"""Wires the ports into threads: decode | infer | composite | one encoder per sink; start, drain, stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from streammatte.composing import Stages
from streammatte.errors import ContractError, SourceError
from streammatte.frame import Frame, Matte, Packet
from streammatte.handoff import Cancelled, Handoff
from streammatte.inspector import Inspector
from streammatte.meter import Meter, RunReport, StudentReport
from streammatte.ports import Sink, SinkKind, SinkReport, Source
from streammatte.reporting import Counts, RunFacts, run_report
from streammatte.worker import Worker

__all__ = ["Pipeline", "Progress"]

_DECODED = 4
_MATTED = 8
_ENCODING = 4
"""Frames between two threads: enough to even out a slow frame, few enough to hold no memory."""
_BLOCKED_READ_S = 2.0
"""How long a read is waited for once nobody wants its result; a pipe or a camera that hangs cannot be woken."""

_PROGRESS_EVERY_S = 0.05

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One frame in every form a sink may want."""

    frames: dict[SinkKind, Frame]


class Pipeline:
    """Runs a source through the stages into sinks, overlapping decode, inference, compositing and encoding.

    `run` blocks until the source ends, `stop` is called, or something fails; it may be called once. Sinks are
    completed only if every stage succeeded, and dropped otherwise. `inspector` is shown every matte.
    """

    def __init__(
        self,
        source: Source,
        stages: Stages,
        sinks: list[Sink],
        facts: RunFacts,
        inspector: Inspector | None = None,
    ) -> None:
        if not sinks:
            raise ContractError("at least one sink", "none")
        if stages.background is None and any(sink.kind == "com" for sink in sinks):
            raise ContractError("a background for sinks that take composites", "None")
        self._source, self._stages, self._sinks, self._facts = source, stages, sinks, facts
        self.at_end: list[Callable[[], None]] = []
        """Called once no frame is under way any more."""
        self.student: Callable[[], StudentReport | None] = lambda: None
        """What a student did in this run; whoever assembles it sets both."""
        self._inspector = inspector
        self._kinds: set[SinkKind] = {sink.kind for sink in sinks}
        self._meter = Meter()
        self._inference = stages.inference(self._meter)
        self._decoded: Handoff[Frame | Packet] = Handoff(_DECODED)
        self._matted: Handoff[tuple[Frame, Matte] | Packet] = Handoff(_MATTED)
        self._encoding: list[Handoff[_Outcome | Packet]] = [Handoff(_ENCODING) for _ in sinks]
        self._handoffs: list[Handoff[Any]] = [self._decoded, self._matted, *self._encoding]
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._failing = threading.Lock()
        self._interrupt: KeyboardInterrupt | None = None
        self._frames_in = self._frames_out = 0
        self._first_s: Fraction | None = None
        self._end_s = Fraction(0)

    def stop(self) -> None:
        """End the stream here: what has been decoded is finished. Callable from any thread."""
        self._stopping.set()
        self._decoded.close()  # the source may be blocked in a read: it is not waited for

    def run(self, progress: Progress | None = None) -> RunReport:
        """Run to the end and report. `progress(done, expected)` is called from this thread.

        The first KeyboardInterrupt stops cleanly, a second one drops everything.
        """
        started = time.perf_counter()
        workers = self._start()
        working = workers[1:]
        try:
            self._wait(working, progress or (lambda done, expected: None))
            if self._failure is not None:
                raise self._failure
            if self._frames_out == 0:
                raise self._interrupt or SourceError(f"{self._source.info.name}: {self._why_nothing()}")
            reports = [sink.finish() for sink in self._sinks]
        except BaseException:
            self._cancel()
            for worker in working:
                worker.ended.wait()
            for sink in self._sinks:
                sink.abort()
            raise
        finally:
            self._close(workers)
        return self._report(reports, time.perf_counter() - started)

    def _why_nothing(self) -> str:
        stopped = self._stopping.is_set()
        return "stopped before its first frame was done" if stopped else "no frames; check the file or --start"

    def _close(self, workers: list[Worker]) -> None:
        """Close what was given. A source in whose read a thread still hangs is left alone: closing it would crash."""
        if workers[0].ended.wait(_BLOCKED_READ_S):
            self._source.close()
        for worker in workers:
            if worker.ended.is_set():
                worker.join()
        if self._stages.background is not None:
            self._stages.background.close()
        for action in self.at_end:
            action()

    def _start(self) -> list[Worker]:
        """All threads, running; the one that reads the source is the first."""
        loops: list[tuple[str, Callable[[], None]]] = [
            ("decode", self._decode),
            ("infer", self._infer),
            ("composite", self._composite),
        ]
        loops += [(f"encode-{i}", lambda i=i: self._encode(i)) for i in range(len(self._sinks))]  # type: ignore[misc]
        workers = [Worker(name, partial(self._guard, loop)) for name, loop in loops]
        for worker in workers:
            worker.start()
        return workers

    def _wait(self, workers: list[Worker], progress: Progress) -> None:
        """Until all have ended. The first KeyboardInterrupt stops the source, the next one is raised."""
        try:
            self._watch(workers, progress)
        except KeyboardInterrupt as interrupt:
            if self._stopping.is_set():
                raise
            self._interrupt = interrupt
            self.stop()
            self._watch(workers, progress)

    def _watch(self, workers: list[Worker], progress: Progress) -> None:
        for worker in workers:
            while not worker.ended.wait(_PROGRESS_EVERY_S):
                progress(self._frames_out, self._source.info.frame_count)
        progress(self._frames_out, self._source.info.frame_count)

    def _guard(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Cancelled:
            pass
        except BaseException as error:
            with self._failing:
                self._failure = self._failure or error
            self._cancel()

    def _cancel(self) -> None:
        for handoff in self._handoffs:
            handoff.cancel()

    def _decode(self) -> None:
        for event in self._events():
            self._decoded.put(event)
            if isinstance(event, Frame):
                self._frames_in += 1
                self._first_s = event.time if self._first_s is None else self._first_s
                self._end_s = max(self._end_s, (event.pts + event.duration) * event.time_base)
        self._decoded.close()

    def _events(self) -> Iterator[Frame | Packet]:
        """The source's events until `stop`, each frame's decoding timed together with the packets before it."""
        spent_s, since = 0.0, time.perf_counter()
        try:
            for event in self._source.events():
                spent_s += time.perf_counter() - since
                if isinstance(event, Frame):
                    self._meter.add("decode", spent_s)
                    spent_s = 0.0
                yield event
                since = time.perf_counter()
        except SourceError:
            # Ctrl-C also ends the program that feeds a pipe: what that cuts off is not missed.
            if not self._stopping.is_set():
                raise

    def _infer(self) -> None:
        for event in self._inference.mattes(self._decoded):
            self._matted.put(event)
        self._matted.close()

    def _composite(self) -> None:
        for event in self._matted:
            outcome = event if isinstance(event, Packet) else _Outcome(self._composed(*event))
            for handoff in self._encoding:
                handoff.put(outcome)
        for handoff in self._encoding:
            handoff.close()

    def _composed(self, frame: Frame, matte: Matte) -> dict[SinkKind, Frame]:
        return self._stages.compose(frame, matte, self._kinds, self._meter, self._inspector)

    def _encode(self, index: int) -> None:
        sink = self._sinks[index]
        name = "encode" if len(self._sinks) == 1 else f"encode {sink.name}"
        for event in self._encoding[index]:
            if isinstance(event, Packet):
                sink.write_packet(event)
                continue
            with self._meter.stage(name):
                sink.write(event.frames[sink.kind])
            if index == 0:
                self._frames_out += 1

    def _report(self, sinks: list[SinkReport], wall_s: float) -> RunReport:
        return run_report(
            self._source,
            sinks,
            self._facts,
            self._meter,
            self._inference,
            None if self._inspector is None else self._inspector.findings(),
            Counts(self._frames_in, self._frames_out, sum(handoff.dropped for handoff in self._handoffs)),
            video_s=float(self._end_s - (self._first_s or 0)),
            wall_s=wall_s,
            interrupted=self._stopping.is_set(),
            student=self.student(),
        )
