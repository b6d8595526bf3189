"""Modulated deformable convolution by one `grid_sample`, which every runtime has (DeformConv only some have).

Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from streammatte.networks.constants import on_device
from streammatte.networks.precision import sigmoid32

__all__ = ["DeformableConv", "deform_conv"]

Axis = npt.NDArray[np.float32]


class DeformableConv(nn.Module):
    """k x k taps that go where, and weigh as much as, two convolutions of the same input say; the size is kept."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        padding = kernel // 2
        self.offset_conv = nn.Conv2d(inputs, 2 * kernel * kernel, kernel, padding=padding)
        self.modulator_conv = nn.Conv2d(inputs, kernel * kernel, kernel, padding=padding)
        self.regular_conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h, w)."""
        offsets = self.offset_conv(x).float()
        # Up to 2, so that a modulator of no opinion leaves its tap as it is.
        weights = 2 * sigmoid32(self.modulator_conv(x))
        return deform_conv(x, offsets, weights, self.regular_conv.weight, self.regular_conv.bias)


def deform_conv(x: Tensor, offsets: Tensor, modulation: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Stride 1, odd k x k taps, padded with zeros to keep the size.

    x (n, c, h, w), offsets (n, 2kk, h, w) float32 as dy, dx of each tap in pixels, modulation (n, kk, h, w) float32,
    kernel (outputs, c, k, k), bias (outputs,) -> (n, outputs, h, w) in the dtype of x. Taps between pixels are
    bilinear, pixels outside the picture zero. Coordinates and sampling are float32: in float16 a position in a map of
    256 pixels would be good to an eighth of a pixel.
    """
    n, c, h, w = x.shape
    outputs, taps = kernel.shape[0], kernel.shape[-1] ** 2
    dy, dx = offsets.reshape(n, taps, 2, h, w).unbind(2)
    rows = on_device(_rows, h, kernel.shape[-1], device=x.device)
    columns = on_device(_columns, w, kernel.shape[-1], device=x.device)
    grid = torch.stack((dx * (2 / w) + columns, dy * (2 / h) + rows), -1).reshape(n, taps * h, w, 2)
    seen = functional.grid_sample(x.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    weighed = seen.reshape(n, c, taps, h, w) * modulation[:, None]
    flat = weighed.reshape(n, c * taps, h, w).to(x.dtype)
    return functional.conv2d(flat, kernel.reshape(outputs, c * taps, 1, 1), bias)


def _rows(h: int, side: int) -> Axis:
    """Where taps look without offsets: y (taps, h, 1), for `grid_sample`.

    Its -1 and 1 are the outer borders of the outer pixels (align_corners=False). Such constants of a graph that is
    exported are small because each axis stands for itself.
    """
    reach = np.indices((side, side))[0].reshape(-1, 1) - side // 2
    rows: Axis = ((2 * (np.arange(h) + reach) + 1) / h - 1).astype(np.float32)
    return rows[:, :, None]


def _columns(w: int, side: int) -> Axis:
    """The same across: x (taps, 1, w)."""
    reach = np.indices((side, side))[1].reshape(-1, 1) - side // 2
    columns: Axis = ((2 * (np.arange(w) + reach) + 1) / w - 1).astype(np.float32)
    return columns[:, None, :]
