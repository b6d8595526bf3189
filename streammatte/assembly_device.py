"""From settings to a pipeline whose frames stay on the network's device, from decoder to encoder where it has these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from streammatte.config import Settings
from streammatte.inspector import Inspector
from streammatte.matter import Matter
from streammatte.parts import facts_of, sink_options
from streammatte.parts_device import DeviceRun
from streammatte.pipeline import Pipeline
from streammatte.ports import Background, Sink, SinkKind, Source
from streammatte.quality import Quality
from streammatte.sinks import open_sink
from streammatte.sources import PICTURE_SUFFIXES

__all__ = ["open_on_device"]


def open_on_device(
    source: Source,
    reopened: Callable[[Any], Source],
    settings: Settings,
    quality: Quality,
    planned: list[tuple[Path, SinkKind]],
    background: Background | None,
    matter: Matter,
    undo: list[Callable[[], None]],
    inspector: Inspector,
) -> Pipeline:
    """Everything opened, nothing running; `undo` gets what closes each part again.

    `source` is open and on the host; `reopened(decoder)` opens it anew to be decoded on the device.
    """
    run = DeviceRun.on(matter)
    if _decodable(source, settings):
        source.close()
        source = reopened(run.decoder())
        undo.append(source.close)
    sinks: list[Sink] = []
    fetched: set[SinkKind] = set()
    for path, kind in planned:
        options = replace(sink_options(settings, matter), encoder=run.encoder())
        sink = open_sink(path, kind, source.info, options)
        undo.append(sink.abort)
        if not getattr(sink, "on_device", False):
            sink = run.sink(sink)
            fetched.add(kind)
        sinks.append(sink)
    stages = run.stages(settings, quality, run.background(background), frozenset(fetched))
    return Pipeline(run.source(source), stages, sinks, facts_of(matter), run.inspector(inspector))


def _decodable(source: Source, settings: Settings) -> bool:
    """A file that can be read once more. Mirrors are held up on the host: what is to be mirrored is decoded there."""
    path = Path(source.info.name)
    return path.is_file() and path.suffix.lower() not in PICTURE_SUFFIXES and not settings.mirror
