"""What the user sees while and after something runs: progress and the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TextIO

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from streammatte.meter import LiveReport, RunReport, StudentReport, StudentTurn
from streammatte.nvidia import driver_missing
from streammatte.ports import BuildProgress

__all__ = [
    "FrameProgress",
    "Preparing",
    "frame_progress",
    "preparing",
    "say",
    "show_report",
]

_PLAIN_EVERY_S = 5.0


class FrameProgress:
    """Called with (frames done, frames expected or None), as often as one likes."""

    def __init__(self, quiet: bool) -> None:
        self._started = self._spoken = time.monotonic()
        self._quiet = quiet

    def __call__(self, done: int, expected: int | None) -> None:
        """A plain line every few seconds: for pipes and log files."""
        now = time.monotonic()
        if self._quiet or now - self._spoken < _PLAIN_EVERY_S or not done:
            return
        self._spoken = now
        rate = done / (now - self._started)
        rest = f" of {expected}, {(expected - done) / rate:.0f} s left" if expected and expected >= done else ""
        click.echo(f"{done} frames{rest}, {rate:.1f} fps", err=True)


class _BarProgress(FrameProgress):
    """A bar with frames a second and the time left: for terminals."""

    def __init__(self, bar: Progress, doing: str) -> None:
        super().__init__(quiet=False)
        self._bar = bar
        self._task = bar.add_task(doing, total=None, rate="")

    def __call__(self, done: int, expected: int | None) -> None:
        rate = done / max(time.monotonic() - self._started, 1e-6)
        self._bar.update(self._task, completed=done, total=expected, rate=f"{rate:5.1f} fps")


@contextmanager
def frame_progress(quiet: bool, stream: TextIO = sys.stderr, doing: str = "matting") -> Iterator[FrameProgress]:
    """Progress fit for where standard error goes."""
    console = Console(file=stream)
    if quiet or not console.is_terminal:
        yield FrameProgress(quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield _BarProgress(bar, doing)


class Preparing(NamedTuple):
    """Told of what is done before the first frame; None for who wants to hear nothing."""

    pulling: Callable[[int, int | None], None] | None
    """Bytes of weights done, and in all where that is known."""
    building: BuildProgress | None


@contextmanager
def preparing(quiet: bool, name: str) -> Iterator[Preparing]:
    """Shows how the weights of model `name` are pulled and its engines are built; nothing until there is something."""
    console = Console(stderr=True)
    if quiet:
        yield Preparing(None, None)
    elif not console.is_terminal:
        yield Preparing(_plain_pull(name), _plain_build(name))
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[amount]}"))
        with Progress(*columns, console=console, transient=True) as bar:
            yield Preparing(_Bar(bar, name).pulled, _Bar(bar, name).built)


class _Bar:
    """One line of a terminal."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar, self._name = bar, name
        self._task: TaskID | None = None

    def pulled(self, done: int, total: int | None) -> None:
        of = f" of {total / 2**20:.0f}" if total else ""
        self._show(f"pulling {self._name}", done, total, f"{done / 2**20:.0f}{of} MiB")

    def built(self, phase: str, done: int, total: int) -> None:
        self._show(f"building {self._name}: {phase}", done, total, f"{done} of {total}")

    def _show(self, what: str, done: int, total: int | None, amount: str) -> None:
        if self._task is None:
            self._task = self._bar.add_task(what, total=total, amount=amount)
        self._bar.update(self._task, description=what, completed=done, total=total, amount=amount)


def _plain_pull(name: str) -> Callable[[int, int | None], None]:
    spoken = [-1]

    def shown(done: int, total: int | None) -> None:
        tenth = int(10 * done / total) if total else done // (32 << 20)
        if tenth > spoken[0]:
            spoken[0] = tenth
            of = f" of {total / 2**20:.0f}" if total else ""
            click.echo(f"pulling {name}: {done / 2**20:.0f}{of} MiB", err=True)

    return shown


def _plain_build(name: str) -> BuildProgress:
    spoken = [time.monotonic() - _PLAIN_EVERY_S]

    def shown(phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - spoken[0] >= _PLAIN_EVERY_S:
            spoken[0] = now
            click.echo(f"building the engine of {name}: {phase}, {done} of {total}", err=True)

    return shown


def say(text: str, quiet: bool = False) -> None:
    """One line to the user."""
    if not quiet:
        click.echo(text)


def show_report(report: RunReport) -> None:
    """The run report as a few lines a person reads."""
    drift = "" if report.av_drift_ms is None else f", sound within {abs(report.av_drift_ms):.1f} ms"
    dropped = f", {report.frames_dropped} dropped" if report.frames_dropped else ""
    say(
        f"{report.frames_out} frames of {report.frames_in}{dropped} in {report.wall_s:.1f} s: "
        f"{report.throughput_fps:.1f} fps ({report.duration_s:.1f} s of video{drift})"
    )
    say(f"model    {report.model} ({report.model_licence}), weights sha256 {report.weights_sha256[:12]}…")
    say(f"ran on   {report.runtime}, {report.precision}, {report.device}")
    if report.refiner is not None:
        its = report.refiner
        say(f"refined  by {its.model} ({its.model_licence}), {its.runtime}, {its.precision}")
    if report.student is not None:
        say(f"student  {_student(report.student)}")
    times = "  ".join(f"{name} {stage.p50_ms:.1f}" for name, stage in report.stages.items())
    say(f"ms/frame {times}  (medians)")
    if report.peak_rss_mb is not None:
        say(f"memory   {report.peak_rss_mb:.0f} MiB at most")
    if report.inspection is not None:
        say(f"mattes   {report.inspection.summary()}")
    if report.live is not None:
        _show_live(report.live, () if report.student is None else report.student.turns)
    # Without a GPU nothing is amiss when the runtimes for GPUs are not used: that stands in the report file alone.
    for note in (*(report.passed_over if driver_missing() is None else ()), *report.fallbacks):
        say(f"note     {note}")
    for output in report.outputs if report.live is None else ():
        say(f"wrote    {output.path}  ({output.codec}, {output.frames} frames)")
    if report.interrupted:
        say("stopped  before the end of the input, as asked; the files above are complete up to there")


def _student(student: StudentReport) -> str:
    """One line of what a student did."""
    answered = f"answered for {student.frames_student} of {student.frames_student + student.frames_teacher} frames"
    if not student.steps:
        return answered
    lessons = "" if student.lessons == 1 else f" in {student.lessons} lessons"
    return (
        f"{answered}; taught {student.frames_taught} by {student.teacher}{lessons} ({student.seconds:.0f} s), "
        f"{student.apart:.3f} from it on frames not taught"
    )


def _show_live(live: LiveReport, turns: Sequence[StudentTurn]) -> None:
    for output in live.outputs:
        lag = "" if output.latency is None else f", {output.latency.p50_ms:.0f} ms after capture (95 %: "
        lag += "" if output.latency is None else f"{output.latency.p95_ms:.0f} ms)"
        cards = f", the card {output.cards} times" if output.cards else ""
        say(f"shown    {output.name}: {output.frames} frames, {output.rate:.1f} fps{lag}{cards}")
    if live.idle_s:
        say(f"rested   {live.idle_s:.0f} s, while nobody looked")
    for step in live.steps:
        say(f"governor at {step.at_s:.0f} s from {step.was} to {step.now}: {step.why}")
    for turn in turns:
        say(f"the {turn.to} took over at {turn.at_s:.0f} s: {turn.why}")
    for incident in live.incidents:
        say(f"held     {incident.frames} frames at {incident.at_s:.1f} s ({incident.duration_s:.1f} s): {incident.why}")
