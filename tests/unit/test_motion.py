"""Motion is found where it can be, and believed only there; keyframes come where it is lost; pictures follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import Float, make_matte, moved

from streammatte.frame import Matte
from streammatte.kernels.temporal import agreement, average
from streammatte.kernels.warping import warp
from streammatte.keyframes import Keyframes
from streammatte.motion import MotionEstimator

SIZE = (160, 120)
INSIDE = (slice(16, -16), slice(16, -16))


def texture(seed: int = 0, size: tuple[int, int] = SIZE, scale_px: float = 2.0) -> Float:
    """A picture (h, w, 3) of soft blobs that look alike nowhere."""
    noise = np.random.default_rng(seed).random((size[1] + 64, size[0] + 64, 3), np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), scale_px)
    return np.asarray((soft - soft.min()) / (soft.max() - soft.min()), np.float32)


def window(picture: Float, x_px: int, y_px: int, size: tuple[int, int] = SIZE) -> Float:
    """What a camera sees of it that looks from (32 - x, 32 - y): its content moves by (x, y)."""
    return np.ascontiguousarray(picture[32 - y_px : 32 - y_px + size[1], 32 - x_px : 32 - x_px + size[0]])


def showing(src: Float, seq: int = 0, *, discontinuity: bool = False) -> Matte:
    return replace(
        make_matte(np.zeros(src.shape[:2], np.float32), seq / 25, seq=seq, discontinuity=discontinuity), src=src
    )


def estimated(*pictures: Float, onward: bool = False) -> Matte:
    """The last of these pictures with its motion."""
    estimator = MotionEstimator(onward=onward)
    return [estimator.step(showing(src, seq)) for seq, src in enumerate(pictures)][-1]


def known(matte: Matte) -> tuple[Float, Float]:
    assert matte.flow is not None
    assert matte.trust is not None
    assert (matte.flow.shape, matte.flow.dtype) == ((*matte.pha.shape, 2), np.dtype(np.float32))
    assert (matte.trust.shape, matte.trust.dtype) == (matte.pha.shape, np.dtype(np.float32))
    assert 0 <= matte.trust.min() <= matte.trust.max() <= 1
    return matte.flow, matte.trust


# the estimator


@pytest.mark.parametrize(("x_px", "y_px"), [(0, 0), (3, 0), (0, -4), (-2, 5), (7, 3)])
def test_a_translation_is_found_and_believed(x_px: int, y_px: int) -> None:
    picture = texture()
    flow, trust = known(estimated(window(picture, 0, 0), window(picture, x_px, y_px)))
    errors = np.hypot(flow[..., 0] + x_px, flow[..., 1] + y_px)[INSIDE]
    assert np.median(errors) < 0.2
    assert np.quantile(errors, 0.95) < 0.6
    assert trust[INSIDE].mean() > 0.85


def test_it_leads_to_what_was_there() -> None:
    picture = texture()
    before, now = window(picture, 0, 0), window(picture, 4, 2)
    flow, _ = known(estimated(before, now))
    missed, still = (np.abs(each - now)[INSIDE].mean() for each in (warp(before, flow), before))
    assert missed < 0.2 * still


def test_a_larger_picture_gives_motion_in_its_own_pixels() -> None:
    size = (384, 288)
    picture = texture(scale_px=5.0, size=size)
    flow, trust = known(estimated(window(picture, 0, 0, size), window(picture, 10, -6, size)))
    inside = (slice(32, -32), slice(32, -32))
    assert np.median(flow[inside], axis=(0, 1)) == pytest.approx((-10, 6), abs=0.5)
    assert trust[inside].mean() > 0.8


def box(background: Float, subject: Float, x_px: int) -> Float:
    picture = background.copy()
    picture[30:90, 40 + x_px : 90 + x_px] = subject[30:90, 40:90]
    return picture


def test_what_is_uncovered_is_not_believed() -> None:
    """A textured box moves 8 pixels to the right: what comes out behind it was nowhere before."""
    background, subject = (window(texture(seed, scale_px=3.0), 0, 0) for seed in (1, 2))
    _, trust = known(estimated(box(background, subject, 0), box(background, subject, 8)))
    uncovered, elsewhere = trust[34:86, 41:47], trust[34:86, 104:150]
    assert uncovered.mean() < 0.4
    assert elsewhere.mean() > 0.8
    assert trust[40:80, 60:88].mean() > 5 * uncovered.mean(), "the box itself is where it should be"


def test_another_light_is_not_believed() -> None:
    picture = window(texture(), 0, 0) * np.float32(0.5)
    _, trust = known(estimated(picture, picture + np.float32(0.4)))
    assert trust[INSIDE].max() < 0.1


def test_noise_of_a_sensor_is_believed() -> None:
    picture, dice = window(texture(), 0, 0), np.random.default_rng(5)
    before, now = (np.clip(picture + dice.normal(0, 0.01, picture.shape), 0, 1).astype(np.float32) for _ in range(2))
    flow, trust = known(estimated(before, now))
    assert np.abs(flow[INSIDE]).mean() < 0.2
    assert trust[INSIDE].mean() > 0.8


def test_nothing_is_known_at_the_start_and_after_a_break() -> None:
    picture = texture()
    estimator = MotionEstimator(onward=True)
    steps = [
        showing(window(picture, 0, 0)),
        showing(window(picture, 1, 0), 1, discontinuity=True),
        showing(window(picture, 2, 0), 2),
        showing(window(picture, 2, 0, (80, 60)), 3),
        showing(window(picture, 3, 0, (80, 60)), 4),
    ]
    found = [estimator.step(matte) for matte in steps]
    assert [matte.flow is not None for matte in found] == [False, False, True, False, True]
    assert [(m.flow is None, m.flow is None) for m in found] == [(m.trust is None, m.onward is None) for m in found]
    assert np.median(known(found[2])[0][INSIDE], axis=(0, 1)) == pytest.approx((-1, 0), abs=0.2)


def test_the_way_onward_is_the_way_back_turned() -> None:
    picture = texture()
    matte = estimated(window(picture, 0, 0), window(picture, 5, -3), onward=True)
    assert matte.onward is not None
    flow, trust = matte.onward
    assert np.median(flow[INSIDE], axis=(0, 1)) == pytest.approx((5, -3), abs=0.2)
    assert trust[INSIDE].mean() > 0.85
    assert estimated(window(picture, 0, 0), window(picture, 5, -3)).onward is None, "only where it is asked for"


@pytest.mark.parametrize("size", [(40, 24), (16, 16), (64, 64), (144, 256), (256, 144), (321, 319)])
def test_sizes_that_networks_have(size: tuple[int, int]) -> None:
    picture = texture(size=size)
    flow, trust = known(estimated(window(picture, 0, 0, size), window(picture, 1, 1, size)))
    assert np.isfinite(flow).all()
    assert np.isfinite(trust).all()


# keyframes


def lost(*shares: float | None) -> list[Matte]:
    """Frames from one to the next of which this share of the picture's motion is lost; None: all that was known."""
    plain = make_matte(np.zeros((4, 4), np.float32))
    return [plain if share is None else moved(plain, trust=1 - share) for share in shares]


