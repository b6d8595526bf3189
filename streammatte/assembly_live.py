"""A live run, assembled: live outputs, the governor's rungs, and what may be changed while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from streammatte.backgrounds.still import SolidBackground
from streammatte.catalog import catalog
from streammatte.config import Settings
from streammatte.errors import ConfigError, ModelError, StudentError
from streammatte.frame import StreamInfo
from streammatte.inspector import Inspector
from streammatte.live.fading import FadingRefiner
from streammatte.live.governor import Governor, Rung, rungs
from streammatte.live.models import Models
from streammatte.live.pipeline import LivePipeline
from streammatte.live.school import School
from streammatte.live.steering import Steering
from streammatte.matter import Matter
from streammatte.parts import (
    background_of,
    facts_of,
    matter_of,
    refiner_of,
    sink_options,
    stabilizer_of,
    stages_of,
    streams_for,
)
from streammatte.parts_student import check_student
from streammatte.parts_subject import prompter_of
from streammatte.ports import Background, BuildProgress, LiveSink, Refiner, Sink, SinkKind, Source
from streammatte.quality import Quality, quality_of
from streammatte.reporting import RunFacts
from streammatte.schooling import Lessons
from streammatte.sinks import open_sink
from streammatte.sinks.live import live_kind, open_live_sink
from streammatte.sources.mirrored import Mirrored
from streammatte.sources.paced import Paced
from streammatte.weights.cache import locate
from streammatte.weights.fetch import Progress as PullProgress

__all__ = ["LiveControls", "open_live"]

_GRAY = (0.125, 0.125, 0.125)
_CHEAPER = "selfie-landscape"
"""The model that the governor turns to where U²-Net leaves no time; only if it is in the cache already."""


def open_live(
    source: Source,
    settings: Settings,
    planned: list[tuple[Path, SinkKind]],
    undo: list[Callable[[], None]],
    *,
    pulling: PullProgress | None,
    building: BuildProgress | None,
    inspector: Inspector | None,
) -> LivePipeline:
    """Everything opened, nothing running; `undo` gets what closes each part again."""
    _check_shown(settings)
    source = camera = Mirrored(source if source.info.live else Paced(source), settings.mirror)
    background = background_of(settings.bg, settings.fit)
    card = _card(settings, background)
    undo += [part.close for part in (background, card) if part is not None]
    quality, streams = quality_of(settings, live=True), streams_for(live=True)
    matter = matter_of(settings, quality, streams, pulling, building)
    models = Models(settings.model, matter, lambda name: matter_of(replace(settings, model=name), quality, streams))
    undo.append(models.close)
    live_sinks: list[LiveSink] = []
    for spec in settings.to:
        live_sinks.append(open_live_sink(spec, source.info, sink_options(settings, matter)))
        undo.append(live_sinks[-1].abort)
    sinks: list[Sink] = []
    for path, kind in planned:
        sinks.append(open_sink(path, kind, source.info, sink_options(settings, matter)))
        undo.append(sinks[-1].abort)
    prompter = prompter_of(settings, pulling)
    stages = stages_of(settings, quality, matter, background, live=True, prompter=prompter)
    refiner = FadingRefiner(stages.refiner)
    stages = replace(stages, matter=models, refiner=refiner)
    inspecting = inspector or Inspector()
    facts = facts_of(matter, prompter=prompter)
    school = None
    if settings.student != "off":
        school, facts = _school(settings, models, matter, source.info, facts)
    if school is not None:
        undo.append(school.close)
        stages = replace(stages, matter=school)
    if background is not None and not any(sink.kind == "com" for sink in (*sinks, *live_sinks)):
        facts = replace(facts, fallbacks=(*facts.fallbacks, "--bg is not used: no output takes a composite"))
    pipeline = LivePipeline(source, stages, sinks, live_sinks, facts, card, inspector=inspecting)
    if school is not None:
        pipeline.student = school.report
        pipeline.at_end.append(school.close)
    pipeline.controls = LiveControls(pipeline, camera, models, refiner, settings, quality, school)
    return pipeline


def _school(
    settings: Settings, models: Models, matter: Matter, info: StreamInfo, facts: RunFacts
) -> tuple[School | None, RunFacts]:
    """What teaches a student while the run goes on, and `facts` that say why nothing does."""
    try:
        check_student(settings, matter)
        school = School(models, settings.model, info, Lessons(matter, info.name, settings.seed))
    except StudentError as error:
        words = f"no student: {error}; {matter.model.name} does all the work"
        return None, replace(facts, fallbacks=(*facts.fallbacks, words))
    return school, facts


def _check_shown(settings: Settings) -> None:
    """Composites have something to be put over; where the subject is sent alone, the room's colours are not."""
    for spec in settings.to:
        kind = live_kind(spec)
        if kind == "com" and settings.bg in (None, "none"):
            raise ConfigError("--bg", f"{spec} needs one: an image, a video, a colour or blur")
        if kind == "fgr" and settings.fgr == "off":
            raise ConfigError("--fgr", f"off would send the room's colours beside the alpha; leave it out with {spec}")


def _card(settings: Settings, background: Background | None) -> Background:
    given = background_of(settings.card, settings.fit, "--card")
    if given is not None:
        if given.shows_room:
            raise ConfigError("--card", "blur shows the room; give an image or a colour")
        return given
    return background if background is not None and not background.shows_room else SolidBackground(_GRAY)


