"""From coefficients at a small size to alpha at frame size."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from streammatte.frame import Frame
from streammatte.kernels.torch.planes import planes_of, sample_type

__all__ = ["grow"]

_TRACE = 1.5 / 255
"""Where colour decides, less than this is noise of the fit, and nothing. The host's `growing` has the same."""


def grow(coefficients: Tensor, frame: Frame) -> Tensor:
    """Alpha (H, W), 0..peak, as a . I + b with coefficients (4, h, w) interpolated linearly to every pixel.

    I is the frame's samples as they are, chroma taken from the nearest row and linearly along it (co-sited left). The
    coefficients are a1, a2, a3 (of the planes in order; of the first alone for gray) and b; alpha 1.0 is 1.
    """
    height, width, peak = frame.height, frame.width, frame.format.peak
    size = (height, width)
    maps = functional.interpolate(coefficients[None], size, mode="bilinear", align_corners=False)[0]
    value = maps[3]
    for index, share in zip(range(len(frame.planes)), maps, strict=False):
        value.addcmul_(share, _at_luma(frame, index))
    value *= peak
    cut = _cells((coefficients[:3] != 0).any(0).to(torch.float32) * (_TRACE * peak), width, height)
    value.masked_fill_(value < cut, 0).masked_fill_(value > peak - cut, peak)
    return value.add_(0.5).clamp_(0, peak).to(sample_type(frame.format))


def _at_luma(frame: Frame, index: int) -> Tensor:
    """Samples of a plane for every luma pixel, float32."""
    plane, target = planes_of(frame)[index].to(torch.float32), frame.format
    if target.model != "yuv" or index == 0:
        return plane
    if target.log2_chroma_w:
        beside = torch.cat((plane[:, 1:], plane[:, -1:]), 1)
        half = 1 << target.log2_chroma_w - 1
        plane = torch.stack((plane,) * half + ((plane + beside) * 0.5,) * half, -1).flatten(1)
    if target.log2_chroma_h:
        plane = plane.repeat_interleave(1 << target.log2_chroma_h, 0)
    return plane[: frame.height, : frame.width]


def _cells(small: Tensor, width: int, height: int) -> Tensor:
    """For each pixel (height, width) the largest of the four values of `small` (h, w) around it."""
    padded = functional.pad(small[None], (0, 1, 0, 1), mode="replicate")
    largest = functional.max_pool2d(padded, 2, 1)[0]
    rows, columns = (_below(*sides, small.device) for sides in zip(small.shape, (height, width), strict=True))
    return largest.index_select(0, rows).index_select(1, columns)


@cache
def _below(before: int, after: int, device: torch.device) -> Tensor:
    """The small sample at or before each new one."""
    places = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return torch.from_numpy(places.astype(np.int64)).to(device)
