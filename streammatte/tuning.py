"""`streammatte tune`: a scene from a video, or from a camera."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from streammatte.assembly import open_input
from streammatte.config import Settings
from streammatte.errors import ConfigError, StudentError
from streammatte.guided import Guided, Told
from streammatte.matter import Matter
from streammatte.parts import matter_of, streams_for
from streammatte.ports import BuildProgress, Source
from streammatte.quality import quality_of
from streammatte.scenes import PREFIX, Manifest, check_name, keep, scenes_dir
from streammatte.schooling import Taught, check_teacher, examined, learnt_from, opened
from streammatte.sources.mirrored import Mirrored
from streammatte.students.process import missing
from streammatte.weights.fetch import Progress as PullProgress

__all__ = ["check_tuning", "tune", "tune_live"]

_FILE_S, _LIVE_S = 90.0, 240.0


def check_tuning(name: str, settings: Settings) -> None:
    """Raises StudentError where a scene of this name cannot be made; before anything is begun."""
    why = missing()
    if why is not None:
        raise StudentError(why)
    check_name(name)
    if (scenes_dir() / name).exists() and not settings.force:
        raise StudentError(f"{PREFIX}{name}: exists already; choose another name, or --force to replace it")
    if settings.compat:
        raise ConfigError("--compat", "is another tool's arithmetic, which no student learns; leave it out")


def tune(
    spec: str,
    settings: Settings,
    name: str,
    *,
    seconds: float | None,
    told: Told,
    show: str = "",
    steps: int | None = None,
    keep_frames: bool = False,
    pulling: PullProgress | None = None,
    building: BuildProgress | None = None,
) -> Manifest:
    """Teach a student what `spec` shows and keep it as scene `name`: a video, or live (`tune_live`).

    For so many `seconds`; without, 90, and a camera 240 at most.
    `told` is what a live one is told by, `show` the live output where it sees itself. Raises StudentError, SourceError,
    SinkError, ModelError, ConfigError.
    """
    check_tuning(name, settings)
    source = open_input(spec, settings)
    try:
        live = source.info.live
        source = Mirrored(source) if settings.mirror else source
        matter = _teacher_of(settings, pulling, building, live=live)
    except BaseException:
        source.close()
        raise
    with closing(source), closing(matter):
        if live:
            taught = tune_live(source, matter, settings, seconds=seconds or _LIVE_S, told=told, show=show)
        else:
            taught = learnt_from(source, matter, seconds or _FILE_S, seed=settings.seed, steps=steps, building=building)
        return _kept(taught, matter, source.info.name, settings, name, keep_frames=keep_frames)


def _teacher_of(
    settings: Settings, pulling: PullProgress | None, building: BuildProgress | None, *, live: bool
) -> Matter:
    """The model that teaches; for a file it is shown each picture mirrored too, unless --tta says otherwise."""
    tta = settings.tta or ("off" if live else "on")
    quality = quality_of(replace(settings, tta=tta), live=live)
    matter = matter_of(settings, quality, streams_for(live=True), pulling, building)
    check_teacher(matter)
    return matter


def tune_live(
    source: Source, matter: Matter, settings: Settings, *, seconds: float, told: Told, show: str = ""
) -> Taught:
    """A student of whom `source` shows, who is told what to do. Raises StudentError, SourceError, SinkError."""
    guided = Guided(source, matter, settings, seconds, told, show)
    if guided.reach:
        told(f"see how far it is at {guided.reach}", "")
    return guided.run()


def _kept(taught: Taught, matter: Matter, shown: str, settings: Settings, name: str, *, keep_frames: bool) -> Manifest:
    """Examine a student and keep it. Raises StudentError where nothing can be written."""
    draft = taught.manifest(name, matter, shown, settings.seed)
    with (
        tempfile.TemporaryDirectory(prefix="streammatte-student-") as place,
        closing(opened(draft, taught.learnt.onnx, Path(place))) as student,
    ):
        results = examined(student, taught.samples)
    frames = [(sample.src, sample.pha) for sample in taught.samples] if keep_frames else []
    manifest = replace(taught.manifest(name, matter, shown, settings.seed, results), kept_frames=len(frames))
    keep(manifest, taught.learnt.onnx, replacing=settings.force, frames=frames)
    return manifest
