"""What the user may say about an output file."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LOOPBACK", "SinkOptions"]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """Settings of one output; None leaves the choice to the tables in `codecs`."""

    codec: str | None = None
    """h264, hevc, av1, vp9, prores, ffv1 or png."""
    crf: int | None = None
    """Constant quality, the encoder's own scale: lower is better."""
    preset: str | None = None
    """The encoder's own preset: a word for x264 and x265, a number for SVT-AV1 and VP9 (cpu-used)."""
    pix_fmt: str | None = None
    """FFmpeg's name of the pixel format to write."""
    force: bool = False
    """Replace what is already there."""
    extra_metadata: tuple[tuple[str, str], ...] = ()
    """Container metadata added to the source's; wins over a source's key of the same name."""
    threads: int = 0
    """Encoder threads; 0 lets the encoder decide."""
    listen: str = LOOPBACK
    """The address that live outputs which others connect to are open at."""
