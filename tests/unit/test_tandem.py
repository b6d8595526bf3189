"""A teacher and its student: who answers for which frame of a file."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from scenes import make_frame, make_look

from streammatte.agreement import LIMIT, Examined
from streammatte.frame import Frame, Look, Matte
from streammatte.inference import Inference, Pace
from streammatte.meter import Meter, StudentSpan
from streammatte.tandem import STUDENT, TEACHER, Tandem

SIDE = 32


class Says:
    """A network that gives one alpha; `wrong` are the frames on which it gives none of it."""

    def __init__(self, value: float, wrong: range = range(0)) -> None:
        self.value, self.wrong, self.seen = value, wrong, []  # type: ignore[var-annotated]

    def look(self, frame: Frame) -> Look:
        # Other colours in other places from frame 20 on: a cut.
        picture = np.zeros((SIDE, SIDE, 3), np.float32)
        picture[:, : SIDE // 2, 0 if frame.seq < 20 else 2] = 1
        return make_look(frame, picture if frame.seq < 20 else np.ascontiguousarray(picture[:, ::-1]))

    def see(self, look: Look) -> Matte:
        seq = look.matte.seq
        self.seen.append(seq)
        value = 1 - self.value if seq in self.wrong else self.value
        return replace(look.matte, pha=np.full((SIDE, SIDE), value, np.float32), seen=True)


def examined(holds: str) -> list[Examined]:
    """One a second."""
    return [Examined(float(number), 0.0 if sign == "+" else 2 * LIMIT, True) for number, sign in enumerate(holds)]


def frames(count: int = 40) -> list[Frame]:
    """Ten a second."""
    return [make_frame(seq=seq, pts=seq, time_base=Fraction(1, 10), size=(16, 16)) for seq in range(count)]


class Still:
    """A stabilizer that does nothing."""

    def step(self, matte: Matte) -> Matte:
        return matte


def all_of(tandem: Tandem, stride: int = 1) -> list[Matte]:
    inference = Inference(tandem, Still(), Pace(stride, 0.0), Meter())
    return [event[1] for event in inference.mattes(frames()) if isinstance(event, tuple)]


def test_the_student_answers_where_it_holds() -> None:
    teacher, student = Says(1.0), Says(0.9)
    tandem = Tandem(teacher, student, examined("++--++"), 6.0, 1)
    mattes = all_of(tandem)
    by_student = [number for number, matte in enumerate(mattes) if matte.pha[0, 0] < 0.95]
    # The cut is at 2 s, where it does not hold: nothing is asked for it.
    assert by_student == list(range(10))
    assert tandem.spans == (StudentSpan(STUDENT, 0.0, 0.9, 10), StudentSpan(TEACHER, 1.0, 3.9, 30))


def test_a_student_sees_every_frame_and_the_teacher_those_of_its_stride() -> None:
    teacher, student = Says(1.0), Says(0.9)
    tandem = Tandem(teacher, student, examined("++--++"), 6.0, 1)
    all_of(tandem, stride=4)
    assert student.seen == list(range(10))
    assert teacher.seen
    assert len(teacher.seen) < 12


def test_the_first_frame_after_a_cut_is_the_teachers() -> None:
    teacher, student = Says(1.0), Says(0.995)
    tandem = Tandem(teacher, student, examined("+++++"), 5.0, 1)
    mattes = all_of(tandem)
    assert teacher.seen == [20], "asked once, for the frame of the cut"
    assert mattes[20].discontinuity
    assert mattes[20].seen
    assert mattes[20].pha[0, 0] == 1.0
    assert tandem.spans == (
        StudentSpan(STUDENT, 0.0, 1.9, 20),
        StudentSpan(TEACHER, 2.0, 2.0, 1),
        StudentSpan(STUDENT, 2.1, 3.9, 19),
    )


def test_a_student_that_is_wrong_there_waits_for_the_next_sample() -> None:
    teacher, student = Says(1.0), Says(0.995, wrong=range(20, 23))
    tandem = Tandem(teacher, student, examined("+++++"), 5.0, 1)
    mattes = all_of(tandem)
    assert all(matte.pha[0, 0] > 0.9 for matte in mattes), "nothing of what it got wrong is shown"
    assert teacher.seen == list(range(20, 30))
    assert sum(span.frames for span in tandem.spans) == 40
    assert [span.network for span in tandem.spans] == [STUDENT, TEACHER, STUDENT]
