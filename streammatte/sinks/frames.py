"""`Frame` to `av.VideoFrame`, in the pixel format a plan asks for.

Alpha is never given to swscale, which changes it: every plane is written by NumPy, and only colour planes
that change depth or subsampling pass through it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Interpolation

from streammatte.color import ColorSpec
from streammatte.errors import SinkError
from streammatte.frame import Frame, PixelFormat, Plane
from streammatte.kernels.host import frame_rgb, planes_from_rgb
from streammatte.ports import SinkKind
from streammatte.sinks.planning import Plan

__all__ = ["FrameWriter", "read_plane", "rescale", "tag"]


class FrameWriter:
    """Makes the frames an encoder is given. Planes keep their values wherever formats agree."""

    def __init__(self, plan: Plan, kind: SinkKind) -> None:
        self._plan = plan
        self._kind = kind

    def convert(self, frame: Frame) -> av.VideoFrame:
        """A frame of its own memory: the source's planes may be reused once this returns."""
        plan = self._plan
        out = av.VideoFrame(plan.width, plan.height, plan.av_format)
        planes = self._matte(frame) if self._kind == "pha" else self._colour(frame)
        if plan.alpha:
            if frame.alpha is None:
                raise SinkError(f"frame {frame.seq} has no alpha to write")
            planes = (*planes, rescale(frame.alpha, frame.format, plan.format))
        if plan.packed:
            _write_packed(out, planes)
        else:
            for index, plane in enumerate(planes):
                _write(out, index, plane)
        tag(out, plan.color)
        out.pts, out.time_base = frame.pts, frame.time_base
        return out

    def _colour(self, frame: Frame) -> tuple[Plane, ...]:
        target, color = self._plan.format, self._plan.color
        if frame.format.model != target.model:
            return _through_rgb(frame, target, color)
        if frame.format == target and bool(frame.color.full_range) == bool(color.full_range):
            return frame.planes
        if frame.format.model == "gbr":
            return tuple(rescale(plane, frame.format, target) for plane in frame.planes)
        return _through_swscale(frame, target, color)

    def _matte(self, frame: Frame) -> tuple[Plane, ...]:
        target, pha = self._plan.format, frame.planes[0]
        if target.model == "gray":
            return (rescale(pha, frame.format, target),)
        luma: Plane = _limited_luma(frame.format.bits, target.bits)[pha]
        chroma = target.plane_shape(1, frame.width, frame.height)
        neutral = _stored(np.full(chroma, 1 << (target.bits - 1)), target.bits)
        return luma, neutral, neutral


def rescale(plane: Plane, source: PixelFormat, target: PixelFormat) -> Plane:
    """Full-range samples at another depth, rounded: 0 stays 0 and peak stays peak."""
    return plane if source.bits == target.bits else _full_range(source.bits, target.bits)[plane]


@cache
def _full_range(source_bits: int, target_bits: int) -> Plane:
    peak, target = (1 << source_bits) - 1, (1 << target_bits) - 1
    steps = np.arange(peak + 1, dtype=np.int64)
    return _stored((steps * target + peak // 2) // peak, target_bits)


@cache
def _limited_luma(source_bits: int, target_bits: int) -> Plane:
    """Alpha 0..peak as luma 16..235 (ITU-R BT.709), at the target's depth."""
    steps = np.linspace(0.0, 1.0, 1 << source_bits)
    unit = 1 << (target_bits - 8)
    return _stored(np.rint((16 + 219 * steps) * unit), target_bits)


def _stored(samples: npt.NDArray[Any], bits: int) -> Plane:
    return samples.astype(np.uint8) if bits <= 8 else samples.astype(np.uint16)


def _through_rgb(frame: Frame, target: PixelFormat, color: ColorSpec) -> tuple[Plane, ...]:
    # The kernels bring HDR to SDR and back; here the signal itself is wanted, so they are not told.
    rgb = frame_rgb(replace(frame, color=replace(frame.color, transfer=1)), frame.width, frame.height)
    return planes_from_rgb(rgb, target, replace(color, transfer=1))


def _through_swscale(frame: Frame, target: PixelFormat, color: ColorSpec) -> tuple[Plane, ...]:
    """The colour planes at another depth, subsampling or range; the matrix stays what it is."""
    source = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for index, plane in enumerate(frame.planes):
        _write(source, index, plane)
    converted = source.reformat(
        format=target.name,
        src_color_range=_range(frame.color.full_range),
        dst_color_range=_range(color.full_range),
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
    )
    return tuple(read_plane(converted, i, target) for i in range(target.plane_count))


def _range(full: bool | None) -> ColorRange:
    return ColorRange.JPEG if full else ColorRange.MPEG


def tag(out: av.VideoFrame, color: ColorSpec) -> None:
    """Say in the frame what its numbers mean."""
    out.colorspace, out.color_primaries, out.color_trc = color.matrix, color.primaries, color.transfer
    out.color_range = ColorRange.UNSPECIFIED if color.full_range is None else _range(color.full_range)


def _view(out: av.VideoFrame, index: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Plane `index` as an array that writes through to it."""
    plane: Any = out.planes[index]
    step = np.dtype(dtype).itemsize
    strides = (plane.line_size, *((step * shape[2], step) if len(shape) == 3 else (step,)))
    return np.ndarray(shape, dtype, buffer=plane, strides=strides)


def _write(out: av.VideoFrame, index: int, plane: Plane) -> None:
    """Copy `plane` in; rows and columns the frame has beyond it repeat the last one."""
    height, width = plane.shape
    target = out.planes[index]
    view = _view(out, index, (max(target.height, height), max(target.width, width)), plane.dtype)
    view[:height, :width] = plane
    view[:height, width:] = plane[:, -1:]
    view[height:] = view[height - 1]


def _write_packed(out: av.VideoFrame, planes: tuple[Plane, ...]) -> None:
    """G, B, R and, where there is one, alpha, interleaved as B G R A."""
    green, blue, red = planes[:3]
    view = _view(out, 0, (*green.shape, 4), np.uint8)
    for channel, plane in enumerate((blue, green, red)):
        view[..., channel] = plane
    view[..., 3] = planes[3] if len(planes) == 4 else np.uint8(255)


def read_plane(frame: av.VideoFrame, index: int, fmt: PixelFormat) -> Plane:
    """A copy of plane `index` of a frame whose colour planes are `fmt`."""
    shape = fmt.plane_shape(min(index, fmt.plane_count), frame.width, frame.height)
    return np.array(_view(frame, index, shape, fmt.dtype))
