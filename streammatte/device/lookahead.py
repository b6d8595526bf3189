"""`--lookahead N` on a device: `streammatte.lookahead` with its average on tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from streammatte.frame import Frame, Matte, Packet
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.warping import warp
from streammatte.lookahead import WEIGHT
from streammatte.lookahead import looking_ahead as looking_ahead_with

__all__ = ["looking_ahead"]

_Event: TypeAlias = tuple[Frame, Matte] | Packet


def looking_ahead(events: Iterable[_Event], frames: int, lane: Lane) -> Iterator[_Event]:
    """See `streammatte.lookahead`. A cut that only the device knows ends what lies ahead too: nothing leads past it."""
    return looking_ahead_with(events, frames, _Average(lane))


class _Average:
    def __init__(self, lane: Lane) -> None:
        self._lane, self._mean = lane, Captured(_mean, lane)

    def __call__(self, matte: Matte, ahead: list[Matte]) -> Matte:
        if not ahead:
            return matte
        later: list[Any] = [part for each in ahead for part in (each.pha, *(each.onward or ()))]
        with self._lane:
            mean: Any = self._mean(matte.pha, *later, seen=tuple(each.seen for each in ahead))
        return replace(matte, pha=mean[0])


def _mean(pha: Tensor, *later: Tensor, seen: tuple[bool, ...]) -> tuple[Tensor]:
    """`pha` with what comes: for each frame its pha, and the flow and trust that lead there from the one before."""
    total, weights, share = pha, torch.ones_like(pha), WEIGHT
    way, trust = torch.zeros_like(later[1]), weights
    for number, counts in enumerate(seen):
        alpha, flow, believed = later[3 * number : 3 * number + 3]
        x, y, further = warp(torch.cat((flow.permute(2, 0, 1), believed[None])), way)
        way, trust = way + torch.stack((x, y), -1), trust * further
        if counts:
            weight = share * trust
            total, weights = total + weight * warp(alpha, way), weights + weight
        share /= 2
    return (total / weights,)
