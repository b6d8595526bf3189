"""`--feather` and `--shift` on a device: `edges` on tensors, over the whole picture."""

from __future__ import annotations

from math import ceil
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from streammatte.frame import Frame, Matte, PixelFormat, Plane
from streammatte.kernels.torch.gaussian import gaussian
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.planes import sample_type
from streammatte.ports import Refiner
from streammatte.refiners.edges import SQUARE_SHARE

__all__ = ["DeviceEdgeRefiner"]


class DeviceEdgeRefiner:
    """`--feather` and `--shift`: another refiner's alpha with its edge moved by `shift_px`, then blurred.

    `feather_px` is the Gaussian's sigma. Both are in pixels of the frame as it is stored; outward is positive.
    """

    def __init__(self, refiner: Refiner, lane: Lane, *, feather_px: float = 0.0, shift_px: float = 0.0) -> None:
        self._refiner, self._lane = refiner, lane
        self._feather_px, self._shift_px = feather_px, shift_px
        self._edged = Captured(self._shaped, lane)

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth."""
        with self._lane:
            (pha,) = self._edged(self._refiner.refine(matte, frame), target=frame.format)
        return cast(Plane, pha)

    def _shaped(self, pha: Tensor, *, target: PixelFormat) -> tuple[Tensor, ...]:
        outward = 1 if self._shift_px > 0 else -1  # what is moved inward is what grows where signs are turned
        shifted = _shifted(pha.to(torch.float32) * outward, abs(self._shift_px)) * outward
        return (gaussian(shifted.to(sample_type(target)), self._feather_px, target),)


def _shifted(pha: Tensor, shift_px: float) -> Tensor:
    for done_px in range(ceil(shift_px)):
        moved, left_px = _moved(pha, done_px), shift_px - done_px
        pha = moved if left_px >= 1 else _mixed(pha, moved, left_px)
    return pha


def _moved(pha: Tensor, done_px: int) -> Tensor:
    """One pixel on, as `edges` goes: by both elements where few are done, by one of them where many are."""
    if done_px < 3:
        return _mixed(_cross(pha), _square(pha), SQUARE_SHARE)
    return _square(pha) if done_px % 3 == 0 else _cross(pha)


def _square(pha: Tensor) -> Tensor:
    return functional.max_pool2d(pha[None], 3, 1, 1)[0]


def _cross(pha: Tensor) -> Tensor:
    across, down = (
        functional.max_pool2d(pha[None], side, 1, (side[0] // 2, side[1] // 2)) for side in ((1, 3), (3, 1))
    )
    return torch.maximum(across, down)[0]


def _mixed(one: Tensor, other: Tensor, share: float) -> Tensor:
    return torch.lerp(one, other, share).round_()
