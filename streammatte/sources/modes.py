"""What a camera is and can do, and the mode to open one in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["DEFAULT_RATE", "DEFAULT_SIZE", "Camera", "Mode", "best_mode"]

_RAW = ("yuv420p", "nv12", "yuyv422", "uyvy422")
"""Not compressed: no decoding, no loss; FFmpeg's names."""
DEFAULT_SIZE = (1280, 720)
DEFAULT_RATE = Fraction(30)


@dataclass(frozen=True, slots=True)
class Mode:
    """A format in which a camera can send pictures of one size."""

    format: str
    """FFmpeg's name of the pixel format, or of the codec (mjpeg, h264) where pictures come compressed."""
    width: int
    height: int
    rates: tuple[Fraction, ...]
    """Frames a second, highest first."""

    def rate_for(self, wanted: Fraction) -> Fraction:
        """The lowest of its rates that is enough, or its highest."""
        enough = [rate for rate in self.rates if rate >= wanted * Fraction(99, 100)]
        return min(enough) if enough else max(self.rates, default=wanted)


@dataclass(frozen=True, slots=True)
class Camera:
    """A device that gives pictures."""

    name: str
    """What applications show."""
    place: str
    """What FFmpeg opens: /dev/video0, or the name again."""
    modes: tuple[Mode, ...] = ()
    """Empty where the system does not tell."""
    problem: str = ""
    """Why it cannot be used now, and what to do; empty where it can."""


def best_mode(modes: Sequence[Mode], size: tuple[int, int] | None, rate: Fraction | None) -> Mode | None:
    """The mode nearest to what is wanted; 1280x720 and 30 where nothing is. None of no modes.

    First one that is not smaller, then one that reaches the rate, then the nearest size, then raw before compressed.
    """
    if not modes:
        return None
    wide, high = size or DEFAULT_SIZE
    wanted = rate or DEFAULT_RATE

    def cost(mode: Mode) -> tuple[bool, bool, int, bool, int]:
        smaller = mode.width < wide or mode.height < high
        away = abs(mode.width * mode.height - wide * high)
        slow = max(mode.rates, default=wanted) < wanted * Fraction(99, 100)
        order = _RAW.index(mode.format) if mode.format in _RAW else len(_RAW)
        return smaller, slow, away, mode.format not in _RAW, order

    # A compressed mode that is in time beats a raw one that is not, size for size.
    return min(modes, key=cost)
