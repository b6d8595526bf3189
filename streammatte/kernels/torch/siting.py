"""Alpha at chroma's size, where chroma's samples sit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.frame import PixelFormat
from streammatte.kernels.siting import cosited
from streammatte.kernels.torch.planes import quantised

__all__ = ["chroma_alpha", "subsample"]


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
