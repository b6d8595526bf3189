"""Pictures brought along a motion field."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["warp"]


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """What `image` ([c,] h, w), float32, has at p + flow[p], linearly interpolated; borders repeat.

    `flow` is (h, w, 2), x first, in pixels; or (n, h, w, 2), for each of n images (n, [c,] h, w).
    """
    height, width = flow.shape[-3:-1]
    places, unit = _grid(height, width, flow.device)
    found = functional.grid_sample(
        image.reshape(flow.shape[:-3].numel(), -1, height, width),
        torch.addcmul(places, flow, unit).reshape(-1, height, width, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return found.reshape(image.shape)


@cache
def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the pixels are, and how long one is, in the units in which the picture runs from -1 to 1."""
    size = np.array([width, height], np.float64)
    y, x = np.mgrid[0:height, 0:width]
    places = (2 * np.dstack([x, y]) + 1) / size - 1
    return _constant(places, device), _constant(2 / size, device)


def _constant(values: npt.NDArray[np.float64], device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)
