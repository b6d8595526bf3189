"""Cuts and motion, frame by frame, on a device (port `Tracker`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from streammatte.cuts import BINS, GRID, HISTOGRAM_THRESHOLD, LAYOUT_THRESHOLD
from streammatte.frame import Matte
from streammatte.kernels.torch.flow import flows
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.means import box_mean
from streammatte.kernels.torch.resizing import resize
from streammatte.kernels.torch.temporal import agreement
from streammatte.kernels.torch.warping import warp
from streammatte.motion import CHANGE, reduced_size

__all__ = ["DeviceTracker"]

_Tensors: TypeAlias = tuple[Tensor, ...]


class DeviceTracker:
    """`HostTracker`'s measures, sizes and thresholds, with `kernels.torch.flow` in place of OpenCV's search.

    The host is not told of a cut. There, and where nothing lies before, `flow` and `trust` (and with `onward` those of
    the way onward) are 0 everywhere; they are never None.
    """

    def __init__(self, lane: Lane, *, onward: bool = False) -> None:
        self._lane, self._onward = lane, onward
        self._tracked = Captured(_tracked, lane)
        self._there: Tensor | None = None
        self._scene: _Tensors | None = None

    @property
    def cuts(self) -> int:
        """So far; waits for the device."""
        with self._lane:
            return 0 if self._scene is None else int(self._scene[-1])

    def step(self, matte: Matte) -> Matte:
        """See port `Tracker`."""
        with self._lane:
            src: Any = matte.src
            width, height = reduced_size(src.shape[2], src.shape[1])
            there = self._there
            known = there is not None and there.shape[1:] == (height, width) and not matte.discontinuity
            past = there if known else torch.zeros(3, height, width, device=self._lane.device)
            compared, scene = self._scene is not None, self._scene or self._no_scene()
            found: Any = self._tracked(
                src, past, *scene, self._number(known), self._number(compared), onward=self._onward
            )
            self._there, self._scene = found[0], found[1:4]
            onward = found[6:] if self._onward else None
            return replace(matte, flow=found[4], trust=found[5], onward=onward)

    def _no_scene(self) -> _Tensors:
        device = self._lane.device
        count = torch.zeros((), dtype=torch.int64, device=device)
        return torch.zeros(BINS**3, device=device), torch.zeros(3, *GRID, device=device), count

    def _number(self, value: float) -> Tensor:
        return torch.full((), float(value), device=self._lane.device)


def _tracked(
    src: Tensor,
    there: Tensor,
    histogram: Tensor,
    layout: Tensor,
    cuts: Tensor,
    known: Tensor,
    compared: Tensor,
    *,
    onward: bool,
) -> _Tensors:
    """The reduced picture and what is known of the scene, for the next call; then flow and trust, one way or both.

    `known` is 1 where `there`, the reduced picture before, says where things were, and `compared` where `histogram` and
    `layout` are a scene's; else they are 0. All are 0-d.
    """
    height, width = src.shape[1:]
    here = resize(src, *reduced_size(width, height))
    colours, blocks = _histogram(src), _layout(src)
    cut = _far_apart(histogram, layout, colours, blocks) * compared
    ways = _motion(here, there, known * (1 - cut))
    sized = [_sized(*way, width, height) for way in (ways if onward else ways[:1])]
    return here, colours, blocks, cuts + cut.to(torch.int64), *(part for way in sized for part in way)


def _motion(here: Tensor, there: Tensor, known: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(flow, trust) back and onward, at the reduced size, times `known`."""
    pictures = torch.stack((here, there))
    red, green, blue = pictures.unbind(1)
    gray = (0.299 * red).add_(green, alpha=0.587).add_(blue, alpha=0.114)
    flow = flows(gray[0], gray[1])
    change = (warp(pictures.flip(0), flow) - pictures).abs_().amax(1)
    back = warp(flow.flip(0).permute(0, 3, 1, 2), flow).permute(0, 2, 3, 1)
    trust = agreement(flow, back, box_mean(change, 1) * (1 / CHANGE))
    return list(zip((flow * known).unbind(), (trust * known).unbind(), strict=True))


def _sized(flow: Tensor, trust: Tensor, width: int, height: int) -> _Tensors:
    high, wide = trust.shape
    x, y = resize(flow.permute(2, 0, 1), width, height)
    return torch.stack((x * (width / wide), y * (height / high)), -1), resize(trust, width, height)


def _histogram(src: Tensor) -> Tensor:
    """What share of every second pixel falls in each bin, (BINS^3,)."""
    red, green, blue = (src[:, ::2, ::2] * BINS).to(torch.int64).clamp_(0, BINS - 1).flatten(1)
    place = (red * BINS + green).mul_(BINS).add_(blue)
    ones = torch.ones_like(place, dtype=torch.float32)
    return src.new_zeros(BINS**3).scatter_add_(0, place, ones).div_(place.numel())


def _layout(src: Tensor) -> Tensor:
    blocks = resize(src, *GRID)
    return blocks - blocks.mean((1, 2), keepdim=True)


def _far_apart(histogram: Tensor, layout: Tensor, colours: Tensor, blocks: Tensor) -> Tensor:
    """1.0 where both measures of `cuts.CutDetector` say so, else 0.0; 0-d."""
    distance = (1 - (histogram * colours).sqrt_().sum()).clamp_(min=0).sqrt_()
    moved = (blocks - layout).abs_().mean()
    return ((distance > HISTOGRAM_THRESHOLD) & (moved > LAYOUT_THRESHOLD)).to(torch.float32)
