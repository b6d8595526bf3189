"""What `ports.Stabilizer` promises, over every stabilizer in the registry; and the half-life of the averages."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import Float, disc, make_matte, moved

from streammatte import registry
from streammatte.errors import ConfigError
from streammatte.frame import Matte
from streammatte.ports import Stabilizer
from streammatte.stabilizers.ema import EmaStabilizer
from streammatte.stabilizers.motion import MotionStabilizer

ARGUMENTS: dict[str, tuple[float, ...]] = {"ema": (0.1,), "motion": (0.1,)}
"""What the constructor takes; nothing where a name is absent."""


def made(name: str) -> Stabilizer:
    stabilizer: Stabilizer = registry.load(registry.STABILIZERS, name, "--stabilize")(*ARGUMENTS.get(name, ()))
    return stabilizer


@pytest.fixture(params=registry.STABILIZERS)
def name(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


def after(pha: Float, time_s: float, *, seq: int = 0, discontinuity: bool = False) -> Matte:
    """A matte of a scene in which nothing moves, as the motion estimator gives it on."""
    matte = make_matte(pha, time_s, seq=seq, discontinuity=discontinuity)
    return matte if discontinuity or seq == 0 else moved(matte)


def noise(seed: int, size: tuple[int, ...] = (20, 30)) -> Float:
    return np.random.default_rng(seed).random(size, np.float32)


def test_the_matte_stays_that_frames_matte(name: str) -> None:
    stabilizer = made(name)
    for seq, cut in enumerate((False, False, True, False)):
        matte = replace(after(noise(seq), seq / 25, seq=seq, discontinuity=cut), src=noise(9, (20, 30, 3)))
        steady = stabilizer.step(matte)
        assert (steady.pha.dtype, steady.pha.shape) == (np.dtype(np.float32), (20, 30))
        assert steady.src is matte.src
        assert (steady.seq, steady.time_s, steady.discontinuity) == (matte.seq, matte.time_s, cut)


def test_alpha_stays_in_range(name: str) -> None:
    stabilizer = made(name)
    for seq in range(40):
        pha = np.rint(noise(seq))
        steady = stabilizer.step(after(pha, seq / 25, seq=seq)).pha
        assert steady.min() >= 0
        assert steady.max() <= 1


def test_what_does_not_move_does_not_change(name: str) -> None:
    stabilizer, still = made(name), disc(30, 20)
    for seq in range(50):
        assert np.abs(stabilizer.step(after(still, seq / 25, seq=seq)).pha - still).max() < 1e-6


def test_the_first_matte_is_given_as_it_is(name: str) -> None:
    assert np.array_equal(made(name).step(make_matte(noise(0))).pha, noise(0))


def test_state_is_dropped_at_a_discontinuity(name: str) -> None:
    """What comes after is what a new stabilizer gives, bit for bit, whatever came before."""
    used, new = made(name), made(name)
    for seq in range(5):
        used.step(after(noise(seq), seq / 25, seq=seq))
    for seq in range(5, 10):
        matte = after(noise(seq), seq / 25, seq=seq, discontinuity=seq == 5)
        assert np.array_equal(used.step(matte).pha, new.step(matte).pha)


def test_a_matte_of_another_size_starts_anew(name: str) -> None:
    stabilizer = made(name)
    stabilizer.step(make_matte(noise(0), 0.0))
    assert np.array_equal(stabilizer.step(make_matte(noise(1, (12, 8)), 0.04)).pha, noise(1, (12, 8)))


def test_the_given_matte_is_left_alone(name: str) -> None:
    stabilizer = made(name)
    mattes = [after(noise(seq), seq / 25, seq=seq) for seq in range(4)]
    steady = [stabilizer.step(matte).pha for matte in mattes]
    kept = [pha.copy() for pha in steady]
    stabilizer.step(after(noise(9), 1.0, seq=9))
    for seq, matte in enumerate(mattes):
        assert np.array_equal(matte.pha, noise(seq))
        assert np.array_equal(steady[seq], kept[seq]), "nor is what was given before written into"


def test_a_frame_that_was_not_seen_gets_the_last_matte(name: str) -> None:
    stabilizer, unseen = made(name), np.zeros((20, 30), np.float32)
    stabilizer.step(after(noise(0), 0.0))
    last = stabilizer.step(after(noise(1), 0.04, seq=1)).pha
    for seq in (2, 3):
        given = replace(after(unseen, seq / 25, seq=seq), seen=False)
        steady = stabilizer.step(given)
        assert np.abs(steady.pha - last).max() < 1e-6
        assert (steady.seq, steady.seen) == (seq, False)


def test_a_discontinuity_after_unseen_frames_starts_anew(name: str) -> None:
    stabilizer = made(name)
    stabilizer.step(after(noise(0), 0.0))
    stabilizer.step(replace(after(noise(1), 0.04, seq=1), seen=False))
    cut = after(noise(2), 0.08, seq=2, discontinuity=True)
    assert np.array_equal(stabilizer.step(cut).pha, noise(2))


# the averages


Averaging = type[EmaStabilizer] | type[MotionStabilizer]
averaging = pytest.mark.parametrize("kind", [EmaStabilizer, MotionStabilizer])


def left_of(stabilizer: Stabilizer, times_s: list[float]) -> float:
    """How much of a small change of alpha, none of it certain, is left at the last of these times since it was seen."""
    was, now = (np.full((2, 2), value, np.float32) for value in (0.5001, 0.4999))
    stabilizer.step(after(was, 0.0))
    mattes = [stabilizer.step(after(now, time_s, seq=seq)) for seq, time_s in enumerate(times_s, start=1)]
    return float((mattes[-1].pha - now)[0, 0] / (was - now)[0, 0])


@averaging
@pytest.mark.parametrize("rate", [10, 24, 25, 60, 240])
@pytest.mark.parametrize("half_life_s", [0.2, 0.5])
def test_half_life_is_in_seconds_at_any_rate(kind: Averaging, rate: int, half_life_s: float) -> None:
    for half_lives in (1, 2, 3):
        times_s = [tick / rate for tick in range(1, round(rate * half_lives * half_life_s) + 1)]
        wanted = 0.5 ** (times_s[-1] / half_life_s)
        assert left_of(kind(half_life_s), times_s) == pytest.approx(wanted, abs=0.02)


@averaging
@given(steps_s=st.lists(st.floats(0.001, 0.3), min_size=1, max_size=20))
def test_uneven_times_fade_alike(kind: Averaging, steps_s: list[float]) -> None:
    times_s = list(accumulate(steps_s))
    assert left_of(kind(0.1), times_s) == pytest.approx(0.5 ** (times_s[-1] / 0.1), abs=0.01)


@averaging
@pytest.mark.parametrize("back_s", [0.0, -5.0])
def test_time_that_does_not_go_on_starts_anew(kind: Averaging, back_s: float) -> None:
    stabilizer = kind(1.0)
    stabilizer.step(after(noise(0), 10.0))
    assert np.array_equal(stabilizer.step(after(noise(1), 10.0 + back_s, seq=1)).pha, noise(1))


@averaging
def test_flicker_is_damped(kind: Averaging) -> None:
    stabilizer = kind(0.1)
    seen = [stabilizer.step(after(noise(seq), seq / 25, seq=seq)).pha for seq in range(60)]
    raw = np.abs(np.diff([noise(seq) for seq in range(30, 60)], axis=0)).mean()
    assert np.abs(np.diff(seen[30:], axis=0)).mean() < raw / 2


@averaging
@pytest.mark.parametrize("half_life_s", [0.0, -1.0, float("nan")])
def test_half_life_out_of_range(kind: Averaging, half_life_s: float) -> None:
    with pytest.raises(ConfigError, match="half-life"):
        kind(half_life_s)
