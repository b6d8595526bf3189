"""The compositors on a device (port `Compositor`): over, in code values and in light, and light wrap.

Where the subject is only the device knows, so all pixels are mixed, and those that are wholly the subject's or the
background's are put in as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streammatte.color import ColorSpec
from streammatte.compositors.light_wrap import LIGHT, RIM
from streammatte.compositors.linear import Coding
from streammatte.frame import Frame, Layer, PixelFormat, Plane
from streammatte.kernels.torch.gaussian import gaussian
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.mixing import blend
from streammatte.kernels.torch.planes import quantised, with_planes
from streammatte.kernels.torch.siting import subsample, upsample
from streammatte.kernels.torch.transfer import from_light, to_light
from streammatte.ports import Compositor

__all__ = ["DeviceLightWrap", "DeviceLinear", "device_composite"]

_Planes: TypeAlias = tuple[Plane, ...]
_Tensors: TypeAlias = tuple[Tensor, ...]


def device_composite(lane: Lane) -> Compositor:
    """The plain over (`compositor.composite`), bit for bit."""
    over = Captured(_over, lane)

    def composite(layer: Layer, background: _Planes) -> Frame:
        with lane:
            planes = over(*layer.fgr, *background, *layer.alphas, target=layer.frame.format)
        return with_planes(layer.frame, planes)

    return composite


def _over(*given: Tensor, target: PixelFormat) -> _Tensors:
    fgr, background, alphas = _thirds(given)
    parts = zip(fgr, background, alphas, strict=True)
    return tuple(blend(front, behind, alpha, target.peak) for front, behind, alpha in parts)


def _thirds(given: _Tensors) -> tuple[_Tensors, _Tensors, _Tensors]:
    count = len(given) // 3
    return given[:count], given[count : 2 * count], given[2 * count :]


class DeviceLinear:
    """`--linear`: soft pixels mixed as light (`linear`), the rest as it is."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._mixed = lane, Captured(_in_light, lane)

    def __call__(self, layer: Layer, background: _Planes) -> Frame:
        """The source's frame in everything but its pixels, and opaque."""
        frame = layer.frame
        with self._lane:
            planes = self._mixed(*layer.fgr, *background, *layer.alphas, target=frame.format, color=frame.color)
        return with_planes(frame, planes)


def _in_light(*given: Tensor, target: PixelFormat, color: ColorSpec) -> _Tensors:
    fgr, background, alphas = _thirds(given)
    planes = list(_over(*given, target=target))
    coding = Coding.of(Frame(cast(_Planes, fgr), target, color, 0, Fraction(1), 0, 0))
    same_size = all(plane.shape == planes[0].shape for plane in planes)
    for group in [range(len(planes))] if same_size else [range(1), range(1, 3)]:
        alpha = alphas[group[0]]
        soft = (alpha > 0) & (alpha < target.peak)
        front, back = (_at_size(each, group, target, color) for each in (fgr, background))
        mixed = _mixed(front, back, alpha.to(torch.float32) / target.peak, coding)
        for index in group:
            planes[index] = torch.where(soft, quantised(mixed[index], target), planes[index])
    return tuple(planes)


def _at_size(planes: _Tensors, group: range, target: PixelFormat, color: ColorSpec) -> list[Tensor]:
    """All components, float32, at the size and the places of the group's."""
    luma, *chroma = planes
    if len(group) < len(planes) and group[0] == 0:
        chroma = [upsample(each, target, color.chroma_location, luma.shape[1], luma.shape[0]) for each in chroma]
    elif len(group) < len(planes):
        luma = subsample(luma, target, color.chroma_location)
    return [each.to(torch.float32) for each in (luma, *chroma)]


def _mixed(front: Sequence[Tensor], back: Sequence[Tensor], share: Tensor, coding: Coding) -> list[Tensor]:
    """Code values of the mix, of which `share` is `front`, component by component."""
    decoded = (_transformed(each, coding.decode) for each in (front, back))
    light, behind = ([to_light(signal, coding.transfer) for signal in each] for each in decoded)
    mixed = [torch.lerp(dark, bright, share) for bright, dark in zip(light, behind, strict=True)]
    return _transformed([from_light(each, coding.transfer) for each in mixed], coding.encode)


def _transformed(values: Sequence[Tensor], matrix: npt.NDArray[np.float32]) -> list[Tensor]:
    rows = []
    for *weights, offset in matrix.tolist():
        total = torch.full_like(values[0], offset)
        for value, weight in zip(values, weights, strict=True):
            total.add_(value, alpha=weight)
        rows.append(total)
    return rows


class DeviceLightWrap:
    """`--light-wrap`: another compositor, given a subject that the background shines on. `strength` is 0 to 1."""

    def __init__(self, strength: float, compositor: Compositor, lane: Lane) -> None:
        self._composite, self._lane, self._strength = compositor, lane, strength
        self._shone, self._wrapped = Captured(_light, lane), Captured(_lit, lane)
        self._seen: _Planes | None = None
        self._light: _Tensors = ()

    def __call__(self, layer: Layer, background: _Planes) -> Frame:
        """The composite; where alpha is 0, and well inside the subject, the same as without."""
        target = layer.frame.format
        with self._lane:
            if background is not self._seen:  # those of a picture come again with every frame
                self._light, self._seen = self._shone(*background, target=target), background
            fgr: Any = self._wrapped(*layer.fgr, *self._light, *layer.alphas, target=target, strength=self._strength)
        return self._composite(replace(layer, fgr=fgr), background)


def _light(*background: Tensor, target: PixelFormat) -> _Tensors:
    return tuple(gaussian(plane, plane.shape[0] * LIGHT, target) for plane in background)


def _lit(*given: Tensor, target: PixelFormat, strength: float) -> _Tensors:
    parts = zip(*_thirds(given), strict=True)
    return tuple(blend(light, fgr, _weight(alpha, strength, target), target.peak) for fgr, light, alpha in parts)


def _weight(alpha: Tensor, strength: float, target: PixelFormat) -> Tensor:
    """strength * alpha * blur(1 - alpha), as a plane of 0..peak."""
    rim = gaussian(target.peak - alpha, alpha.shape[0] * RIM, target)
    return quantised(alpha.to(torch.float32).mul_(rim).mul_(strength / target.peak), target)
