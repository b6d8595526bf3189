"""From settings to the parts of a run: model, refiner, background and the others, each opened or made."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import webcolors

from streammatte import registry
from streammatte.backgrounds.blur import BlurBackground
from streammatte.backgrounds.still import ImageBackground, SolidBackground
from streammatte.backgrounds.video import VideoBackground
from streammatte.composing import Stages
from streammatte.compositor import composite
from streammatte.compositors.light_wrap import LightWrap
from streammatte.compositors.linear import linear_composite
from streammatte.config import Settings
from streammatte.errors import ConfigError, SourceError
from streammatte.foregrounds.despill import DespillForeground
from streammatte.frame import StreamInfo
from streammatte.inference import Pace
from streammatte.matter import Matter
from streammatte.parts_subject import LoadedPrompter, prompter_of, selector_of
from streammatte.ports import Background, BuildProgress, Compositor, Foreground, Prompter, Refiner, Stabilizer
from streammatte.quality import TRIMAP_REFINERS, Quality
from streammatte.refiners.by_trimap import Trimaps, coarse
from streammatte.refiners.edges import EdgeRefiner
from streammatte.reporting import RunFacts
from streammatte.sinks import SinkOptions
from streammatte.sources import PICTURE_SUFFIXES, SourceOptions, open_source
from streammatte.sources.mirrored import Mirrored
from streammatte.trimap_file import TrimapFile
from streammatte.trimap_network import TrimapNetwork
from streammatte.weights.fetch import Progress as PullProgress

__all__ = [
    "background_of",
    "check_fgr",
    "facts_of",
    "matter_of",
    "network_of",
    "refiner_of",
    "sink_options",
    "stabilizer_of",
    "stages_of",
    "streams_for",
    "trimaps_of",
]

_BLUR_PERCENT = 2.5
_MOST_STREAMS = 4
"""Each holds a network's activations, and up to one more frame, in memory."""


def streams_for(*, live: bool) -> int:
    """Frames in the network at once: files gain by one a core (seen: up to half as fast again), calls must not wait."""
    if live:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_STREAMS)


def matter_of(
    settings: Settings,
    quality: Quality,
    streams: int,
    pulling: PullProgress | None = None,
    building: BuildProgress | None = None,
    *,
    batch: int | None = 1,
) -> Matter:
    """The model that `settings` name, loaded for so many pictures at once: by threads, and on a device by `batch`."""
    if settings.require and settings.runtime not in ("auto", settings.require):
        raise ConfigError("--require", f"asks for {settings.require}, --runtime for {settings.runtime}; give one")
    return Matter(
        settings.model,
        runtime=settings.runtime,
        precision=settings.precision,
        compat=settings.compat,
        require=settings.require,
        streams=streams,
        batch=batch,
        tta=quality.tta,
        fgr=settings.fgr == "model",
        commercial=settings.commercial,
        accept_licence=settings.accept_licence,
        progress=pulling,
        building=building,
    )


def stages_of(
    settings: Settings,
    quality: Quality,
    matter: Matter,
    background: Background | None,
    *,
    live: bool,
    refiner: Refiner | None = None,
    prompter: Prompter | None = None,
) -> Stages:
    """All stages, with nothing running; `refiner` is the quality's where none is given, `prompter` the settings'."""
    streams = matter.info.streams
    # One that remembers frames is to see all of them; live, as many as there is time for.
    stride = 1 if matter.model.state else quality.stride
    return Stages(
        matter,
        stabilizer_of(quality),
        refiner or refiner_of(settings, quality),
        _foreground(settings),
        background,
        Pace(stride, quality.stride_tolerance, quality.lookahead, streams, live=live),
        _compositor(settings),
        selector=selector_of(settings, prompter or prompter_of(settings)),
    )


def network_of(
    settings: Settings, quality: Quality, pulling: PullProgress | None = None, building: BuildProgress | None = None
) -> TrimapNetwork | None:
    """The network that refines, loaded; None where none does."""
    if quality.refine != "vitmatte":
        return None
    return TrimapNetwork(
        settings.refine_model or "vitmatte",
        runtime=settings.runtime,
        precision=settings.precision,
        require=settings.require,
        commercial=settings.commercial,
        accept_licence=settings.accept_licence,
        progress=pulling,
        building=building,
    )