def keys(stride: int, tolerance: float, mattes: list[Matte]) -> list[int]:
    keyframes = Keyframes(stride, tolerance)
    return [index for index, matte in enumerate(mattes) if keyframes.is_key(matte)]


def test_a_still_scene_needs_one_in_a_stride() -> None:
    assert keys(5, 0.35, lost(None, *[0.0] * 16)) == [0, 5, 10, 15]


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_stride_of_one_is_every_frame(share: float) -> None:
    assert keys(1, 0.0, lost(None, *[share] * 9)) == list(range(10))
    assert keys(1, 0.9, lost(None, *[share] * 9)) == list(range(10))


def test_they_come_sooner_where_motion_is_lost() -> None:
    assert keys(10, 0.35, lost(None, *[0.1] * 12)) == [0, 4, 8, 12]
    assert keys(10, 0.35, lost(None, *[0.5] * 4)) == [0, 1, 2, 3, 4]
    assert keys(10, 0.35, lost(None, 0.0, 0.3, 0.0, 0.1, 0.0, 0.3)) == [0, 4]


@pytest.mark.parametrize(("rate", "found"), [(30, [0, 14, 28]), (15, [0, 8, 16, 24, 32]), (1, list(range(34)))])
def test_at_few_frames_a_second_one_comes_every_half_second(rate: int, found: list[int]) -> None:
    mattes = [replace(matte, time_s=index / rate) for index, matte in enumerate(lost(None, *[0.0] * 33))]
    assert keys(14, 0.35, mattes) == found


