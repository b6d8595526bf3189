"""From a path, a kind and a source to what exactly is written: codec, pixel format, colour, options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from streammatte.color import ColorSpec
from streammatte.errors import ContractError, SinkError
from streammatte.frame import PixelFormat, StreamInfo
from streammatte.ports import SinkKind
from streammatte.sinks.codecs import CONTAINERS, DEFAULTS, ENCODERS, IMAGE_SUFFIXES, MATROSKA_LIKE, NVENC, Encoder
from streammatte.sinks.hdr import light_options
from streammatte.sinks.options import SinkOptions

__all__ = ["Plan", "plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before the first frame."""

    muxer: str
    codec: str
    encoder: Encoder
    format: PixelFormat
    """The colour planes written, alpha not counted."""
    alpha: bool
    color: ColorSpec
    """Of the written planes; what the source leaves untagged stays so."""
    width: int
    height: int
    """As coded: the source's, made even where the encoder must."""
    options: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def packed(self) -> bool:
        """The colour planes go into one interleaved B G R A plane (FFV1 has no planar 8-bit RGB)."""
        return self.format.name == "gbrp"

    @property
    def on_device(self) -> bool:
        """The encoder is given frames on a device."""
        return bool(self.encoder.surfaces)

    @property
    def av_format(self) -> str:
        """FFmpeg's name of what the encoder is given."""
        if self.on_device:
            return self.encoder.surfaces
        if self.packed:
            return "bgra" if self.alpha else "bgr0"
        if not self.alpha:
            return self.format.name
        return self.format.name.replace("yuv", "yuva").replace("gbr", "gbra")


def plan(path: Path, kind: SinkKind, info: StreamInfo, options: SinkOptions) -> Plan:
    """What to write into the video file `path`. Raises SinkError where that cannot be.

    Composites are encoded on the device that `options` name where it can; a note says why not.
    """
    usual = _plan(path, kind, info, options, ENCODERS)
    if options.encoder is None or kind != "com":
        return usual
    why = options.encoder.refusal(usual, info, options)
    if why is None:
        there = _plan(path, kind, info, options, NVENC)
        why = options.encoder.unopened(there)
        if why is None:
            return there
    return replace(usual, notes=(*usual.notes, f"encoded on the CPU: {why}"))


def _plan(path: Path, kind: SinkKind, info: StreamInfo, options: SinkOptions, encoders: Mapping[str, Encoder]) -> Plan:
    codec, muxer = _codec(path, kind, info, options)
    encoder = encoders[codec]
    alpha = kind == "fgr"
    if alpha and not encoder.alpha:
        raise SinkError(f"{path}: {codec} cannot hold alpha; {_HOLDS_ALPHA}")
    fmt = _format(path, kind, info, encoder, options)
    color = _color(kind, info, fmt, encoder)
    width, height = _coded_size(info, fmt, encoder)
    light, light_notes = light_options(info, encoder) if kind != "pha" and info.color.hdr else ((), ())
    quality, quality_notes = _quality(path, kind, codec, encoder, options)
    return Plan(
        muxer,
        codec,
        encoder,
        fmt,
        alpha,
        color,
        width,
        height,
        _merge((*encoder.options, *_by_format(encoder, fmt, alpha), *quality, *_quiet(encoder), *light)),
        (*_notes(kind, info, muxer, fmt, color, encoder, (width, height)), *light_notes, *quality_notes),
    )


_HOLDS_ALPHA = "use .mov (ProRes 4444), .webm (VP9), .mkv (FFV1) or .png"


def _codec(path: Path, kind: SinkKind, info: StreamInfo, options: SinkOptions) -> tuple[str, str]:
    """The codec and the muxer."""
    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        known = ", ".join((*CONTAINERS, *IMAGE_SUFFIXES))
        raise SinkError(f"{path}: unknown extension {path.suffix!r}; use {known}, or a folder for PNG files")
    if options.codec is not None:
        if options.codec not in container.codecs:
            held = ", ".join(container.codecs)
            raise SinkError(f"{path}: {path.suffix} does not hold {options.codec!r} here; it holds {held}")
        return options.codec, container.muxer
    choice = DEFAULTS.get((container.muxer, kind))
    if choice is None:
        raise SinkError(f"{path}: {path.suffix} cannot hold alpha; {_HOLDS_ALPHA}")
    deep = info.format.bits > 8 or (kind != "pha" and info.color.hdr)
    return choice[deep], container.muxer


def _format(path: Path, kind: SinkKind, info: StreamInfo, encoder: Encoder, options: SinkOptions) -> PixelFormat:
    """The nearest pixel format the encoder takes, or the one asked for."""
    allowed = encoder.alpha if kind == "fgr" else encoder.formats
    if options.pix_fmt is not None:
        name = options.pix_fmt.replace("yuva", "yuv").replace("gbrap", "gbrp")
        if name not in allowed:
            takes = ", ".join(allowed)
            raise SinkError(f"{path}: {encoder.library} cannot write {options.pix_fmt}; it takes {takes}")
        return PixelFormat.named(name)
    return _nearest(_wanted(kind, info, encoder), (PixelFormat.named(name) for name in allowed))


def _wanted(kind: SinkKind, info: StreamInfo, encoder: Encoder) -> PixelFormat:
    """The format that would lose nothing, or what players expect in place of RGB and gray."""
    source = info.format
    if kind == "pha":
        return _at_depth("gray" if encoder.rgb_becomes is None else "yuv420p", source.bits)
    if source.model == "yuv" or encoder.rgb_becomes is None:
        # No encoder has planar gray with alpha at every depth; gray is RGB with three equal planes.
        return _at_depth("gbrp", source.bits) if kind == "fgr" and source.model == "gray" else source
    return _at_depth(encoder.rgb_becomes, source.bits)


