"""From settings to a pipeline that is ready to run: opens the source, the model, the background and the sinks."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import webcolors

from streammatte import registry
from streammatte.backgrounds.blur import BlurBackground
from streammatte.backgrounds.still import ImageBackground, SolidBackground
from streammatte.backgrounds.video import VideoBackground
from streammatte.compositor import composite
from streammatte.compositors.light_wrap import LightWrap
from streammatte.compositors.linear import linear_composite
from streammatte.config import Settings
from streammatte.errors import ConfigError, SourceError
from streammatte.foregrounds.despill import DespillForeground
from streammatte.inference import Pace
from streammatte.inspector import Inspector
from streammatte.matter import Matter
from streammatte.meter import RunReport
from streammatte.pipeline import Pipeline, Progress, RunFacts, Stages
from streammatte.ports import Background, Compositor, Foreground, Refiner, Sink, SinkKind, Source, Stabilizer
from streammatte.quality import Quality, quality_of
from streammatte.refiners.edges import EdgeRefiner
from streammatte.sinks import SinkOptions, open_sink
from streammatte.sources import PICTURE_SUFFIXES, SourceOptions, open_source
from streammatte.weights.fetch import Progress as PullProgress

__all__ = ["matte", "open_input", "open_pipeline", "planned_outputs", "streams_for"]

_BLUR_PERCENT = 2.5
_MOST_STREAMS = 4
"""Each holds a network's activations, and up to one more frame, in memory."""


def matte(
    source: str | Path,
    *,
    background: str | Path | None = None,
    output: str | Path | None = None,
    progress: Progress | None = None,
    **settings: object,
) -> RunReport:
    """Matte a file: `streammatte.matte("in.mp4", background="beach.jpg", output="out.mp4")`.

    `background` and `output` are the settings `bg` and `output`; every other field of `Settings` may be given by
    name. Blocks until done and returns the run report. Raises StreammatteError.
    """
    if background is not None:
        settings["bg"] = str(background)
    if output is not None:
        settings["output"] = (Path(output),)
    unknown = set(settings) - set(Settings.__dataclass_fields__)
    if unknown:
        raise ConfigError(sorted(unknown)[0], f"no such setting; one of {', '.join(Settings.__dataclass_fields__)}")
    return open_pipeline(str(source), Settings(**settings)).run(progress)  # type: ignore[arg-type]


def open_input(spec: str, settings: Settings) -> Source:
    """The source that `spec` names, cut and read as the settings say."""
    options = SourceOptions(
        start_s=settings.start_s,
        duration_s=settings.duration_s,
        input_format=settings.input_format,
        input_size=settings.size_px(),
        input_pix_fmt=settings.input_pix_fmt,
        input_rate=settings.rate(),
        salvage=settings.salvage,
    )
    return open_source(spec, options)


def planned_outputs(spec: str, settings: Settings) -> list[tuple[Path, SinkKind]]:
    """What will be written: the outputs asked for, or one beside the input where neither these nor a matte are."""
    kind: SinkKind = "fgr" if settings.bg in (None, "none") else "com"
    outputs = list(settings.output)
    if not outputs and (settings.matte is None or settings.bg is not None):
        outputs = [_beside(spec, kind)]
    planned: list[tuple[Path, SinkKind]] = [(path, kind) for path in outputs]
    if settings.matte is not None:
        planned.append((settings.matte, "pha"))
    _check_apart(spec, [path for path, _ in planned])
    return planned


def _check_apart(spec: str, outputs: list[Path]) -> None:
    """Each output is a place of its own, and none is the input, by whatever name or link."""
    taken: set[Path] = set()
    for path in outputs:
        place = path.resolve()
        if place in taken:
            raise ConfigError("--output", f"{path} is named twice; give each output a path of its own")
        if place == Path(spec.removeprefix("file://")).resolve():
            raise ConfigError("--output", f"{path} is the input; choose another name")
        taken.add(place)


def _beside(spec: str, kind: SinkKind) -> Path:
    path = Path(spec)
    folder, stem = (path.parent, path.stem) if path.is_file() else (Path(), "streammatte")
    if path.is_dir():  # of images; "." and ".." have a name only once resolved
        folder, stem = path.parent, path.resolve().name
    if path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES:
        suffix = ".png"
    elif kind == "fgr":
        suffix = ".mov"
    else:
        suffix = path.suffix.lower() if path.suffix.lower() in (".mp4", ".mov", ".mkv", ".webm") else ".mp4"
    return folder / f"{stem}.matted{suffix}"


def open_pipeline(
    spec: str, settings: Settings, *, pulling: PullProgress | None = None, inspector: Inspector | None = None
) -> Pipeline:
    """Everything opened, nothing running. What was opened is closed again where a later part fails.

    Mattes are always inspected, by `inspector` where one is given: to have its pictures afterwards.
    """
    planned = planned_outputs(spec, settings)
    undo: list[Callable[[], None]] = []
    try:
        source = open_input(spec, settings)
        undo.append(source.close)
        background = _background(settings)
        if background is not None:
            undo.append(background.close)
        _check_required(settings)
        quality = quality_of(settings, live=source.info.live)
        matter = _matter(settings, quality, pulling, streams_for(live=source.info.live))
        undo.append(matter.close)
        sinks: list[Sink] = []
        for path, kind in planned:
            sinks.append(open_sink(path, kind, source.info, _sink_options(settings, matter)))
            undo.append(sinks[-1].abort)
        stages = _stages(settings, quality, matter, background, live=source.info.live)
        return Pipeline(source, stages, sinks, _facts(matter), inspector or Inspector())
    except BaseException:
        for action in reversed(undo):
            action()
        raise


