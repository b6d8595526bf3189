"""The values that travel between the stages: `Frame`, `Matte`, `Layer`, and `Packet` for what passes by."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.color import ColorSpec
from streammatte.errors import ContractError

__all__ = [
    "Frame",
    "Layer",
    "Look",
    "Matte",
    "Packet",
    "PixelFormat",
    "Plane",
    "Shown",
    "StreamInfo",
    "alpha_frame",
    "is_packet",
    "subject_frame",
]

Plane: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""One component of a picture, (h, w), C-contiguous rows; uint8 up to 8 bits, else uint16 in native byte order."""

_NAME = re.compile(r"(yuv4(?P<sub>20|22|44|40|11|10)p|gbrp|gray)((?P<bits>9|10|12|14|16)le)?")
_LOG2_CHROMA = {"20": (1, 1), "22": (1, 0), "44": (0, 0), "40": (0, 1), "11": (2, 0), "10": (2, 2)}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A planar pixel format, named as FFmpeg names it, alpha not counted (alpha travels beside the planes)."""

    name: str
    """yuv420p, yuv422p10le, gbrp, gray12le, ..."""
    model: Literal["yuv", "gbr", "gray"]
    """What the planes are, in order: Y U V, or G B R (FFmpeg's order), or Y alone."""
    bits: int
    """Significant bits of a sample, 8 to 16."""
    log2_chroma_w: int
    """Chroma planes are this many halvings narrower than luma (rounded up)."""
    log2_chroma_h: int
    """Chroma planes are this many halvings lower than luma (rounded up)."""

    @staticmethod
    @cache
    def named(name: str) -> PixelFormat:
        """The format FFmpeg calls `name`. Raises ContractError for one that is not planar and alpha-free."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ContractError("a planar pixel format without alpha (yuv4xxp, gbrp, gray, 8 to 16 bit)", name)
        model: Literal["yuv", "gbr", "gray"] = (
            "yuv" if name.startswith("yuv") else "gbr" if name.startswith("gbr") else "gray"
        )
        log2_w, log2_h = _LOG2_CHROMA[match["sub"]] if model == "yuv" else (0, 0)
        return PixelFormat(name, model, int(match["bits"] or 8), log2_w, log2_h)

    @property
    def peak(self) -> int:
        """The largest sample value, 2**bits - 1: alpha 1.0."""
        return (1 << self.bits) - 1

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """The NumPy type of every plane."""
        return np.uint8 if self.bits <= 8 else np.uint16

    @property
    def plane_count(self) -> int:
        """Planes in a frame, alpha not counted."""
        return 1 if self.model == "gray" else 3

    def plane_shape(self, index: int, width: int, height: int) -> tuple[int, int]:
        """(h, w) of plane `index` of a width x height picture, chroma rounded up as FFmpeg does."""
        if self.model != "yuv" or index == 0:
            return height, width
        return -(-height >> self.log2_chroma_h), -(-width >> self.log2_chroma_w)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a stream, in the stream's own pixel format, with its exact place in time."""

    planes: tuple[Plane, ...]
    """The components in the order `format.model` names, each of `format.plane_shape` and `format.dtype`."""
    format: PixelFormat
    color: ColorSpec
    pts: int
    """Presentation time in units of `time_base`; strictly increasing within a stream."""
    time_base: Fraction
    duration: int
    """In units of `time_base`; 0 where the stream does not say."""
    seq: int
    """Counts the source's frames from 0."""
    alpha: Plane | None = None
    """Straight alpha, (H, W), 0 to `format.peak`; None where the picture is opaque."""
    rotation: int = 0
    """Degrees counter-clockwise (0, 90, 180, 270) that turn the stored picture upright; pixels are not turned."""
    sar: Fraction = Fraction(1)
    """Sample aspect ratio: a sample's width over its height, as stored."""
    interlaced: bool = False
    """The picture was coded as two fields; it is processed as the whole it is and stays flagged."""
    captured_ns: int | None = None
    """Monotonic clock at capture; None for files."""
    discontinuity: bool = False
    """Nothing before this frame says anything about it (seek, loop, reopened camera, scene cut)."""

    @property
    def width(self) -> int:
        """Stored width in pixels."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Stored height in pixels."""
        return int(self.planes[0].shape[0])

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    def check(self) -> Frame:
        """This frame, if its planes are what its format promises; else ContractError."""
        shapes = [self.format.plane_shape(i, self.width, self.height) for i in range(self.format.plane_count)]
        actual = [plane.shape for plane in self.planes]
        if actual != shapes:
            raise ContractError(f"planes {shapes} for {self.format.name}", str(actual))
        extra = () if self.alpha is None else (self.alpha,)
        for plane in (*self.planes, *extra):
            if plane.dtype != self.format.dtype:
                raise ContractError(f"{self.format.dtype.__name__} planes for {self.format.name}", str(plane.dtype))
        if self.alpha is not None and self.alpha.shape != shapes[0]:
            raise ContractError(f"alpha {shapes[0]}", str(self.alpha.shape))
        return self


@dataclass(frozen=True, slots=True)
class Matte:
    """What the network said of one frame, at network resolution, in the frame's stored orientation."""

    pha: npt.NDArray[np.float32]
    """(h, w) float32 in [0, 1]."""
    src: npt.NDArray[np.float32]
    """(h, w, 3) float32 in [0, 1]: the RGB picture the network saw, same orientation as `pha`."""
    seq: int
    """The frame it belongs to."""
    time_s: float
    """That frame's presentation time in seconds."""
    discontinuity: bool = False
    """Temporal state must be dropped before this matte is used."""
    seen: bool = True
    """The network saw this frame. Where it did not, `pha` is 0 until the stabilizer has carried the last matte here."""
    flow: npt.NDArray[np.float32] | None = None
    """(h, w, 2) float32, in pixels of `pha`: what is at p was at p + flow[p] in the frame before. None: unknown."""
    trust: npt.NDArray[np.float32] | None = None
    """(h, w) float32 in [0, 1]: how far `flow` can be believed there; None exactly where `flow` is."""
    onward: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None
    """Flow and trust the other way: what was at p in the frame before is now at p + flow[p]. None: not asked for."""
    fgr: npt.NDArray[np.float32] | None = None
    """(h, w, 3) float32: what `src` would be if the subject covered every pixel; None where the network says nothing
    of it or was not asked."""
    age_s: float = 0.0
    """How far back the last frame lies that the network has answered for; live only."""


@dataclass(frozen=True, slots=True)
class Look:
    """A frame prepared for the network, which may or may not get to see it."""

    matte: Matte
    """Unseen: all but `pha`."""
    batch: npt.NDArray[np.float32]
    """(1, 3, h, w) float32, normalised, upright."""
    rotation: int = 0
    """The frame's."""
    model: str = ""
    """The model it was prepared for, where models may change from frame to frame."""
    teacher: Callable[[], Look] | None = None
    """A student is to see it: one so quick that it sees every frame, at once. After a cut, of which it may know
    nothing, this prepares the frame for its teacher instead."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame on its way to the network."""

    frame: Frame
    look: Look
    key: bool = True
    """The network should see it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The subject alone: its own colour and its alpha, ready to be put over anything."""

    fgr: tuple[Plane, ...]
    """Planes of F, like `frame.planes`, with the old background's colour taken out of soft edges."""
    alphas: tuple[Plane, ...]
    """Straight alpha, 0 to `frame.format.peak`, at the size and siting of each of the planes; the first is (H, W)."""
    frame: Frame
    """The source frame: time, format, colour and the picture itself."""

    @property
    def pha(self) -> Plane:
        """Straight alpha (H, W)."""
        return self.alphas[0]


def subject_frame(layer: Layer) -> Frame:
    """The subject's own colour with its straight alpha, for sinks that hold alpha."""
    return replace(layer.frame, planes=layer.fgr, alpha=layer.pha)


def alpha_frame(layer: Layer) -> Frame:
    """Alpha alone, as a full-range gray frame of the source's depth."""
    bits = layer.frame.format.bits
    gray = PixelFormat.named("gray" if bits == 8 else f"gray{bits}le")
    color = replace(layer.frame.color, full_range=True)
    return replace(layer.frame, planes=(layer.pha,), alpha=None, format=gray, color=color)


@dataclass(frozen=True, slots=True)
class Packet:
    """A coded packet of an audio or subtitle stream that travels past the stages untouched."""

    stream_index: int
    """The stream's index in the source (a key of `StreamInfo.passthrough`)."""
    payload: Any
    """The packet as the source's library gives it (an `av.Packet`)."""
    start_s: Fraction = Fraction(0)
    """Seconds to subtract from its timestamps (the source's `--start`)."""


def is_packet(event: object) -> bool:
    """Whether this event of a stream passes by, and is no frame: what a full hand-off must not drop."""
    return isinstance(event, Packet)


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a source knows of its video before the first frame."""

    name: str
    """What the user would call it: a path, a URL, `pattern:`."""
    width: int
    height: int
    format: PixelFormat
    color: ColorSpec
    time_base: Fraction
    rate: Fraction | None
    """Nominal frames a second; a hint only, `pts` is the truth (VFR)."""
    frame_count: int | None = None
    """Frames expected, where known or well estimated; for progress only."""
    duration_s: float | None = None
    sar: Fraction = Fraction(1)
    rotation: int = 0
    has_alpha: bool = False
    interlaced: bool = False
    live: bool = False
    """Frames come at the clock's pace and may be dropped when late."""
    codec: str = ""
    """The video codec's FFmpeg name, or empty."""
    container: str = ""
    """The container's FFmpeg name, or empty."""
    bit_rate: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    """Container metadata (title, comment, ...), to be carried to the output."""
    passthrough: tuple[tuple[int, Any], ...] = ()
    """(index, stream template) of each audio or subtitle stream whose packets will be given."""
    not_carried: tuple[str, ...] = ()
    """Streams of the input that no output will hold, in words, for the report."""
    mastering_display: Any = None
    """HDR mastering display colour volume (SMPTE ST 2086), or None."""
    content_light: tuple[int, int] | None = None
    """(MaxCLL, MaxFALL) in cd/m2 (CTA-861.3), or None."""
