"""The backgrounds on a device (port `Background`): the host's pictures brought there, and the room blurred there."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias, cast

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from streammatte.backgrounds.blur import (
    BACKUP_SHARE,
    EPSILON,
    FINEST_SIGMA_PX,
    MARGIN,
    MOST_REDUCED,
    BlurBackground,
)
from streammatte.frame import Frame, Layer, PixelFormat, Plane
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.planes import planes_of, quantised
from streammatte.kernels.torch.resizing import resize
from streammatte.ports import Background

__all__ = ["DeviceBlurBackground", "UploadedBackground"]

_Planes: TypeAlias = tuple[Plane, ...]
_Tensors: TypeAlias = tuple[Tensor, ...]


class UploadedBackground:
    """A host background's planes, brought to the device when they are others than at the frame before.

    Of the layer the host's background is told the frame's shape, format, colour and time; the samples it sees are 0.
    """

    def __init__(self, background: Background, lane: Lane) -> None:
        self._background, self._lane = background, lane
        self.shows_room = background.shows_room
        self._host: _Planes | None = None
        self._there: _Planes = ()

    def planes(self, layer: Layer) -> _Planes:
        """The same tensors for as long as the host's background gives the same planes."""
        host = self._background.planes(_blank(layer.frame))
        if host is not self._host:
            with self._lane:
                self._there = cast(_Planes, tuple(self._uploaded(plane) for plane in host))
            self._host = host
        return self._there

    def close(self) -> None:
        """Release the host background's files."""
        self._background.close()

    def _uploaded(self, plane: Plane) -> Tensor:
        deep = plane.dtype == np.uint16
        kind = torch.uint16 if deep else torch.uint8
        # Pinned memory goes back to torch, which gives it out again only once the device has read it.
        staged = torch.empty(plane.shape, dtype=kind, pin_memory=self._lane.on_cuda)
        staged.numpy()[...] = plane
        there = staged.to(self._lane.device, non_blocking=True)
        return there.view(torch.int16).to(torch.int32).bitwise_and_(0xFFFF) if deep else there


def _blank(frame: Frame) -> Layer:
    """A layer like `frame` on the host, which takes no memory."""
    zeros: Any = tuple(np.broadcast_to(frame.format.dtype(0), plane.shape) for plane in frame.planes)
    return Layer(zeros, zeros, replace(frame, planes=zeros, alpha=None))


class DeviceBlurBackground(BlurBackground):
    """`--bg blur`: what is left of the source on the device once the subject is taken out, blurred with weights."""

    def __init__(self, strength: float, lane: Lane) -> None:
        super().__init__(strength)
        self._lane, self._captured = lane, Captured(self._blurred, lane)

    def planes(self, layer: Layer) -> _Planes:
        """Blurred planes of this very frame."""
        frame = layer.frame
        with self._lane:
            return cast(_Planes, self._captured(layer.pha, *planes_of(frame), *layer.fgr, target=frame.format))

    def _blurred(self, pha: Tensor, *given: Tensor, target: PixelFormat) -> _Tensors:
        planes, fgr = given[: target.plane_count], given[target.plane_count :]
        room = _Room(pha, pha.shape[0] * self.strength / 100, target)
        pairs = zip(planes, fgr, strict=True)
        return tuple(_grown(room.blurred(plane, front), plane, target) for plane, front in pairs)


class _Room:
    """The weights of one frame, as `blur` makes them."""

    def __init__(self, pha: Tensor, sigma_px: float, target: PixelFormat) -> None:
        height, width = pha.shape
        factor = max(1.0, sigma_px / FINEST_SIGMA_PX)
        reduction = 1 << min(MOST_REDUCED, int(factor)).bit_length() - 1
        self._size = (max(1, width // reduction), max(1, height // reduction))
        self._smallest = (max(1, round(width / factor)), max(1, round(height / factor)))
        self._sigma = sigma_px * self._smallest[1] / height
        self._share = resize(pha, *self._size) / target.peak
        chroma_px = 1 << max(target.log2_chroma_w, target.log2_chroma_h)
        reach = max(-(-chroma_px // reduction), round(MARGIN * sigma_px / reduction))
        self._trust = (1 - _around(self._share, reach)).square_()
        self._weights = self._blurs((1 - self._share) * self._trust)

    def blurred(self, plane: Tensor, fgr: Tensor) -> Tensor:
        """The blurred room of one component, in its own units, at the reduced size."""
        room = resize(plane, *self._size) - self._share * resize(fgr, *self._size)
        (fine, wide, far), (near_weight, wide_weight, weight) = self._blurs(room * self._trust), self._weights
        filled = (wide + EPSILON * far / (weight + EPSILON)) / (wide_weight + EPSILON)
        shown = (fine + BACKUP_SHARE * filled) / (near_weight + BACKUP_SHARE)
        return _interpolated(shown, self._size[::-1], "bicubic")

    def _blurs(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`values` blurred by sigma, by six times as much, and altogether (0-d)."""
        fine = _gaussian(resize(values, *self._smallest), self._sigma)
        return fine, _gaussian(fine, self._sigma * 6), fine.mean()


def _around(share: Tensor, reach_px: int) -> Tensor:
    """The largest of `share` (h, w), which is not negative, within a disc around each pixel."""
    height, halves = share.shape[0], _half_widths(reach_px)
    rows = functional.pad(share, (0, 0, reach_px, reach_px))
    lines = [rows[start : start + height] for start in range(2 * reach_px + 1)]
    found = _widened(share, halves[0])
    for off, half in enumerate(halves[1:], 1):
        found = torch.maximum(found, _widened(torch.maximum(lines[reach_px - off], lines[reach_px + off]), half))
    return found


@cache
def _half_widths(reach_px: int) -> tuple[int, ...]:
    """How far OpenCV's disc goes to each side in its middle line, and in each line farther from that."""
    side = 2 * reach_px + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return tuple(int(line.sum()) // 2 for line in disc[reach_px:])


def _widened(values: Tensor, half_px: int) -> Tensor:
    return functional.max_pool2d(values[None], (1, 2 * half_px + 1), 1, (0, half_px))[0]


def _gaussian(image: Tensor, sigma: float) -> Tensor:
    side = max(1, round(sigma * 1.88)) | 1
    for _ in range(3):
        padded = functional.pad(image[None], (side // 2,) * 4, mode="replicate")
        image = functional.avg_pool2d(functional.avg_pool2d(padded, (1, side), 1), (side, 1), 1)[0]
    return image.clamp(min=0)


def _grown(small: Tensor, like: Tensor, target: PixelFormat) -> Tensor:
    """`small` as samples at the size of `like`."""
    return quantised(_interpolated(small.clamp(0, target.peak), tuple(like.shape), "bilinear"), target)


def _interpolated(values: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    return functional.interpolate(values[None, None], size, mode=mode, align_corners=False)[0, 0]
