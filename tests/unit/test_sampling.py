"""Samples of a file: spread over it, in order, by as many threads as the teacher has streams; what they are worth."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rooms import SIZE, room, room_video
from scenes import make_look

from streammatte.assembly import open_input
from streammatte.config import Settings
from streammatte.errors import StudentError
from streammatte.frame import Frame, Look, Matte
from streammatte.meter import Meter
from streammatte.sampling import MOST_SAMPLES, Sample, found, thinned
from streammatte.schooling import worth_s

FRAMES = 60


class Teacher:
    """The later it is asked, the sooner it answers."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha, self.asking, self.at_once = alpha, 0, 0
        self._counting = threading.Lock()

    def look(self, frame: Frame) -> Look:
        return make_look(frame, np.asarray(room(frame.seq, SIZE)[0] / np.float32(255), np.float32))

    def see(self, look: Look) -> Matte:
        with self._counting:
            self.asking += 1
            self.at_once = max(self.at_once, self.asking)
        time.sleep(0.03 if look.matte.seq % 2 else 0.01)
        with self._counting:
            self.asking -= 1
        return replace(look.matte, pha=np.asarray(self.alpha * room(look.matte.seq, SIZE)[1] / 255, np.float32))


@pytest.mark.parametrize("streams", [1, 2])
def test_spread_and_in_order(tmp_path: Path, streams: int) -> None:
    teacher, meter = Teacher(), Meter()
    clip = room_video(tmp_path / "room.mp4", FRAMES)
    samples = found(open_input(str(clip), Settings()), teacher, streams=streams, meter=meter)
    assert teacher.at_once == streams
    times = [sample.time_s for sample in samples]
    assert times == sorted(times)
    assert len(samples) >= 24
    assert times[0] < 0.1
    assert times[-1] > (FRAMES - 4) / 25
    assert 0.2 < sum(sample.held_out for sample in samples) / len(samples) < 0.3
    assert 9 < meter.stages()["infer"].p50_ms < 500


def test_what_the_teacher_cannot_say_is_said_by_nobody(tmp_path: Path) -> None:
    clip = room_video(tmp_path / "room.mp4", FRAMES)
    with pytest.raises(StudentError, match="the subject was never found"):
        found(open_input(str(clip), Settings()), Teacher(alpha=0), streams=2)


def test_a_teacher_that_fails_is_not_asked_for_the_rest_of_the_file(tmp_path: Path) -> None:
    class Failing(Teacher):
        looked = 0

        def look(self, frame: Frame) -> Look:
            self.looked += 1
            return super().look(frame)

        def see(self, look: Look) -> Matte:
            raise StudentError("no more")

    teacher, clip = Failing(), room_video(tmp_path / "room.mp4", FRAMES)
    with pytest.raises(StudentError, match="no more"):
        found(open_input(str(clip), Settings()), teacher, streams=2)
    assert teacher.looked <= 5, "no more wait than the threads can take"


def test_the_older_half_is_thinned() -> None:
    samples = [Sample(float(number), *room(number)) for number in range(9)]
    assert thinned(samples, 9) is samples
    assert [sample.time_s for sample in thinned(samples, 8)] == [0, 2, 4, 5, 6, 7, 8]
    kept: list[Sample] = []
    for number in range(1000):
        kept = thinned([*kept, Sample(float(number), *room(0))], MOST_SAMPLES)
        assert len(kept) <= MOST_SAMPLES
    assert kept[-1].time_s == 999
    assert kept[0].time_s == 0


@pytest.mark.parametrize(
    ("frames", "teacher_s", "seconds"), [(9000, 0.34, 120.0), (9000, 0.1, 75.0), (100, 0.34, 20.0), (9000, 1e-3, 20.0)]
)
def test_a_lesson_is_no_longer_than_it_is_worth(frames: int, teacher_s: float, seconds: float) -> None:
    assert worth_s(frames, teacher_s) == pytest.approx(seconds)
