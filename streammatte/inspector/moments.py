"""The ten worst moments, apart from each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from streammatte.inspection import Moment

__all__ = ["Pictures", "WorstMoments"]

Pictures = dict[str, bytes]
"""JPEG files by what they show: frame, alpha, over, change."""

_MOST = 10
_APART_S = 0.5
_LEAST_SCORE = 0.1
"""A ten-thousandth of alpha, on average: less is nothing to show."""


class _Kept(NamedTuple):
    moment: Moment
    pictures: Pictures


class WorstMoments:
    """Keeps ten moments at most. Of those closer than half a second the worst stays."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []

    def offer(self, moment: Moment, since_s: float, pictures: Callable[[], Pictures]) -> None:
        """Keep `moment`, which goes back to `since_s`, if it is one of the worst; `pictures` is called only then."""
        near = [kept for kept in self._kept if kept.moment.time_s > since_s - _APART_S]
        others = [kept for kept in self._kept if kept not in near]
        rivals = near if near or len(others) < _MOST else others[-1:]
        least = max((kept.moment.score for kept in rivals), default=_LEAST_SCORE)
        if moment.score <= least:
            return
        self._kept = sorted([*others, _Kept(moment, pictures())], key=lambda kept: -kept.moment.score)[:_MOST]

    def moments(self, mean_flicker: float) -> tuple[Moment, ...]:
        """The moments so far, worst first, flicker also in words."""
        return tuple(_in_words(kept.moment, mean_flicker) for kept in self._kept)

    def pictures(self) -> tuple[Pictures, ...]:
        """What each of the moments looks like, in the same order."""
        return tuple(kept.pictures for kept in self._kept)


def _in_words(moment: Moment, mean_flicker: float) -> Moment:
    if moment.kind != "flicker":
        return moment
    times = moment.score / mean_flicker
    compared = f"{times:.1f} times this run's mean" if times >= 1.5 else "no more than elsewhere in this run"
    return replace(moment, reason=f"alpha changes where the picture does not: {moment.score:.1f}, {compared}")
