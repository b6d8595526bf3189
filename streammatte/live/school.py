"""`--student auto`, live: a small network is taught this room while the large one works, and takes over once it can.

Mullapudi et al., "Online Model Distillation for Efficient Video Inference" (ICCV 2019). The teacher goes on looking at
a frame now and then: where the student is then too far off (somebody came in, the light changed, the camera was moved),
and at every cut, the teacher takes over again, and the student is taught what is new.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from streammatte.agreement import LIMIT, apart
from streammatte.errors import StreammatteError, first_line
from streammatte.frame import Frame, Look, Matte, StreamInfo
from streammatte.live.models import Models
from streammatte.meter import StudentReport, StudentTurn
from streammatte.sampling import MOST_SAMPLES, Sample, check_enough, is_held_out, sample_of, student_size, thinned
from streammatte.tandem import STUDENT, TEACHER, Answering

__all__ = ["Graduated", "School", "Teach"]

_FIRST_SAMPLES, _NEW_SAMPLES = 12, 6
"""Before the first lesson; of what is new, before a further one."""
_APART_S, _LATER_APART_S = 0.4, 1.0
"""Between two samples: at first, and once there are enough for a lesson."""
_LESSON_S, _LATER_LESSON_S = 30.0, 20.0
_AGREEING = 3
"""Frames in a row, none of which it was taught, on which a student agrees before it takes over."""
_TRIALS = 12
"""So many without that, and it is taught again."""
_CHECK_S, _CHECK_SHARE, _STUDY_SHARE = 1.0, 6.0, 2.0
"""A check so often, and no more than one part in so many of the time; where a cheaper model answers, the teacher's word
is all there is to learn from, and comes more often."""
_LOST = 0.3
"""Motion that could not be followed, in pictures, since the last check: one is due."""
_LOST_SHARE = 1.5
"""A check that is due for that still waits so many times as long as the teacher takes."""
_TICK_S = 0.25


class Graduated(Protocol):
    """A student that has been taught."""

    student: Answering
    steps: int
    """That it was taught in all."""
    precision: str
    """It was taught in."""

    def close(self) -> None:
        """Release it."""


class Teach(Protocol):
    """Gives lessons, one at a time."""

    def __call__(self, samples: list[Sample], seconds: float) -> Graduated:
        """Blocks. Raises StreammatteError."""

    def close(self) -> None:
        """End a lesson under way."""


class School:
    """`models`, of which `name` is the teacher, with a student once there is one. A MatteMaker for one live stream.

    `look` is called from one thread, `see` from that or one other; lessons and checks have threads of their own, which
    no frame waits for. `close` ends them.
    """

    def __init__(self, models: Models, name: str, info: StreamInfo, teach: Teach) -> None:
        self._models, self._name, self._teach = models, name, teach
        self._size, self._input = student_size(info), info.name
        self._changing = threading.Lock()
        self._asking = threading.Lock()
        """One frame at a time is with the teacher."""
        self._answering = threading.Lock()
        """... and one with the student."""
        self._samples: list[Sample] = []
        self._numbered = self._new = 0
        self._graduate: Graduated | None = None
        self._standing_in = False
        self._agreed = self._tried = 0
        self._needed = _AGREEING
        self._cut_seq = -1
        self._teacher_s = self._last_s = self._lost = 0.0
        self._checking = False
        self._open = True
        self._frames = {STUDENT: 0, TEACHER: 0}
        self._turns: list[StudentTurn] = []
        self._lessons = self._checks = self._steps = 0
        self._seconds, self._distance, self._precision = 0.0, 0.0, ""
        self._notes: list[str] = []
        self._lesson = threading.Thread(target=self._keep_school, name="teach", daemon=True)
        self._lesson.start()

    @property
    def state(self) -> str:
        """Who answers: student or teacher."""
        return STUDENT if self._standing_in else TEACHER

    def look(self, frame: Frame) -> Look:
        """The frame prepared for whoever is to answer for it."""
        if not self._standing_in:
            look = self._models.look(frame)
            if look.model != self._name and self._due(float(frame.time)):
                self._check(self._models.look(frame, self._name))
            return look
        look = self._models.look(frame, self._name)
        return replace(look, teacher=partial(self._at_cut, look))

    def see(self, look: Look) -> Matte:
        """The matte, by whom the frame was prepared for."""
        if look.teacher is not None and self._graduate is not None:
            matte = self._said(self._graduate, look)
            self._frames[STUDENT] += 1
            trust = look.matte.trust
            self._lost += 0.0 if trust is None else 1.0 - float(trust.mean())
            if self._due(look.matte.time_s):
                self._check(look)
            return matte
        self._frames[TEACHER] += 1
        if look.model == self._name:
            return self._asked(look)
        return self._models.see(look)  # a cheaper one, for want of time: the teacher is asked beside it

    def report(self) -> StudentReport | None:
        """What the student did, up to now; None where there is nothing to say."""
        with self._changing:
            held_out = sum(sample.held_out for sample in self._samples)
            if not (self._lessons or self._notes):
                return None
            return StudentReport(
                teacher=self._name,
                frames_taught=len(self._samples) - held_out,
                frames_held_out=held_out,
                apart=round(self._distance, 5),
                steps=self._steps,
                seconds=round(self._seconds, 1),
                precision=self._precision,
                frames_student=self._frames[STUDENT],
                frames_teacher=self._frames[TEACHER],
                spans=(),
                lessons=self._lessons,
                checks=self._checks,
                turns=tuple(self._turns),
                notes=tuple(self._notes),
            )

    def close(self) -> None:
        """No more lessons; the student is released. `models` are left to whoever opened them."""
        self._open = False
        self._teach.close()
        self._lesson.join(2.0)
        if self._graduate is not None:
            self._graduate.close()

    # the teacher's answers

    def _asked(self, look: Look) -> Matte:
        with self._asking:
            started_s = time.perf_counter()
            matte = self._models.see(look)
            self._teacher_s = time.perf_counter() - started_s
            if self._graduate is not None:
                self._judge(apart(self._said(self._graduate, look).pha, matte.pha), look.matte)
        with self._changing:
            self._last_s, self._lost = look.matte.time_s, 0.0
            self._sample(look, matte)
        return matte

    def _said(self, graduate: Graduated, look: Look) -> Matte:
        with self._answering:
            return graduate.student.see(look)

    def _judge(self, distance: float, seen: Matte) -> None:
        with self._changing:
            self._checks += 1
            if seen.seq < self._cut_seq:  # it says nothing of what is there now
                return
            self._distance = distance
            if distance > LIMIT:
                self._agreed = 0
                if self._standing_in:
                    self._turn(TEACHER, f"{distance:.3f} from its teacher, more than {LIMIT:.3f}", seen.time_s)
                    self._new, self._needed = 0, _AGREEING
            else:
                self._agreed += 1
                if not self._standing_in and self._agreed >= self._needed:
                    self._turn(STUDENT, f"it agreed on {self._agreed} frames in a row", seen.time_s)
            self._tried = 0 if self._standing_in else self._tried + 1

    def _turn(self, to: str, why: str, time_s: float) -> None:
        self._standing_in = to == STUDENT
        self._turns.append(StudentTurn(round(time_s, 2), to, why))

    def _at_cut(self, look: Look) -> Look:
        """The look for the teacher; where the student agrees with what it says, that goes on at once."""
        with self._changing:
            self._cut_seq = look.matte.seq
            if self._standing_in:
                self._turn(TEACHER, "a cut", look.matte.time_s)
            self._agreed, self._needed, self._new = 0, 1, 0
        return look

    def _sample(self, look: Look, matte: Matte) -> None:
        gap_s = _APART_S if len(self._samples) < _FIRST_SAMPLES else _LATER_APART_S
        if self._samples and 0 <= look.matte.time_s - self._samples[-1].time_s < gap_s:
            return
        sample = replace(sample_of(matte, look.rotation, self._size), held_out=is_held_out(self._numbered))
        self._samples = thinned([*self._samples, sample], MOST_SAMPLES)
        self._numbered += 1
        self._new += 1

    # checks

    def _due(self, time_s: float) -> bool:
        """Whether the teacher should see a frame that another network answers for."""
        since_s = time_s - self._last_s
        if self._checking or 0 <= since_s < _LOST_SHARE * self._teacher_s:
            return False
        share = _CHECK_SHARE if self._standing_in else _STUDY_SHARE
        return self._lost > _LOST or not 0 <= since_s < max(_CHECK_S, share * self._teacher_s)

    def _check(self, look: Look) -> None:
        self._checking = True
        threading.Thread(target=self._checked, args=(look,), name="check", daemon=True).start()

    def _checked(self, look: Look) -> None:
        try:
            self._asked(look)
        except Exception as error:  # what fails here fails again where it is counted, once the teacher takes over
            with self._changing:
                if self._standing_in:
                    self._turn(TEACHER, f"the check failed: {first_line(error)}", look.matte.time_s)
        finally:
            self._checking = False

    # lessons

    def _keep_school(self) -> None:
        while self._open:
            time.sleep(_TICK_S)
            samples = self._lesson_due()
            if samples is None:
                continue
            started_s = time.perf_counter()
            try:
                graduate = self._teach(samples, _LATER_LESSON_S if self._lessons else _LESSON_S)
            except StreammatteError as error:
                if self._open:
                    self._notes.append(f"no student: {error}; {self._name} did all the work from there")
                return
            self._seconds += time.perf_counter() - started_s
            self._take(graduate)

    def _lesson_due(self) -> list[Sample] | None:
        with self._changing:
            if self._standing_in:
                return None
            first = self._graduate is None
            if self._new < (_FIRST_SAMPLES if first else _NEW_SAMPLES) or not (first or self._tried >= _TRIALS):
                return None
            with suppress(StreammatteError):  # nobody is there yet
                check_enough(self._samples, self._input)
                self._new = 0
                return list(self._samples)
            return None

    def _take(self, graduate: Graduated) -> None:
        with self._asking, self._answering, self._changing:
            before, self._graduate = self._graduate, graduate
            self._agreed = self._tried = 0
            self._needed = _AGREEING
            self._lessons += 1
            self._steps, self._precision = graduate.steps, graduate.precision
        if before is not None:
            before.close()
