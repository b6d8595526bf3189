"""What a user may say about an input beyond its name."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from streammatte.errors import ConfigError

if TYPE_CHECKING:
    import av
    from av.codec.hwaccel import HWAccel

    from streammatte.sources.planes import Picture

__all__ = ["PICTURE_SUFFIXES", "Decoder", "SourceOptions", "exact_seconds"]

PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".tga", ".ppm", ".pgm", ".dpx", ".exr")
)
"""Names that end so are still pictures, in lower case."""


class Decoder(Protocol):
    """Decodes on a device what FFmpeg would decode on the CPU."""

    def refusal(self, video: av.VideoStream) -> str | None:
        """Why it is not to decode this stream, in words; None where it may be tried."""

    def hwaccel(self) -> HWAccel:
        """What FFmpeg is told of it. Called by the thread that opens the input, right before."""

    def unpack(self, frame: av.VideoFrame) -> Picture:
        """The planes of a frame on the device, as tensors of their own memory."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How an input is read. The defaults suit every file that says what it is."""

    start_s: float = 0.0
    """Begin this long after the first video frame; that instant becomes time 0 of all streams."""
    duration_s: float | None = None
    """Stop this long after the start; None reads to the end."""
    input_format: str | None = None
    """FFmpeg's name of the container, where the input does not tell (rawvideo, mpegts, ...)."""
    input_size: tuple[int, int] | None = None
    """(width, height) of rawvideo."""
    input_pix_fmt: str | None = None
    """FFmpeg's name of rawvideo's pixel format."""
    input_rate: Fraction | None = None
    """Frames a second of rawvideo and of image sequences (25 where None)."""
    camera_size: tuple[int, int] | None = None
    """(width, height) wanted of a camera or screen; None: near 1280x720."""
    camera_rate: Fraction | None = None
    """Frames a second wanted of a camera or screen; None: 30."""
    salvage: bool = False
    """Take what decodes of a cut or damaged input, instead of raising SourceError."""
    libjpeg: bool = False
    """Decode JPEG pictures to upright RGB by libjpeg, as Pillow does; FFmpeg keeps their YCbCr and rounds otherwise."""
    decoder: Decoder | None = None
    """What decodes files where it can, so that their frames are on a device; None: the CPU decodes everything."""

    def __post_init__(self) -> None:
        if self.start_s < 0:
            raise ConfigError("--start", f"must be 0 s or more, got {self.start_s}")
        if self.duration_s is not None and self.duration_s <= 0:
            raise ConfigError("--duration", f"must be more than 0 s, got {self.duration_s}")
        if self.input_rate is not None and self.input_rate <= 0:
            raise ConfigError("--input-rate", f"must be more than 0 frames a second, got {self.input_rate}")

    @property
    def start(self) -> Fraction:
        """`start_s` as the decimal or fraction the user meant."""
        return exact_seconds(self.start_s)

    @property
    def end(self) -> Fraction | None:
        """Seconds after the input's own start at which reading stops; None: never."""
        return None if self.duration_s is None else self.start + exact_seconds(self.duration_s)


def exact_seconds(value: float) -> Fraction:
    """The simplest fraction within a microsecond or so of `value`: 0.1 is 1/10, not its binary neighbour."""
    return Fraction(value).limit_denominator(1_000_000)
