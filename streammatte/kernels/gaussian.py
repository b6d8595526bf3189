"""A Gaussian of any width over a plane, in time that does not grow with its width."""

from __future__ import annotations

from math import ceil, sqrt

import cv2
import numpy as np

from streammatte.frame import Plane
from streammatte.kernels import host

__all__ = ["gaussian"]

_WIDEST_SIGMA_PX = 3.0
"""Above this the picture is reduced first, so that sigma is half of it to all of it."""


def gaussian(plane: Plane, sigma_px: float) -> Plane:
    """`plane` (h, w) blurred; borders repeat, and what is flat keeps its value. Sigma 0 gives the plane itself."""
    if sigma_px == 0:
        return plane
    height, width = plane.shape
    factor = 1 << max(0, ceil(sigma_px / _WIDEST_SIGMA_PX) - 1).bit_length()
    small = host.resize(plane, -(-width // factor), -(-height // factor))
    # A mean over n pixels has the variance n**2 / 12, and growing by linear interpolation adds n**2 / 6.
    sigma = sigma_px if factor == 1 else sqrt((sigma_px / factor) ** 2 - 1 / 4)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    grown: Plane = host.resize(np.asarray(blurred), width, height)
    return grown
