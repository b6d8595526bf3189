"""A decoded av.VideoFrame as planes, without a sample changed.

Planar formats are views of FFmpeg's own memory (no copy): rows are C-contiguous, `strides[0]` is the line
size, and the arrays are read-only, since a decoder still predicts from that memory. Each keeps its frame
alive. Everything else is taken apart exactly with NumPy and OpenCV; swscale, which alters alpha, is left to
formats that no table names, and then `Picture.note` says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import PixelFormat, Plane
from streammatte.sources.layouts import PACKED, SEMIPLANAR, SUBSAMPLED, Packed, Semiplanar, nearest_planar

__all__ = ["Picture", "unpack"]

_PLANAR = re.compile(r"(?P<base>yuv[aj]?4\d\dp|gbra?p|gray)(?P<bits>9|10|12|14|16)?(?P<end>le|be)?")


@dataclass(frozen=True, slots=True)
class Picture:
    """The samples of one frame."""

    planes: tuple[Plane, ...]
    format: PixelFormat
    alpha: Plane | None = None
    full_range: bool | None = None
    """True where the pixel format itself says so (yuvj420p, gray); else None."""
    note: str = ""
    """What was not exact, in words; empty for all common formats."""


_Reader: TypeAlias = Callable[[av.VideoFrame], Picture]


def unpack(frame: av.VideoFrame) -> Picture:
    """The planes of a frame in system memory; alpha is straight as coded and always full range."""
    return _reader(frame.format.name)(frame)


@cache
def _reader(name: str) -> _Reader:
    """How frames of FFmpeg's pixel format `name` are read; found once per format."""
    match = _PLANAR.fullmatch(name)
    if match:
        return _planar_reader(match)
    if name in SEMIPLANAR:
        return lambda frame: _semiplanar(frame, SEMIPLANAR[name])
    if name in SUBSAMPLED:
        return lambda frame: _subsampled(frame, SUBSAMPLED[name])
    if name in PACKED:
        return lambda frame: _packed(frame, PACKED[name])
    if name == "pal8":
        return _palette
    return _converted


def _view(plane: Any, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`plane`'s memory as (h, w) or (h, w, components); bottom-up pictures are copied the right way up."""
    size = np.dtype(dtype).itemsize
    step = size * (shape[2] if len(shape) == 3 else 1)
    strides = (abs(plane.line_size), step, size)[: len(shape)]
    array: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=plane, strides=strides)
    array.flags.writeable = False
    return array if plane.line_size >= 0 else np.ascontiguousarray(array[::-1])


def _native(array: npt.NDArray[Any], shift: int = 0) -> Any:
    """Samples in native byte order, with `shift` padding bits below them dropped."""
    native = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return np.right_shift(native, shift) if shift else native


def _dtype(bits: int, big_endian: bool) -> str:
    return "u1" if bits <= 8 else ">u2" if big_endian else "<u2"


def _planar_reader(match: re.Match[str]) -> _Reader:
    base, bits = match["base"], int(match["bits"] or 8)
    has_alpha = base.startswith(("yuva", "gbra"))
    plain = base.replace("yuva", "yuv").replace("yuvj", "yuv").replace("gbra", "gbr")
    format_ = PixelFormat.named(plain if bits == 8 else f"{plain}{bits}le")
    dtype = _dtype(bits, match["end"] == "be")
    full = True if base.startswith("yuvj") or base == "gray" else None

    def read(frame: av.VideoFrame) -> Picture:
        width, height, planes = frame.width, frame.height, frame.planes
        shapes = [format_.plane_shape(i, width, height) for i in range(format_.plane_count)]
        arrays = [_native(_view(plane, shape, dtype)) for plane, shape in zip(planes, shapes, strict=False)]
        alpha = _native(_view(planes[-1], (height, width), dtype)) if has_alpha else None
        return Picture(tuple(arrays), format_, alpha, full)

    return read


def _semiplanar(frame: av.VideoFrame, layout: Semiplanar) -> Picture:
    format_ = PixelFormat.named(layout.planar)
    dtype = _dtype(format_.bits, layout.big_endian)
    luma = _view(frame.planes[0], (frame.height, frame.width), dtype)
    pair = _view(frame.planes[1], (*format_.plane_shape(1, frame.width, frame.height), 2), dtype)
    first, second = (_native(_channel(pair, i), layout.shift) for i in (0, 1))
    chroma = (second, first) if layout.swapped else (first, second)
    return Picture((_native(luma, layout.shift), *chroma), format_)


def _subsampled(frame: av.VideoFrame, layout: Packed) -> Picture:
    """4:2:2 in groups of two pixels: two luma samples and one of each chroma."""
    format_ = PixelFormat.named(layout.planar)
    dtype = _dtype(format_.bits, layout.big_endian)
    pairs = -(-frame.width // 2)
    group = _view(frame.planes[0], (frame.height, pairs, 4), dtype)
    lumas = _view(frame.planes[0], (frame.height, pairs * 2, 2), dtype)
    luma = _native(_channel(lumas, layout.order.index("y") % 2), layout.shift)[:, : frame.width]
    chroma = (_native(_channel(group, layout.order.index(name)), layout.shift) for name in "uv")
    return Picture((np.ascontiguousarray(luma), *chroma), format_)


def _packed(frame: av.VideoFrame, layout: Packed) -> Picture:
    format_ = PixelFormat.named(layout.planar)
    dtype = _dtype(format_.bits, layout.big_endian)
    pixels = _view(frame.planes[0], (frame.height, frame.width, len(layout.order)), dtype)
    names = {"gbr": "gbr", "yuv": "yuv", "gray": "y"}[format_.model]
    planes = tuple(_native(_channel(pixels, layout.order.index(name)), layout.shift) for name in names)
    alpha = _native(_channel(pixels, layout.order.index("a")), layout.shift) if "a" in layout.order else None
    return Picture(planes, format_, alpha, True if format_.model == "gray" else None)


def _channel(array: npt.NDArray[Any], index: int) -> npt.NDArray[Any]:
    """Component `index` of interleaved samples, on its own; byte order is kept."""
    plain = array.view(array.dtype.newbyteorder("="))
    return np.asarray(cv2.extractChannel(plain, index)).view(array.dtype)


def _palette(frame: av.VideoFrame) -> Picture:
    """pal8: 256 native-endian 0xAARRGGBB words; alpha only where an entry is not opaque."""
    colors = _view(frame.planes[1], (1, 256), np.uint32)[0]
    indices = _view(frame.planes[0], (frame.height, frame.width), "u1")
    red, green, blue, alpha = (((colors >> shift) & 255).astype(np.uint8) for shift in (16, 8, 0, 24))
    planes = (green[indices], blue[indices], red[indices])
    return Picture(planes, PixelFormat.named("gbrp"), alpha[indices] if alpha.min() < 255 else None)


def _converted(frame: av.VideoFrame) -> Picture:
    """The last resort: swscale to the planar format that loses least."""
    target = nearest_planar(frame.format)
    # swscale with threads now and then spoils the row where two slices meet (seen with FFmpeg 8.1, p216le)
    picture = unpack(frame.reformat(format=target, threads=1))
    note = f"pixel format {frame.format.name} was converted to {target} by swscale"
    return Picture(picture.planes, picture.format, picture.alpha, picture.full_range, note)
