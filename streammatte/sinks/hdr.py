"""HDR side data in the words of the encoders: mastering display (ST 2086), content light (CTA-861.3)."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

from streammatte.frame import StreamInfo
from streammatte.sinks.codecs import Encoder

__all__ = ["light_options", "mastering_volume"]

Volume = tuple[Fraction, ...]
"""R, G, B and white x, y; then min and max cd/m2."""

_PARAMETERS = {
    # option: (names of mastering display and content light, chromaticity and luminance units)
    "x264-params": ("mastering-display", "cll", 50000, 10000),
    "x265-params": ("master-display", "max-cll", 50000, 10000),
    "svtav1-params": ("mastering-display", "content-light", None, None),
}


class _MasteringDisplay(Protocol):
    """What a source says of the screen a film was graded on."""

    primaries: tuple[tuple[Fraction, Fraction], ...] | None
    white_point: tuple[Fraction, Fraction] | None
    min_luminance: Fraction | None
    max_luminance: Fraction | None


def mastering_volume(display: _MasteringDisplay | None) -> Volume | None:
    """The display as ten numbers; None where any is missing, for encoders take all or nothing."""
    if display is None or display.primaries is None or display.white_point is None:
        return None
    if display.min_luminance is None or display.max_luminance is None:
        return None
    points = (*display.primaries, display.white_point)
    return (*(number for point in points for number in point), display.min_luminance, display.max_luminance)


def light_options(info: StreamInfo, encoder: Encoder) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The encoder options that carry the source's HDR side data, and notes on what cannot be carried."""
    volume = mastering_volume(info.mastering_display)
    if info.mastering_display is None and info.content_light is None:
        return (), ()
    if encoder.light is None:
        return (), (f"HDR mastering data is not carried; {encoder.library} has no place for it",)
    display_name, light_name, chroma_unit, light_unit = _PARAMETERS[encoder.light]
    parts = []
    if volume is not None:
        parts.append(f"{display_name}={_display(volume, chroma_unit, light_unit)}")
    if info.content_light is not None:
        parts.append(f"{light_name}={info.content_light[0]},{info.content_light[1]}")
    lost = info.mastering_display is not None and volume is None
    notes = ("the mastering display is not carried: the source says only part of it",) if lost else ()
    return ((encoder.light, ":".join(parts)),) if parts else (), notes


def _display(volume: Volume, chroma_unit: int | None, light_unit: int | None) -> str:
    def number(value: Fraction, unit: int | None) -> str:
        return f"{float(value):.6f}" if unit is None else str(round(value * unit))

    x = [number(value, chroma_unit) for value in volume[:8]]
    low, high = (number(value, light_unit) for value in volume[8:])
    return f"G({x[2]},{x[3]})B({x[4]},{x[5]})R({x[0]},{x[1]})WP({x[6]},{x[7]})L({high},{low})"
