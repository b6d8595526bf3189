"""Foreground colour on a device: the kernels against the host's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammatte.foregrounds import means as host_means
from streammatte.frame import PixelFormat
from streammatte.kernels import restoring as host_restoring

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import apart, sent  # noqa: E402

from streammatte.kernels.torch import means, planes, restoring  # noqa: E402

sides = st.integers(1, 70)
seeds = st.integers(0, 10_000)


def unit_map(seed: int, width: int, height: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width), np.float32)


@given(sides, sides, st.floats(0, 20), seeds)
@settings(max_examples=50)
def test_box_mean_is_the_hosts(width: int, height: int, radius: float, seed: int) -> None:
    value = unit_map(seed, width, height) - np.float32(0.1)
    assert apart(means.box_mean(sent(value), radius), host_means.box_mean(value, radius)) < 1e-5


@given(sides, sides, st.floats(20, 128), st.booleans(), seeds)
@settings(max_examples=50)
def test_local_means_are_the_hosts(width: int, height: int, lines: float, empty: bool, seed: int) -> None:
    share, picture = unit_map(seed, width, height), unit_map(seed + 1, width, height) * np.float32(255)
    share *= np.float32(0 if empty else 1)
    weights = host_means.surely(share)
    assert apart(means.surely(sent(share)), weights) < 1e-6
    expected, far = host_means.LocalMean(weights, lines).of(picture)
    found, mean = means.LocalMean(sent(weights), lines).of(sent(picture))
    assert apart(found, expected) < 0.02
    assert apart(mean, np.array(far)) < 0.02


@given(st.sampled_from(["gray", "gray10le", "gray16le"]), sides, sides, st.tuples(sides, sides), seeds)
@settings(max_examples=60)
def test_restore_is_the_hosts(name: str, width: int, height: int, small: tuple[int, int], seed: int) -> None:
    target, dice = PixelFormat.named(name), np.random.default_rng(seed)
    plane, alpha, front = dice.integers(0, target.peak, (3, height, width), target.dtype, endpoint=True)
    alpha[:, : width // 3], alpha[: height // 4] = 0, target.peak
    back = unit_map(seed, min(small[0], width), min(small[1], height)) * np.float32(target.peak)
    expected, found = front.copy(), sent(front)
    host_restoring.restore(plane, alpha, back, target.peak / 32, target.peak, expected)
    restoring.restore(sent(plane), sent(alpha), sent(back), target.peak / 32, target.peak, found)
    assert found.dtype == planes.sample_type(target)
    there = found.cpu().numpy()
    clear = (2 * np.arange(width) + 1) * back.shape[1] % (2 * width) != 0  # else two of `back` are as near
    assert np.abs(there.astype(np.int64) - expected)[:, clear].max(initial=0) <= 1
    assert np.array_equal(there[alpha == target.peak], plane[alpha == target.peak])
    assert np.array_equal(there[alpha < target.peak / 32], front[alpha < target.peak / 32])
