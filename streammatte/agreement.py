"""Whether a student says what its teacher does: of one picture, and over a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["LIMIT", "Examined", "apart", "trusted_spans"]

_Map: TypeAlias = npt.NDArray[np.float32]

LIMIT = 0.010
"""A student that is further from its teacher (`apart`) does not stand in for it. Seen: rooms with a person that were
learnt keep to 0.002 to 0.010, a hand-held chase in which nothing stays as it was comes to 0.011 to 0.08."""


def apart(pha: _Map, teacher: _Map) -> float:
    """Mean |difference| of two alphas (h, w) in [0, 1], each pixel's times the teacher's certainty |2 alpha - 1|.

    So that hair, where the teacher itself is in doubt, does not hide a missing arm, and is not taken for one. `pha` is
    brought to the teacher's size.
    """
    if pha.shape != teacher.shape:
        pha = np.asarray(cv2.resize(pha, teacher.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    return float((np.abs(pha - teacher) * np.abs(2 * teacher - 1)).mean())


@dataclass(frozen=True, slots=True)
class Examined:
    """What a student said of one sample of a clip."""

    time_s: float
    apart: float
    held_out: bool
    """The student was not taught it."""

    @property
    def holds(self) -> bool:
        """It is near enough to the teacher."""
        return self.apart <= LIMIT


def trusted_spans(examined: Sequence[Examined], end_s: float) -> tuple[tuple[float, float], ...]:
    """(from, to) in seconds of where a student may stand in for its teacher, in order; `examined` in order of time.

    From one sample to the next where it holds on both, and on the nearest that were held out before and after: what it
    was taught it is likely to know by heart. The first sample speaks for what lies before it, the last up to `end_s`.
    """
    sound = [_sound(examined, index) for index in range(len(examined))]
    spans: list[tuple[float, float]] = []
    for index, here in enumerate(examined):
        start = 0.0 if index == 0 else here.time_s
        end = end_s if index + 1 == len(examined) else examined[index + 1].time_s
        if not (sound[index] and sound[min(index + 1, len(sound) - 1)]):
            continue
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, end))
    return tuple(spans)


def _sound(examined: Sequence[Examined], index: int) -> bool:
    before = next((each for each in reversed(examined[: index + 1]) if each.held_out), None)
    after = next((each for each in examined[index:] if each.held_out), None)
    return examined[index].holds and all(each.holds for each in (before, after) if each is not None)
