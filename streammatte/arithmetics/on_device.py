"""The default arithmetic on tensors: inputs scaled by the depth's peak, outputs by the network's own activation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from streammatte.catalog import Model
from streammatte.color import ColorSpec
from streammatte.frame import Frame, PixelFormat
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.planes import planes_of, turn, with_planes
from streammatte.kernels.torch.resizing import resize
from streammatte.kernels.torch.rgb import frame_rgb, lift_box, normalised

__all__ = ["DeviceFixedGainArithmetic"]

_MID_GRAY = 0.5


class DeviceFixedGainArithmetic:
    """What `FixedGainArithmetic` does, for frames whose planes are tensors. To be used within the lane."""

    def __init__(self, model: Model, lane: Lane) -> None:
        self._input = model.input
        self._output = model.output
        self._shown = Captured(self._show, lane)
        self._read = Captured(self._reading, lane)

    def batch(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """The batch (1, 3, h, w), upright, and the RGB picture (3, h, w) in [0, 1] it was made from, as stored.

        What the frame's own alpha hides is shown as mid gray.
        """
        alpha: Any = frame.alpha
        own = () if alpha is None else (alpha,)
        fixed = {"target": frame.format, "color": frame.color, "rotation": frame.rotation}
        batch, src = self._shown(*planes_of(frame), *own, hidden=alpha is not None, **fixed)
        return batch, src

    def _show(
        self, *tensors: Tensor, hidden: bool, target: PixelFormat, color: ColorSpec, rotation: int
    ) -> tuple[Tensor, ...]:
        planes, alpha = (tensors[:-1], tensors[-1]) if hidden else (tensors, None)
        frame = with_planes(_frame(target, color), planes)
        wide, high = self._input.width, self._input.height
        size = (wide, high) if rotation % 180 == 0 else (high, wide)
        rgb = frame_rgb(frame, *size)
        if frame.width > size[0] and frame.height > size[1]:
            rgb = lift_box(rgb)
        if alpha is not None:
            share = resize(alpha, *size).to(torch.float32) / target.peak
            rgb = torch.lerp(torch.full_like(rgb, _MID_GRAY), rgb, share)
        upright = turn(rgb, rotation)
        return normalised(upright, self._input.mean, self._input.std), rgb

    def pha(self, raw: Tensor) -> Tensor:
        """The network's raw output (1, planes, h, w) as alpha (h, w) in [0, 1], upright; NaN reads as 0."""
        return self._read(raw)[0]

    def _reading(self, raw: Tensor) -> tuple[Tensor, ...]:
        return (torch.nan_to_num(self._opacity(raw), nan=0.0).clamp(0.0, 1.0),)

    def _opacity(self, raw: Tensor) -> Tensor:
        kept, classes = self._output.subject, self._output.classes
        if not classes:
            return torch.sigmoid(raw[0, 0]) if self._output.activation == "sigmoid" else raw[0, 0]
        shares = torch.softmax(raw[0], dim=0)
        return shares[classes.index(kept)] if kept else shares[1:].sum(dim=0)


def _frame(target: PixelFormat, color: ColorSpec) -> Frame:
    """A frame without planes: all that kernels want to know of one besides."""
    return Frame((), target, color, pts=0, time_base=Fraction(1), duration=0, seq=0)
