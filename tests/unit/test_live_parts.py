"""The parts of a live run by themselves: the guard, incidents, models behind one grid, a refiner that fades."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scenes import make_frame, make_look

from streammatte.errors import ModelError
from streammatte.frame import Frame, Look, Matte
from streammatte.live.fading import FadingRefiner
from streammatte.live.guard import Guard, Incidents
from streammatte.live.models import Models


def matte(pha: Any, **facts: Any) -> Matte:
    pha = np.asarray(pha, np.float32)
    return Matte(pha, np.zeros((*pha.shape, 3), np.float32), 0, 0.0, **facts)


def portrait() -> Any:
    """Alpha of a person: a third of the picture, a tenth of it soft."""
    alpha = np.zeros((100, 100), np.float32)
    alpha[:, 30:60] = 1
    alpha[:, 60:70] = np.linspace(1, 0, 10)
    return alpha


# guard


def test_a_portrait_is_believed() -> None:
    assert Guard().doubt(matte(portrait())) == ""
    assert Guard().doubt(matte(np.zeros((9, 9)))) == "", "an empty room is private by itself"


def test_a_matte_ages() -> None:
    guard = Guard()
    assert guard.doubt(matte(portrait(), age_s=0.9)) == ""
    assert "not answer" in guard.doubt(matte(portrait(), age_s=1.1))
    assert "not answered yet" in guard.doubt(matte(portrait(), age_s=math.inf))


def test_what_was_doubted_is_not_believed_at_the_limit() -> None:
    guard, veil = Guard(), portrait()
    veil[:, :33] = 0.5
    assert guard.doubt(matte(veil)) != ""
    veil[:, :26] = 0
    veil[:, :4] = 0.5
    near = matte(np.concatenate([np.full((31, 10), 0.5), np.zeros((69, 10))]))
    assert Guard().doubt(near) == ""
    assert guard.doubt(near) != "", "it has just been doubted"
    assert guard.doubt(matte(portrait())) == ""
    assert guard.doubt(near) == ""


# incidents


def test_incidents_are_timed_and_counted() -> None:
    now = [0.0]
    incidents = Incidents(lambda: now[0])
    for at, why in enumerate(["", "a", "a", "", "b", ""]):
        now[0] = float(at)
        incidents.frame(why)
    incidents.end()
    found = [(i.at_s, i.duration_s, i.frames, i.why) for i in incidents.all()]
    assert found == [(1.0, 2.0, 2, "a"), (4.0, 1.0, 1, "b")]


def test_incidents_do_not_fill_the_memory() -> None:
    incidents = Incidents(lambda: 0.0)
    for n in range(1000):
        incidents.frame("a" if n % 2 else "")
    assert len(incidents.all()) == 100


# models


class Size:
    """A model of one network size, whose alpha is `value` everywhere."""

    def __init__(self, side: int, value: float) -> None:
        self.side, self.value, self.closed = side, value, 0

    def look(self, frame: Frame) -> Look:
        return make_look(frame, np.full((self.side, self.side, 3), 0.5, np.float32))

    def see(self, look: Look) -> Matte:
        return replace(look.matte, pha=np.full((self.side, self.side), self.value, np.float32), seen=True)

    def close(self) -> None:
        self.closed += 1


def test_another_model_keeps_the_first_ones_grid() -> None:
    opened = {"small": Size(8, 0.25)}
    first = Size(32, 0.75)
    models = Models("large", first, lambda name: opened[name])
    frame = make_frame()
    before = models.look(frame)
    models.use("small")
    after = models.look(frame)
    assert before.matte.src.shape == after.matte.src.shape == (32, 32, 3)
    assert models.see(before).pha.shape == models.see(after).pha.shape == (32, 32)
    assert np.allclose(models.see(before).pha, 0.75), "a look is for the model it was made for"
    assert np.allclose(models.see(after).pha, 0.25)
    models.close()
    assert (first.closed, opened["small"].closed) == (1, 1)


def test_a_model_that_cannot_be_opened_changes_nothing() -> None:
    def opens(name: str) -> Any:
        raise ModelError(f"{name}: unknown")

    models = Models("large", Size(32, 0.75), opens)
    with pytest.raises(ModelError, match="other"):
        models.use("other")
    assert models.current == "large"


# fading


class Flat:
    def __init__(self, value: int) -> None:
        self.value, self.calls = value, 0

    def refine(self, matte: Matte, frame: Frame) -> Any:
        self.calls += 1
        return np.full((frame.height, frame.width), self.value, frame.format.dtype)


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
def test_one_refiner_fades_into_the_other(name: str) -> None:
    frame, old, new = make_frame(name), Flat(0), Flat(200)
    refiner = FadingRefiner(old)
    assert refiner.refine(matte(portrait()), frame).max() == 0
    refiner.turn_to(new)
    values = [int(refiner.refine(matte(portrait()), frame)[0, 0]) for _ in range(14)]
    assert values[-4:] == [200] * 4
    assert values == sorted(values)
    assert max(np.diff([0, *values])) < 30
    assert old.calls == 11, "it rests once it has faded"


def test_to_turn_to_what_is_there_is_nothing() -> None:
    flat = Flat(7)
    refiner = FadingRefiner(flat)
    refiner.turn_to(flat)
    refiner.refine(matte(portrait()), make_frame())
    assert flat.calls == 1
