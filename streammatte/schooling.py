"""Lessons, examinations, and a file's own student at work beside its teacher."""

from __future__ import annotations

import hashlib
import math
import os
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from streammatte.agreement import Examined, apart
from streammatte.errors import StudentError
from streammatte.matter import Matter
from streammatte.meter import Meter, StudentReport
from streammatte.own_model import scene_model
from streammatte.parity import normalized
from streammatte.ports import BuildProgress, Source
from streammatte.sampling import Sample, found, split
from streammatte.scenes import Manifest, keep
from streammatte.student import Student
from streammatte.students.lessons import Going, Learnt, Lesson
from streammatte.students.process import Trainer
from streammatte.tandem import STUDENT, TEACHER, Answering, Tandem

__all__ = [
    "Graduate",
    "Lessons",
    "Schooling",
    "Taught",
    "check_teacher",
    "examined",
    "learnt_from",
    "opened",
    "school_of",
    "teach",
    "worth_s",
]

_LEAST_S, _MOST_S, _SHARE, _STRIDE = 20.0, 120.0, 0.25, 3
"""How long a file's student is taught: this share of the time its teacher would take for every third frame, within
bounds."""


@dataclass(frozen=True, slots=True)
class Taught:
    """A student and what it was taught."""

    learnt: Learnt
    samples: tuple[Sample, ...]
    """In order of time; see `split`."""

    def manifest(self, name: str, matter: Matter, spec: str, seed: int, examined: Sequence[Examined] = ()) -> Manifest:
        """How it came to be, for a scene of this name."""
        taught, held_out = split(self.samples)
        height, width = self.samples[0].pha.shape
        checked = [each for each in examined if each.held_out]
        errors = [each.apart for each in checked] or list(self.learnt.errors)
        return Manifest(
            name=name,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            input=spec,
            teacher=matter.model.name,
            teacher_licence=matter.model.licence,
            teacher_commercial=matter.model.commercial,
            teacher_weights_sha256=matter.weights_sha256,
            frames=len(taught),
            held_out=len(held_out),
            apart=round(float(np.mean(errors)), 5),
            holds=round(float(np.mean([each.holds for each in checked])), 3) if checked else 0.0,
            steps=self.learnt.steps,
            seconds=round(self.learnt.seconds, 1),
            precision=self.learnt.precision,
            seed=seed,
            width=width,
            height=height,
            onnx_sha256=hashlib.sha256(self.learnt.onnx).hexdigest(),
            streammatte=version("streammatte"),
        )


def check_teacher(matter: Matter) -> None:
    """Raises StudentError for a model that cannot teach."""
    if matter.model.state is not None:
        raise StudentError(f"{matter.model.name} remembers the frames before, and cannot teach; u2net can")


def teach(
    trainer: Trainer,
    samples: Sequence[Sample],
    seconds: float,
    *,
    seed: int = 0,
    steps: int | None = None,
    threads: int | None = None,
    told: Callable[[Going], None] | None = None,
) -> Learnt:
    """One lesson on `samples`. Raises StudentError."""
    taught, held_out = split(samples)
    return trainer.teach(Lesson(taught, held_out, seconds, steps, seed, threads or _cores()), told)


def learnt_from(
    source: Source,
    matter: Matter,
    seconds: float | None,
    *,
    seed: int = 0,
    steps: int | None = None,
    building: BuildProgress | None = None,
) -> Taught:
    """A student of the whole of `source`, which is read and closed; `matter` is its teacher.

    Taught for so many `seconds`, without for as long as it is worth, or for `steps`. Raises StudentError, SourceError.
    """
    tell, meter, streams = building or (lambda phase, done, total: None), Meter(), matter.info.streams
    with closing(Trainer(aside=False)) as trainer:
        samples = found(
            source,
            matter,
            lambda done, total: tell("looking for samples", done, total),
            streams=streams,
            meter=meter,
        )
        teacher_s = 1e-3 * meter.stages()["infer"].p50_ms / streams
        frames = round(samples[-1].time_s * float(source.info.rate or 30))
        learnt = teach(
            trainer,
            samples,
            worth_s(frames, teacher_s) if seconds is None else seconds,
            seed=seed,
            steps=steps,
            told=lambda how: tell("teaching", round(100 * how.done), 100),
        )
    return Taught(learnt, tuple(samples))


def worth_s(frames: int, teacher_s: float) -> float:
    """How many seconds to teach a student of a file of so many frames, each of which takes its teacher so long."""
    return min(max(_SHARE * teacher_s * frames / _STRIDE, _LEAST_S), _MOST_S)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def opened(manifest: Manifest, onnx: bytes, place: Path, *, runtime: str = "auto", streams: int = 1) -> Matter:
    """The student as a model like any other; its files are below `place`."""
    folder = keep(manifest, onnx, folder=place, replacing=True)
    return Matter(scene_model(folder / f"{manifest.name}.toml"), runtime=runtime, streams=streams)


