"""`--stabilize ema`: an exponential moving average with a half-life in seconds."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Matte
from streammatte.stabilizers.half_life import checked_half_life

__all__ = ["EmaStabilizer"]


class EmaStabilizer:
    """Each matte is mixed with the running average: after `half_life_s` an old matte weighs half.

    The weight follows the time between frames, so 25 and 60 frames a second, and VFR, fade alike. An average ghosts
    behind a moving subject; keep the half-life at a frame or two.
    """

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = checked_half_life(half_life_s)
        self._average: npt.NDArray[np.float32] | None = None
        self._time_s = 0.0

    def step(self, matte: Matte) -> Matte:
        """The average up to and including `matte`; starts anew at a discontinuity, a new size, or time going back."""
        if not matte.seen and self._average is not None:
            return replace(matte, pha=self._average)
        previous, elapsed_s = self._average, matte.time_s - self._time_s
        self._time_s = matte.time_s
        if previous is None or matte.discontinuity or previous.shape != matte.pha.shape or elapsed_s <= 0:
            self._average = matte.pha
            return matte
        keep = 0.5 ** (elapsed_s / self._half_life_s)
        self._average = np.asarray(cv2.addWeighted(previous, keep, matte.pha, 1 - keep, 0.0), np.float32)
        return replace(matte, pha=self._average)
