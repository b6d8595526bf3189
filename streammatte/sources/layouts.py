"""How FFmpeg's interleaved pixel formats lie in memory (libavutil/pixdesc.c), as tables."""

from __future__ import annotations

from dataclasses import dataclass

import av

__all__ = ["PACKED", "SEMIPLANAR", "SUBSAMPLED", "Packed", "Semiplanar", "nearest_planar"]


@dataclass(frozen=True, slots=True)
class Semiplanar:
    """A luma plane and one plane of chroma pairs."""

    planar: str
    """The planar format with the same samples."""
    shift: int = 0
    """Empty bits below each sample."""
    swapped: bool = False
    """V comes before U."""
    big_endian: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """All components in one plane."""

    planar: str
    order: str
    """One letter a sample in memory order; x is padding."""
    shift: int = 0
    big_endian: bool = False


def _semiplanar() -> dict[str, Semiplanar]:
    table = {
        "nv12": Semiplanar("yuv420p"),
        "nv21": Semiplanar("yuv420p", swapped=True),
        "nv16": Semiplanar("yuv422p"),
        "nv24": Semiplanar("yuv444p"),
        "nv42": Semiplanar("yuv444p", swapped=True),
        "nv20le": Semiplanar("yuv422p10le"),
        "nv20be": Semiplanar("yuv422p10le", big_endian=True),
    }
    for digit, chroma in (("0", "420"), ("2", "422"), ("4", "444")):
        for bits in (10, 12, 16):
            for end in ("le", "be"):
                layout = Semiplanar(f"yuv{chroma}p{bits}le", 16 - bits, big_endian=end == "be")
                table[f"p{digit}{bits}{end}"] = layout
    return table


def _packed() -> dict[str, Packed]:
    table = {"ya8": Packed("gray", "ya")}
    for order in ("rgb", "bgr"):
        table[f"{order}24"] = Packed("gbrp", order)
        for name in (f"{order}a", f"a{order}", f"{order}0", f"0{order}"):
            table[name] = Packed("gbrp", name.replace("0", "x"))
    for name in ("vuya", "ayuv", "uyva", "vuyx"):
        table[name] = Packed("yuv444p", name)
    table["vyu444"] = Packed("yuv444p", "vyu")
    for end in ("le", "be"):
        big = end == "be"
        table[f"ya16{end}"] = Packed("gray16le", "ya", big_endian=big)
        table[f"ayuv64{end}"] = Packed("yuv444p16le", "ayuv", big_endian=big)
        table[f"xv36{end}"] = Packed("yuv444p12le", "uyvx", 4, big)
        table[f"xv48{end}"] = Packed("yuv444p16le", "uyvx", 0, big)
        for order in ("rgb", "bgr"):
            table[f"{order}48{end}"] = Packed("gbrp16le", order, big_endian=big)
            table[f"{order}a64{end}"] = Packed("gbrp16le", f"{order}a", big_endian=big)
    return table


SEMIPLANAR = _semiplanar()
PACKED = _packed()
SUBSAMPLED = {
    "yuyv422": Packed("yuv422p", "yuyv"),
    "yvyu422": Packed("yuv422p", "yvyu"),
    "uyvy422": Packed("yuv422p", "uyvy"),
    "y210le": Packed("yuv422p10le", "yuyv", 6),
    "y210be": Packed("yuv422p10le", "yuyv", 6, True),
    "y212le": Packed("yuv422p12le", "yuyv", 4),
    "y212be": Packed("yuv422p12le", "yuyv", 4, True),
    "y216le": Packed("yuv422p16le", "yuyv"),
    "y216be": Packed("yuv422p16le", "yuyv", 0, True),
}


def nearest_planar(format_: av.VideoFormat) -> str:
    """The planar format for one that is in no table: it holds all, or most, of it (float becomes 16 bit)."""
    components = format_.components
    bits = max(component.bits for component in components)
    deep = next((b for b in (8, 10, 12, 16) if b >= bits), 16)
    has_alpha = any(component.is_alpha for component in components)
    suffix = "" if deep == 8 else f"{deep}le"
    if format_.is_rgb or format_.is_bayer:
        return f"gbr{'a' if has_alpha else ''}p{suffix}"
    if len(components) < 3:
        return f"gray{suffix}"
    chroma = {(1, 1): "420", (1, 0): "422", (0, 0): "444", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
    key = (_halvings(format_.width, components[1].width), _halvings(format_.height, components[1].height))
    return f"yuv{'a' if has_alpha else ''}{chroma.get(key, '444')}p{suffix}"


def _halvings(whole: int, part: int) -> int:
    count = 0
    while -(-whole >> count) > part:
        count += 1
    return count
