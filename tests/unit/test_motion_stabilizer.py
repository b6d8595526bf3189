"""Smoothing along the motion: flicker goes, edges stay where they are, and nothing soft is decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Float, disc, make_matte, moved

from streammatte.frame import Matte
from streammatte.stabilizers.motion import MotionStabilizer

SIZE = (60, 40)
RATE = 25


def still(pha: Float, seq: int, *, seen: bool = True, trust: float | Float = 1.0) -> Matte:
    matte = make_matte(pha, seq / RATE, seq=seq)
    return replace(matte if seq == 0 else moved(matte, trust=trust), seen=seen)


def jittered(pha: Float, seq: int, amount: float = 0.05) -> Float:
    """A network that is not quite sure of soft pixels, and sure of the others."""
    noise = np.random.default_rng(seq).normal(0, amount, pha.shape).astype(np.float32)
    return np.asarray(np.clip(pha + noise * (4 * pha * (1 - pha)), 0, 1), np.float32)


def flicker(mattes: list[Float]) -> float:
    return float(np.abs(np.diff(mattes, axis=0)).mean())


def test_a_still_scene_stops_flickering() -> None:
    stabilizer, truth = MotionStabilizer(0.16), disc(*SIZE)
    raw = [jittered(truth, seq) for seq in range(50)]
    steady = [stabilizer.step(still(pha, seq)).pha for seq, pha in enumerate(raw)]
    assert flicker(steady[25:]) < 0.3 * flicker(raw[25:])
    assert np.abs(steady[-1] - truth).mean() < 0.5 * np.abs(raw[-1] - truth).mean()


def test_a_longer_half_life_is_steadier() -> None:
    truth = disc(*SIZE)
    raw = [jittered(truth, seq) for seq in range(60)]
    found = []
    for half_life_s in (0.08, 0.16, 0.5):
        stabilizer = MotionStabilizer(half_life_s)
        found.append(flicker([stabilizer.step(still(pha, seq)).pha for seq, pha in enumerate(raw)][30:]))
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("value", [0.1, 0.35, 0.5, 0.65, 0.9])
def test_soft_alphas_are_not_pushed_to_an_end(value: float) -> None:
    stabilizer, truth = MotionStabilizer(0.16), np.full(SIZE[::-1], value, np.float32)
    raw = [jittered(truth, seq) for seq in range(200)]
    steady = [stabilizer.step(still(pha, seq)).pha for seq, pha in enumerate(raw)]
    for some in (slice(20, 60), slice(160, 200)):
        assert abs(np.mean(steady[some]) - value) < 0.02
        assert np.std(steady[some]) < 0.6 * np.std(raw[some])


def test_a_network_that_makes_up_its_mind_is_followed_at_once() -> None:
    stabilizer = MotionStabilizer(0.5)
    for seq in range(10):
        stabilizer.step(still(np.full((4, 4), 0.5, np.float32), seq))
    assert stabilizer.step(still(np.ones((4, 4), np.float32), 10)).pha.min() > 0.95


def test_one_uncertain_frame_between_certain_ones_is_hardly_seen() -> None:
    stabilizer = MotionStabilizer(0.16)
    mattes = [1.0] * 5 + [0.5] + [1.0] * 3
    found = [stabilizer.step(still(np.full((4, 4), value, np.float32), seq)).pha for seq, value in enumerate(mattes)]
    assert found[5].min() > 0.9
    assert found[6].min() > 0.97


def bar(x: int) -> Float:
    pha = np.zeros(SIZE[::-1], np.float32)
    pha[:, x : x + 12] = 1
    pha[:, (x - 1, x + 12)] = 0.5
    return pha


def test_a_moving_edge_stays_where_it_is() -> None:
    """Three pixels a frame, with the motion known: no ghost behind it and no lag before it, not even a trace."""
    stabilizer = MotionStabilizer(1.0)
    for seq in range(10):
        pha = bar(5 + 3 * seq)
        steady = stabilizer.step(still(pha, 0) if seq == 0 else moved(make_matte(pha, seq / RATE, seq=seq), 3)).pha
        assert np.abs(steady - pha)[:, 3:].max() < 1e-6


def test_where_motion_is_not_trusted_the_past_does_not_count() -> None:
    stabilizer, before, now = MotionStabilizer(0.5), np.full((8, 8), 0.9, np.float32), np.full((8, 8), 0.2, np.float32)
    trust = np.ones((8, 8), np.float32)
    trust[:, :4] = 0
    stabilizer.step(still(before, 0))
    steady = stabilizer.step(still(now, 1, trust=trust)).pha
    assert np.array_equal(steady[:, :4], now[:, :4])
    assert steady[:, 4:].min() > 0.5


def test_unseen_frames_are_carried_along_the_motion() -> None:
    stabilizer = MotionStabilizer(0.16)
    stabilizer.step(make_matte(bar(5), 0.0))
    for seq in range(1, 6):
        unseen = replace(moved(make_matte(np.zeros(SIZE[::-1], np.float32), seq / RATE, seq=seq), 4), seen=False)
        assert np.abs(stabilizer.step(unseen).pha - bar(5 + 4 * seq))[:, 4 * seq + 4 :].max() < 1e-6


def test_trust_lost_on_unseen_frames_stays_lost() -> None:
    """What the network then says is not averaged with a past that was lost two frames ago."""
    stabilizer = MotionStabilizer(1.0)
    now = np.full((4, 4), 0.3, np.float32)
    stabilizer.step(still(np.full((4, 4), 0.8, np.float32), 0))
    stabilizer.step(still(now, 1, seen=False, trust=0.0))
    stabilizer.step(still(now, 2, seen=False))
    assert np.array_equal(stabilizer.step(still(now, 3)).pha, now)
    assert stabilizer.step(still(np.full((4, 4), 0.5, np.float32), 4)).pha.max() < 0.5, "but from here on there is one"


def test_the_time_of_unseen_frames_counts() -> None:
    """After a keyframe's five frames the past weighs what it does after the same time at any stride."""
    was, now = np.full((2, 2), 0.5001, np.float32), np.full((2, 2), 0.4999, np.float32)
    left = {}
    for stride in (1, 5):
        stabilizer = MotionStabilizer(0.2)
        stabilizer.step(still(was, 0))
        for seq in range(1, 6):
            steady = stabilizer.step(still(now, seq, seen=seq % stride == 0)).pha
        left[stride] = float((steady - now)[0, 0] / (was - now)[0, 0])
    assert left == pytest.approx({1: 0.5, 5: 0.5}, abs=0.01)
