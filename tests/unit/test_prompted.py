"""`--subject` by a network that looks: whom it finds is kept and followed, and what happens where it finds nobody."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scenes import Float, make_frame, textured
from test_subjects import BLUE, GREEN, RIGHT, SIZE, STEP_S, Ball, kept, seen

from streammatte.frame import Frame
from streammatte.subject import Subject
from streammatte.subjects.prompted import PromptedSelector
from streammatte.tracking import HostTracker

OTHER_ROOM = np.asarray(1 - textured(9, SIZE, 3.0), np.float32)


@dataclass
class Told:
    """A prompter that is told what it will find; None: nobody."""

    outlines: bool
    answer: Float | None = None
    asked: list[tuple[float, tuple[float, float] | None]] = field(default_factory=list)

    def region(self, frame: Frame, pha: Float, place: tuple[float, float] | None) -> Float | None:
        self.asked.append((float(frame.time), place))
        return self.answer


class Run:
    """A wish and a prompter, through frames of balls."""

    def __init__(self, wish: str, prompter: Told, rotation: int = 0) -> None:
        self.selector, self.tracker = PromptedSelector(Subject.named(wish), prompter), HostTracker()
        self.prompter, self.seq, self.rotation = prompter, 0, rotation

    def step(self, *balls: Ball, back: Float | None = None) -> Float:
        matte = seen(balls, self.seq) if back is None else seen(balls, self.seq, back)
        frame = make_frame(size=SIZE, rgb=(0, 0, 0), rotation=self.rotation)
        frame = replace(frame, pts=self.seq, time_base=frame.time_base.__class__(STEP_S).limit_denominator(1000))
        self.seq += 1
        return self.selector.step(self.tracker.step(matte), frame).pha

    def rest(self, seconds: float, *balls: Ball) -> Float:
        for _ in range(round(seconds / STEP_S)):
            pha = self.step(*balls)
        return pha


def outline(ball: Ball) -> Float:
    return np.asarray(ball.pha > 0.5, np.float32)


SMALL, LARGE = Ball(30, 40, 13), Ball(96, 50, 20, BLUE)


def test_a_face_chooses_whose_it_is_and_is_asked_for_once() -> None:
    found = Told(False, outline(replace(SMALL, radius=4)))
    run = Run("face", found)
    for seq in range(40):
        one, other = replace(SMALL, x=30 + 0.3 * seq), LARGE
        pha = run.step(one, other)
        assert kept(pha, one) > 0.99
        assert kept(pha, other) == 0
    assert len(found.asked) == 1
    assert run.selector.notes == []


def test_the_one_whose_face_was_found_is_waited_for() -> None:
    found = Told(False, outline(SMALL))
    run = Run("face", found)
    run.rest(0.5, SMALL, LARGE)
    assert kept(run.rest(6, LARGE), LARGE) == 0
    assert kept(run.step(SMALL, LARGE), SMALL) > 0.99


def test_the_largest_is_kept_until_a_face_is_found() -> None:
    found = Told(False)
    run = Run("face", found)
    assert kept(run.rest(1, SMALL, LARGE), LARGE) > 0.99
    assert 4 <= len(found.asked) <= 5
    found.answer = outline(SMALL)
    pha = run.rest(0.5, SMALL, LARGE)
    assert kept(pha, SMALL) > 0.99
    assert kept(pha, LARGE) == 0
    (note,) = run.selector.notes
    assert note.startswith("--subject face: not found at 0.0 s; the largest is kept until 1.")


def test_after_two_seconds_without_a_face_the_largest_stays_to_the_end_of_the_shot() -> None:
    found = Told(False)
    run = Run("face", found)
    run.rest(2.1, SMALL, LARGE)
    found.answer, asked = outline(SMALL), len(found.asked)
    pha = run.rest(2, SMALL, LARGE)
    assert kept(pha, LARGE) > 0.99
    assert kept(pha, SMALL) == 0
    assert len(found.asked) == asked
    assert run.selector.notes == ["--subject face: not found at 0.0 s; the largest is kept"]
    pha = run.step(SMALL, LARGE, back=OTHER_ROOM)
    assert kept(pha, SMALL) > 0.99
    assert len(found.asked) == asked + 1


def test_nobody_is_asked_for_while_there_is_nobody() -> None:
    found = Told(False)
    Run("face", found).rest(3)
    assert found.asked == []


def test_notes_of_a_run_without_end_are_few() -> None:
    run = Run("the dog", Told(True))
    for seq in range(40):
        run.step(SMALL, back=OTHER_ROOM if seq % 2 else None)
    assert len(run.selector.notes) == 10


@pytest.mark.parametrize("wish", ["the blue ball", RIGHT])
def test_what_a_network_does_not_find_is_not_kept_and_asked_for_each_second(wish: str) -> None:
    found = Told(True)
    run = Run(wish, found)
    assert run.rest(2.5, SMALL, LARGE).max() == 0
    assert [time for time, _ in found.asked] == pytest.approx([0, 1, 2])
    found.answer = outline(LARGE)
    assert kept(run.rest(1, SMALL, LARGE), LARGE) > 0.99
    (note,) = run.selector.notes
    assert note == f"--subject {Subject.named(wish)}: not found at 0.0 s; nothing is kept until 3.0 s"


def test_an_outline_divides_two_who_touch_from_the_first_frame_on() -> None:
    """What geometry cannot do; and the free rim of whom it keeps stays as soft as it was."""
    one, other = Ball(50, 48, 18), Ball(80, 48, 18, BLUE)
    run = Run("the red ball", Told(True, outline(one) * (1 - outline(other))))
    whole = seen([one, other]).pha
    for seq in range(30):
        apart = 0.4 * seq
        one, other = replace(one, x=50 - apart), replace(other, x=80 + apart)
        pha = run.step(one, other)
        assert kept(pha, one, before=other) > 0.97
        assert kept(pha, replace(other, radius=14), before=one) < 0.02
        if not seq:
            assert np.array_equal(pha[:, :44], whole[:, :44])


def test_an_outline_of_several_parts_keeps_them_all_and_what_it_has_spilt_into_goes() -> None:
    balls = [Ball(24, 24, 12), Ball(24, 72, 12, GREEN), Ball(100, 48, 18, BLUE)]
    spilt = outline(balls[0]) + outline(balls[1]) + (np.arange(SIZE[0]) == 90) * outline(balls[2])
    pha = Run("the people", Told(True, np.asarray(spilt, np.float32))).rest(1, *balls)
    assert [kept(pha, ball) > 0.99 for ball in balls] == [True, True, False]
    assert kept(pha, balls[2]) == 0


def test_an_outline_where_the_matte_has_nothing_is_nobody() -> None:
    run = Run("the dog", Told(True, outline(Ball(64, 86, 8))))
    assert run.step(Ball(24, 24, 12), Ball(100, 24, 12)).max() == 0
    assert len(run.selector.notes) == 1


def test_words_are_asked_again_once_their_subject_is_gone() -> None:
    found = Told(True, outline(SMALL))
    run = Run("the ball", found)
    run.rest(2, SMALL, LARGE)
    assert len(found.asked) == 1
    found.answer = None
    assert run.rest(2, LARGE).max() == 0
    elsewhere = Ball(30, 78, 13, GREEN)
    found.answer = outline(elsewhere)
    assert kept(run.rest(1.1, elsewhere, LARGE), elsewhere) > 0.99
    assert run.selector.notes == []


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_at_a_cut_a_place_is_asked_for_again_where_the_subject_was(rotation: int) -> None:
    """All a prompter sees and says is upright."""
    found = Told(True, np.rot90(outline(LARGE), rotation // 90))
    run = Run("point:0.5,0.5", found, rotation)
    assert kept(run.rest(1, SMALL, LARGE), LARGE) > 0.99
    pha = run.step(SMALL, LARGE, back=OTHER_ROOM)
    assert kept(pha, LARGE) > 0.99
    first, again = found.asked
    assert first[1] is None
    assert again[1] is not None
    y, x = np.nonzero(np.rot90(outline(LARGE), rotation // 90))
    height, width = np.rot90(outline(LARGE), rotation // 90).shape
    assert again[1] == pytest.approx((x.mean() / width, y.mean() / height), abs=0.02)
