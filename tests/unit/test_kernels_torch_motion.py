"""Motion on a device against the host's kernels: pictures brought along, trust, and the average over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import textured

from streammatte.kernels import temporal as host_temporal
from streammatte.kernels import warping as host_warping

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, apart, sent  # noqa: E402

from streammatte.kernels.torch import temporal, warping  # noqa: E402

sides = st.integers(1, 70)
seeds = st.integers(0, 10_000)
LEAST = 1 / 255
"""What an 8-bit plane could show. OpenCV before 5 rounds places to 1/32 pixel."""


def maps(seed: int, count: int, width: int, height: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, height, width), np.float32)


def field(seed: int, width: int, height: int, most_px: float) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-most_px, most_px, (height, width, 2)).astype(np.float32)


@given(sides, sides, st.sampled_from([0.0, 0.7, 5.0, 300.0]), seeds)
@settings(max_examples=60)
def test_warp_is_the_hosts(width: int, height: int, most_px: float, seed: int) -> None:
    """Also far beyond the border, which repeats."""
    picture, flow = textured(seed, (width + 9, height + 9))[:height, :width], field(seed, width, height, most_px)
    expected = host_warping.warp(picture, flow)
    found = warping.warp(sent(picture).permute(2, 0, 1), sent(flow))
    assert apart(found.permute(1, 2, 0), expected) < LEAST
    assert apart(warping.warp(sent(picture[..., 0]), sent(flow)), expected[..., 0]) < LEAST


def test_warp_of_whole_pixels_moves_samples_as_they_are() -> None:
    image = maps(0, 1, 300, 200)[0]
    flow = np.broadcast_to(np.float32([3, -2]), (200, 300, 2))
    found = warping.warp(sent(image), sent(flow)).cpu().numpy()
    assert np.abs(found[2:, :-3] - image[:-2, 3:]).max() < 1e-4


@given(sides, sides, st.floats(0, 1), st.floats(0.001, 2), seeds)
@settings(max_examples=60)
def test_average_is_the_hosts(width: int, height: int, keep: float, elapsed_s: float, seed: int) -> None:
    pha, carried, trust = maps(seed, 3, width, height)
    expected = host_temporal.average(pha, carried, trust, keep, elapsed_s)
    there = [sent(each) for each in (pha, carried, trust)]
    assert apart(temporal.average(*there, keep, elapsed_s), expected) < 1e-5
    numbers = (torch.tensor(number, device=DEVICE) for number in (keep, elapsed_s))
    assert apart(temporal.average(*there, *numbers), expected) < 1e-5
    assert [apart(*pair) for pair in zip(there, (pha, carried, trust), strict=True)] == [0, 0, 0], "it wrote over one"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_is_certain_and_stays_so_is_exact(value: float) -> None:
    flat, trust = torch.full((9, 7), value, device=DEVICE), sent(maps(1, 1, 7, 9)[0])
    assert torch.equal(temporal.average(flat, flat, trust, 0.9, 0.04), flat)


@given(sides, sides, st.floats(0, 20), seeds)
@settings(max_examples=60)
def test_agreement_is_the_hosts(width: int, height: int, most_px: float, seed: int) -> None:
    flow, change = field(seed, width, height, most_px), 2 * maps(seed, 1, width, height)[0]
    back = -flow + field(seed + 1, width, height, 1.0)
    there = [sent(each) for each in (flow, back, change)]
    assert apart(temporal.agreement(*there), host_temporal.agreement(flow, back, change)) < 1e-5
    assert [apart(*pair) for pair in zip(there, (flow, back, change), strict=True)] == [0, 0, 0], "it wrote over one"
