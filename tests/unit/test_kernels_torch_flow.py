"""Dense flow on a device: as near to the truth as the search that the host uses, and nothing that the host must see."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import Float, textured

from streammatte.kernels.warping import warp

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, Watch, got, sent  # noqa: E402

from streammatte.kernels.torch.flow import flows  # noqa: E402

WIDTH, HEIGHT, MARGIN = 160, 120, 40
INSIDE = (slice(24, -24), slice(24, -24))
PAIRS = {  # seed, softness of the texture, an even motion, how much more it varies
    "small": (0, 2.5, (1.3, -0.6), 0.0),
    "bent": (1, 2.5, (0.0, 0.0), 3.0),
    "fine and bent": (2, 1.5, (4.0, 2.0), 2.0),
    "coarse and bent": (3, 5.0, (8.0, 3.0), 3.0),
    "far": (4, 2.5, (11.0, -6.0), 0.0),
}


def bent(seed: int, most_px: float) -> Float:
    """A motion (h, w, 2) that differs from place to place."""
    coarse = np.random.default_rng(seed).normal(0, 1, (4, 5, 2)).astype(np.float32)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth * (most_px / np.abs(smooth).max()), np.float32)


def gray(seed: int, soft_px: float) -> Float:
    """More than will be seen of a scene."""
    picture = textured(seed, (WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN), soft_px).mean(-1)
    return np.asarray((picture - picture.min()) / (picture.max() - picture.min()), np.float32)


def seen(scene: Float, flow: Float) -> tuple[Float, Float]:
    """Two pictures of a scene: what is at p now was at p + flow[p] before."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) + MARGIN
    now = cv2.remap(scene, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
    before = scene[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.asarray(now, np.float32), np.ascontiguousarray(before)


def noisy(picture: Float, seed: int, amount: float = 0.01) -> Float:
    noise = np.random.default_rng(seed).normal(0, amount, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 1), np.float32)


def found(now: Float, before: Float) -> Float:
    return np.asarray(got(flows(sent(now), sent(before)))[0])


def searched(now: Float, before: Float) -> Float:
    """What the host finds."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    samples = [np.rint(picture * 255).astype(np.uint8) for picture in (now, before)]
    return np.asarray(search.calc(*samples, None), np.float32)


def missed(flow: Float, truth: Float) -> float:
    """Mean end point error, pixels."""
    return float(np.hypot(*np.moveaxis(flow - truth, -1, 0))[INSIDE].mean())


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_nearer_to_the_truth_than_the_hosts_search(name: str) -> None:
    seed, soft_px, even, most_px = PAIRS[name]
    truth = bent(seed, most_px) + np.float32(even)
    now, before = (noisy(picture, seed) for picture in seen(gray(seed, soft_px), truth))
    flow = found(now, before)
    assert missed(flow, truth) < min(0.5, missed(searched(now, before), truth))
    wrong, wrong_of_host = (np.abs(warp(before, each) - now)[INSIDE].mean() for each in (flow, searched(now, before)))
    assert wrong < 1.02 * wrong_of_host


@pytest.mark.parametrize("even", [(20.0, 0.0), (-19.0, 6.0), (3.0, -18.0)])
def test_an_eighth_of_the_picture_is_not_too_far(even: tuple[float, float]) -> None:
    truth = np.broadcast_to(np.float32(even), (HEIGHT, WIDTH, 2))
    flow = found(*seen(gray(7, 2.5), truth))
    assert missed(flow, truth) < 0.5
    assert np.median(np.hypot(*np.moveaxis(flow - truth, -1, 0))[INSIDE]) < 0.1


@pytest.mark.parametrize(("gain", "offset"), [(0.6, 0.0), (1.0, 0.25), (0.7, 0.2)])
def test_another_light_is_no_motion(gain: float, offset: float) -> None:
    truth = bent(5, 2.0) + np.float32((3, 1))
    now, before = seen(gray(5, 2.5), truth)
    assert missed(found(now * np.float32(gain) + np.float32(offset), before), truth) < 0.5


def test_a_wall_moves_no_farther_than_what_stands_before_it() -> None:
    """Where nothing can be seen of the motion it is guessed from around, not made up."""
    scene, truth = gray(6, 2.5), np.broadcast_to(np.float32((5, 2)), (HEIGHT, WIDTH, 2))
    y, x = np.mgrid[0 : HEIGHT + 2 * MARGIN, 0 : WIDTH + 2 * MARGIN]
    scene[np.hypot(x - 120, y - 100) > 40] = 0.5
    flow = found(*(noisy(picture, seed, 0.005) for seed, picture in enumerate(seen(scene, truth))))
    on_it = np.hypot(*np.mgrid[-58:62, -75:85]) < 34
    assert np.abs(flow - truth)[on_it].mean() < 0.1
    assert np.abs(flow).max() < 8


def test_nothing_to_see_is_no_motion() -> None:
    flat = np.full((HEIGHT, WIDTH), 0.4, np.float32)
    assert np.abs(found(flat, flat)).max() < 1e-6
    picture = gray(8, 2.5)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.abs(found(picture, picture)).max() < 1e-3


def test_two_things_that_move_apart() -> None:
    """Each as it moves, but for a seam between them."""
    truth = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    truth[:, : WIDTH // 2, 0], truth[:, WIDTH // 2 :, 0] = 4, -4
    flow = found(*seen(gray(9, 2.0), truth))
    wrong = np.hypot(*np.moveaxis(flow - truth, -1, 0)) > 1
    assert wrong[INSIDE][:, : WIDTH // 2 - 24 - 12].mean() < 0.02
    assert wrong[INSIDE][:, WIDTH // 2 - 24 + 12 :].mean() < 0.02


def test_the_other_way_is_that_of_the_pictures_exchanged() -> None:
    now, before = (sent(picture) for picture in seen(gray(1, 2.5), bent(1, 3.0)))
    kept = now.clone(), before.clone()
    assert torch.equal(flows(now, before), flows(before, now).flip(0))
    assert torch.equal(now, kept[0])
    assert torch.equal(before, kept[1])


sides = st.integers(1, 70)


@given(sides, sides, st.integers(0, 999))
@settings(max_examples=30)
def test_any_size(width: int, height: int, seed: int) -> None:
    """Also of pictures that have nothing in common."""
    now, before = np.random.default_rng(seed).random((2, height, width), np.float32)
    both = flows(sent(now), sent(before))
    assert (tuple(both.shape), both.dtype) == ((2, height, width, 2), torch.float32)
    assert both.is_contiguous()
    assert bool(torch.isfinite(both).all())


@pytest.mark.parametrize("size", [(159, 90), (91, 160), (121, 113)])
def test_odd_sizes_lose_nothing(size: tuple[int, int]) -> None:
    """A side that is not halved evenly neither bends the motion nor stretches it."""
    width, height = size
    scene = gray(3, 2.0)
    now, before = scene[20 : 20 + height, 20 : 20 + width], scene[14 : 14 + height, 10 : 10 + width]
    flow = found(np.ascontiguousarray(now), np.ascontiguousarray(before))
    assert np.median(flow[12:-12, 16:-16], axis=(0, 1)) == pytest.approx((10, 6), abs=0.03)


def test_it_asks_for_no_sample_and_moves_none() -> None:
    nowhere = torch.empty(2, HEIGHT, WIDTH, device="meta")
    assert flows(*nowhere).shape == (2, HEIGHT, WIDTH, 2)
    here = torch.rand(2, HEIGHT, WIDTH, device=DEVICE)
    flows(*here)
    with Watch() as watch:
        flows(*here)
    assert watch.noted == []
