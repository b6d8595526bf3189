"""Planes out of focus."""

from __future__ import annotations

from math import ceil, sqrt

import torch
from torch import Tensor
from torch.nn import functional

from streammatte.frame import PixelFormat
from streammatte.kernels.torch import shaping
from streammatte.kernels.torch.planes import quantised
from streammatte.kernels.torch.resizing import resize

__all__ = ["gaussian"]

_WIDEST_SIGMA_PX = 3.0
"""Above this the picture is reduced first, so that sigma is half of it to all of it, as on the host."""


def gaussian(plane: Tensor, sigma_px: float, target: PixelFormat) -> Tensor:
    """`plane` (h, w) of `target` blurred; borders repeat, and what is flat keeps its value. Sigma 0 gives it back."""
    if sigma_px == 0:
        return plane
    height, width = plane.shape
    factor = 1 << max(0, ceil(sigma_px / _WIDEST_SIGMA_PX) - 1).bit_length()
    small = resize(plane, -(-width // factor), -(-height // factor)).to(torch.float32)
    sigma = sigma_px if factor == 1 else sqrt((sigma_px / factor) ** 2 - 1 / 4)
    reach = ceil(4 * sigma) + 1
    repeated = functional.pad(small[None], (reach,) * 4, mode="replicate")[0]
    blurred = shaping.gaussian(repeated, sigma)[reach:-reach, reach:-reach]
    return resize(quantised(blurred, target), width, height)
