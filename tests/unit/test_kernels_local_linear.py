"""The guided filter and the matting Laplacian's solution against the same written down plainly, window by window."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import Float

from streammatte.kernels.local_linear import Windows, fit, mix, solve

Doubles = npt.NDArray[np.float64]


def noise(seed: int, *shape: int) -> Float:
    return np.random.default_rng(seed).random(shape, np.float32)


def around(y: int, x: int, radius: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The window of a pixel, which ends at the picture's border."""
    return (
        slice(max(0, y - radius), min(shape[0], y + radius + 1)),
        slice(max(0, x - radius), min(shape[1], x + radius + 1)),
    )


def plainly(guide: Float, pha: Float, radius: int, epsilon: float) -> Doubles:
    """a1, a2, a3, b of every window by least squares (He, Sun and Tang, eq. 14, 15), averaged (eq. 16): (4, h, w)."""
    height, width = pha.shape
    each = np.empty((4, height, width))
    for y in range(height):
        for x in range(width):
            place = around(y, x, radius, pha.shape)
            colors = guide[(slice(None), *place)].reshape(3, -1).astype(np.float64)
            alphas = pha[place].ravel().astype(np.float64)
            apart = colors - colors.mean(axis=1, keepdims=True)
            covariance = apart @ apart.T / alphas.size + epsilon * np.eye(3)
            slope = np.linalg.solve(covariance, apart @ (alphas - alphas.mean()) / alphas.size)
            each[:, y, x] = *slope, alphas.mean() - slope @ colors.mean(axis=1)
    averaged = np.empty_like(each)
    for y in range(height):
        for x in range(width):
            averaged[:, y, x] = each[(slice(None), *around(y, x, radius, pha.shape))].mean(axis=(1, 2))
    return averaged


def smoothed(coefficients: npt.NDArray[np.floating], guide: Float) -> Doubles:
    return np.asarray((coefficients[:3] * guide).sum(axis=0) + coefficients[3], np.float64)


# the guided filter


@settings(max_examples=30)
@given(
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    radius=st.integers(1, 8),
    epsilon=st.sampled_from([1e-4, 1e-2, 1.0]),
    seed=st.integers(0, 1000),
)
def test_it_is_the_guided_filter(size: tuple[int, int], radius: int, epsilon: float, seed: int) -> None:
    """Also where windows are larger than the picture."""
    guide, pha = noise(seed, 3, *size) - np.float32(0.5), noise(seed + 1, *size)
    found, smooth = fit(Windows(guide, radius, epsilon), pha)
    expected = plainly(guide, pha, radius, epsilon)
    assert (found.shape, found.dtype) == ((4, *size), np.dtype(np.float32))
    assert (smooth.shape, smooth.dtype) == (size, np.dtype(np.float32))
    assert np.abs(smooth - smoothed(expected, guide)).max() < 2e-4
    assert np.abs(smooth - smoothed(found, guide)).max() < 1e-5
    if epsilon >= 1e-2:
        assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("weights", [(1, 0, 0), (1, 1, 1), (0.2, -0.5, 1.0)])
def test_channels_that_go_together(weights: tuple[float, float, float]) -> None:
    """Two colours, or a gray picture: the covariance has one direction, and all that is left of the others is eps."""
    line = noise(4, 20, 24)
    guide = np.stack([np.float32(weight) * line for weight in weights])
    pha = np.asarray(0.2 + 0.6 * line, np.float32)
    found, smooth = fit(Windows(guide, 3, 2e-6), pha)
    assert np.isfinite(found).all()
    assert np.abs(smooth - pha).max() < 5e-3
    assert np.abs(smooth - smoothed(plainly(guide, pha, 3, 2e-6), guide)).max() < 1e-3


def test_a_flat_guide_leaves_the_mean_of_means() -> None:
    guide, pha = np.full((3, 16, 18), 0.3, np.float32), noise(1, 16, 18)
    smooth = fit(Windows(guide, 2, 2e-6), pha)[1]
    assert np.abs(smooth - smoothed(plainly(guide, pha, 2, 2e-6), guide)).max() < 1e-4


def test_alpha_that_colour_explains_is_found_again() -> None:
    guide = noise(2, 3, 24, 30)
    pha = np.asarray(0.3 * guide[0] + 0.5 * guide[1] - 0.2 * guide[2] + 0.3, np.float32)
    found, smooth = fit(Windows(guide, 4, 1e-6), pha)
    assert np.abs(smooth - pha).max() < 1e-3
    assert found.mean(axis=(1, 2)) == pytest.approx([0.3, 0.5, -0.2, 0.3], abs=1e-3)


