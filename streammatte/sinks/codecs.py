"""Which encoder writes what: facts in tables.

`CONTAINERS` says what each extension is and can hold, `DEFAULTS` what is chosen where the user says nothing,
`ENCODERS` what each encoder takes, `NVENC` which of their codecs an NVIDIA GPU encodes. `plan` in `planning` reads
them.

Qualities and presets were measured on 40 frames of handheld 1080p video on two cores: SSIM 0.99, 47 dB PSNR
or better.
"""

from __future__ import annotations

from dataclasses import dataclass

from streammatte.ports import SinkKind

__all__ = ["CONTAINERS", "DEFAULTS", "ENCODERS", "IMAGE_SUFFIXES", "MATROSKA_LIKE", "NVENC", "Container", "Encoder"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Container:
    """A file format: FFmpeg's name of the muxer and the codecs it may hold here."""

    muxer: str
    codecs: tuple[str, ...]


CONTAINERS = {
    ".mp4": Container("mp4", ("h264", "hevc", "av1", "vp9")),
    ".m4v": Container("mp4", ("h264", "hevc", "av1")),
    ".mov": Container("mov", ("h264", "hevc", "prores")),
    ".mkv": Container("matroska", ("h264", "hevc", "av1", "vp9", "ffv1", "prores")),
    ".webm": Container("webm", ("vp9", "av1")),
}
MATROSKA_LIKE = ("matroska", "webm")

DEFAULTS: dict[tuple[str, SinkKind], tuple[str, str]] = {
    # (muxer, kind): the codec for 8-bit SDR, the codec for more bits or HDR
    ("mp4", "com"): ("h264", "hevc"),
    ("mov", "com"): ("h264", "hevc"),
    ("matroska", "com"): ("h264", "hevc"),
    ("webm", "com"): ("vp9", "av1"),
    ("mov", "fgr"): ("prores", "prores"),
    ("matroska", "fgr"): ("ffv1", "ffv1"),
    ("webm", "fgr"): ("vp9", "vp9"),
    ("mp4", "pha"): ("h264", "hevc"),
    ("mov", "pha"): ("h264", "hevc"),
    ("matroska", "pha"): ("ffv1", "ffv1"),
    ("webm", "pha"): ("vp9", "av1"),
}


@dataclass(frozen=True, slots=True)
class Encoder:
    """One of FFmpeg's encoders as it is used here."""

    library: str
    formats: tuple[str, ...]
    """Pixel formats it takes, alpha not counted, `PixelFormat` names; gbrp at 8 bits is written packed."""
    alpha: tuple[str, ...] = ()
    """Those of `formats` it can hold alpha beside."""
    options: tuple[tuple[str, str], ...] = ()
    quality: int | None = None
    """Default crf; None where there is no such scale."""
    alpha_quality: int | None = None
    """Default crf where alpha is held too; None: as without. One crf holds for both layers, and alpha shows more."""
    matte: tuple[tuple[str, str], ...] = ()
    """What takes the place of crf for a matte where the user gives none: lossless or nearly, for mattes are cheap."""
    quality_option: str = "crf"
    """The option that takes `quality`."""
    quality_range: tuple[int, int] = (0, 51)
    preset_option: str | None = None
    preset: str = ""
    rgb_becomes: str | None = "yuv420p"
    """What RGB and gray pictures are converted to (at their own depth); None: kept as they are."""
    even: bool = False
    """Width and height must be multiples of the chroma step."""
    sar: bool = False
    """Its bitstream says how wide a sample is, for containers that cannot be told here (Matroska, WebM)."""
    limited: bool = False
    """Holds limited range only."""
    interlaced: bool = False
    """Can code fields."""
    light: str | None = None
    """The option that takes HDR mastering display and content light, if any."""
    surfaces: str = ""
    """FFmpeg's pixel format of the frames on a device that it takes; empty: it takes frames on the host."""


def _yuv(subsamplings: str, depths: str) -> tuple[str, ...]:
    suffixes = ["" if depth == "8" else f"{depth}le" for depth in depths.split()]
    return tuple(f"yuv4{sub}p{suffix}" for sub in subsamplings.split() for suffix in suffixes)


_FFV1_DEEP = "9 10 12 16"

ENCODERS = {
    "h264": Encoder(
        "libx264",
        _yuv("20 22 44", "8 10"),
        quality=17,
        matte=(("qp", "1"),),  # 0 would be lossless, in a profile that few players decode
        preset_option="preset",
        preset="superfast",
        even=True,
        sar=True,
        interlaced=True,
        light="x264-params",
    ),
    "hevc": Encoder(
        "libx265",
        _yuv("20 22 44", "8 10 12"),
        quality=14,
        matte=(("x265-params", "lossless=1"),),
        preset_option="preset",
        preset="ultrafast",
        even=True,
        sar=True,
        light="x265-params",
    ),
    "av1": Encoder(
        "libsvtav1",
        _yuv("20", "8 10"),
        quality=15,
        matte=(("svtav1-params", "lossless=1"),),
        quality_range=(1, 63),
        preset_option="preset",
        preset="9",  # 10 and up warn of artefacts
        even=True,
        light="svtav1-params",
    ),
    "vp9": Encoder(
        "libvpx-vp9",
        (*_yuv("20 22 40 44", "8"),),
        alpha=("yuv420p",),  # all that browsers and players decode
        options=(("deadline", "realtime"), ("row-mt", "1"), ("tile-columns", "2"), ("auto-alt-ref", "0")),
        quality=18,
        alpha_quality=8,
        matte=(("lossless", "1"),),
        quality_range=(0, 63),
        preset_option="cpu-used",
        preset="8",
    ),
    "prores": Encoder(
        "prores_ks",
        ("yuv422p10le", "yuv444p10le"),
        alpha=("yuv444p10le",),
        options=(("vendor", "apl0"),),
        rgb_becomes="yuv444p",
        limited=True,
        interlaced=True,
    ),
    "ffv1": Encoder(
        "ffv1",
        (
            *_yuv("20 22 44", f"8 {_FFV1_DEEP} 14"),
            *_yuv("40", "8 10 12"),
            *_yuv("11 10", "8"),
            *("gbrp", "gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le"),
            *("gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le"),
        ),
        alpha=(
            *_yuv("20", "8 9 10 16"),
            *_yuv("22 44", f"8 {_FFV1_DEEP}"),
            *("gbrp", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le"),
        ),
        options=(("level", "3"), ("coder", "1"), ("g", "1")),
        rgb_becomes=None,
    ),
}

_NVENC = (("rc", "vbr"), ("tune", "hq"))

NVENC = {
    "h264": Encoder(
        "h264_nvenc",
        _yuv("20", "8"),
        options=(*_NVENC, ("profile", "high")),
        quality=17,
        quality_option="cq",
        quality_range=(1, 51),
        preset_option="preset",
        preset="p5",
        even=True,
        sar=True,
        surfaces="cuda",
    ),
    "hevc": Encoder(
        "hevc_nvenc",
        _yuv("20", "8 10"),
        options=_NVENC,
        quality=14,
        quality_option="cq",
        quality_range=(1, 51),
        preset_option="preset",
        preset="p5",
        even=True,
        sar=True,
        surfaces="cuda",
    ),
    "av1": Encoder(
        "av1_nvenc",
        _yuv("20", "8 10"),
        options=_NVENC,
        quality=15,
        quality_option="cq",
        quality_range=(1, 63),
        preset_option="preset",
        preset="p5",
        even=True,
        surfaces="cuda",
    ),
}
"""Its qualities are those of the CPU's encoders, on scales of the same ends; they were not measured."""
