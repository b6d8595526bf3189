"""Cuts and motion, frame by frame, on the host (port `Tracker`)."""

from __future__ import annotations

from dataclasses import replace

from streammatte.cuts import CutDetector
from streammatte.frame import Matte
from streammatte.motion import MotionEstimator

__all__ = ["HostTracker"]


class HostTracker:
    """A cut is a discontinuity, across which no motion is looked for. With `onward`, motion goes both ways."""

    def __init__(self, *, onward: bool = False) -> None:
        self.cuts = 0
        self._detector, self._estimator = CutDetector(), MotionEstimator(onward=onward)

    def step(self, matte: Matte) -> Matte:
        """See port `Tracker`."""
        if self._detector.is_cut(matte):
            self.cuts += 1
            matte = replace(matte, discontinuity=True)
        return self._estimator.step(matte)
