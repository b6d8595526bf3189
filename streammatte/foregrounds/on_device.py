"""The foregrounds on a device (port `Foreground`): `blur_fusion` and `despill` on tensors, with their numbers.

Where the subject is only the device knows, so the whole picture is worked on, not a box around it: colours far from
every pixel of the subject are means of the whole picture, where the host has means of the box. What `despill` takes
off is each pixel's own, where the host's is the same along runs of up to eight.
"""

from __future__ import annotations

from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional

from streammatte.foregrounds import blur_fusion, despill
from streammatte.foregrounds.means import small_size
from streammatte.frame import Frame, Matte, PixelFormat, Plane
from streammatte.kernels.boxes import Box
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.means import LocalMean, box_mean, surely
from streammatte.kernels.torch.planes import planes_of, quantised
from streammatte.kernels.torch.resizing import resize
from streammatte.kernels.torch.restoring import restore
from streammatte.ports import Foreground

__all__ = ["DeviceBlurFusionForeground", "DeviceDespillForeground"]

_Planes: TypeAlias = tuple[Plane, ...]
_Tensors: TypeAlias = tuple[Tensor, ...]


class DeviceBlurFusionForeground:
    """Takes the old background's colour out of soft edges; opaque pixels keep the source's bits."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._fused = lane, Captured(_fused, lane)

    def estimate(self, frame: Frame, alphas: _Planes, matte: Matte | None = None) -> _Planes:
        """Planes of F."""
        with self._lane:
            return cast(_Planes, self._fused(*planes_of(frame), *alphas, target=frame.format))


def _fused(*given: Tensor, target: PixelFormat) -> _Tensors:
    planes, alphas = given[: target.plane_count], given[target.plane_count :]
    size, lines = _small_size(planes[0])
    fusion = _Fusion(resize(alphas[0], *size) / target.peak, lines)
    return tuple(_estimated(plane, alpha, fusion, target) for plane, alpha in zip(planes, alphas, strict=True))


def _small_size(luma: Tensor) -> tuple[tuple[int, int], float]:
    """(width, height) of the whole picture reduced as the host reduces it, and its lines."""
    height, width = luma.shape
    return small_size(Box(0, 0, width, height), height)


def _estimated(plane: Tensor, alpha: Tensor, fusion: _Fusion, target: PixelFormat) -> Tensor:
    """F of one component."""
    front, back = fusion.means(plane)
    height, width = plane.shape
    restored = quantised(resize(front, width, height), target)
    restore(plane, alpha, back, target.peak * blur_fusion.FAINT, target.peak, restored)
    return restored


class _Fusion:
    """What all components share, made of alpha alone, and the means of one component after the other."""

    def __init__(self, share: Tensor, lines: float) -> None:
        self._share, self._radius = share, lines * blur_fusion.NARROW
        height, width = share.shape
        self._size, self._half = (width, height), (-(-width // 2), -(-height // 2))
        half = resize(share, *self._half)
        self._front, self._back = LocalMean(surely(half), lines / 2), LocalMean(surely(1 - half), lines / 2)
        self._near = box_mean(share, self._radius).add_(blur_fusion.EPSILON)

    def means(self, plane: Tensor) -> tuple[Tensor, Tensor]:
        """F^ and B^ of one component after both rounds, at the small size."""
        picture, share = resize(plane, *self._size).to(torch.float32), self._share
        half = resize(picture, *self._half)
        front, back = (resize(mean.of(half)[0], *self._size) for mean in (self._front, self._back))
        product = share * (front + share * (picture - share * front - (1 - share) * back))
        near = box_mean(product, self._radius).add_(front, alpha=blur_fusion.EPSILON)
        return near.div_(self._near), back


class DeviceDespillForeground:
    """Another foreground's F with `strength` (0 to 1) of the old background's colour taken off its rim.

    Luma planes are not touched, nor is gray video, nor what is farther from the edge than 3 % of the height. Opaque
    pixels of the rim change too: spill is light on the subject.
    """

    def __init__(self, foreground: Foreground, strength: float, lane: Lane) -> None:
        self._foreground, self._strength, self._lane = foreground, strength, lane
        self._despilled = Captured(_despilled, lane)

    def estimate(self, frame: Frame, alphas: _Planes, matte: Matte | None = None) -> _Planes:
        """Planes of F."""
        fgr = self._foreground.estimate(frame, alphas)
        if frame.format.model == "gray":
            return fgr
        first = 1 if frame.format.model == "yuv" else 0
        with self._lane:
            cleaned = self._despilled(
                alphas[0],
                alphas[first],
                *planes_of(frame)[first:],
                *fgr[first:],
                target=frame.format,
                strength=self._strength,
            )
        return fgr[:first] + cast(_Planes, cleaned)


def _despilled(pha: Tensor, alpha: Tensor, *given: Tensor, target: PixelFormat, strength: float) -> _Tensors:
    """The components of F that carry colour, without the spill; `given` are the source's and F's.

    `pha` is alpha (H, W), `alpha` the same at the size of those components.
    """
    source, fgr = given[: len(given) // 2], given[len(given) // 2 :]
    maps = _spill(pha, source, target, strength)[None]
    size = tuple(alpha.shape)
    *key, limit, most, share = functional.interpolate(maps, size, mode="bilinear", align_corners=False)[0]
    nearby = functional.interpolate(maps[:, -1:], size, mode="nearest")[0, 0] >= 1 / 255
    taken = [plane.to(torch.float32) for plane in fgr]
    beyond = torch.minimum((_along(key, _centred(taken, target)) - limit).clamp_(min=0), most).mul_(share)
    rim = nearby & (alpha > 0)
    cleaned = (quantised(values - beyond * direction, target) for values, direction in zip(taken, key, strict=True))
    return tuple(torch.where(rim, new, plane) for new, plane in zip(cleaned, fgr, strict=True))


def _spill(pha: Tensor, source: _Tensors, target: PixelFormat, strength: float) -> Tensor:
    """Small maps (n + 3, h, w) of what spills where, for n components: the host's key, limit, most and share."""
    size, lines = _small_size(pha)
    share = resize(pha, *size) / target.peak
    picture = [resize(plane, *size).to(torch.float32) for plane in source]
    behind = LocalMean(surely(1 - share), lines)
    toward = torch.stack(_centred([behind.of(each)[0] for each in picture], target))
    amount = toward.square().sum(0).sqrt_().add_(1e-6)
    key = toward / amount
    rim = box_mean(1 - share, lines * despill.RIM).mul_(2).clamp_(max=1)
    limit = _limit(_along(key, _centred(picture, target)), surely(share * (1 - rim)), lines, target)
    square = amount.square()
    taken = strength * rim * square / (square + (despill.GRAY * target.peak) ** 2)
    return torch.cat((key, torch.stack((limit, amount, taken))))


def _centred(values: list[Tensor], target: PixelFormat) -> list[Tensor]:
    """Components as differences from gray of the same luma."""
    if target.model == "yuv":
        return [each - (1 << target.bits - 1) for each in values]
    luma = sum(float(weight) * each for weight, each in zip(despill.LUMA, values, strict=True))
    return [each - luma for each in values]


def _along(key: Tensor | list[Tensor], colors: list[Tensor]) -> Tensor:
    return sum(one * other for one, other in zip(key, colors, strict=True))


def _limit(along: Tensor, weights: Tensor, lines: float, target: PixelFormat) -> Tensor:
    """Mean and one standard deviation of the inner subject's colour along the key, neutral at least."""
    inner = LocalMean(weights, lines)
    mean = inner.of(along + target.peak)[0] - target.peak  # means are of what is not negative
    return mean + (inner.of(along.square())[0] - mean.square()).clamp_(min=0).sqrt_()
