"""The local linear model on a device against the host's kernels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import make_frame, textured

from streammatte.frame import Frame
from streammatte.kernels import growing as host_growing
from streammatte.kernels import local_linear as host_linear

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, apart, got, sent  # noqa: E402

from streammatte.kernels.torch import growing, local_linear, means, planes, shaping  # noqa: E402

EPSILON = 2e-6
sides = st.integers(1, 40)
seeds = st.integers(0, 10_000)
radii = st.integers(1, 6)
NAMES = [f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")] + ["gbrp", "gray"]


def picture_of(seed: int, width: int, height: int) -> npt.NDArray[np.float32]:
    """A guide (3, h, w) around 0, with some noise in it as pictures have."""
    soft = textured(seed, (width + 4, height + 4))[:height, :width].transpose(2, 0, 1)
    noise = np.random.default_rng(seed).normal(0, 0.01, (3, height, width))
    return np.ascontiguousarray(soft - 0.5 + noise, np.float32)


def unit_map(seed: int, width: int, height: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width), np.float32)


# the model


@given(sides, sides, radii, seeds)
@settings(max_examples=50)
def test_fit_is_the_hosts(width: int, height: int, radius: int, seed: int) -> None:
    guide, pha = picture_of(seed, width, height), unit_map(seed, width, height)
    coefficients, smooth = host_linear.fit(host_linear.Windows(guide, radius, EPSILON), pha)
    found, smoothed = local_linear.fit(local_linear.Windows(sent(guide), radius, EPSILON), sent(pha))
    assert found.dtype == smoothed.dtype == torch.float32
    assert apart(smoothed, smooth) < 1 / 1023
    assert apart(found, coefficients) < 0.02 * max(1, float(np.abs(coefficients).max()))


def test_fit_is_least_squares_in_every_window() -> None:
    """As written down in the paper (eq. 14 to 16)."""
    guide, pha = picture_of(621, 12, 5), unit_map(621, 12, 5)
    found, _ = local_linear.fit(local_linear.Windows(sent(guide), 2, EPSILON), sent(pha))
    each = np.empty((4, 5, 12))
    places = [[np.s_[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] for x in range(12)] for y in range(5)]
    for y, x in np.ndindex(5, 12):
        colors, alphas = guide[(slice(None), *places[y][x])].reshape(3, -1).astype(float), pha[places[y][x]].ravel()
        covariance = np.cov(colors, bias=True) + EPSILON * np.eye(3)
        slope = np.linalg.solve(covariance, (colors * alphas).mean(1) - colors.mean(1) * alphas.mean())
        each[:, y, x] = *slope, alphas.mean() - slope @ colors.mean(1)
    averaged = [[each[(slice(None), *places[y][x])].mean((1, 2)) for x in range(12)] for y in range(5)]
    assert np.abs(got(found) - np.moveaxis(np.array(averaged), -1, 0)).max() < 1e-4


@given(seeds, st.floats(0, 1, width=32))
@settings(max_examples=20)
def test_a_flat_picture_gives_the_mean(seed: int, value: float) -> None:
    guide = np.full((3, 20, 30), value - 0.5, np.float32)
    pha = unit_map(seed, 30, 20)
    coefficients, smooth = local_linear.fit(local_linear.Windows(sent(guide), 3, EPSILON), sent(pha))
    assert coefficients[:3].abs().max() < 1e-6
    twice = sent(pha)[None]
    for _ in range(2):
        twice = torch.nn.functional.avg_pool2d(twice, 7, 1, 3, count_include_pad=False)
    assert (smooth - twice[0]).abs().max() < 1e-5


@given(sides, sides, radii, st.integers(1, 8), seeds)
@settings(max_examples=40)
def test_solve_is_the_hosts(width: int, height: int, radius: int, steps: int, seed: int) -> None:
    guide, prior = picture_of(seed, width, height), unit_map(seed, width, height)
    weight, start = unit_map(seed + 1, width, height) * 0.1 + np.float32(1e-3), unit_map(seed + 2, width, height)
    expected = host_linear.solve(host_linear.Windows(guide, radius, EPSILON), prior, weight, start, steps)
    windows = local_linear.Windows(sent(guide), radius, EPSILON)
    found = local_linear.solve(windows, sent(prior), sent(weight), sent(start), steps)
    assert apart(found, expected) < 0.02, "what the host rounds to float32, magnified by a few steps"
    assert np.abs(found.cpu().numpy() - expected).mean() < 1 / 255


def test_solve_stays_where_there_is_nothing_to_gain() -> None:
    windows = local_linear.Windows(sent(picture_of(0, 30, 20)), 3, EPSILON)
    flat = torch.full((20, 30), 0.5, device=DEVICE)
    found = local_linear.solve(windows, flat, torch.full_like(flat, 0.01), flat, 40)
    assert (found - flat).abs().max() < 1e-6


@given(sides, sides, seeds)
@settings(max_examples=40)
def test_mix_is_the_hosts(width: int, height: int, seed: int) -> None:
    guide, slopes = picture_of(seed, width, height), 4 * picture_of(seed + 1, width, height)
    slopes = np.concatenate((slopes, slopes[:1]))
    pha, value, share, doubt = (unit_map(seed + i, width, height) for i in range(4))
    weights, middle = (1 / 255, 2 / 255, 0.0), 127.5
    expected = np.empty((4, height, width), np.float32)
    host_linear.mix(
        slopes, guide, pha, value, share, doubt, np.array(weights, np.float32), np.float32(middle), expected
    )
    there = [sent(each) for each in (slopes, guide, pha, value, share, doubt)]
    assert apart(local_linear.mix(*there, weights, middle), expected) < 2e-5


# to frame size


def coefficients_of(small: tuple[int, int], frame: Frame, seed: int) -> npt.NDArray[np.float32]:
    """Alpha around 0 to 1 with a part in it for every plane; in the right half of it no colour."""
    width, height = small
    dice = np.random.default_rng(seed)
    maps = dice.normal(0, 0.3, (4, height, width)).astype(np.float32) / np.float32(frame.format.peak)
    maps[3] = dice.random((height, width), np.float32) - maps[:3].sum(axis=0) * np.float32(frame.format.peak / 2)
    maps[3, : height // 3] = dice.integers(0, 2, width)
    maps[:3, :, width // 2 :] = 0
    maps[len(frame.planes) : 3] = 0
    return maps


@given(st.sampled_from(NAMES), st.tuples(sides, sides), st.tuples(st.integers(1, 130), st.integers(1, 130)), seeds)
@settings(max_examples=80)
def test_grow_is_the_hosts(name: str, small: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    frame = make_frame(name, size, seed=seed)
    maps = coefficients_of(small, frame, seed)
    expected, trace = host_growing.grow(maps, frame).astype(np.float64), 1.5 / 255 * frame.format.peak
    found = growing.grow(sent(maps), planes.on_device(frame, DEVICE))
    assert found.dtype == planes.sample_type(frame.format)
    off = np.abs(found.cpu().numpy() - expected)
    # A value that float32 puts just above what is cut on one side, and just below it on the other.
    high = np.maximum(found.cpu().numpy(), expected)
    low = np.minimum(found.cpu().numpy(), expected)
    cut = ((low == 0) & (high <= trace + 1.5)) | ((high == frame.format.peak) & (low >= high - trace - 1.5))
    assert off[~cut].max(initial=0) <= 1
    assert (off > 1).sum() <= max(2, off.size / 100)


@pytest.mark.parametrize("name", NAMES)
def test_where_alpha_is_certain_it_is_exact(name: str) -> None:
    frame = make_frame(name, (97, 61))
    for value in (0.0, 1.0):
        maps = np.zeros((4, 20, 30), np.float32)
        maps[3] = value
        found = growing.grow(sent(maps), planes.on_device(frame, DEVICE))
        assert (found == round(value * frame.format.peak)).all()


def test_chroma_of_a_quarter_lies_between_its_neighbours() -> None:
    """4:1:1 by hand: the first two of four columns have their own sample, the others half of the next."""
    frame = make_frame("yuv411p", (12, 1))
    frame.planes[1][...] = [[40, 80, 120]]
    maps = np.zeros((4, 1, 3), np.float32)
    maps[1] = 1 / 255
    found = growing.grow(sent(maps), planes.on_device(frame, DEVICE))
    assert found.tolist() == [[40, 40, 60, 60, 80, 80, 100, 100, 120, 120, 120, 120]]


# shapes


@given(st.integers(1, 12), st.integers(1, 60), st.integers(1, 60), seeds)
@settings(max_examples=50)
def test_shapes_are_opencvs(radius: int, width: int, height: int, seed: int) -> None:
    shape = (np.random.default_rng(seed).random((height, width)) > 0.9).astype(np.float32)
    disc_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    assert apart(shaping.dilate(sent(shape), radius), cv2.dilate(shape, disc_)) == 0
    assert apart(shaping.erode(sent(1 - shape), radius), cv2.erode(1 - shape, disc_)) == 0


@given(st.floats(0.01, 2.2), st.integers(12, 60), st.integers(12, 60), seeds)
@settings(max_examples=40)
def test_the_gaussian_is_opencvs(sigma_px: float, width: int, height: int, seed: int) -> None:
    values = unit_map(seed, width, height)
    assert apart(shaping.gaussian(sent(values), sigma_px), cv2.GaussianBlur(values, (0, 0), sigma_px)) < 1e-5


@given(st.integers(1, 8), st.integers(8, 60), st.integers(8, 60), seeds)
@settings(max_examples=40)
def test_the_mirrored_mean_is_opencvs(reach: int, width: int, height: int, seed: int) -> None:
    values, side = unit_map(seed, width, height), 2 * reach + 1
    expected = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
    assert apart(means.mirrored_mean(sent(values), reach), expected) < 1e-5
