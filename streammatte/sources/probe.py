"""What a container and its first decoded frame say of the video: the `StreamInfo` of a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.container
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.errors import SourceError
from streammatte.sources.planes import Picture

__all__ = [
    "MasteringDisplay",
    "Streams",
    "carried_metadata",
    "chroma_location",
    "color_spec",
    "content_light",
    "declared_end",
    "mastering_display",
    "mirrored",
    "quarter_turns",
    "select_streams",
    "start_time",
]

_TECHNICAL = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
# Formats whose header states a duration; for others FFmpeg measures or guesses it, which proves nothing.
_DECLARING = {"mov", "matroska", "avi", "flv", "asf", "mxf"}


@dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """SMPTE ST 2086: the screen a film was graded on."""

    primaries: tuple[tuple[Fraction, Fraction], ...] | None
    """CIE 1931 (x, y) of R, G, B."""
    white_point: tuple[Fraction, Fraction] | None
    min_luminance: Fraction | None
    """cd/m2"""
    max_luminance: Fraction | None
    """cd/m2"""


@dataclass(frozen=True, slots=True)
class Streams:
    """A container's streams, sorted by what becomes of them."""

    video: av.VideoStream
    passing: tuple[Any, ...]
    """Audio and subtitle streams whose packets are given."""
    left_out: tuple[str, ...]
    """The rest, in words."""


def select_streams(name: str, container: av.container.InputContainer) -> Streams:
    """The video (the default one, else the largest; never cover art) and the rest. Raises SourceError."""
    videos = [s for s in container.streams.video if not _is_cover(s) and s.codec_context is not None]
    if not videos:
        raise SourceError(f"{name}: holds no video{_instead(container)}")
    video = max(videos, key=_preference)
    passing = tuple(s for s in container.streams if _passes(s))
    kept = {video.index, *(s.index for s in passing)}
    left_out = [_in_words(s) for s in container.streams if s.index not in kept]
    if chapters := len(container.chapters()):
        left_out.append(f"{chapters} chapter mark{'s' if chapters > 1 else ''}")
    return Streams(video, passing, tuple(left_out))


def _preference(stream: Any) -> tuple[bool, int, int]:
    return bool(stream.disposition & Disposition.default), stream.width * stream.height, -stream.index


def _passes(stream: Any) -> bool:
    return stream.type in ("audio", "subtitle") and stream.codec_context is not None


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _instead(container: av.container.InputContainer) -> str:
    held = sorted({"cover art" if _is_cover(s) else s.type for s in container.streams})
    return f", only {' and '.join(held)}" if held else ""


def _in_words(stream: Any) -> str:
    if stream.type == "video":
        kind = "cover art" if _is_cover(stream) else "another video stream"
    else:
        kind = f"{stream.type} stream"
    context = getattr(stream, "codec_context", None)
    codec = context.name if context is not None else getattr(stream, "name", None)
    return f"{kind} #{stream.index} ({codec or 'unknown codec'})"


def start_time(video: av.VideoStream) -> Fraction:
    """Seconds, on the input's own clock, at which its video begins: what `--start` counts from."""
    return Fraction(video.start_time or 0) * (video.time_base or 0)


def declared_end(container: av.container.InputContainer, video: av.VideoStream) -> Fraction | None:
    """Seconds, on the input's own clock, at which its header says that the video ends; None: no word."""
    kind = container.format.name.split(",")[0]
    if kind not in _DECLARING:
        return None
    if kind == "mov" and video.duration and video.time_base:
        return ((video.start_time or 0) + video.duration) * video.time_base
    if container.duration:
        return Fraction((container.start_time or 0) + container.duration, 1_000_000)
    return None


def color_spec(frame: av.VideoFrame, picture: Picture, location: ChromaLocation) -> ColorSpec:
    """The frame's tags. A range that is not tagged is full where the pixel format implies it (gray, yuvj)."""
    tagged = {1: False, 2: True}.get(int(frame.color_range))
    return ColorSpec(
        matrix=int(frame.colorspace),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        full_range=picture.full_range if tagged is None else tagged,
        chroma_location=location,
    )


