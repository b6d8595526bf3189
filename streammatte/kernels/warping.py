"""Pictures brought along a motion field."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["warp"]


def warp(image: npt.NDArray[Any], flow: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """What `image` (h, w[, c]) has at p + flow[p], linearly interpolated; `flow` is (h, w, 2), x first, in pixels."""
    height, width = flow.shape[:2]
    places = cv2.add(flow, _grid(height, width))
    none: Any = None  # OpenCV takes all of the way from its second argument
    return np.asarray(cv2.remap(image, places, none, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> npt.NDArray[np.float32]:
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x, y]).astype(np.float32)