def examined(student: Matter, samples: Sequence[Sample]) -> list[Examined]:
    """What `student` says of each sample, beside the teacher."""
    answers = []
    for sample in samples:
        pha = student.session.run(normalized(sample.src, student.model.input))[0, 0]
        wanted = np.asarray(sample.pha / np.float32(255), np.float32)
        answers.append(Examined(sample.time_s, apart(pha, wanted), sample.held_out))
    return answers


class Lessons:
    """Lessons beside a live run, each of which goes on from the one before; frames and students stay in memory, but for
    what a runtime loads, which is gone with the student."""

    def __init__(self, matter: Matter, name: str, seed: int) -> None:
        """`matter` is the teacher, `name` the input's. Raises StudentError where there is no torch."""
        self._matter, self._name, self._seed = matter, name, seed
        self._trainer = Trainer(aside=True)

    def __call__(self, samples: list[Sample], seconds: float) -> Graduate:
        """Blocks. Raises StudentError."""
        taught = Taught(teach(self._trainer, samples, seconds, seed=self._seed), tuple(samples))
        place = tempfile.TemporaryDirectory(prefix="streammatte-student-")
        try:
            manifest = taught.manifest("student", self._matter, self._name, self._seed)
            student = opened(manifest, taught.learnt.onnx, Path(place.name))
        except BaseException:
            place.cleanup()
            raise
        return Graduate(student, place, taught)

    def close(self) -> None:
        """End a lesson under way."""
        self._trainer.close()


class Graduate:
    """A student that has been taught, ready to answer."""

    def __init__(self, matter: Matter, place: tempfile.TemporaryDirectory[str], taught: Taught) -> None:
        self.taught = taught
        self.student: Answering = Student(matter)
        self.steps, self.precision = taught.learnt.steps, taught.learnt.precision
        self._matter, self._place = matter, place

    def close(self) -> None:
        """Release it; nothing of it is left."""
        self._matter.close()
        self._place.cleanup()


class Schooling:
    """A file's own student, at work beside its teacher: `maker` makes the mattes of the run."""

    def __init__(self, matter: Matter, source: Source, seed: int, building: BuildProgress | None) -> None:
        """`source` is the file opened once more; it is read, and closed. Raises StudentError."""
        started_s = time.perf_counter()
        self._place = tempfile.TemporaryDirectory(prefix="streammatte-student-")
        self._student: Matter | None = None
        try:
            self._taught = learnt_from(source, matter, None, seed=seed, building=building)
            manifest = self._taught.manifest("student", matter, source.info.name, seed)
            self._student = opened(
                manifest, self._taught.learnt.onnx, Path(self._place.name), streams=matter.info.streams
            )
            self._examined = examined(self._student, self._taught.samples)
        except BaseException:
            self.close()
            raise
        self._seconds = time.perf_counter() - started_s
        self._teacher = matter
        self.maker = Tandem(matter, Student(self._student), self._examined, math.inf, matter.info.streams)

    def report(self) -> StudentReport:
        """What the student did, up to now."""
        taught, held_out = split(self._taught.samples)
        spans = self.maker.spans
        return StudentReport(
            teacher=self._teacher.model.name,
            frames_taught=len(taught),
            frames_held_out=len(held_out),
            apart=round(float(np.mean([each.apart for each in self._examined if each.held_out])), 5),
            steps=self._taught.learnt.steps,
            seconds=round(self._seconds, 1),
            precision=self._taught.learnt.precision,
            frames_student=sum(span.frames for span in spans if span.network == STUDENT),
            frames_teacher=sum(span.frames for span in spans if span.network == TEACHER),
            spans=spans,
        )

    def close(self) -> None:
        """Release the student; nothing of it is left."""
        if self._student is not None:
            self._student.close()
        self._place.cleanup()


def school_of(
    matter: Matter, spec: str, again: Callable[[], Source], seed: int, building: BuildProgress | None
) -> Schooling:
    """The student of the file `spec`, which `again` opens once more. Raises StudentError, SourceError."""
    if not _can_be_read_again(spec):
        raise StudentError(f"{spec} can be read only once, and is to be looked through before; write it to a file")
    return Schooling(matter, again(), seed, building)


def _can_be_read_again(spec: str) -> bool:
    if spec == "-" or spec.startswith("pipe:"):
        return False
    with suppress(OSError):
        return not stat.S_ISFIFO(Path(spec).stat().st_mode)
    return True
