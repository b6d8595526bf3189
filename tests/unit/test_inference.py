"""From frames to steady mattes: what the network is asked, when, and what becomes of its answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scenes import Float, make_frame, make_look, textured

from streammatte import registry
from streammatte.frame import Frame, Look, Matte, Packet
from streammatte.inference import Inference, Pace
from streammatte.meter import Meter
from streammatte.motion import MotionEstimator
from streammatte.ports import Stabilizer
from streammatte.stabilizers.motion import MotionStabilizer

SIZE = (64, 48)
STABILIZERS: dict[str, tuple[float, ...]] = {"none": (), "ema": (0.04,), "motion": (0.16,)}


def stabilizer_named(name: str) -> Stabilizer:
    made: Stabilizer = registry.load(registry.STABILIZERS, name, "--stabilize")(*STABILIZERS[name])
    return made


class Film:
    """In place of a Matter: a subject that wanders over a texture, and a network that is never quite sure of it.

    `scenes` says of each frame which texture is behind; another one is a cut.
    """

    def __init__(self, scenes: str) -> None:
        self._scenes, self.seen = scenes, []  # type: ignore[var-annotated]
        self._textures = {name: textured(ord(name), SIZE, 4.0) for name in set(scenes)}

    def frames(self, first: int = 0) -> list[Frame | Packet]:
        events: list[Frame | Packet] = []
        for seq in range(first, len(self._scenes)):
            events += [make_frame(size=(16, 16), seq=seq, pts=seq), Packet(1, seq)]
        return events

    def truth(self, seq: int) -> Float:
        alpha = np.zeros(SIZE[::-1], np.float32)
        left = 5 + seq if self._scenes[seq] < "m" else 40 - seq
        alpha[12:, left : left + 16] = 0.9
        return alpha

    def look(self, frame: Frame) -> Look:
        background = self._textures[self._scenes[frame.seq]]
        alpha = self.truth(frame.seq)[..., None]
        return make_look(frame, np.asarray(alpha * (0.9, 0.1, 0.3) + (1 - alpha) * background, np.float32))

    def see(self, look: Look) -> Matte:
        seq = look.matte.seq
        self.seen.append(seq)
        doubt = np.random.default_rng(seq).random(SIZE[::-1], np.float32)
        return replace(look.matte, pha=np.asarray(self.truth(seq) * (0.8 + 0.2 * doubt), np.float32), seen=True)


def inferred(film: Any, name: str = "motion", first: int = 0, **pace: Any) -> tuple[list[Matte], Inference]:
    inference = Inference(film, stabilizer_named(name), Pace(**pace), Meter())
    events = film.frames(first)
    found = list(inference.mattes(events))
    assert [each if isinstance(each, Packet) else each[0] for each in found] == events
    return [each[1] for each in found if not isinstance(each, Packet)], inference


def phas(mattes: Iterable[Matte]) -> list[Float]:
    return [matte.pha for matte in mattes]


# every frame seen


@pytest.mark.parametrize("name", STABILIZERS)
@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_a_stride_of_one_is_no_stride(name: str, streams: int, tolerance: float) -> None:
    """Bit for bit what network and stabilizer give frame by frame, whatever is made of keyframes in between."""
    film, motion, stabilizer = Film("c" * 12), MotionEstimator(), stabilizer_named(name)
    plainly = []
    for event in film.frames():
        if isinstance(event, Frame):
            look = film.look(event)
            plainly.append(stabilizer.step(film.see(replace(look, matte=motion.step(look.matte)))).pha)
    mattes, inference = inferred(Film("c" * 12), name, stride=1, tolerance=tolerance, streams=streams)
    assert all(matte.seen for matte in mattes)
    assert inference.network_runs == 12
    assert all(np.array_equal(a, b) for a, b in zip(phas(mattes), plainly, strict=True))


@pytest.mark.parametrize("name", STABILIZERS)
@pytest.mark.parametrize("lookahead", [0, 3])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_cut_is_an_end_and_a_beginning(name: str, lookahead: int, stride: int) -> None:
    """Two scenes one after the other are, bit for bit, each of them alone: no ghost of the old one, none of the new."""
    pace = {"lookahead": lookahead, "stride": stride, "tolerance": 1.0}
    whole, inference = inferred(Film("cccccccyyyyyyy"), name, **pace)
    before, _ = inferred(Film("ccccccc"), name, **pace)
    after, _ = inferred(Film("cccccccyyyyyyy"), name, first=7, **pace)
    assert inference.cuts == 1
    assert [matte.discontinuity for matte in whole] == [seq == 7 for seq in range(14)]
    assert len(before) == len(after) == 7
    assert all(np.array_equal(a, b) for a, b in zip(phas(whole), phas([*before, *after]), strict=True))


def test_looking_ahead_is_steadier_than_looking_back_alone() -> None:
    def flicker(**pace: Any) -> float:
        mattes, _ = inferred(Still("c" * 20), **pace)
        return float(np.abs(np.diff(phas(mattes)[4:-4], axis=0)).mean())

    assert flicker(lookahead=3) < 0.8 * flicker()


class Still(Film):
    def truth(self, seq: int) -> Float:
        return super().truth(0)


# strides


@pytest.mark.parametrize("streams", [1, 2])
def test_a_still_scene_is_seen_once_in_a_stride(streams: int) -> None:
    film = Still("c" * 11)
    mattes, inference = inferred(film, stride=5, tolerance=0.35, streams=streams)
    assert sorted(film.seen) == [0, 5, 10]
    assert inference.network_runs == 3
    assert [matte.seen for matte in mattes] == [seq % 5 == 0 for seq in range(11)]
    for unseen in (1, 2, 3, 4):
        assert np.abs(mattes[unseen].pha - mattes[0].pha).max() < 1e-3


def test_a_moving_subject_is_carried_between_keyframes() -> None:
    film = Film("c" * 12)
    mattes, _ = inferred(film, stride=4, tolerance=1.0)
    for seq in (3, 7, 11):
        error, lag = (np.abs(pha - film.truth(seq)).mean() for pha in (mattes[seq].pha, film.truth(seq - 3)))
        assert error < lag


def test_every_frame_is_seen_where_all_of_it_changes() -> None:
    """A lamp that goes on and off is no cut, and no motion leads from one frame to the next."""

    class Lamp(Film):
        def look(self, frame: Frame) -> Look:
            look = super().look(frame)
            return make_look(frame, look.matte.src * np.float32(0.5) + np.float32(0.4 * (frame.seq % 2)))

    mattes, inference = inferred(Lamp("c" * 8), stride=6, tolerance=0.35)
    assert (inference.network_runs, inference.cuts) == (8, 0)
    assert all(matte.seen for matte in mattes)


def test_a_cut_is_always_seen() -> None:
    film = Still("ccccyyyy")
    _, inference = inferred(film, stride=30, tolerance=30.0)
    assert (film.seen, inference.cuts) == ([0, 4], 1)


# live


def test_live_frames_come_out_while_the_network_is_busy() -> None:
    class Slow(Still):
        go = threading.Event()

        def see(self, look: Look) -> Matte:
            assert look.matte.seq == 0 or self.go.wait(10), "it was waited for"
            return super().see(look)

    film, found = Slow("c" * 20), []
    inference = Inference(film, MotionStabilizer(0.16), Pace(live=True), Meter())
    for event in inference.mattes(film.frames()):
        if not isinstance(event, Packet):
            found.append(event[1])
            if event[0].seq == 18:
                film.go.set()
    assert [matte.seq for matte in found] == list(range(20))
    assert inference.network_runs <= 3
    assert all(np.abs(matte.pha - found[0].pha).max() < 1e-3 for matte in found[:19])


# ends


def fails(number: int) -> Callable[..., Any]:
    calls: list[object] = []

    def call(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == number:
            raise ValueError("on purpose")
        return args[-1]

    return call


@pytest.mark.parametrize("live", [False, True])
def test_no_thread_stays_where_the_stabilizer_fails(live: bool) -> None:
    class Broken:
        step = staticmethod(fails(3))

    before = set(threading.enumerate())
    inference = Inference(Still("c" * 20), Broken(), Pace(streams=2, live=live), Meter())
    with pytest.raises(ValueError, match="on purpose") as caught:
        list(inference.mattes(Still("c" * 20).frames()))
    assert set(threading.enumerate()) - before == set()
    del caught


def test_stages_are_metered() -> None:
    meter = Meter()
    film = Still("c" * 4)
    list(Inference(film, MotionStabilizer(0.16), Pace(), meter).mattes(film.frames()))
    assert set(meter.stages()) == {"look", "motion", "infer", "stabilize"}