def refiner_of(
    settings: Settings, quality: Quality, trimaps: TrimapFile | None = None, network: TrimapNetwork | None = None
) -> Refiner:
    """The quality's refiner, with what `settings` do to its edges.

    `trimaps` and `network` are `trimaps_of` and `network_of` them where these are open already.
    """
    chosen = registry.load(registry.REFINERS, quality.refine, "--refine")
    refiner: Refiner
    if quality.refine == "closed-form":
        refiner = chosen(quality.refine_steps)
    elif quality.refine in TRIMAP_REFINERS:
        given: Trimaps = trimaps or trimaps_of(settings) or coarse
        network = network or network_of(settings, quality)
        refiner = chosen(given) if network is None else chosen(network, given)
    else:
        refiner = chosen()
    if not (settings.feather_px or settings.shift_px):
        return refiner
    return EdgeRefiner(refiner, feather_px=settings.feather_px, shift_px=settings.shift_px)


def trimaps_of(settings: Settings, shown: StreamInfo | None = None) -> TrimapFile | None:
    """The user's trimap, open; None where the mattes make them. `shown` is the input where that is open."""
    if settings.trimap is None:
        return None
    path = Path(settings.trimap)
    options = SourceOptions()
    if not (path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES):
        rate = settings.rate() if shown is None else shown.rate  # of a sequence of pictures: one a frame
        options = SourceOptions(start_s=settings.start_s, duration_s=settings.duration_s, input_rate=rate)
    try:
        return TrimapFile(Mirrored(open_source(settings.trimap, options), settings.mirror), shown)
    except SourceError as error:
        raise ConfigError("--trimap", str(error)) from error


def _foreground(settings: Settings) -> Foreground:
    name = settings.fgr or settings.compat or "fusion"
    foreground: Foreground = registry.load(registry.FOREGROUNDS, name, "--fgr")()
    return DespillForeground(foreground, settings.despill) if settings.despill else foreground


def check_fgr(settings: Settings, info: StreamInfo) -> None:
    """Raises ConfigError where the network cannot say the subject's colour of such frames."""
    if settings.fgr == "model" and info.color.hdr:
        raise ConfigError("--fgr", "model: of HDR video networks are shown an SDR picture, and know its colours alone")


def _compositor(settings: Settings) -> Compositor:
    compositor: Compositor = linear_composite if settings.linear else composite
    return LightWrap(settings.light_wrap, compositor) if settings.light_wrap else compositor


def stabilizer_of(quality: Quality) -> Stabilizer:
    """The quality's stabilizer."""
    chosen = registry.load(registry.STABILIZERS, quality.stabilize, "--stabilize")
    stabilizer: Stabilizer = chosen() if quality.stabilize == "none" else chosen(quality.half_life_s)
    return stabilizer


def sink_options(settings: Settings, matter: Matter, network: TrimapNetwork | None = None) -> SinkOptions:
    """How files are encoded; they say which model made them, and which `network` refined."""
    model = matter.model
    made_by = f"streammatte; model {model.called} ({model.licence}), weights sha256 {matter.weights_sha256}"
    if network is not None:
        its = network.report
        made_by += f"; refined by {its.model} ({its.model_licence}), weights sha256 {its.weights_sha256}"
    return SinkOptions(
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.preset,
        pix_fmt=settings.pix_fmt,
        force=settings.force,
        extra_metadata=(("encoded_by", made_by),),
        listen=settings.listen,
    )


def facts_of(matter: Matter, network: TrimapNetwork | None = None, prompter: LoadedPrompter | None = None) -> RunFacts:
    """What the run report says of the network, of the `network` that refines, and of what looks for the subject."""
    return RunFacts(
        model=matter.model.called,
        model_licence=matter.model.licence,
        weights_sha256=matter.weights_sha256,
        runtime=matter.info.runtime,
        precision=matter.info.precision,
        device=matter.info.device,
        fallbacks=matter.fallbacks if network is None else (*matter.fallbacks, *network.fallbacks),
        passed_over=matter.passed_over,
        refiner=None if network is None else network.report,
        prompter=None if prompter is None else prompter.report,
    )


def background_of(given: str | None, fit: str, key: str = "--bg") -> Background | None:
    """What `given` names, None for nothing. Raises ConfigError about setting `key`."""
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
        raise ConfigError(key, f"{given} is no file, colour, blur or none; check the path")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return ImageBackground(path, fit)  # type: ignore[arg-type]
    try:
        return VideoBackground(partial(open_source, given, SourceOptions()), fit)  # type: ignore[arg-type]
    except SourceError as error:
        raise ConfigError(key, f"not an image or a video: {error}") from error


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
