"""The stabilizers on a device (port `Stabilizer`): the host's `motion` and `ema` on tensors, with their numbers.

Mattes have `flow` and `trust` as a tracker on the device gives them: never None, and where the host finds
`discontinuity` at a cut, `trust` is 0 everywhere. `none` does nothing to a matte, and serves as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from streammatte.frame import Matte
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.temporal import average
from streammatte.kernels.torch.warping import warp
from streammatte.stabilizers.half_life import checked_half_life

__all__ = ["DeviceEmaStabilizer", "DeviceMotionStabilizer"]

_Tensors: TypeAlias = tuple[Tensor, ...]


class _Fading:
    """The lane, the half-life, and the average so far."""

    def __init__(self, half_life_s: float, lane: Lane) -> None:
        self._half_life_s, self._lane = checked_half_life(half_life_s), lane
        self._average: Tensor | None = None
        self._trust: Tensor | None = None
        self._since_s = 0.0

    def _elapsed_s(self, matte: Matte) -> float:
        """Since the last matte for which this was asked."""
        elapsed_s, self._since_s = matte.time_s - self._since_s, matte.time_s
        return elapsed_s

    def _kept(self, elapsed_s: float) -> Tensor:
        return self._number(0.5 ** (elapsed_s / self._half_life_s))

    def _number(self, value: float) -> Tensor:
        return torch.full((), value, device=self._lane.device)


class DeviceMotionStabilizer(_Fading):
    """`--stabilize motion`: see `stabilizers.motion`."""

    def __init__(self, half_life_s: float, lane: Lane) -> None:
        super().__init__(half_life_s, lane)
        self._carry, self._mix = Captured(_carried, lane), Captured(_steadied, lane)

    def step(self, matte: Matte) -> Matte:
        """The average up to and including `matte`; starts anew where there is no motion to carry the last one along."""
        with self._lane:
            past = self._past(matte)
            if not matte.seen and self._average is not None:
                if past:
                    self._average, self._trust = self._carry(*past)
                return _with(matte, self._average)
            elapsed_s = self._elapsed_s(matte)
            pha = cast(Tensor, matte.pha)
            if not past or elapsed_s <= 0:
                self._average, self._trust = pha, torch.ones_like(pha)
                return matte
            numbers = self._kept(elapsed_s), self._number(elapsed_s)
            self._average, self._trust = self._mix(pha, *past, *numbers)
            return _with(matte, self._average)

    def _past(self, matte: Matte) -> _Tensors:
        """The average, the trust of the way since the network's last word, this frame's flow and trust; or nothing."""
        last, flow = self._average, matte.flow
        if last is None or flow is None or matte.discontinuity or last.shape != flow.shape[:2]:
            return ()
        return cast(_Tensors, (last, self._trust, flow, matte.trust))


def _carried(last: Tensor, way: Tensor, flow: Tensor, trust: Tensor) -> _Tensors:
    """The average at this frame's places, and the trust of the whole way."""
    last, way = warp(torch.stack((last, way)), flow)
    return last, way * trust


def _steadied(
    pha: Tensor, last: Tensor, way: Tensor, flow: Tensor, trust: Tensor, keep: Tensor, elapsed_s: Tensor
) -> _Tensors:
    """The average with this frame in it, and the trust of no way at all."""
    carried, believed = _carried(last, way, flow, trust)
    return average(pha, carried, believed, keep, elapsed_s), torch.ones_like(pha)


class DeviceEmaStabilizer(_Fading):
    """`--stabilize ema`: see `stabilizers.ema`."""

    def __init__(self, half_life_s: float, lane: Lane) -> None:
        super().__init__(half_life_s, lane)
        self._follow, self._mix = Captured(_followed, lane), Captured(_mixed, lane)

    def step(self, matte: Matte) -> Matte:
        """The average up to and including `matte`; starts anew at a cut, a new size, or time going back."""
        with self._lane:
            previous, whole, trust = self._average, self._trust, cast(Tensor, matte.trust)
            if not matte.seen and previous is not None:
                (self._trust,) = self._follow(whole, trust)
                return _with(matte, previous)
            elapsed_s = self._elapsed_s(matte)
            pha = cast(Tensor, matte.pha)
            self._trust = self._number(1.0)
            if previous is None or matte.discontinuity or previous.shape != pha.shape or elapsed_s <= 0:
                self._average = pha
                return matte
            (self._average,) = self._mix(pha, previous, whole, trust, self._kept(elapsed_s))
            return _with(matte, self._average)


def _followed(whole: Tensor, trust: Tensor) -> _Tensors:
    """`whole`, 0-d, or 0 from the cut on that `trust` may tell of."""
    return (whole * (trust.amax() > 0),)


def _mixed(pha: Tensor, previous: Tensor, whole: Tensor, trust: Tensor, keep: Tensor) -> _Tensors:
    return (torch.lerp(pha, previous, keep * _followed(whole, trust)[0]),)


def _with(matte: Matte, pha: Any) -> Matte:
    return replace(matte, pha=pha)
