"""Pixel kernels on host memory: NumPy and OpenCV, planes in, planes out.

Planes are (h, w) uint8 up to 8 bits, else uint16; `peak` is 2**bits - 1; alpha planes run 0..peak at luma size.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.catalog_facts import OutputSpec
from streammatte.color import (
    ChromaLocation,
    ColorSpec,
    FloatImage,
    decode_matrix,
    encode_matrix,
    from_sdr,
    to_sdr,
)
from streammatte.frame import Frame, PixelFormat, Plane
from streammatte.kernels.mixing import halve_left
from streammatte.kernels.siting import cosited

__all__ = [
    "alpha_plane",
    "chroma_alpha",
    "frame_rgb",
    "lift_box",
    "opacity",
    "planes_from_rgb",
    "probability",
    "resize",
    "subsample",
    "turn",
    "turn_back",
]


def resize(image: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[Any]:
    """`image` (h, w[, c]) at a new size: area average where it shrinks, linear where it grows, per axis.

    OpenCV's INTER_AREA averages only when both axes shrink; a picture squashed one way and stretched the other
    would alias, so the shrinking axis goes first. Halving is many times faster there than any other ratio, so sides
    are halved while they are even and still large enough: the same mean where the ratio is a power of two, one that
    reaches up to a pixel further elsewhere.
    """
    h, w = image.shape[:2]
    while w >= 2 * width and h >= 2 * height and w % 2 == h % 2 == 0:
        w, h = w // 2, h // 2
        image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    if (w, h) == (width, height):
        return image
    if (width < w) != (height < h) and width != w and height != h:
        image = cv2.resize(image, (min(w, width), min(h, height)), interpolation=cv2.INTER_AREA)
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    shrinks = width <= w and height <= h
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def lift_box(rgb: FloatImage) -> FloatImage:
    """An averaged-down picture (h, w, 3) in [0, 1] with the detail back that averaging over a box takes.

    A box one output pixel wide passes sinc(f) of each frequency; three taps make it flat up to half of what the new
    size can hold. Networks trained on sharper reductions see edges better so (MAD -1 % over nine clips).
    """
    lifted = cv2.sepFilter2D(rgb, -1, _LIFT, _LIFT, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(lifted, 0.0, 1.0), np.float32)


_SIDE_TAP = (1 / np.sinc(0.25) - 1) / 2
_LIFT = np.array([-_SIDE_TAP, 1 + 2 * _SIDE_TAP, -_SIDE_TAP], np.float32)


def turn(image: npt.NDArray[Any], degrees: int) -> npt.NDArray[Any]:
    """`image` turned counter-clockwise by a multiple of 90 degrees: stored orientation to upright."""
    return image if degrees == 0 else np.ascontiguousarray(np.rot90(image, degrees // 90))


def turn_back(image: npt.NDArray[Any], degrees: int) -> npt.NDArray[Any]:
    """The inverse of `turn`: upright to stored orientation."""
    return turn(image, -degrees % 360)


def frame_rgb(frame: Frame, width: int, height: int) -> FloatImage:
    """The frame as SDR R'G'B' (height, width, 3) float32 in [0, 1], stored orientation.

    Planes are resampled first, each once, so that the matrix is only applied at the size asked for.
    """
    spec = frame.color.resolved(frame.format.model, frame.height)
    planes = [resize(plane, width, height) for plane in frame.planes]
    if frame.format.model == "gbr":
        green, blue, red = planes
        rgb = np.dstack([red, green, blue]).astype(np.float32) / np.float32(frame.format.peak)
        return to_sdr(rgb, spec)
    matrix = decode_matrix(spec, frame.format.bits)
    if frame.format.model == "gray":
        luma = planes[0].astype(np.float32) * matrix[0, 0] + _gray_offset(spec, frame.format.bits)
        return to_sdr(np.repeat(luma[..., None], 3, axis=2), spec)
    coded = cv2.merge([plane.astype(np.float32) for plane in planes])
    return to_sdr(np.asarray(cv2.transform(coded, matrix), np.float32), spec)


def _gray_offset(spec: ColorSpec, bits: int) -> np.float32:
    return np.float32(0.0 if spec.full_range else -16.0 / 219.0)


def planes_from_rgb(rgb: FloatImage, target: PixelFormat, color: ColorSpec) -> tuple[Plane, ...]:
    """SDR R'G'B' (H, W, 3) float32 in [0, 1] as planes of `target`, coded as `color` (resolved for that height)."""
    spec = color.resolved(target.model, rgb.shape[0])
    signal = from_sdr(np.clip(rgb, 0.0, 1.0), spec)
    height, width = rgb.shape[:2]
    if target.model == "gbr":
        red, green, blue = cv2.split(signal * np.float32(target.peak))
        return tuple(_quantise(plane, target) for plane in (green, blue, red))
    if target.model == "gray":
        luma = cv2.transform(signal, encode_matrix(spec, target.bits)[:1])
        return (_quantise(luma.reshape(height, width), target),)
    coded = cv2.split(cv2.transform(signal, encode_matrix(spec, target.bits)))
    chroma = [subsample(plane, target, spec.chroma_location) for plane in coded[1:]]
    return tuple(_quantise(plane, target) for plane in (coded[0], *chroma))


