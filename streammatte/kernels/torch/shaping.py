"""Shapes made wider, narrower and softer: what the band of soft pixels is made with, as OpenCV does it on the host."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["dilate", "erode", "gaussian"]


def dilate(shape: Tensor, radius_px: int) -> Tensor:
    """`shape` (h, w) float32 of 0 and 1, and all within `radius_px` (at least 1) of it."""
    disc = _disc(radius_px, shape.device)
    return (functional.conv2d(shape[None, None], disc, padding=radius_px) > 0.5).to(torch.float32)[0, 0]


def erode(shape: Tensor, radius_px: int) -> Tensor:
    """What of `shape` (h, w) is farther than `radius_px` from all that is not of it; the border takes nothing away."""
    return 1 - dilate(1 - shape, radius_px)


@cache
def _disc(radius_px: int, device: torch.device) -> Tensor:
    side = 2 * radius_px + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return torch.from_numpy(disc.astype(np.float32)).to(device)[None, None]


def gaussian(values: Tensor, sigma_px: float) -> Tensor:
    """`values` (h, w) float32 blurred, four sigmas far; borders mirror, without their own samples.

    Four sigmas must be less than the smaller side.
    """
    taps = _taps(sigma_px)
    reach = len(taps) // 2
    padded = functional.pad(values[None], (reach,) * 4, mode="reflect")[0]
    height, width = values.shape
    across = _weighted([padded[:, i : i + width] for i in range(len(taps))], taps)
    return _weighted([across[i : i + height] for i in range(len(taps))], taps)


@cache
def _taps(sigma_px: float) -> tuple[float, ...]:
    side = round(8 * sigma_px + 1) | 1
    return tuple(cv2.getGaussianKernel(side, sigma_px, cv2.CV_64F)[:, 0].tolist())


def _weighted(parts: list[Tensor], weights: tuple[float, ...]) -> Tensor:
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total.add_(part, alpha=weight)
    return total
