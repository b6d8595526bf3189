"""The refiners on a device (port `Refiner`): frames and mattes there in, alpha there out.

They are the host's, number for number, but for what `local_color_on_device` says, and float64 where the host has
float32: alpha differs by a code value of 8 bits here and there.
"""

from __future__ import annotations

from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional

from streammatte.frame import Frame, Matte, PixelFormat, Plane
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.local_linear import solve
from streammatte.kernels.torch.planes import planes_of
from streammatte.kernels.torch.resizing import alpha_plane
from streammatte.kernels.torch.warping import warp
from streammatte.refiners import closed_form, guided, local_color
from streammatte.refiners.local_color_on_device import Scene, applied, framed, scene, small_size

__all__ = ["DeviceClosedFormRefiner", "DeviceGuidedRefiner", "DeviceResampleRefiner"]

_Tensors: TypeAlias = tuple[Tensor, ...]


class DeviceResampleRefiner:
    """`--refine none`: cubic interpolation."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._resampled = lane, Captured(_resampled, lane)

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth."""
        with self._lane:
            (pha,) = self._resampled(matte.pha, width=frame.width, height=frame.height, target=frame.format)
        return cast(Plane, pha)


def _resampled(pha: Tensor, *, width: int, height: int, target: PixelFormat) -> _Tensors:
    return (alpha_plane(pha, width, height, target),)


class DeviceGuidedRefiner:
    """`--refine guided`: edges from the picture itself, where the network left alpha soft."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._guided = lane, Captured(_guided, lane)

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth."""
        with self._lane:
            (pha,) = self._guided(matte.pha, *planes_of(frame), target=frame.format)
        return cast(Plane, pha)


def _guided(pha: Tensor, *planes: Tensor, target: PixelFormat) -> _Tensors:
    frame = framed(planes, target)
    return (applied(scene(pha, frame, guided.LINES), None, frame),)


class DeviceClosedFormRefiner:
    """`--refine closed-form`: `iterations` steps a frame from the last solution, brought along the motion.

    Where a matte has no `flow`, at another size, and after a frame in which nothing was soft, it starts anew.
    """

    def __init__(self, lane: Lane, iterations: int = 6) -> None:
        self._lane, self._iterations = lane, iterations
        self._refined = Captured(_closed_form, lane)
        self._last: Tensor | None = None
        self._known: Tensor | None = None

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth; called for every frame in order."""
        with self._lane:
            pha, self._last, self._known = self._refined(
                matte.pha,
                *self._motion(matte),
                *self._past(frame),
                *planes_of(frame),
                target=frame.format,
                iterations=self._iterations,
            )
        return cast(Plane, pha)

    def _motion(self, matte: Matte) -> tuple[Tensor, Tensor]:
        if matte.flow is not None and matte.trust is not None:
            return cast(tuple[Tensor, Tensor], (matte.flow, matte.trust))
        height, width = matte.pha.shape
        return self._nothing(height, width, 2), self._nothing(height, width)

    def _past(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """The last solution, and 1 where it says anything, 0-d."""
        width, height = small_size(frame, local_color.LINES)
        if self._last is not None and self._known is not None and self._last.shape == (height, width):
            return self._last, self._known
        return self._nothing(height, width), self._nothing()

    def _nothing(self, *shape: int) -> Tensor:
        return torch.zeros(shape, device=self._lane.device)


def _closed_form(
    pha: Tensor,
    flow: Tensor,
    trust: Tensor,
    last: Tensor,
    known: Tensor,
    *planes: Tensor,
    target: PixelFormat,
    iterations: int,
) -> _Tensors:
    """The frame's alpha, the small solution, and whether it has any soft pixel, as 0 or 1."""
    frame = framed(planes, target)
    part = scene(pha, frame, local_color.LINES)
    carried, believed = _carried(flow, trust, last)
    found = _solution(part, carried, believed.mul_(part.band).mul_(known), iterations)
    return applied(part, found, frame), found, (part.band > 0).any().to(torch.float32)


def _carried(flow: Tensor, trust: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """`last` along the flow, which is of the matte's size, and the trust at its own."""
    size = tuple(last.shape)
    maps = torch.cat((flow.permute(2, 0, 1), trust[None]))[None]
    x, y, believed = functional.interpolate(maps, size, mode="bilinear", align_corners=False)[0]
    scale_x, scale_y = size[1] / trust.shape[1], size[0] / trust.shape[0]
    return warp(last, torch.stack((x * scale_x, y * scale_y), -1)), believed


def _solution(part: Scene, carried: Tensor, trust: Tensor, iterations: int) -> Tensor:
    prior = (2 * part.pha - 1).square_().add_(closed_form.LEAST_PRIOR).mul_(closed_form.PRIOR)
    weight = part.band * prior + closed_form.OUTSIDE * (1 - part.band)
    start = part.pha + trust * (carried - part.pha)
    found = solve(part.windows, part.pha, weight, start, iterations).clamp_(0, 1)
    found = part.pha + part.band * (found - part.pha)
    return found + closed_form.KEEP * trust * (carried - found)
