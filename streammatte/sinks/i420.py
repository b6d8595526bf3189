"""Frames as what a camera gives: I420 (8-bit 4:2:0 planes one after the other), limited range, ITU-R BT.601, upright.

BT.601 at every size, HD too: V4L2_COLORSPACE_SRGB, which v4l2loopback announces, means BT.601 and limited range where
nothing else is said (Linux, Documentation/userspace-api/media/v4l/colorspaces-details.rst), PipeWire carries no
matrix, and Chromium takes it so at 720p as at 360p. GStreamer takes BT.709 for HD of which it knows no more.
"""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from streammatte.color import ColorSpec
from streammatte.errors import SinkError
from streammatte.frame import Frame, PixelFormat, Plane, StreamInfo
from streammatte.kernels.host import turn
from streammatte.sinks.frames import read_plane

__all__ = ["I420Packer"]

_I420 = PixelFormat.named("yuv420p")
_BT601 = {5, 6}
_NAMES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020", 10: "BT.2020"}
_SWSCALE = {1: Colorspace.ITU709, 4: Colorspace.FCC, 7: Colorspace.SMPTE240M, 9: Colorspace.BT2020}


class I420Packer:
    """Packs frames of one stream. Planes that are limited-range BT.601 4:2:0 of 8 bits already keep every value.

    All others pass through swscale once. Sides that do not fit are grown by repeating the last row or column.
    """

    def __init__(self, name: str, info: StreamInfo, width_step_px: int = 2) -> None:
        """The width becomes a multiple of `width_step_px`; `name` is who complains of a frame that differs."""
        self._name = name
        self._stored = (info.width, info.height)
        width, height = self._stored if info.rotation in (0, 180) else self._stored[::-1]
        self.width = -(-width // width_step_px) * width_step_px
        self.height = height + height % 2
        self.size = self.width * self.height * 3 // 2
        """Bytes of a packed picture."""
        self.notes = _notes(info, (width, height), (self.width, self.height))

    def pack(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """A new array (size,) of Y, then U, then V. Raises SinkError where the frame is not of the stream's size."""
        if (frame.width, frame.height) != self._stored:
            came, due = f"{frame.width}x{frame.height}", f"{self._stored[0]}x{self._stored[1]}"
            raise SinkError(f"{self._name}: frame {frame.seq} is {came}, the camera was opened for {due}; start again")
        luma, *chroma = frame.planes if _is_i420(frame) else _through_swscale(frame)
        packed = np.empty(self.size, np.uint8)
        start = 0
        for index, plane in enumerate((_even(luma), *chroma)):
            upright = turn(plane, frame.rotation)
            rows, columns = _I420.plane_shape(index, self.width, self.height)
            target = packed[start : start + rows * columns].reshape(rows, columns)
            target[:, : upright.shape[1]] = upright
            target[:, upright.shape[1] :] = upright[:, -1:]
            start += rows * columns
        return packed


def _is_i420(frame: Frame) -> bool:
    spec = frame.color.resolved(frame.format.model, frame.height)
    return frame.format == _I420 and not spec.full_range and spec.matrix in _BT601


def _even(luma: Plane) -> Plane:
    height, width = luma.shape
    if height % 2 == width % 2 == 0:
        return luma
    grown: Any = cv2.copyMakeBorder(luma, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(grown, np.uint8)


def _through_swscale(frame: Frame) -> tuple[Plane, ...]:
    spec = frame.color.resolved(frame.format.model, frame.height)
    source = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for plane, target in zip(frame.planes, source.planes, strict=True):
        memory: Any = target
        rows = np.frombuffer(memory, plane.dtype).reshape(target.height, -1)
        rows[:, : plane.shape[1]] = plane
    converted = source.reformat(
        format=_I420.name,
        src_colorspace=_SWSCALE.get(spec.matrix, Colorspace.ITU601),
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if spec.full_range else ColorRange.MPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
        threads=1,  # with more, swscale now and then spoils the row where two slices meet
    )
    return tuple(read_plane(converted, index, _I420) for index in range(3))


def _notes(info: StreamInfo, sides: tuple[int, int], size: tuple[int, int]) -> tuple[str, ...]:
    spec = info.color.resolved(info.format.model, info.height)
    notes = [_conversion(info.format, spec)]
    if size != sides:
        padded = f"{sides[0]}x{sides[1]} padded to {size[0]}x{size[1]}"
        notes.append(f"{padded} by repeating the edge, to fit I420")
    if info.rotation:
        notes.append("pictures are turned upright: a camera holds no rotation")
    if info.sar != 1:
        notes.append(
            f"samples are {info.sar.numerator}:{info.sar.denominator}, not square, which a camera does not say"
        )
    if info.color.hdr:
        notes.append("HDR is given as it is: a camera does not say it")
    return tuple(notes)


def _conversion(source: PixelFormat, spec: ColorSpec) -> str:
    shown = "shown as I420, limited-range BT.601"
    if source.model == "yuv":
        if source == _I420 and not spec.full_range and spec.matrix in _BT601:
            return f"{shown}, as it came"
        coded = f"{'full' if spec.full_range else 'limited'}-range {_NAMES[spec.matrix]} {source.name}"
    else:
        coded = source.name
    return f"{shown}, converted by swscale from {coded}"
