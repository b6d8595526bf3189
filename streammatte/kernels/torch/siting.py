"""Alpha at chroma's size, where chroma's samples sit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.frame import PixelFormat
from streammatte.kernels.siting import cosited
from streammatte.kernels.torch.planes import quantised
from streammatte.kernels.torch.resizing import resize

__all__ = ["chroma_alpha", "subsample", "upsample"]


def chroma_alpha(pha: Tensor, target: PixelFormat, color: ColorSpec) -> tuple[Tensor, ...]:
    """Alpha at the size and siting of each plane of `target`: (luma, chroma, chroma), or as many as there are."""
    if target.plane_count == 1:
        return (pha,)
    small = subsample(pha, target, color.chroma_location)
    return pha, small, small


def subsample(plane: Tensor, target: PixelFormat, location: ChromaLocation) -> Tensor:
    """A luma-sized plane (h, w) at chroma size, filtered around the place where `target`'s chroma samples sit.

    [1 2 1]/4 where samples sit on a luma sample, a plain mean where they sit between; borders repeat. Rounded once,
    halves to even; a float plane is not rounded.
    """
    height, width = plane.shape
    rows, columns = target.plane_shape(1, width, height)
    if (rows, columns) == (height, width):
        return plane
    first_x, first_y = cosited(target, location)
    across = _reduced(plane.to(torch.float32), 1 << target.log2_chroma_w, first_x, columns)
    small = _reduced(across.T, 1 << target.log2_chroma_h, first_y, rows).T.contiguous()
    return small if plane.is_floating_point() else quantised(small, target)


def _reduced(values: Tensor, step: int, first: int | None, count: int) -> Tensor:
    """`count` samples of each row of (h, w), `step` apart: means of them all, or around those from `first` on."""
    if step == 1:
        return values
    short = count * step - values.shape[1]
    if first is None:
        whole = functional.pad(values, (0, short), mode="replicate") if short else values
        return whole.reshape(-1, count, step).mean(2)
    padded = functional.pad(values, (1, 1 + short), mode="replicate")
    before, at, after = (padded[:, first + i : first + i + step * count - 1 : step] for i in range(3))
    return (before + after).mul_(0.25).add_(at, alpha=0.5)


def upsample(plane: Tensor, target: PixelFormat, location: ChromaLocation, width: int, height: int) -> Tensor:
    """A chroma plane at luma's size, linear between the places where its samples sit, rounded at each step."""
    first_x, first_y = cosited(target, location)
    high, wide = plane.shape
    full = wide << target.log2_chroma_w, high << target.log2_chroma_h
    grown = resize(plane, full[0] if first_x is None else wide, full[1] if first_y is None else high)
    if first_x is not None:
        grown = _doubled(grown, first_x, 1)
    if first_y is not None:
        grown = _doubled(grown, first_y, 0)
    return grown[:height, :width]


def _doubled(plane: Tensor, first: int, axis: int) -> Tensor:
    """With the mean of each two neighbours between them; the last, or the first where `first` is 1, is its own."""
    ends = plane.narrow(axis, 0 if first else plane.shape[axis] - 1, 1)
    inner = plane.narrow(axis, 0 if first else 1, plane.shape[axis] - 1)
    beside = torch.cat((ends, inner) if first else (inner, ends), axis)
    halves = (plane.to(torch.float32) + beside).mul_(0.5).round_().to(plane.dtype)
    return torch.stack((halves, plane) if first else (plane, halves), axis + 1).flatten(axis, axis + 1)
