"""A teacher and its student behind one MatteMaker: each frame of a file goes to the one that is to answer for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from streammatte.agreement import LIMIT, Examined, apart, trusted_spans
from streammatte.frame import Frame, Look, Matte
from streammatte.inference import MatteMaker
from streammatte.meter import StudentSpan

__all__ = ["STUDENT", "TEACHER", "Answering", "Tandem"]

STUDENT, TEACHER = "student", "teacher"


class Answering(Protocol):
    """What gives the matte of a look."""

    def see(self, look: Look) -> Matte:
        """The matte, on the look's own grid."""


class Tandem:
    """The student where it was found to hold (`agreement.trusted_spans`), the teacher elsewhere.

    The first frame after a cut is shown to both: where the student is then too far off, the teacher goes on until the
    next sample at which the student held. `examined` is in order of time; `streams` is how many threads may ask each
    of them at once.
    """

    def __init__(
        self, teacher: MatteMaker, student: Answering, examined: Sequence[Examined], end_s: float, streams: int
    ) -> None:
        self._teacher, self._examined = teacher, examined
        self._answering: dict[str, Answering] = {STUDENT: student, TEACHER: teacher}
        self._trusted = trusted_spans(examined, end_s)
        # A cut is looked into beside the threads that ask.
        self._free = {name: threading.Semaphore(streams) for name in self._answering}
        self._known: dict[int, Matte] = {}
        self._doubted_until_s = -math.inf
        self._spans: list[StudentSpan] = []
        self._latest: tuple[float, str] | None = None
        """Time and network of the last frame, which may be another's after all."""

    @property
    def spans(self) -> tuple[StudentSpan, ...]:
        """Who answered when, so far."""
        self._settle()
        return tuple(self._spans)

    def look(self, frame: Frame) -> Look:
        """The frame prepared for whoever is to answer for it."""
        look, time_s = self._teacher.look(frame), float(frame.time)
        if not self._trusts(time_s):
            self._settle((time_s, TEACHER))
            return replace(look, model=TEACHER)
        self._settle((time_s, STUDENT))
        return replace(look, model=STUDENT, teacher=partial(self._at_cut, look))

    def see(self, look: Look) -> Matte:
        """The matte, by whom the frame was prepared for."""
        known = self._known.pop(look.matte.seq, None)
        return self._ask(look.model, look) if known is None else replace(look.matte, pha=known.pha, seen=True)

    def _trusts(self, time_s: float) -> bool:
        return time_s >= self._doubted_until_s and any(start <= time_s < end for start, end in self._trusted)

    def _at_cut(self, look: Look) -> Look:
        """For the teacher; its answer decides who goes on."""
        time_s = look.matte.time_s
        known = self._known[look.matte.seq] = self._ask(TEACHER, look)
        if apart(self._ask(STUDENT, look).pha, known.pha) > LIMIT:
            self._doubted_until_s = next((each.time_s for each in self._examined if each.time_s > time_s), math.inf)
        self._latest = time_s, TEACHER
        return replace(look, model=TEACHER)

    def _ask(self, name: str, look: Look) -> Matte:
        with self._free[name]:
            return self._answering[name].see(look)

    def _settle(self, next_one: tuple[float, str] | None = None) -> None:
        """Count the last frame; another one has come."""
        latest, self._latest = self._latest, next_one
        if latest is None:
            return
        time_s, network = latest
        if self._spans and self._spans[-1].network == network:
            last = self._spans[-1]
            self._spans[-1] = replace(last, to_s=time_s, frames=last.frames + 1)
        else:
            self._spans.append(StudentSpan(network, time_s, time_s, 1))