def _at_depth(name: str, bits: int) -> PixelFormat:
    return PixelFormat.named(name if bits <= 8 else f"{name}{bits}le")


def _nearest(wanted: PixelFormat, candidates: Iterable[PixelFormat]) -> PixelFormat:
    """The candidate that loses least (depth first, then chroma), then the one that wastes least."""

    def cost(fmt: PixelFormat) -> tuple[int, int, int, int]:
        steps = (
            fmt.log2_chroma_w - wanted.log2_chroma_w,
            fmt.log2_chroma_h - wanted.log2_chroma_h,
        )
        deeper = fmt.bits - wanted.bits
        return max(0, -deeper), sum(max(0, s) for s in steps), max(0, deeper), sum(max(0, -s) for s in steps)

    same = [fmt for fmt in candidates if fmt.model == wanted.model]
    if not same:
        raise ContractError(f"an encoder for {wanted.model}", "none")
    return min(same, key=cost)


def _color(kind: SinkKind, info: StreamInfo, fmt: PixelFormat, encoder: Encoder) -> ColorSpec:
    if kind == "pha":
        return ColorSpec(full_range=True) if fmt.model == "gray" else ColorSpec(1, 1, 1, False)
    source = info.color
    if fmt.model == info.format.model:
        limit = encoder.limited and source.full_range
        return replace(source, full_range=False) if limit else source
    if fmt.model == "gbr":
        return replace(source, matrix=0, full_range=True)
    tagged = source.resolved("gbr", info.height)
    return replace(tagged, matrix=9 if tagged.primaries == 9 else 1, full_range=False)


def _coded_size(info: StreamInfo, fmt: PixelFormat, encoder: Encoder) -> tuple[int, int]:
    if not encoder.even:
        return info.width, info.height
    step_w, step_h = 1 << fmt.log2_chroma_w, 1 << fmt.log2_chroma_h
    return -(-info.width // step_w) * step_w, -(-info.height // step_h) * step_h


_Options = tuple[tuple[str, str], ...]


def _quality(
    path: Path, kind: SinkKind, codec: str, encoder: Encoder, options: SinkOptions
) -> tuple[_Options, tuple[str, ...]]:
    notes = []
    chosen: list[tuple[str, str]] = []
    if encoder.quality is None:
        notes += [f"crf does not apply to {codec}"] if options.crf is not None else []
    elif kind == "pha" and options.crf is None:
        chosen += encoder.matte
    else:
        usual = encoder.alpha_quality if kind == "fgr" and encoder.alpha_quality is not None else encoder.quality
        crf = usual if options.crf is None else options.crf
        low, high = encoder.quality_range
        if not low <= crf <= high:
            raise SinkError(f"{path}: crf {crf} is out of range; {codec} takes {low} to {high}")
        chosen.append((encoder.quality_option, str(crf)))
    if encoder.preset_option is not None:
        chosen.append((encoder.preset_option, options.preset or encoder.preset))
    elif options.preset is not None:
        notes.append(f"preset does not apply to {codec}")
    return tuple(chosen), tuple(notes)


def _by_format(encoder: Encoder, fmt: PixelFormat, alpha: bool) -> _Options:
    if encoder.library != "prores_ks":
        return ()
    profile = ("profile", "4" if fmt.name == "yuv444p10le" else "3")
    return (profile, ("alpha_bits", "16")) if alpha else (profile,)


def _quiet(encoder: Encoder) -> _Options:
    """x265 prints to the terminal by itself."""
    return (("x265-params", "log-level=none"),) if encoder.library == "libx265" else ()


def _merge(pairs: _Options) -> _Options:
    """One entry a key; values of a repeated key are joined with ':', as the *-params options want."""
    merged: dict[str, str] = {}
    for key, value in pairs:
        merged[key] = f"{merged[key]}:{value}" if key in merged else value
    return tuple(merged.items())


def _notes(
    kind: SinkKind,
    info: StreamInfo,
    muxer: str,
    fmt: PixelFormat,
    color: ColorSpec,
    encoder: Encoder,
    size: tuple[int, int],
) -> list[str]:
    notes = []
    source = info.format
    if kind == "pha" and fmt.model == "yuv":
        notes.append(f"alpha is written as luma, black to white in limited range ({fmt.name})")
    elif kind != "pha" and fmt != source:
        matrix = {1: " BT.709", 9: " BT.2020"}.get(color.matrix, "") if source.model != "yuv" else ""
        notes.append(f"pixels converted from {source.name} to {fmt.name}{matrix}")
    if kind != "pha" and encoder.limited and info.color.full_range and fmt.model == source.model:
        notes.append("full range converted to limited, all that ProRes holds")
    if size != (info.width, info.height):
        padded = f"{info.width}x{info.height} padded to {size[0]}x{size[1]}"
        notes.append(f"{padded} by repeating the edge: {fmt.name} is even")
    if info.interlaced and not encoder.interlaced:
        notes.append(f"interlaced pictures are stored whole; {encoder.library} does not code fields")
    elif info.interlaced:
        notes.append("interlaced pictures are flagged top field first; the source's field order is not known")
    if info.sar != 1 and muxer in MATROSKA_LIKE and not encoder.sar:
        ratio = f"{info.sar.numerator}:{info.sar.denominator}"
        notes.append(f"samples are {ratio}, not square, which the file does not say; .mp4, .mov or H.264 would")
    if muxer in MATROSKA_LIKE and (1000 * info.time_base).denominator != 1:
        notes.append("times are kept to 1 ms, all that Matroska and WebM hold")
    return notes