def test_a_cut_is_one_and_the_count_begins_there() -> None:
    assert keys(4, 0.35, lost(None, 0.0, 0.3, None, 0.3, 0.0, 0.0, 0.0, 0.0)) == [0, 3, 7]


# warping, and what is done to pixels between two frames


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (2,), (3,)])
def test_a_warp_is_linear_interpolation(dtype: Any, channels: tuple[int, ...]) -> None:
    dice = np.random.default_rng(3)
    image = (dice.random((11, 17, *channels)) * (1 if dtype == np.float32 else 200)).astype(dtype)
    flow = dice.integers(-16, 17, (11, 17, 2)).astype(np.float32) / 4
    y, x = np.mgrid[0:11, 0:17].astype(np.float32)
    wide, high = np.clip(x + flow[..., 0], 0, 16), np.clip(y + flow[..., 1], 0, 10)
    expected = bilinear(image.astype(np.float64), wide, high)
    step = 1e-5 if dtype == np.float32 else 1.0
    assert np.abs(warp(image, flow) - expected).max() <= step


def bilinear(image: npt.NDArray[np.float64], x: Float, y: Float) -> npt.NDArray[np.float64]:
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, low = np.minimum(left + 1, image.shape[1] - 1), np.minimum(top + 1, image.shape[0] - 1)
    u, v = (np.reshape(part, part.shape + (1,) * (image.ndim - 2)) for part in (x - left, y - top))
    upper = image[top, left] * (1 - u) + image[top, right] * u
    lower = image[low, left] * (1 - u) + image[low, right] * u
    return np.asarray(upper * (1 - v) + lower * v)


def test_no_motion_changes_nothing() -> None:
    image = np.random.default_rng(0).random((20, 30), np.float32)
    assert np.array_equal(warp(image, np.zeros((20, 30, 2), np.float32)), image)


def test_agreement_is_whole_where_both_ways_meet_and_the_picture_stays() -> None:
    flow = np.full((3, 4, 2), 5.0, np.float32)
    nothing, much = np.zeros((3, 4), np.float32), np.full((3, 4), 3.0, np.float32)
    assert agreement(flow, -flow, nothing) == pytest.approx(np.ones((3, 4)))
    assert agreement(flow, flow, nothing).max() < 1e-3
    assert agreement(flow, -flow, much).max() < 1e-3
    near = agreement(flow, -flow + np.float32(0.5), nothing)
    far = agreement(flow, -flow + np.float32(2.0), nothing)
    assert 0 < far.max() < near.min() < 1


def one(value: float) -> Float:
    return np.full((1, 1), value, np.float32)


def mixed(now: float, past: float, trust: float = 1.0, keep: float = 0.5) -> float:
    return float(average(one(now), one(past), one(trust), keep, 0.04)[0, 0])


def test_the_past_counts_as_far_as_it_is_trusted() -> None:
    assert mixed(0.0, 1.0) == pytest.approx(0.5)
    assert mixed(0.0, 1.0, trust=0.5) == pytest.approx(0.25)
    assert mixed(0.3, 0.9, trust=0.0) == pytest.approx(0.3)
    assert mixed(0.4, 0.6, keep=0.25) == pytest.approx(0.45)


def test_the_more_certain_counts_more() -> None:
    assert mixed(1.0, 0.5) == pytest.approx(1.0), "the network has made up its mind"
    assert mixed(0.5, 1.0) > 0.9, "a flicker"
    assert mixed(0.5, 1.0, trust=0.0) == 0.5
    assert mixed(0.8, 0.6) > 0.7, "and by degrees"


def test_an_average_lies_between_its_parts() -> None:
    dice = np.random.default_rng(1)
    now, past, trust = (dice.random((40, 50), np.float32) for _ in range(3))
    found = average(now, past, trust, 0.7, 0.04)
    assert (found >= np.minimum(now, past) - 1e-6).all()
    assert (found <= np.maximum(now, past) + 1e-6).all()


def test_a_gain_in_certainty_takes_as_much_of_the_past_at_any_frame_rate() -> None:
    one = np.ones((1, 1), np.float32)
    past, now = one * np.float32(0.6), one * np.float32(0.9)
    whole = average(now, past, one, 1.0, 0.08)
    half = average(now, past, one, 1.0, 0.04)
    left_whole, left_half = (float(each[0, 0] - 0.9) / -0.3 for each in (whole, half))
    assert abs(left_whole - left_half**2) < 1e-4
    assert left_whole < left_half < 1
