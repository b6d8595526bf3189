"""Whole frames on a GPU, everything resident: how many a second, what each stage takes, and the host beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from time import perf_counter
from typing import Any

import numpy as np
from gpu_floor import median_ms

from streammatte.backgrounds.still import SolidBackground
from streammatte.color import ColorSpec
from streammatte.config import Settings
from streammatte.frame import Frame, PixelFormat
from streammatte.kernels.host import planes_from_rgb
from streammatte.kernels.torch.planes import on_device
from streammatte.matter import Matter
from streammatte.meter import Meter
from streammatte.parts import stages_of
from streammatte.parts_device import DeviceRun
from streammatte.quality import quality_of
from streammatte.tracking import HostTracker

__all__ = ["frame_path", "host_loop"]

_VIEWS = 8
_RATE = 60


def frame_path(matter: Matter, quality: str, size: tuple[int, int], frames: int) -> dict[str, Any]:
    """Figures of the composite path of `size`, 8 bit 4:2:0, on the device of `matter`'s session."""
    settings = Settings(quality=quality, bg="teal", tta="off")
    run = DeviceRun.on(matter)
    background = run.background(SolidBackground((0.0, 0.5, 0.5)))
    stages = run.stages(settings, quality_of(settings, live=False), background, frozenset())
    with run.lane:
        views = [on_device(view, run.lane.device) for view in _views(size)]
    run.lane.wait()
    meter = Meter()
    assert stages.composer is not None
    inference = stages.inference(meter)
    warm = min(2 * _VIEWS, frames)
    stream = _stream(views, warm + frames)
    matted = inference.mattes(stream)
    start = 0.0
    for number, (frame, matte) in enumerate(matted):  # type: ignore[misc]  # there are no packets
        if number == warm:  # graphs are captured, and whatever is found out at first is known
            run.lane.wait()
            start = perf_counter()
        stages.composer.compose(frame, matte, {"com"}, meter)
    run.lane.wait()
    seconds = perf_counter() - start
    stages_ms = _stages_ms(run, stages, views[0], meter)
    others_ms = sum(taken for name, taken in stages_ms.items() if name != "infer")
    return {
        "size": list(size),
        "quality": f"{quality}, one network run a frame",
        "batch": stages.pace.batch,
        "frames_per_second": round(frames / seconds, 1),
        "stages_ms": {name: round(taken, 3) for name, taken in stages_ms.items()},
        "without_network_ms": round(others_ms, 3),
    }


def _stages_ms(run: DeviceRun, stages: Any, frame: Frame, meter: Meter) -> dict[str, float]:
    """Each stage's time on the device, alone; its input is what the stage before gave."""
    device = run.lane.device
    looked = stages.matter.look(frame)
    tracked = replace(looked, matte=stages.tracker.step(looked.matte))
    seen = stages.matter.see(tracked)
    steady = stages.stabilizer.step(seen)
    with run.lane:
        return {
            "look": median_ms(lambda: stages.matter.look(frame), device),
            "motion": median_ms(lambda: stages.tracker.step(looked.matte), device),
            "infer": median_ms(lambda: stages.matter.see(tracked), device),
            "stabilize": median_ms(lambda: stages.stabilizer.step(seen), device),
            "compose": median_ms(lambda: stages.composer.compose(frame, steady, {"com"}, meter), device),
        }


def host_loop(matter: Matter, quality: str, size: tuple[int, int], frames: int) -> dict[str, Any]:
    """The plain loop over frames on the host: the same model by the same runtime, one frame after the other."""
    settings = Settings(quality=quality, bg="teal", tta="off")
    background = SolidBackground((0.0, 0.5, 0.5))
    stages = stages_of(settings, quality_of(settings, live=False), matter, background, live=False)
    tracker, stream, meter = HostTracker(), _stream(_views(size), frames + 1), Meter()
    start = perf_counter()
    for number, frame in enumerate(stream):
        if number == 1:  # the first compiles
            start = perf_counter()
        look = matter.look(frame)
        matte = stages.stabilizer.step(matter.see(replace(look, matte=tracker.step(look.matte))))
        stages.compose(frame, matte, {"com"}, meter, None)
    return {"size": list(size), "frames_per_second": round(frames / (perf_counter() - start), 2)}


def _views(size: tuple[int, int]) -> list[Frame]:
    """A soft subject that moves before a textured room."""
    width, height = size
    target, color = PixelFormat.named("yuv420p"), ColorSpec(matrix=1, primaries=1, transfer=1, full_range=False)
    room = np.random.default_rng(0).random((height // 8 + 1, width // 8 + 1, 3), np.float32)
    room = np.repeat(np.repeat(room, 8, 0), 8, 1)[:height, :width]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frames = []
    for view in range(_VIEWS):
        middle = width * (0.4 + 0.02 * view)
        reach = np.hypot(x - middle, y - 0.6 * height) / (0.35 * height)
        alpha = np.clip((1.0 - reach) * 8, 0, 1)[..., None]
        rgb = alpha * np.array([0.8, 0.5, 0.4], np.float32) + (1 - alpha) * (0.3 + 0.4 * room)
        planes = planes_from_rgb(np.ascontiguousarray(rgb, np.float32), target, color)
        frames.append(Frame(planes, target, color, pts=view, time_base=Fraction(1, _RATE), duration=1, seq=view))
    return frames


def _stream(views: list[Frame], frames: int) -> Iterator[Frame]:
    """They come again and again, to and fro, with time going on."""
    for number in range(frames):
        place = number % (2 * _VIEWS)
        view = views[place if place < _VIEWS else 2 * _VIEWS - 1 - place]
        yield replace(view, pts=number, seq=number)