def chroma_location(stream: av.VideoStream) -> ChromaLocation:
    """Where chroma samples sit, as tagged.

    PyAV does not expose the field, but FFmpeg's Matroska muxer writes it: a header is made and read.
    """
    if stream.codec_context.name in ("mjpeg", "mpeg1video"):
        return ChromaLocation.CENTER  # JFIF and ISO/IEC 11172-2 leave no choice
    try:
        header = io.BytesIO()
        with av.open(header, "w", format="matroska") as container:
            container.add_stream_from_template(stream)
            container.start_encoding()
    except (av.FFmpegError, ValueError, RuntimeError, TypeError):
        return ChromaLocation.UNSPECIFIED  # a codec that Matroska does not know
    return _matroska_siting(header.getvalue())


def _matroska_siting(header: bytes) -> ChromaLocation:
    at = header.find(b"\x55\xb7\x81")  # ChromaSitingHorz, one byte; ChromaSitingVert follows
    if at < 0 or header[at + 4 : at + 7] != b"\x55\xb8\x81":
        return ChromaLocation.UNSPECIFIED
    places = {(1, 1): ChromaLocation.TOP_LEFT, (1, 2): ChromaLocation.LEFT, (2, 1): ChromaLocation.TOP}
    return places.get((header[at + 3], header[at + 7]), ChromaLocation.CENTER)


def _side_data(frame: av.VideoFrame, kind: SideDataType) -> bytes | None:
    try:
        container: Mapping[Any, Any] = frame.side_data
        return bytes(container[kind])
    except (KeyError, ValueError):  # ValueError: PyAV meets a kind newer than its list, such as EXIF
        return None


def quarter_turns(frame: av.VideoFrame) -> int:
    """Degrees counter-clockwise (0, 90, 180, 270) that turn the picture upright; odd angles count as 0."""
    turns, rest = divmod(frame.rotation + 1, 90)  # the angle is cut to whole degrees: 89.99 reads 89
    return turns % 4 * 90 if rest <= 2 else 0


def mirrored(frame: av.VideoFrame) -> bool:
    """The display matrix also flips the picture, which `rotation` cannot say."""
    payload = _side_data(frame, SideDataType.DISPLAYMATRIX)
    if payload is None or len(payload) < 36:
        return False
    matrix = np.frombuffer(payload, np.int32, 9).astype(np.float64)
    return bool(matrix[0] * matrix[4] - matrix[1] * matrix[3] < 0)


def mastering_display(frame: av.VideoFrame) -> MasteringDisplay | None:
    """HDR mastering metadata (libavutil's AVMasteringDisplayMetadata, read as it lies in memory)."""
    payload = _side_data(frame, SideDataType.MASTERING_DISPLAY_METADATA)
    if payload is None or len(payload) < 88:
        return None
    words = [int(word) for word in np.frombuffer(payload, np.int32, 22)]
    ratios = [Fraction(words[i], words[i + 1] or 1) for i in range(0, 20, 2)]
    pairs = tuple((ratios[i], ratios[i + 1]) for i in range(0, 8, 2))
    has_primaries, has_luminance = words[20], words[21]
    return MasteringDisplay(
        primaries=pairs[:3] if has_primaries else None,
        white_point=pairs[3] if has_primaries else None,
        min_luminance=ratios[8] if has_luminance else None,
        max_luminance=ratios[9] if has_luminance else None,
    )


def content_light(frame: av.VideoFrame) -> tuple[int, int] | None:
    """(MaxCLL, MaxFALL) in cd/m2."""
    payload = _side_data(frame, SideDataType.CONTENT_LIGHT_LEVEL)
    if payload is None or len(payload) < 8:
        return None
    most, average = (int(word) for word in np.frombuffer(payload, np.uint32, 2))
    return most, average


def carried_metadata(container: av.container.InputContainer) -> tuple[tuple[str, str], ...]:
    """The container's tags, without those that describe the file rather than the film."""
    return tuple((k, v) for k, v in container.metadata.items() if k.lower() not in _TECHNICAL)