def _quantise(plane: npt.NDArray[Any], target: PixelFormat) -> Plane:
    rounded: npt.NDArray[Any] = np.clip(np.rint(plane), 0, target.peak)
    return rounded.astype(np.uint8) if target.bits <= 8 else rounded.astype(np.uint16)


def subsample(plane: npt.NDArray[Any], target: PixelFormat, location: ChromaLocation) -> npt.NDArray[Any]:
    """A luma-sized plane at chroma size, filtered around the place where `target`'s chroma samples sit.

    Untagged 4:2:0 and 4:2:2 are sited left (MPEG-2, H.264's default): co-sited with the even luma column, so the
    filter is [1 2 1]/4 across and a plain mean down. A mean of 2 x 2 instead would shift alpha by half a pixel.
    """
    height, width = plane.shape
    shape = target.plane_shape(1, width, height)
    if shape == plane.shape:
        return plane
    if (height, width) == (2 * shape[0], 2 * shape[1]) and location in _SITED_LEFT and plane.dtype == np.uint8:
        return halve_left(np.asarray(plane, np.uint8))
    short_x, short_y = -width % (1 << target.log2_chroma_w), -height % (1 << target.log2_chroma_h)
    if short_x or short_y:
        # Stretching an odd side over its rounded-up half would move every sample off its place.
        plane = cv2.copyMakeBorder(plane, 0, short_y, 0, short_x, cv2.BORDER_REPLICATE)
    first_x, first_y = cosited(target, location)
    if first_x is not None or first_y is not None:
        kernel_x = _NONE if first_x is None else _TRIANGLE
        kernel_y = _NONE if first_y is None else _TRIANGLE
        plane = cv2.sepFilter2D(plane, -1, kernel_x, kernel_y, borderType=cv2.BORDER_REPLICATE)
    if first_x is not None:
        plane = plane[:, first_x::2]
    if first_y is not None:
        plane = plane[first_y::2]
    if plane.shape == shape:
        return np.ascontiguousarray(plane)
    return cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA)


_SITED_LEFT = {ChromaLocation.UNSPECIFIED, ChromaLocation.LEFT}
_TRIANGLE = np.array([0.25, 0.5, 0.25], np.float32)
_NONE = np.array([1.0], np.float32)


def chroma_alpha(pha: Plane, target: PixelFormat, color: ColorSpec) -> tuple[Plane, ...]:
    """Alpha at the size and siting of each plane of `target`: (luma, chroma, chroma), or as many as there are."""
    if target.plane_count == 1:
        return (pha,)
    small = subsample(pha, target, color.chroma_location)
    return pha, small, small


def alpha_plane(pha: npt.NDArray[np.float32], width: int, height: int, target: PixelFormat) -> Plane:
    """A matte (h, w) float32 in [0, 1] as an alpha plane (height, width) of `target`'s depth, cubic interpolation."""
    grown = cv2.resize(pha, (width, height), interpolation=cv2.INTER_CUBIC)
    if target.bits <= 8:
        return np.asarray(cv2.convertScaleAbs(np.maximum(grown, 0, out=grown), alpha=float(target.peak)), np.uint8)
    return _quantise(grown * np.float32(target.peak), target)


_LARGEST = np.float32(88)  # exp of more is no float32


def probability(raw: npt.NDArray[np.float32], logits: bool) -> npt.NDArray[np.float32]:
    """What a network says, of any shape, as a probability: its sigmoid where it gives logits, itself otherwise."""
    return np.asarray(1 / (1 + np.exp(np.minimum(-raw, _LARGEST))), np.float32) if logits else raw


def opacity(raw: npt.NDArray[np.float32], output: OutputSpec) -> FloatImage:
    """A matting network's output (1, planes, h, w) as the probability (h, w) that what is to be kept is there."""
    if output.activation != "softmax":
        return probability(raw[0, 0], output.activation == "sigmoid")
    shares = np.exp(raw[0] - raw[0].max(axis=0))
    kept = shares[output.classes.index(output.subject)] if output.subject else shares[1:].sum(axis=0)
    return np.asarray(kept / shares.sum(axis=0), np.float32)
