"""A quantity over time in bounded memory."""

from __future__ import annotations

import math

from streammatte.inspection import Sample

__all__ = ["Series"]

_MOST = 600


class Series:
    """Mean and extremes of a quantity, and its course in fewer than 601 samples.

    Whenever there are 600, neighbours are joined, and each stands for twice as many frames from then on.
    """

    def __init__(self) -> None:
        self.count = 0
        self.low, self.high = math.inf, -math.inf
        self._total = 0.0
        self._done: list[Sample] = []
        self._open: list[Sample] = []
        self._width = 1

    def add(self, time_s: float, value: float) -> None:
        """Take in one frame's value."""
        self.count += 1
        self._total += value
        self.low, self.high = min(self.low, value), max(self.high, value)
        self._open.append(Sample(time_s, value, value, value))
        if len(self._open) == self._width:
            self._done.append(_joined(self._open))
            self._open = []
        if len(self._done) == _MOST:
            self._done = [_joined(self._done[i : i + 2]) for i in range(0, _MOST, 2)]
            self._width *= 2

    @property
    def mean(self) -> float:
        """Over all frames; 0 before the first."""
        return self._total / self.count if self.count else 0.0

    def samples(self) -> tuple[Sample, ...]:
        """The course so far, in order of time."""
        whole = [*self._done, *([_joined(self._open)] if self._open else [])]
        return tuple(Sample(*(round(value, 4) for value in sample)) for sample in whole)


def _joined(samples: list[Sample]) -> Sample:
    mean = sum(sample.mean for sample in samples) / len(samples)
    return Sample(samples[0].time_s, mean, min(s.low for s in samples), max(s.high for s in samples))