def _check_required(settings: Settings) -> None:
    if settings.require and settings.runtime not in ("auto", settings.require):
        raise ConfigError("--require", f"asks for {settings.require}, --runtime for {settings.runtime}; give one")


def streams_for(*, live: bool) -> int:
    """Frames in the network at once: files gain by one a core (seen: up to half as fast again), calls must not wait."""
    if live:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_STREAMS)


def _matter(settings: Settings, quality: Quality, pulling: PullProgress | None, streams: int) -> Matter:
    return Matter(
        settings.model,
        runtime=settings.runtime,
        precision=settings.precision,
        compat=settings.compat,
        require=settings.require,
        streams=streams,
        mirror=quality.mirror,
        progress=pulling,
    )


def _stages(
    settings: Settings, quality: Quality, matter: Matter, background: Background | None, *, live: bool
) -> Stages:
    streams = matter.info.streams
    return Stages(
        matter,
        _stabilizer(quality),
        _refiner(settings, quality),
        _foreground(settings),
        background,
        Pace(quality.stride, quality.stride_tolerance, quality.lookahead, streams, live),
        _compositor(settings),
    )


def _refiner(settings: Settings, quality: Quality) -> Refiner:
    chosen = registry.load(registry.REFINERS, quality.refine, "--refine")
    refiner: Refiner = chosen(quality.refine_steps) if quality.refine == "closed-form" else chosen()
    if not (settings.feather_px or settings.shift_px):
        return refiner
    return EdgeRefiner(refiner, feather_px=settings.feather_px, shift_px=settings.shift_px)


def _foreground(settings: Settings) -> Foreground:
    foreground: Foreground = registry.load(registry.FOREGROUNDS, settings.fgr, "--fgr")()
    return DespillForeground(foreground, settings.despill) if settings.despill else foreground


def _compositor(settings: Settings) -> Compositor:
    compositor: Compositor = linear_composite if settings.linear else composite
    return LightWrap(settings.light_wrap, compositor) if settings.light_wrap else compositor


def _stabilizer(quality: Quality) -> Stabilizer:
    chosen = registry.load(registry.STABILIZERS, quality.stabilize, "--stabilize")
    stabilizer: Stabilizer = chosen() if quality.stabilize == "none" else chosen(quality.half_life_s)
    return stabilizer


def _sink_options(settings: Settings, matter: Matter) -> SinkOptions:
    made_by = f"streammatte; model {matter.model.name} ({matter.model.licence})"
    return SinkOptions(
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.preset,
        pix_fmt=settings.pix_fmt,
        force=settings.force,
        extra_metadata=(("encoded_by", made_by),),
    )


def _facts(matter: Matter) -> RunFacts:
    return RunFacts(
        model=matter.model.name,
        model_licence=matter.model.licence,
        weights_sha256=matter.weights_sha256,
        runtime=matter.info.runtime,
        precision=matter.info.precision,
        device=matter.info.device,
        fallbacks=matter.fallbacks,
    )


def _background(settings: Settings) -> Background | None:
    given = settings.bg
    if given is None or given == "none":
        return None
    name, _, strength = given.partition(":")
    if name == "blur":
        return BlurBackground(_percent(strength))
    rgb = _color(given)
    if rgb is not None:
        return SolidBackground(rgb)
    path = Path(given)
    if not path.exists() and "://" not in given and ":" not in given:
        raise ConfigError("--bg", f"{given} is no file, colour, blur or none; check the path")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return ImageBackground(path, settings.fit)  # type: ignore[arg-type]
    try:
        return VideoBackground(partial(open_source, given, SourceOptions()), settings.fit)  # type: ignore[arg-type]
    except SourceError as error:
        raise ConfigError("--bg", f"not an image or a video: {error}") from error


def _percent(text: str) -> float:
    try:
        return float(text) if text else _BLUR_PERCENT
    except ValueError:
        raise ConfigError("--bg", f"blur:{text}: expected a strength in percent, such as blur:2.5") from None


def _color(text: str) -> tuple[float, float, float] | None:
    text = {"rebeccapurple": "#663399"}.get(text.lower(), text)  # all that CSS 4 adds to the names webcolors knows
    try:
        if text.startswith("#"):
            red, green, blue = webcolors.hex_to_rgb(text)
        else:
            red, green, blue = webcolors.name_to_rgb(text)
    except ValueError:
        if text.startswith("#"):
            raise ConfigError("--bg", f"{text} is not a colour; give #rrggbb") from None
        return None
    return red / 255, green / 255, blue / 255