@given(value=st.floats(0, 1, width=32), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_constant_in_constant_out(value: float, seed: int) -> None:
    guide, pha = noise(seed, 3, 15, 22), np.full((15, 22), value, np.float32)
    windows = Windows(guide, 5, 2e-6)
    assert np.abs(fit(windows, pha)[1] - value).max() < 1e-4
    weight = np.full_like(pha, 0.01)
    assert np.abs(solve(windows, pha, weight, pha, 8) - value).max() < 1e-4


def test_what_is_given_is_left_alone() -> None:
    guide, pha, weight = noise(0, 3, 12, 13), noise(1, 12, 13), noise(2, 12, 13) + np.float32(0.1)
    kept = [each.copy() for each in (guide, pha, weight)]
    windows = Windows(guide, 2, 1e-4)
    fit(windows, pha)
    solve(windows, pha, weight, pha, 5)
    assert all(np.array_equal(a, b) for a, b in zip((guide, pha, weight), kept, strict=True))


# the matting Laplacian

SIZE = (7, 8)
RADIUS, EPSILON = 2, 1e-3


def dense(guide: Float) -> Doubles:
    """1 - G as a matrix, a column for each pixel."""
    pixels = SIZE[0] * SIZE[1]
    columns = []
    for index in range(pixels):
        unit = np.zeros(pixels, np.float32)
        unit[index] = 1
        columns.append(unit - smoothed(plainly(guide, unit.reshape(SIZE), RADIUS, EPSILON), guide).ravel())
    return np.stack(columns, axis=1)


def test_the_solution_is_that_of_the_dense_system() -> None:
    """(1 - G + D) x = D prior."""
    guide, prior = noise(5, 3, *SIZE), noise(6, *SIZE)
    weight = np.asarray(0.05 + noise(7, *SIZE) ** 4, np.float32)
    system = dense(guide) + np.diag(weight.ravel().astype(np.float64))
    expected = np.linalg.solve(system, (weight * prior).ravel()).reshape(SIZE)
    found = solve(Windows(guide, RADIUS, EPSILON), prior, weight, prior, 100)
    assert np.abs(found - expected).max() < 1e-3
    assert np.abs(expected - prior).max() > 0.3, "which is far from where it began"


def test_every_step_comes_nearer() -> None:
    guide, prior = noise(8, 3, *SIZE), noise(9, *SIZE)
    weight, windows = np.full(SIZE, 0.05, np.float32), Windows(guide, RADIUS, EPSILON)
    system = dense(guide) + np.diag(weight.ravel())
    expected = np.linalg.solve(system, (weight * prior).ravel())
    apart = [solve(windows, prior, weight, prior, steps).ravel() - expected for steps in range(7)]
    energies = [float(error @ system @ error) for error in apart]
    assert np.array_equal(solve(windows, prior, weight, prior, 0), prior)
    assert all(after < before for before, after in pairwise(energies))
    assert energies[-1] < 0.02 * energies[0]


def test_from_the_solution_nothing_moves() -> None:
    guide, prior, weight = noise(1, 3, 30, 40), noise(2, 30, 40), np.full((30, 40), 0.1, np.float32)
    windows = Windows(guide, 3, 1e-3)
    found = solve(windows, prior, weight, prior, 100)
    assert np.abs(solve(windows, prior, weight, found, 5) - found).max() < 1e-3


# coefficients of samples


def mixed(pha: Float, value: Float, share: Float, doubt: Float) -> tuple[Doubles, Float]:
    """What the coefficients that `mix` gives make of the samples they are for, and those samples' guide."""
    samples = np.random.default_rng(0).integers(0, 256, (3, *pha.shape)).astype(np.float32)
    weights, middle = np.array([1, 2, 2], np.float32) / np.float32(255), np.float32(127.5)
    guide = np.ascontiguousarray((samples - middle) * weights[:, None, None], np.float32)
    out = np.empty((4, *pha.shape), np.float32)
    mix(noise(3, 4, *pha.shape), guide, pha, value, share, doubt, weights, middle, out)
    return smoothed(out, samples), guide


def test_coefficients_give_the_value_where_nothing_is_doubted() -> None:
    pha, value = noise(1, 9, 10), noise(2, 9, 10)
    whole, nothing = np.ones_like(pha), np.zeros_like(pha)
    found = mixed(pha, value, whole, nothing)[0]
    far = np.abs(value - pha) > 0.1
    assert np.abs(found - value)[far].max() < 1e-3
    assert np.abs(mixed(pha, value, nothing, nothing)[0] - pha).max() < 1e-3, "and alpha itself without a share"


def test_where_the_network_was_sure_a_change_must_stand_out() -> None:
    sure, soft = (np.full((5, 5), value, np.float32) for value in (1.0, 0.5))
    whole, doubt = np.ones_like(sure), np.full_like(sure, 0.01)
    little, much = sure - np.float32(0.05), sure - np.float32(0.6)
    assert mixed(sure, little, whole, doubt)[0] == pytest.approx(np.full((5, 5), 1 - 0.05 * 0.2), abs=1e-3)
    assert mixed(sure, much, whole, doubt)[0] == pytest.approx(np.full((5, 5), 1 - 0.6 * 0.973), abs=2e-3)
    assert mixed(soft, soft + np.float32(0.05), whole, doubt)[0] == pytest.approx(np.full((5, 5), 0.55), abs=1e-3)
