"""What happens to a frame on a device once its matte is known: refine, own colour, background, over."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import TypeAlias, cast

import torch
from torch import Tensor

from streammatte.color import ColorSpec
from streammatte.frame import Frame, Layer, Matte, PixelFormat, Plane, alpha_frame, subject_frame
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.mixing import blend
from streammatte.kernels.torch.siting import chroma_alpha
from streammatte.meter import Meter
from streammatte.ports import Background, Compositor, Foreground, Refiner, SinkKind

__all__ = ["DeviceComposer"]

_Planes: TypeAlias = tuple[Plane, ...]


class DeviceComposer:
    """`composing` for frames on a device. `background` is None where no sink takes composites."""

    def __init__(
        self,
        lane: Lane,
        refiner: Refiner,
        foreground: Foreground,
        background: Background | None,
        compositor: Compositor,
    ) -> None:
        self._lane, self._refiner, self._foreground = lane, refiner, foreground
        self._background, self._compositor = background, compositor
        self._sited, self._hidden = Captured(_sited, lane), Captured(_hidden, lane)

    def compose(self, frame: Frame, matte: Matte, kinds: Set[SinkKind], meter: Meter) -> dict[SinkKind, Frame]:
        """The frame in every form that sinks of these kinds want, on the device; called for every frame in order.

        The times are those of putting the work on the device, which does it later.
        """
        with meter.stage("refine"):
            pha = self._refiner.refine(matte, frame)
        forms: dict[SinkKind, Frame] = {}
        alphas = self._alphas(pha, frame)
        layer = Layer(frame.planes, self._with_own_alpha(alphas, frame), frame)
        if kinds != {"pha"}:
            with meter.stage("foreground"):
                layer = replace(layer, fgr=self._foreground.estimate(frame, alphas))
        if self._background is not None and "com" in kinds:
            with meter.stage("background"):
                behind = self._background.planes(layer)
            with meter.stage("composite"):
                forms["com"] = self._compositor(layer, behind)
        forms["fgr"] = subject_frame(layer)
        forms["pha"] = alpha_frame(layer)
        return forms

    def _alphas(self, pha: Plane, frame: Frame) -> _Planes:
        with self._lane:
            return cast(_Planes, self._sited(pha, target=frame.format, color=frame.color))

    def _with_own_alpha(self, alphas: _Planes, frame: Frame) -> _Planes:
        """The matte's alpha times the source's own: what the source hides stays hidden."""
        if frame.alpha is None:
            return alphas
        with self._lane:
            (both,) = self._hidden(alphas[0], frame.alpha, target=frame.format)
        return self._alphas(both, frame)


def _sited(pha: Tensor, *, target: PixelFormat, color: ColorSpec) -> tuple[Tensor, ...]:
    return chroma_alpha(pha, target, color)


def _hidden(pha: Tensor, own: Tensor, *, target: PixelFormat) -> tuple[Tensor, ...]:
    return (blend(own, torch.zeros_like(own), pha, target.peak),)
