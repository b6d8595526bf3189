"""Pictures at another size."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from streammatte.frame import PixelFormat
from streammatte.kernels.torch.planes import quantised

__all__ = ["alpha_plane", "resize"]


def resize(image: Tensor, width: int, height: int) -> Tensor:
    """`image` (..., h, w) at a new size, of its own type: area average where it shrinks, linear where it grows.

    As on the host: sides are halved while they are even and large enough, the shrinking axis goes first, and samples
    are rounded at each step. A guide made with more care than the host's would give another alpha.
    """
    h, w = image.shape[-2:]
    if (w, h) == (width, height):
        return image
    samples, values = not image.is_floating_point(), image.to(torch.float32).reshape(-1, h, w)
    while w >= 2 * width and h >= 2 * height and w % 2 == h % 2 == 0:
        w, h, values = w // 2, h // 2, functional.avg_pool2d(values, 2)
        if samples:
            values.add_(0.5).floor_()
    for step in (_shrunk, _grown):
        values = step(values, width, height)
        if samples:
            values = values.round()
    return values.reshape(*image.shape[:-2], height, width).to(image.dtype)


def _shrunk(values: Tensor, width: int, height: int) -> Tensor:
    h, w = values.shape[-2:]
    if width < w:
        values = values @ _shares(w, width, values.device).T
    return _shares(h, height, values.device) @ values if height < h else values


def _grown(values: Tensor, width: int, height: int) -> Tensor:
    if tuple(values.shape[-2:]) == (height, width):
        return values
    return functional.interpolate(values[None], (height, width), mode="bilinear", align_corners=False)[0]


@cache
def _shares(before: int, after: int, device: torch.device) -> Tensor:
    """(after, before): what part of each new sample every old one covers."""
    edges = np.arange(after + 1) * (before / after)
    start, end = np.arange(before), np.arange(1, before + 1)
    covered = np.minimum(edges[1:, None], end) - np.maximum(edges[:-1, None], start)
    shares = np.maximum(covered, 0) * (after / before)
    return torch.from_numpy(shares.astype(np.float32)).to(device)


def alpha_plane(pha: Tensor, width: int, height: int, target: PixelFormat) -> Tensor:
    """A matte (h, w) float32 in [0, 1] as an alpha plane (height, width) of `target`'s depth, cubic interpolation."""
    grown = functional.interpolate(pha[None, None], (height, width), mode="bicubic", align_corners=False)
    return quantised(grown[0, 0] * target.peak, target)
