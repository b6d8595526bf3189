"""Samples for a student: frames spread over a video, with what the teacher says of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from streammatte.errors import StudentError
from streammatte.frame import Frame, Look, Matte, Packet, Shown, StreamInfo
from streammatte.inference import MatteMaker
from streammatte.kernels import host
from streammatte.meter import Meter
from streammatte.parallel import with_mattes
from streammatte.ports import Source
from streammatte.students.samples import Samples, input_size, shown

__all__ = [
    "MOST_SAMPLES",
    "Sample",
    "check_enough",
    "found",
    "is_held_out",
    "sample_of",
    "split",
    "student_size",
    "thinned",
]

_LEAST_SAMPLES, MOST_SAMPLES = 8, 120
_EVERY_S = 2.0
_AT_LEAST = 24
"""Samples of a short clip, if it has so many frames."""
_HELD_OUT = 4
"""One sample of so many is not taught, but examined on."""
_SUBJECT = 0.002
"""Of the picture: less alpha than this is no subject."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame with what the teacher says of it, at the size of the student's input."""

    time_s: float
    src: npt.NDArray[np.uint8]
    """(h, w, 3) RGB."""
    pha: npt.NDArray[np.uint8]
    """(h, w)."""
    held_out: bool = False
    """It is not taught, but examined on."""


def found(
    source: Source,
    matter: MatteMaker,
    told: Callable[[int, int], None] | None = None,
    *,
    streams: int = 1,
    meter: Meter | None = None,
) -> list[Sample]:
    """Samples spread over the whole of `source`, which is read to its end and closed.

    `told` hears of frames read, and how many there are; `streams` is how many threads may ask `matter` at once, and
    `meter` is told as stage "infer" what that takes. Raises StudentError where the subject is never there, or too
    little is; SourceError.
    """
    info = source.info
    rate = float(info.rate or 30)
    expected = info.frame_count or (round(info.duration_s * rate) if info.duration_s else 0)
    wanted = min(max(math.ceil(expected / rate / _EVERY_S), _AT_LEAST), MOST_SAMPLES)
    step = max(1, expected // wanted) if expected else max(1, round(_EVERY_S * rate))
    size = student_size(info)
    times = meter or Meter()

    def chosen() -> Iterator[Shown]:
        for number, frame in enumerate(_frames(source)):
            if told is not None and number % 10 == 0:
                told(number, max(expected, number))
            if number % step == step // 2:
                yield Shown(frame, matter.look(frame))

    def see(look: Look) -> Matte:
        with times.stage("infer"):
            return matter.see(look)

    samples: list[Sample] = []
    with closing(source), closing(with_mattes(chosen(), see, streams)) as seen:
        for event in seen:
            if isinstance(event, Packet):
                continue
            frame, matte = event
            samples.append(sample_of(matte, frame.rotation, size))
            if len(samples) >= 2 * MOST_SAMPLES:  # longer than it said
                samples, step = samples[::2], 2 * step
    check_enough(samples, info.name)
    return [replace(sample, held_out=is_held_out(number)) for number, sample in enumerate(samples)]


def _frames(source: Source) -> Iterator[Frame]:
    return (event for event in source.events() if isinstance(event, Frame))


def student_size(info: StreamInfo) -> tuple[int, int]:
    """(width, height) of the input of a student for such pictures; upright."""
    width, height = info.width * info.sar, Fraction(info.height)
    return input_size(*map(float, (height, width) if info.rotation % 180 else (width, height)))


def sample_of(matte: Matte, rotation: int, size: tuple[int, int]) -> Sample:
    """A frame with what the network said of it; upright, which it is after `rotation`, and of `size`."""
    src, pha = host.turn(matte.src, rotation), host.turn(matte.pha, rotation)
    return Sample(matte.time_s, shown(src, size), shown(pha, size))


def thinned(samples: list[Sample], most: int) -> list[Sample]:
    """`samples`, or where there are more than `most`, half as many of the older half."""
    older = len(samples) // 2
    return [*samples[:older:2], *samples[older:]] if len(samples) > most else samples


def check_enough(samples: Sequence[Sample], name: str) -> None:
    """Raises StudentError where there is too little to learn from."""
    if len(samples) < _LEAST_SAMPLES:
        raise StudentError(f"{name}: {len(samples)} frames are too few to learn from; {_LEAST_SAMPLES} at least")
    there = sum(float(sample.pha.mean()) / 255 > _SUBJECT for sample in samples)
    if there < _LEAST_SAMPLES // 2:
        words = "the subject was never found" if not there else f"a subject was found in {there} frames only"
        raise StudentError(f"{name}: {words}, of {len(samples)} looked at: there is nothing to learn")


def split(samples: Sequence[Sample]) -> tuple[Samples, Samples]:
    """What is taught, and what is held out."""
    return _those(samples, held_out=False), _those(samples, held_out=True)


def _those(samples: Sequence[Sample], *, held_out: bool) -> Samples:
    return Samples.of([(each.src, each.pha) for each in samples if each.held_out == held_out])


def is_held_out(number: int) -> bool:
    """Whether sample `number` of a sequence is not taught, but examined on."""
    return number % _HELD_OUT == _HELD_OUT // 2
