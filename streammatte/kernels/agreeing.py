"""Two answers to one picture as one."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["AGREEMENT", "AROUND_PX", "agreed"]

AROUND_PX = 21
AGREEMENT = 0.2
"""A mean difference of this much around a pixel means another subject, not another edge."""


def agreed(pha: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of two alphas (h, w) where they differ along edges only; the first where they mean different things."""
    apart = cv2.blur(cv2.absdiff(pha, other), (AROUND_PX, AROUND_PX))
    share = 0.5 * np.exp(-np.square(apart / AGREEMENT))
    return np.asarray(pha + share * (other - pha), np.float32)
