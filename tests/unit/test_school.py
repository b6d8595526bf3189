"""`--student auto`, live: who answers, what is taught, and when the teacher takes over again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from rooms import room
from scenes import make_frame, make_look

from streammatte.errors import StudentError
from streammatte.frame import Frame, Look, Matte, PixelFormat, StreamInfo
from streammatte.inference import Inference, Pace
from streammatte.live import school as school_module
from streammatte.live.models import Models
from streammatte.live.school import School
from streammatte.meter import Meter
from streammatte.sampling import Sample

SIZE = (64, 32)
INFO = StreamInfo("room", 16, 16, PixelFormat.named("yuv420p"), None, Fraction(1, 10), Fraction(10))  # type: ignore[arg-type]


class Teacher:
    """Says what is so; `cut` is the first frame of another room."""

    def __init__(self, cut: int = 1 << 30) -> None:
        self.cut, self.seen, self.closed, self.failing = cut, [], 0, False  # type: ignore[var-annotated]

    def look(self, frame: Frame) -> Look:
        picture = room(frame.seq // 40, SIZE)[0]
        if frame.seq >= self.cut:
            picture = 255 - picture[::-1]
        return make_look(frame, np.asarray(picture / np.float32(255), np.float32))

    def see(self, look: Look) -> Matte:
        self.seen.append(look.matte.seq)
        if self.failing:
            raise RuntimeError("no more")
        return replace(look.matte, pha=np.asarray(room(look.matte.seq // 40, SIZE)[1] / 255, np.float32), seen=True)

    def close(self) -> None:
        self.closed += 1


class Pupil:
    """Says what the teacher does, except for frames in `wrong`."""

    steps, precision = 5, "f32"

    def __init__(self, wrong: range = range(0)) -> None:
        self.student, self.wrong, self.seen, self.closed = self, wrong, [], 0  # type: ignore[var-annotated]
        self.free = threading.Lock()

    def see(self, look: Look) -> Matte:
        assert self.free.acquire(blocking=False), "one frame at a time"
        self.seen.append(look.matte.seq)
        time.sleep(0.001)
        self.free.release()
        pha = np.asarray(room(look.matte.seq // 40, SIZE)[1] / np.float32(255), np.float32)
        return replace(look.matte, pha=1 - pha if look.matte.seq in self.wrong else pha, seen=True)

    def close(self) -> None:
        self.closed += 1


class Lessons:
    """Teaches at once, when `allowed`."""

    def __init__(self, *pupils: Any) -> None:
        self.pupils, self.given, self.closed = list(pupils), [], 0  # type: ignore[var-annotated]
        self.allowed = threading.Event()

    def __call__(self, samples: list[Sample], seconds: float) -> Any:
        self.allowed.wait(30)
        self.given.append(list(samples))
        pupil = self.pupils.pop(0)
        if isinstance(pupil, Exception):
            raise pupil
        return pupil

    def close(self) -> None:
        self.closed += 1
        self.allowed.set()


class Stream:
    """Ten frames a second by their own clock, each done before the next comes, as fast as it goes."""

    def __init__(self, teacher: Teacher, lessons: Lessons) -> None:
        self.teacher, self.lessons = teacher, lessons
        self.school = School(Models("large", teacher, lambda name: teacher), "large", INFO, lessons)
        self.inference = Inference(self.school, Still(), Pace(live=True), Meter())
        self.mattes: list[Matte] = []
        self._wanted = threading.Semaphore(0)
        self._events = self.inference.mattes(self._frames())

    def _frames(self) -> Iterator[Frame]:
        for seq in range(10_000):
            yield make_frame(size=(16, 16), seq=seq, pts=seq, time_base=Fraction(1, 10))

    def go(self, count: int) -> Stream:
        for _ in range(count):
            self.mattes.append(next(self._events)[1])  # type: ignore[index]
            self._settle()
        return self

    def until(self, state: str, most: int = 400) -> Stream:
        for _ in range(most):
            if self.school.state == state:
                return self
            self.go(1)
        raise AssertionError(f"{self.school.state} after {most} frames, not {state}")

    def taught(self) -> Stream:
        """Until one more lesson has been given."""
        count = self.school._lessons
        self.lessons.allowed.set()
        for _ in range(2000):
            if self.school._lessons > count:
                break
            self.go(1)
            time.sleep(0.01)
        self.lessons.allowed.clear()
        assert self.school._lessons > count
        return self

    def _settle(self) -> None:
        """What was asked beside the stream has been answered."""
        deadline = time.monotonic() + 10
        while (self.school._checking or self.school._asking.locked()) and time.monotonic() < deadline:
            time.sleep(0.001)


class Still:
    def step(self, matte: Matte) -> Matte:
        return matte


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(school_module, "_TICK_S", 0.01)


def test_the_student_takes_over_once_it_agrees() -> None:
    teacher, pupil = Teacher(), Pupil()
    stream = Stream(teacher, Lessons(pupil)).go(60)
    assert stream.school.state == "teacher"
    stream.taught().until("student")
    seen = len(teacher.seen)
    stream.go(50)
    report = stream.school.report()
    assert report is not None
    assert report.turns[0].to == "student"
    assert "agreed on 3 frames in a row" in report.turns[0].why
    assert report.frames_student == 50
    assert 3 <= len(teacher.seen) - seen <= 6, "the teacher is asked once a second, by the frames' clock"
    assert report.checks >= 6
    assert all(matte.seen for matte in stream.mattes[-50:])
    assert not any(matte.discontinuity for matte in stream.mattes[1:]), "nothing starts anew, so nothing jumps"
    stream.school.close()
    assert (pupil.closed, teacher.closed, stream.lessons.closed) == (1, 0, 1)


def test_what_it_was_taught_is_held_out_in_part() -> None:
    stream = Stream(Teacher(), Lessons(Pupil())).go(60).taught()
    (given,) = stream.lessons.given
    assert len(given) >= 12
    assert sum(sample.held_out for sample in given) == len(given) // 4
    assert np.diff([sample.time_s for sample in given]).min() >= 0.39
    stream.school.close()


def test_a_student_that_is_wrong_never_takes_over_and_is_taught_again() -> None:
    wrong, right = Pupil(range(10_000)), Pupil()
    stream = Stream(Teacher(), Lessons(wrong, right)).go(60).taught().go(60)
    assert stream.school.state == "teacher"
    stream.taught().until("student")
    assert wrong.closed == 1
    report = stream.school.report()
    assert report is not None
    assert (report.lessons, len(report.turns)) == (2, 1)
    stream.school.close()


def test_the_teacher_takes_over_when_they_disagree() -> None:
    pupil = Pupil()
    stream = Stream(Teacher(), Lessons(pupil)).go(60).taught().until("student").go(20)
    pupil.wrong = range(10_000)
    begun = len(stream.mattes)
    stream.until("teacher", 30)
    assert len(stream.mattes) - begun <= 12, "a check comes once a second"
    report = stream.school.report()
    assert report is not None
    assert "from its teacher, more than" in report.turns[-1].why
    stream.school.close()


def test_a_cut_is_the_teachers_at_once_and_one_word_gives_it_back() -> None:
    stream = Stream(Teacher(cut=200), Lessons(Pupil())).go(60).taught().until("student")
    stream.go(201 - len(stream.mattes))
    assert stream.inference.cuts == 1
    assert stream.mattes[200].seq in stream.teacher.seen
    assert np.array_equal(stream.mattes[200].pha, np.asarray(room(5, SIZE)[1] / 255, np.float32))
    stream.go(3)
    assert stream.school.state == "student"
    report = stream.school.report()
    assert report is not None
    assert [turn.to for turn in report.turns] == ["student", "teacher", "student"]
    assert report.turns[1].why == "a cut"
    stream.school.close()


def test_a_check_of_a_frame_before_a_cut_says_nothing_of_what_is_after() -> None:
    stream = Stream(Teacher(cut=200), Lessons(Pupil(range(200, 10_000)))).go(60).taught().until("student")
    before = stream.mattes[-1]
    stream.go(201 - len(stream.mattes))
    assert stream.school.state == "teacher"
    stream.school._judge(0.0, before)  # it was with the teacher all that time
    assert stream.school.state == "teacher"
    stream.school.close()


def test_after_a_cut_a_student_that_knows_nothing_waits() -> None:
    stream = Stream(Teacher(cut=200), Lessons(Pupil(range(200, 10_000)), Pupil())).go(60).taught().until("student")
    stream.go(260 - len(stream.mattes))
    assert stream.school.state == "teacher"
    wrong = [
        matte.seq
        for matte in stream.mattes[200:]
        if np.abs(matte.pha - room(matte.seq // 40, SIZE)[1] / 255).max() > 0.01 and matte.age_s < 0.05
    ]
    assert wrong == [], "no frame was the student's"
    stream.taught().until("student")
    stream.school.close()


def test_without_a_student_the_teacher_goes_on_and_says_why() -> None:
    stream = Stream(Teacher(), Lessons(StudentError("teaching was ended from outside: signal 9"))).go(60)
    stream.lessons.allowed.set()
    stream.go(40)
    for _ in range(200):
        report = stream.school.report()
        if report is not None:
            break
        time.sleep(0.01)
    assert report is not None
    assert report.notes == ("no student: teaching was ended from outside: signal 9; large did all the work from there",)
    assert report.frames_student == 0
    assert all(matte.seen or matte.age_s < 1 for matte in stream.mattes[-20:])
    stream.school.close()


def test_a_check_that_fails_is_no_agreement() -> None:
    teacher = Teacher()
    stream = Stream(teacher, Lessons(Pupil())).go(60).taught().until("student").go(5)
    teacher.failing = True
    stream.until("teacher", 30)
    report = stream.school.report()
    assert report is not None
    assert report.turns[-1].why == "the check failed: no more"
    stream.school.close()


def test_an_empty_room_teaches_nothing() -> None:
    teacher = Teacher()
    teacher.see = lambda look: replace(look.matte, pha=np.zeros(SIZE[::-1], np.float32), seen=True)  # type: ignore[method-assign]
    stream = Stream(teacher, Lessons(Pupil())).go(120)
    stream.lessons.allowed.set()
    time.sleep(0.1)
    assert stream.lessons.given == []
    assert stream.school.report() is None
    stream.school.close()


def test_where_a_cheaper_model_works_the_teacher_is_asked_beside_it() -> None:
    teacher, cheap = Teacher(), Teacher()
    models = Models("large", teacher, lambda name: cheap)
    stream = Stream(teacher, Lessons(Pupil()))
    stream.school.close()
    stream.lessons.allowed.clear()
    stream.school = School(models, "large", INFO, stream.lessons)
    stream.inference = Inference(stream.school, Still(), Pace(live=True), Meter())
    stream._events = stream.inference.mattes(stream._frames())
    models.use("cheap")
    stream.go(200)
    assert 12 <= len(teacher.seen) <= 25, "once a second"
    assert len(cheap.seen) > 100
    stream.taught().until("student")
    assert teacher.seen[-1] >= 190
    stream.school.close()
