"""From settings to a pipeline that is ready to run: opens the source, the model, the background and the sinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from streammatte.assembly_device import open_on_device
from streammatte.assembly_live import open_live
from streammatte.config import Settings
from streammatte.errors import ConfigError
from streammatte.inspector import Inspector
from streammatte.live.pipeline import LivePipeline
from streammatte.meter import RunReport
from streammatte.parts import (
    background_of,
    check_fgr,
    facts_of,
    matter_of,
    network_of,
    refiner_of,
    sink_options,
    stages_of,
    streams_for,
    trimaps_of,
)
from streammatte.parts_device import host_only
from streammatte.parts_student import student_of
from streammatte.parts_subject import check_place, prompter_of
from streammatte.pipeline import Pipeline, Progress
from streammatte.ports import BuildProgress, DeviceSession, Sink, SinkKind, Source
from streammatte.quality import quality_of
from streammatte.schooling import Schooling
from streammatte.sinks import open_sink
from streammatte.sources import PICTURE_SUFFIXES, SourceOptions, open_source
from streammatte.sources.addresses import awaits_publisher
from streammatte.sources.devices import cameras, virtual_cameras
from streammatte.sources.mirrored import Mirrored
from streammatte.sources.modes import Camera, Mode
from streammatte.sources.options import Decoder
from streammatte.weights.fetch import Progress as PullProgress

__all__ = [
    "Camera",
    "Mode",
    "awaits_publisher",
    "cameras",
    "matte",
    "open_input",
    "open_pipeline",
    "planned_outputs",
    "streams_for",
    "virtual_cameras",
]


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


def open_input(spec: str, settings: Settings, decoder: Decoder | None = None) -> Source:
    """The source that `spec` names, cut and read as the settings say; decoded by `decoder` where it can."""
    options = SourceOptions(
        start_s=settings.start_s,
        duration_s=settings.duration_s,
        input_format=settings.input_format,
        input_size=settings.size_px(),
        input_pix_fmt=settings.input_pix_fmt,
        input_rate=settings.rate(),
        salvage=settings.salvage,
        camera_size=settings.camera_size_px(),
        camera_rate=settings.camera_rate(),
        libjpeg=settings.compat == "rembg",
        decoder=decoder,
    )
    return open_source(spec, options)


def planned_outputs(spec: str, settings: Settings) -> list[tuple[Path, SinkKind]]:
    """What will be written: the outputs asked for, or one beside the input where neither these nor a matte are."""
    kind: SinkKind = "fgr" if settings.bg in (None, "none") else "com"
    outputs = list(settings.output)
    if not outputs and not settings.to and (settings.matte is None or settings.bg is not None):
        outputs = [_beside(spec, kind)]
    planned: list[tuple[Path, SinkKind]] = [(path, kind) for path in outputs]
    if settings.matte is not None:
        planned.append((settings.matte, "pha"))
    _check_apart(spec, [path for path, _ in planned])
    return planned


def _once_more(spec: str, settings: Settings) -> Source:
    source = open_input(spec, settings)
    return Mirrored(source) if settings.mirror else source


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
    spec: str,
    settings: Settings,
    *,
    pulling: PullProgress | None = None,
    building: BuildProgress | None = None,
    inspector: Inspector | None = None,
) -> Pipeline | LivePipeline:
    """Everything opened, nothing running. What was opened is closed again where a later part fails.

    Live sources and live outputs (`to`) make a live pipeline; a file given to a live output is read at its own pace.
    `pulling` is told of weights on their way, `building` of engines that take long. Mattes are always inspected, by
    `inspector` where one is given: to have its pictures afterwards.
    """
    planned = planned_outputs(spec, settings)
    undo: list[Callable[[], None]] = []
    try:
        source = open_input(spec, settings)
        undo.append(source.close)
        check_place(settings, source.info)
        check_fgr(settings, source.info)
        if settings.to or source.info.live:
            return open_live(source, settings, planned, undo, pulling=pulling, building=building, inspector=inspector)
        source = Mirrored(source) if settings.mirror else source
        background = background_of(settings.bg, settings.fit)
        if background is not None:
            undo.append(background.close)
        quality = quality_of(settings, live=False)
        trimaps, network = trimaps_of(settings, source.info), network_of(settings, quality, pulling, building)
        undo += [part.close for part in (trimaps, network) if part is not None]
        refiner = refiner_of(settings, quality, trimaps, network)
        matter = matter_of(settings, quality, streams_for(live=False), pulling, building, batch=settings.batch_size())
        undo.append(matter.close)
        if (why := host_only(settings, matter)) is None:
            again = partial(open_input, spec, settings)
            inspecting = inspector or Inspector()
            return open_on_device(source, again, settings, quality, planned, background, matter, undo, inspecting)
        prompter = prompter_of(settings, pulling)
        facts = facts_of(matter, network, prompter)
        if isinstance(matter.session, DeviceSession) and matter.session.device != "cpu":
            facts = replace(facts, fallbacks=(*facts.fallbacks, f"frames were on the host: {why}"))
        sinks: list[Sink] = []
        for path, kind in planned:
            sinks.append(open_sink(path, kind, source.info, sink_options(settings, matter, network)))
            undo.append(sinks[-1].abort)
        stages = stages_of(settings, quality, matter, background, live=False, refiner=refiner, prompter=prompter)
        school: Schooling | None = None
        if settings.student != "off":
            found = student_of(matter, spec, partial(_once_more, spec, settings), settings, building)
            if isinstance(found, str):
                facts = replace(facts, fallbacks=(*facts.fallbacks, found))
            else:
                school, stages = found, replace(stages, matter=found.maker)
                undo.append(school.close)
        pipeline = Pipeline(source, stages, sinks, facts, inspector or Inspector())
        if school is not None:
            pipeline.student = school.report
            pipeline.at_end.append(school.close)
        return pipeline
    except BaseException:
        for action in reversed(undo):
            action()
        raise
