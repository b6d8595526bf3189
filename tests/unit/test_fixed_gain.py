"""The default arithmetic: no gain depends on what the frame shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import coded, disc, facts, make_frame

from streammatte.arithmetics.fixed_gain import FixedGainArithmetic
from streammatte.color import ColorSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALISED = facts((20, 12), mean=MEAN, std=STD)


def test_batch_is_scaled_by_the_models_numbers_alone() -> None:
    rgb = np.array([0.8, 0.4, 0.1])
    batch, picture = FixedGainArithmetic(NORMALISED).batch(make_frame("gbrp", rgb=rgb))
    wanted = (np.round(rgb * 255) / 255 - MEAN) / STD
    assert batch == pytest.approx(np.broadcast_to(wanted[None, :, None, None], (1, 3, 12, 20)), abs=1e-5)
    assert picture == pytest.approx(np.broadcast_to(np.round(rgb * 255) / 255, (12, 20, 3)), abs=1e-6)


@pytest.mark.parametrize("name", ["gbrp", "gbrp10le", "yuv444p16le"])
def test_depth_does_not_change_the_gain(name: str) -> None:
    batch, _ = FixedGainArithmetic(facts((20, 12))).batch(make_frame(name, rgb=[0.8, 0.4, 0.2]))
    assert batch.mean(axis=(0, 2, 3)) == pytest.approx([0.8, 0.4, 0.2], abs=3e-3)


def test_a_dark_frame_stays_dark() -> None:
    """Where rembg divides by the brightest pixel."""
    arithmetic = FixedGainArithmetic(facts())
    dark = arithmetic.batch(make_frame("gbrp", rgb=[0.1, 0.1, 0.1]))[0]
    light = arithmetic.batch(make_frame("gbrp", rgb=[0.4, 0.4, 0.4]))[0]
    assert dark.max() == pytest.approx(26 / 255)
    assert light.max() == pytest.approx(102 / 255)


def test_a_bright_spot_changes_nothing_elsewhere() -> None:
    arithmetic = FixedGainArithmetic(facts((20, 12)))
    picture = np.full((48, 64, 3), 0.3, np.float32)
    plain = arithmetic.batch(make_frame("gbrp", rgb=picture))[0]
    picture[:8, :8] = 1.0
    lit = arithmetic.batch(make_frame("gbrp", rgb=picture))[0]
    assert not np.array_equal(lit, plain)
    assert np.array_equal(lit[..., 4:, 4:], plain[..., 4:, 4:])


def test_channels_are_red_green_blue() -> None:
    batch, _ = FixedGainArithmetic(facts()).batch(make_frame("yuv444p", rgb=[1.0, 0.0, 0.0]))
    assert batch[0].mean(axis=(1, 2)) == pytest.approx([1, 0, 0], abs=0.01)


@pytest.mark.parametrize("name", ["gbrp", "yuv444p10le"])
def test_what_the_frames_own_alpha_hides_is_mid_gray(name: str) -> None:
    frame = make_frame(name, rgb=[1.0, 0.0, 0.0], color=ColorSpec(1, 1, 1, False))
    frame = dataclasses.replace(frame, alpha=coded(disc(64, 48, 0, radius=0.4), frame.format))
    _, picture = FixedGainArithmetic(facts((64, 48))).batch(frame)
    assert picture[0, 0] == pytest.approx([0.5] * 3, abs=1e-6)
    assert picture[24, 32] == pytest.approx([1, 0, 0], abs=0.01)


RAW = st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20)


def raw(values: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32).reshape(1, 1, 1, -1)


@given(RAW)
def test_a_probability_is_passed_and_clipped(values: list[float]) -> None:
    pha = FixedGainArithmetic(facts()).pha(raw(values))
    assert np.array_equal(pha[0], np.clip(np.array(values, np.float32), 0, 1))


@given(RAW)
def test_a_logit_goes_through_the_sigmoid(values: list[float]) -> None:
    pha = FixedGainArithmetic(facts(sigmoid=True)).pha(raw(values))
    wide = np.array(values, np.float64)
    assert pha[0] == pytest.approx(np.exp(-np.logaddexp(0, -wide)), abs=1e-6)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_what_no_healthy_network_gives(sigmoid: bool) -> None:
    pha = FixedGainArithmetic(facts(sigmoid=sigmoid)).pha(raw([np.nan, np.inf, -np.inf]))
    assert pha[0] == pytest.approx([0, 1, 0], abs=1e-30)


@pytest.mark.parametrize("level", [0.0, 0.02, 0.6, 1.0])
def test_a_constant_output_stays_that_constant(level: float) -> None:
    """No minimum and maximum are stretched: faint noise on an empty frame stays faint."""
    assert FixedGainArithmetic(facts()).pha(raw([level] * 4)).tolist() == [[np.float32(level)] * 4]