class LiveControls:
    """Changes a run that goes on: for `streammatte ctl`, keys and the governor. One change at a time."""

    def __init__(
        self,
        pipeline: LivePipeline,
        source: Mirrored,
        models: Models,
        refiner: FadingRefiner,
        settings: Settings,
        quality: Quality,
        school: School | None = None,
    ) -> None:
        self._pipeline, self._source, self._models, self._refiner = pipeline, source, models, refiner
        self._school = school
        self._settings, self._quality = settings, quality
        first = rungs(quality, None)[0]
        self._refiners: dict[tuple[str, int], Refiner] = {(first.refine, first.refine_steps): refiner.current}
        self._changing = threading.RLock()
        self._retired: Background | None = None
        self._changes: dict[str, Callable[[str], dict[str, Any]]] = {
            "bg": self._bg,
            "model": self._model,
            "mirror": self._mirror,
            "paused": lambda value: {"paused": _on(value, "paused")},
            "half_life": self._half_life,
            "quality": self._named_quality,
        }
        self._govern()

    def state(self) -> dict[str, object]:
        """What holds now."""
        settings = {
            "bg": self._settings.bg,
            "model": self._models.current,
            "mirror": "on" if self._source.mirrored else "off",
            "half_life": self._quality.half_life_s,
            "quality": self._settings.quality or "balanced",
        }
        answering = {} if self._school is None else {"answering": self._school.state}
        return {**self._pipeline.state(), **settings, **answering}

    def change(self, name: str, value: str) -> dict[str, object]:
        """Change one setting; says after how many frames the first one made so came out. Raises ConfigError."""
        if name not in self._changes:
            raise ConfigError(name, f"cannot be changed while running; one of {', '.join(self._changes)}")
        with self._changing:
            parts = self._changes[name](value)
            after_frames = self._pipeline.change(**parts)
            self._retire()
        return {name: self.state()[name], "after_frames": after_frames}

    def stop(self) -> None:
        """End the run."""
        self._pipeline.stop()

    def _retire(self) -> None:
        if self._retired is not None:
            self._retired.close()
            self._retired = None

    def _bg(self, value: str) -> dict[str, Any]:
        background = background_of(value, self._settings.fit)
        if background is None:
            raise ConfigError("bg", "a live output needs one: an image, a video, a colour or blur")
        self._retired = self._pipeline.stages.background
        self._settings = replace(self._settings, bg=value)
        parts: dict[str, Any] = {"background": background}
        if self._settings.card is None:
            parts["card"] = _card(self._settings, background)
        return parts

    def _model(self, value: str) -> dict[str, Any]:
        try:
            self._models.use(value)
        except ModelError as error:
            raise ConfigError("model", str(error)) from error
        self._settings = replace(self._settings, model=value)
        return {}

    def _mirror(self, value: str) -> dict[str, Any]:
        self._source.mirrored = not self._source.mirrored if value == "toggle" else _on(value, "mirror")
        return {}

    def _half_life(self, value: str) -> dict[str, Any]:
        with suppress(ValueError):
            self._settings = replace(self._settings, half_life_s=float(value))
            self._quality = quality_of(self._settings, live=True)
            return {"stabilizer": stabilizer_of(self._quality)}
        raise ConfigError("half_life", f"expected seconds such as 0.16, got {value!r}")

    def _named_quality(self, value: str) -> dict[str, Any]:
        self._settings = replace(self._settings, quality=value)
        self._quality = quality_of(self._settings, live=True)
        self._govern()
        return {"stabilizer": stabilizer_of(self._quality)}

    def _govern(self) -> None:
        """A governor for the present quality, from its first rung."""
        settings = self._settings
        ladder = rungs(self._quality, _CHEAPER if _cached(_CHEAPER) else None)
        self._ladder = ladder
        self._apply(ladder[0])
        if settings.governor == "off":
            self._pipeline.steer(None)
            return
        governor = Governor(ladder, target_latency_s=settings.target_latency_s, target_fps=settings.target_fps)
        self._pipeline.steer(Steering(governor, ladder, lambda rung: self._climb(ladder, rung)))

    def _climb(self, ladder: tuple[Rung, ...], rung: Rung) -> None:
        """What a governor asks for; one whose ladder was put away meanwhile has nothing to say."""
        with self._changing:
            if self._ladder is ladder:
                self._apply(rung)

    def _apply(self, rung: Rung) -> None:
        """Put a rung of the governor's ladder into effect, from the next frame on."""
        stages = self._pipeline.stages
        self._models.use(rung.model or self._settings.model)
        self._refiner.turn_to(self._refiner_for(rung))
        self._pipeline.stages = replace(stages, pace=replace(stages.pace, stride=rung.stride, tolerance=rung.tolerance))

    def _refiner_for(self, rung: Rung) -> Refiner:
        key = rung.refine, rung.refine_steps
        if key not in self._refiners:
            quality = replace(self._quality, refine=rung.refine, refine_steps=rung.refine_steps)
            self._refiners[key] = refiner_of(self._settings, quality)
        return self._refiners[key]


def _on(value: str, name: str) -> bool:
    if value not in ("on", "off"):
        raise ConfigError(name, f"expected on or off, got {value!r}")
    return value == "on"


def _cached(name: str) -> bool:
    return name in catalog() and locate(catalog()[name]) is not None
