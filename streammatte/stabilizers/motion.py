"""`--stabilize motion`: each matte is averaged with those before it along the motion, where that is right."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.frame import Matte
from streammatte.kernels.temporal import average
from streammatte.kernels.warping import warp
from streammatte.stabilizers.half_life import checked_half_life

__all__ = ["MotionStabilizer"]

_Map: TypeAlias = npt.NDArray[np.float32]


class MotionStabilizer:
    """A recursive average in which alpha moves with the picture, so that nothing ghosts and nothing is rounded.

    The past weighs half after `half_life_s`, times the motion's trust: an uncovered place is not averaged. It weighs
    less where the network has become more certain than it was, and more where it has become less certain (a flicker):
    certainty is |2 alpha - 1|. The average of soft alphas is soft.
    """

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = checked_half_life(half_life_s)
        self._average: _Map | None = None
        self._trust = np.ones((1, 1), np.float32)
        self._since_s = 0.0

    def step(self, matte: Matte) -> Matte:
        """The average up to and including `matte`; starts anew where there is no motion to carry the last one along."""
        carried = self._carried(matte)
        if not matte.seen and self._average is not None:
            self._average = self._average if carried is None else carried
            return replace(matte, pha=self._average)
        elapsed_s, self._since_s = matte.time_s - self._since_s, matte.time_s
        if carried is None or elapsed_s <= 0:
            self._average, self._trust = matte.pha, np.ones_like(matte.pha)
            return matte
        self._average = average(matte.pha, carried, self._trust, 0.5 ** (elapsed_s / self._half_life_s), elapsed_s)
        self._trust = np.ones_like(matte.pha)
        return replace(matte, pha=self._average)

    def _carried(self, matte: Matte) -> _Map | None:
        """The average at this frame's places; `_trust` becomes that of the whole way since the network's last word."""
        last = self._average
        if last is None or matte.flow is None or matte.trust is None or last.shape != matte.flow.shape[:2]:
            return None
        self._trust = np.asarray(warp(self._trust, matte.flow) * matte.trust, np.float32)
        return np.asarray(warp(last, matte.flow), np.float32)
