"""A live run: capture | infer | composite | one presenter per sink. The newest frame wins; nothing raw gets out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from streammatte.composing import Stages
from streammatte.errors import ContractError, SinkError, SourceError, StreammatteError, first_line
from streammatte.frame import Frame, Matte, Packet, is_packet
from streammatte.handoff import Cancelled, Handoff
from streammatte.inspector import Inspector
from streammatte.live.audience import Audience
from streammatte.live.card import Card
from streammatte.live.control import Controls
from streammatte.live.guard import LATE, Guard, Incidents
from streammatte.live.presenter import Outcome, Presenter, Recorder, Screen
from streammatte.live.steering import Steering
from streammatte.meter import GovernorStep, LiveReport, Meter, RunReport, StudentReport
from streammatte.pipeline import Progress
from streammatte.ports import Background, LiveSink, Sink, SinkKind, Source
from streammatte.reporting import Counts, RunFacts, run_report
from streammatte.worker import Worker

__all__ = ["LivePipeline"]

_TICK_S = 0.05
_BLOCKED_S = 2.0
"""How long a camera's read, or a sink's write, is waited for at the end."""


class LivePipeline:
    """Runs a live source through the stages into sinks, each at its own pace, until it ends or `stop` is called.

    `card` is what live sinks show where the composite must not be seen. `stages` may be replaced while it runs, by
    `change`. Where one sink fails the others go on; the run ends with an error once none is left. `run` may be called
    once.
    """

    def __init__(
        self,
        source: Source,
        stages: Stages,
        sinks: list[Sink],
        live_sinks: list[LiveSink],
        facts: RunFacts,
        card: Background,
        inspector: Inspector | None = None,
    ) -> None:
        if not sinks and not live_sinks:
            raise ContractError("at least one sink", "none")
        if stages.background is None and any(sink.kind == "com" for sink in (*sinks, *live_sinks)):
            raise ContractError("a background for sinks that take composites", "None")
        self.source, self.stages, self._facts, self._card = source, stages, facts, Card(card)
        self.paused = False
        self.report: RunReport | None = None
        """Of the run, once it is over, also where it ended with an error."""
        self.controls: Controls | None = None
        """What changes the run from outside; whoever assembles the run sets it."""
        self.at_end: list[Callable[[], None]] = []
        """Called once no frame is under way any more."""
        self.student: Callable[[], StudentReport | None] = lambda: None
        """What a student did in this run; whoever assembles it sets both."""
        self._steering: Steering | None = None
        self._steps: tuple[GovernorStep, ...] = ()
        self._inspector, self._inspected = inspector, False
        self._kinds: set[SinkKind] = {sink.kind for sink in (*sinks, *live_sinks)}
        self._meter = Meter()
        self._inference = stages.inference(self._meter)
        self._captured: Handoff[Frame | Packet] = Handoff(1, "drop_oldest", is_packet)
        self._matted: Handoff[tuple[Frame, Matte] | Packet] = Handoff(1, "wait", is_packet)
        self._screens = [Screen(sink, self._meter, self._card) for sink in live_sinks]
        self._presenters: list[Presenter] = [*self._screens, *(Recorder(sink, self._meter) for sink in sinks)]
        self._audience = Audience(self._screens, recorded=bool(sinks))
        self._guard, self._incidents, self._withheld = Guard(), Incidents(), ""
        self._failures: list[StreammatteError] = []
        self._lost: list[str] = []
        self._stopping = threading.Event()
        self._composed = threading.Condition()
        self._frames_in = self._frames_out = self._changes = 0
        self._span_s = (0.0, 0.0)

    # from any thread

    def stop(self) -> None:
        """End the run: what has been captured is shown, recordings are completed."""
        self._stopping.set()
        self._captured.close()

    def steer(self, steering: Steering | None) -> None:
        """Let this decide from now on how much is done for a matte."""
        before, self._steering = self._steering, steering
        if before is not None:
            before.close()
            self._steps += before.steps
            self._lost += before.notes

    def change(self, **parts: Any) -> int:
        """Replace stages (and `paused`, `card`) by name; the frames that came out before the first one made so.

        Blocks until that one is out, a second at most.
        """
        self._changes += 1
        if "paused" in parts:
            self.paused = parts.pop("paused")
        if "card" in parts:
            self._card.background = parts.pop("card")
        self.stages = replace(self.stages, **parts)
        with self._composed:
            start = self._frames_out
            # The one under way may have been begun before; the next one was not.
            self._composed.wait_for(lambda: self._frames_out >= start + 2, 1.0)
            return self._frames_out - start

    def state(self) -> dict[str, object]:
        """What holds now, for whoever controls the run."""
        stages = {name: times.p50_ms for name, times in self._meter.stages().items()}
        return {
            "input": self.source.info.name,
            "frames": self._frames_out,
            "paused": "on" if self.paused else "off",
            "idle": self._audience.idle,
            "dropped": self._captured.dropped,
            "outputs": {p.sink.name: p.state() for p in self._presenters},
            "ms": stages,
        }

    # the run

    def run(self, progress: Progress | None = None) -> RunReport:
        """Run to the end and report. The first KeyboardInterrupt stops it cleanly, a second one drops recordings.

        Raises StreammatteError, once all that could be completed has been.
        """
        started_s = time.perf_counter()
        workers = [Worker(name, loop) for name, loop in self._loops()]
        for presenter in self._presenters:
            presenter.start()
        for worker in workers:
            worker.start()
        try:
            self._watched(workers, progress or (lambda done, expected: None))
        except BaseException:
            self._end(workers)
            for presenter in self._presenters:
                presenter.sink.abort()
            raise
        self._end(workers)
        self.report = self._finish(time.perf_counter() - started_s)
        self._raise_failure()
        return self.report

    def _loops(self) -> list[tuple[str, Callable[[], None]]]:
        return [("capture", self._capture), ("infer", self._infer), ("composite", self._composite)]

    def _watched(self, workers: list[Worker], progress: Progress) -> None:
        try:
            self._watch(workers, progress)
        except KeyboardInterrupt:
            self.stop()
            self._watch(workers, progress)

    def _watch(self, workers: list[Worker], progress: Progress) -> None:
        while not workers[-1].ended.wait(_TICK_S):
            progress(self._frames_out, None)
            self._audience.look()
            if all(presenter.failure for presenter in self._presenters):
                self.stop()
            if self._stopping.is_set() and not workers[-1].ended.wait(_BLOCKED_S):
                break  # something hangs: it is left behind

    def _end(self, workers: list[Worker]) -> None:
        self._captured.close()
        self._matted.close()
        for presenter in self._presenters:
            presenter.slot.close()
        for presenter in self._presenters:
            if not presenter.ended.wait(_BLOCKED_S) and presenter.failure is None:
                presenter.failure = SinkError(f"{presenter.sink.name}: takes no frames any more; it was left behind")
        if workers[0].ended.wait(_BLOCKED_S):
            self.source.close()
        self.steer(None)
        for action in self.at_end:
            action()
        for background in (self.stages.background, self._card.background):
            if background is not None:
                background.close()

    def _capture(self) -> None:
        """Newest frame wins; while nobody looks, frames are read and let go."""
        rested = False
        try:
            for event in self.source.events():
                if self._stopping.is_set():
                    return
                if isinstance(event, Frame):
                    self._count(event)
                    if self._audience.idle:
                        rested = True
                        continue
                    if rested:
                        event, rested = replace(event, discontinuity=True), False
                self._captured.put(event)
        except Cancelled:
            pass
        except StreammatteError as error:
            self._failures += [] if self._stopping.is_set() else [error]
        finally:
            self._captured.close()

    def _count(self, frame: Frame) -> None:
        self._frames_in += 1
        now_s = float(frame.time)
        self._span_s = (now_s if self._frames_in == 1 else self._span_s[0], now_s)

    def _infer(self) -> None:
        """A stage that fails on one frame has lost that frame, not the run."""
        try:
            while not self._captured.over:
                try:
                    for event in self._inference.mattes(self._steered()):
                        self._matted.put(event)
                except Cancelled:
                    raise
                except Exception as error:
                    self._note(error)
        except Cancelled:
            pass
        finally:
            self._matted.close()

    def _steered(self) -> Iterator[Frame | Packet]:
        for event in self._captured:
            stages = self.stages
            self._inference.maker, self._inference.stabilizer = stages.matter, stages.stabilizer
            self._inference.pace = stages.pace
            yield event

    def _composite(self) -> None:
        try:
            for event in self._matted:
                outcome = event if isinstance(event, Packet) else self._outcome(*event)
                for presenter in self._presenters:
                    presenter.put(outcome)
                if not isinstance(event, Packet):
                    self._done(event[0])
        except Cancelled:
            pass
        finally:
            self._incidents.end()

    def _done(self, frame: Frame) -> None:
        with self._composed:
            self._frames_out += 1
            self._composed.notify_all()
        steering = self._steering
        if steering is None or frame.captured_ns is None:
            return
        if self._withheld == LATE:
            steering.lost()
        elif not self._withheld:  # another card costs nothing, and says nothing
            steering.frame((time.monotonic_ns() - frame.captured_ns) / 1e9, self._captured.dropped)

    def _outcome(self, frame: Frame, matte: Matte) -> Outcome:
        why = "paused" if self.paused else self._guard.doubt(matte)
        frames: dict[SinkKind, Frame] = {}
        if self._withheld:  # what the stages remember is not of the frame before
            matte = replace(matte, flow=None, trust=None)
        if not why:
            try:
                frames = self.stages.compose(frame, matte, self._kinds, self._meter, self._inspector)
                self._inspected = True
            except Exception as error:
                self._note(error)
                why = f"compositing failed: {first_line(error)}"
        self._withheld = why
        self._incidents.frame(why)
        if self._screens and frames:
            self._card.keep(frame)
        elif self._screens:
            frames = self._card.draw(frame)
        return Outcome(frames, why)

    def _note(self, error: BaseException) -> None:
        said = first_line(error)
        if said not in self._lost and len(self._lost) < 5:
            self._lost.append(said)

    def _finish(self, wall_s: float) -> RunReport:
        reports = [report for presenter in self._presenters if (report := presenter.finish()) is not None]
        self._failures += [presenter.failure for presenter in self._presenters if presenter.failure is not None]
        inference = self._inference
        notes = [f"a stage failed: {said}" for said in self._lost]
        if inference.failed:
            notes.append(f"the network failed {inference.failed} times, last: {inference.last_failure}")
        live = LiveReport(
            outputs=tuple(presenter.report() for presenter in self._presenters),
            capture_dropped=self._captured.dropped,
            idle_s=round(self._audience.idle_s, 1),
            incidents=self._incidents.all(),
            steps=self._steps,
            changes=self._changes,
        )
        dropped = self._captured.dropped + sum(presenter.slot.dropped for presenter in self._presenters)
        return run_report(
            self.source,
            reports,
            self._facts,
            self._meter,
            inference,
            self._inspector.findings() if self._inspector is not None and self._inspected else None,
            Counts(self._frames_in, self._frames_out, dropped),
            video_s=self._span_s[1] - self._span_s[0],
            wall_s=wall_s,
            live=live,
            student=self.student(),
            notes=(*notes, *(str(failure) for failure in self._failures)),
        )

    def _raise_failure(self) -> None:
        """The first error of the source, or of a sink, once all that could be saved has been."""
        if self._failures:
            raise self._failures[0]
        if self._frames_out == 0 and not self._stopping.is_set():
            raise SourceError(f"{self.source.info.name}: no frames; check the camera or address")
