"""`--linear`: over in linear light, as it happens in a lens.

Alpha says what part of a pixel's light comes from the subject, so it is light that has to be mixed: on coded values
hair before a bright background comes out too dark. Only soft pixels differ, and only they are computed: decoded to
R'G'B', to light (`transfer.to_light`), mixed, and coded again.

Where chroma is subsampled, luma is mixed at luma's places, with chroma interpolated there, and chroma at its own
places, with luma averaged there as alpha is. Each is right for what it is given; the two do not meet in one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import ColorSpec, FloatImage, decode_matrix
from streammatte.frame import Frame, Layer, PixelFormat, Plane
from streammatte.kernels import host
from streammatte.kernels.blocks import Blocks
from streammatte.kernels.boxes import Box, subject_box
from streammatte.kernels.mixing import blend
from streammatte.kernels.siting import upsample
from streammatte.transfer import from_light, to_light

__all__ = ["Coding", "linear_composite"]

_AT_ONCE = 4096
"""Runs of pixels that are computed at a time: what the processor's cache holds."""
_MARGIN_PX = 16
"""More than any chroma sample reaches over."""

_Planes: TypeAlias = tuple[Plane, ...]


def linear_composite(layer: Layer, background: _Planes) -> Frame:
    """The subject over `background`: the source's frame in everything but its pixels, and opaque.

    Exactly the background's samples where alpha is 0, exactly the foreground's where it is peak.
    """
    frame = layer.frame
    parts = zip(layer.fgr, background, layer.alphas, strict=True)
    planes = tuple(blend(fgr, bg, pha, frame.format.peak) for fgr, bg, pha in parts)
    box = subject_box(layer.pha, _MARGIN_PX)
    if box is not None:
        coding = Coding.of(frame)
        groups = [range(len(planes))] if _same_size(planes) else [range(1), range(1, 3)]
        for group in groups:
            _mix(layer, background, planes, group, box, coding)
    return replace(frame, planes=planes, alpha=None)


def _same_size(planes: _Planes) -> bool:
    return all(plane.shape == planes[0].shape for plane in planes)


@dataclass(frozen=True, slots=True)
class Coding:
    """How the stream's code values, in the order of its planes, become light, and light code values."""

    decode: npt.NDArray[np.float32]
    """(n, n + 1), for n components."""
    encode: npt.NDArray[np.float32]
    """The way back, of the same shape."""
    transfer: int

    @staticmethod
    def of(frame: Frame) -> Coding:
        """The frame's, by its format, colour and height."""
        spec = frame.color.resolved(frame.format.model, frame.height)
        decode = _decode_matrix(spec, frame.format).astype(np.float64)
        inverse = np.linalg.inv(decode[:, :-1])
        encode = np.hstack([inverse, -inverse @ decode[:, -1:]])
        return Coding(decode.astype(np.float32), encode.astype(np.float32), spec.transfer)

    def mixed(self, front: FloatImage, back: FloatImage, share: FloatImage) -> FloatImage:
        """Code values (..., n) of the mix, of which `share` (..., 1) is `front`."""
        light, behind = (to_light(_transformed(each, self.decode), self.transfer) for each in (front, back))
        light -= behind
        light *= share
        light += behind
        return _transformed(from_light(light, self.transfer), self.encode)


def _decode_matrix(spec: ColorSpec, target: PixelFormat) -> npt.NDArray[np.float32]:
    if target.model == "yuv":
        return decode_matrix(spec, target.bits)
    count = target.plane_count
    if target.model == "gbr" or spec.full_range:
        return np.hstack([np.eye(count) / target.peak, np.zeros((count, 1))]).astype(np.float32)
    return np.array([[decode_matrix(spec, target.bits)[0, 0], -16 / 219]], np.float32)


def _transformed(values: FloatImage, matrix: npt.NDArray[np.float32]) -> FloatImage:
    return np.asarray(cv2.transform(values, matrix), np.float32).reshape(values.shape)


def _mix(layer: Layer, background: _Planes, planes: _Planes, group: range, box: Box, coding: Coding) -> None:
    """Write the mix in light into those of `planes` that `group` names, which have one size."""
    frame, first = layer.frame, group[0]
    alpha = layer.alphas[first][box.of(first, frame.format)]
    between = np.asarray(cv2.inRange(alpha, 1, frame.format.peak - 1), np.uint8)
    front, back = (_at_size(each, group, box, frame) for each in (layer.fgr, background))
    outs = [planes[index][box.of(index, frame.format)] for index in group]
    for soft in Blocks.of(between).parts(_AT_ONCE):
        share = soft.take(alpha) * np.float32(1 / frame.format.peak)
        mixed = coding.mixed(_taken(front, soft), _taken(back, soft), share[..., None])
        np.clip(np.rint(mixed, out=mixed), 0, frame.format.peak, out=mixed)
        chosen = soft.take(between) > 0
        for index, out in zip(group, outs, strict=True):
            soft.put(out, np.where(chosen, mixed[..., index].astype(out.dtype), soft.take(out)))


def _taken(planes: list[npt.NDArray[Any]], soft: Blocks) -> FloatImage:
    """All components at the soft pixels: (n, run_px, components) float32."""
    return np.stack([soft.take(plane) for plane in planes], axis=-1).astype(np.float32)


def _at_size(planes: _Planes, group: range, box: Box, frame: Frame) -> list[npt.NDArray[Any]]:
    """All components inside the box, at the size and the places of the group's."""
    target, location = frame.format, frame.color.chroma_location
    inside = [plane[box.of(index, target)] for index, plane in enumerate(planes)]
    if len(group) == len(planes):
        return list(inside)
    if group[0] == 0:
        return [inside[0], *(upsample(each, target, location, box.width, box.height) for each in inside[1:])]
    return [host.subsample(np.ascontiguousarray(inside[0]), target, location), *inside[1:]]
