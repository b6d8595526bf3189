"""What OBS has of a stream just now."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2
import numpy as np

from streammatte.errors import SinkError
from streammatte.obs.comparing import Comparison, compare
from streammatte.obs.connection import Connection, Refused
from streammatte.obs.source import settings_of
from streammatte.obs.stream import LOOPBACK, Serving, Stream, points_at_a_stream
from streammatte.obs.watching import Picture, Watcher, pixels_of

__all__ = ["Look", "SourceState", "look_at", "source_state"]

_SET_UP = "streammatte obs setup"
_SHOTS = 3
_KNOWN_S = 1.0
_FIRST_S = 8.0
_LATER_S = 0.3
_AGAIN_S = 0.7


@dataclass(frozen=True, slots=True)
class SourceState:
    """The Media Source in OBS."""

    name: str
    url: str
    format: str
    media: str
    """What OBS says it does: playing, opening, ended, error, ..."""
    in_program: bool
    showing: bool
    """Somewhere in OBS, be it a preview."""

    @property
    def stream(self) -> Stream | None:
        """What it reads; None where that is no stream of streammatte's."""
        return Stream(self.url, self.format) if points_at_a_stream(self.url, self.format) else None


@dataclass(frozen=True, slots=True)
class Look:
    """The picture in OBS against what is sent."""

    verdict: Literal["same", "not the same", "nothing to see", "not compared"]
    why: str
    mean: float | None = None
    p99: float | None = None
    lag_ms: float | None = None
    frames: int = 0
    """Among how many sent frames the one in OBS was looked for."""


def source_state(obs: Connection, name: str) -> SourceState | None:
    """The Media Source `name`; None if OBS has none. Raises ConfigError where it is another kind."""
    settings = settings_of(obs, name)
    if settings is None:
        return None
    media = str(obs.ask("GetMediaInputStatus", inputName=name)["mediaState"])
    active = obs.ask("GetSourceActive", sourceName=name)
    return SourceState(
        name,
        str(settings.get("input", "")),
        str(settings.get("input_format", "")),
        media.removeprefix("OBS_MEDIA_STATE_").lower(),
        bool(active["videoActive"]),
        bool(active["videoShowing"]),
    )


def look_at(obs: Connection, name: str, source: SourceState | None, run: Serving | None) -> Look:
    """Compare what OBS has of `source`, called `name`, with what `run` sends; takes a few seconds."""
    if source is None:
        return Look("not compared", f"OBS has no source {name}; make it: {_SET_UP}")
    if source.stream is None:
        return Look("not compared", f"{name} shows {source.url or 'a file'}, which is no stream; see {_SET_UP}")
    stream = source.stream
    if run is not None:
        served = run.fitting(stream.codec, stream.port)
        if served is None:
            what = (
                ", ".join(f"{stream.url} ({stream.format})" for stream in run.streams) or "nothing: start it --to obs"
            )
            return Look("not compared", f"{name} reads {stream.url}, the live run serves {what}; then {_SET_UP}")
        stream = served.seen_from(LOOPBACK)
    return _compared(obs, name, stream)


def _compared(obs: Connection, name: str, stream: Stream) -> Look:
    # Looked at more than once: a server that sends each reader as much as it can take may have left out for us what
    # OBS has, and OBS may just be about to connect.
    with Watcher(stream) as watcher:
        watcher.wait(_KNOWN_S, _FIRST_S)
        if not watcher.kept():
            return Look("not compared", watcher.problem or f"{stream.url} sends no picture")
        look = _one_look(obs, name, watcher)
        for _ in range(_SHOTS - 1):
            if look.verdict == "same":
                break
            time.sleep(_AGAIN_S)
            look = _one_look(obs, name, watcher)
    return look


def _one_look(obs: Connection, name: str, watcher: Watcher) -> Look:
    asked_s = time.monotonic()
    try:
        answer = obs.ask("GetSourceScreenshot", sourceName=name, imageFormat="png")
    except Refused as refused:
        if refused.code == Refused.NOT_RENDERED:
            return Look("nothing to see", "OBS has no picture of the source yet")
        raise
    sent = watcher.kept()
    time.sleep(max(0.0, asked_s + _LATER_S - time.monotonic()))  # OBS may have read faster than we do
    late = [(arrived_s, frame) for arrived_s, frame in watcher.kept() if arrived_s > sent[-1][0]]
    frames = [(arrived_s, partial(pixels_of, frame)) for arrived_s, frame in (*sent, *late)]
    return _said(compare(_picture(answer["imageData"]), asked_s, frames), len(frames))


def _said(found: Comparison, frames: int) -> Look:
    return Look(found.verdict, found.why, found.mean, found.p99, found.lag_ms, frames)


def _picture(address: str) -> Picture:
    """What a data: URL with a PNG holds."""
    png = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    picture = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8 or picture.ndim != 3:
        raise SinkError("OBS sent a screenshot that is no colour PNG; see OBS's log")
    return np.asarray(picture if picture.shape[2] == 4 else cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA), np.uint8)
