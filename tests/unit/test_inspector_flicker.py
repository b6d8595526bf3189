"""The flow-warping error has the value it must have where motion and flicker are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import disc, make_matte

from streammatte.frame import Matte
from streammatte.inspector.flicker import Change, Flicker, shrink

SIDE = 160
STEP_PX = 2
Float = npt.NDArray[np.float32]


def texture(seed: int = 0, side: int = SIDE) -> Float:
    """(side, 2 side, 3): soft patches, wide enough to pan over."""
    coarse = np.random.default_rng(seed).random((24, 48, 3), np.float32)
    return np.asarray(np.clip(cv2.resize(coarse, (2 * side, side), interpolation=cv2.INTER_CUBIC), 0, 1), np.float32)


def panned(
    index: int, gain: float = 1.0, *, known: bool = True, side: int = SIDE
) -> tuple[Matte, npt.NDArray[np.uint8]]:
    """A disc that moves with its picture, `STEP_PX` to the left each frame, and its alpha times `gain`."""
    shift = index * STEP_PX * side // SIDE
    alpha = np.roll(disc(side, side, soft_px=6.0, radius=0.2), -shift, axis=1) * np.float32(gain)
    picture = np.ascontiguousarray(texture(side=side)[:, shift : shift + side])
    flow = np.zeros((side, side, 2), np.float32)
    flow[..., 0] = STEP_PX * side // SIDE
    matte = replace(make_matte(alpha), src=picture, flow=flow if known else None)
    return matte, np.rint(255 * alpha).astype(np.uint8)


def errors(*shots: tuple[Matte, npt.NDArray[np.uint8]]) -> list[Change | None]:
    flicker = Flicker()
    return [flicker.step(shrink(matte, pha, 255), matte.discontinuity) for matte, pha in shots]


def error(*shots: tuple[Matte, npt.NDArray[np.uint8]]) -> float:
    """Of the last shot, x 10³."""
    change = errors(*shots)[-1]
    assert change is not None
    return 1e3 * change.error


@pytest.mark.parametrize("known", [True, False], ids=["known", "estimated"])
def test_an_alpha_that_moves_with_the_picture_is_steady(known: bool) -> None:
    assert error(panned(0), panned(1, known=known)) < 0.5


@pytest.mark.parametrize("known", [True, False], ids=["known", "estimated"])
def test_an_alpha_that_stays_behind_is_not(known: bool) -> None:
    """A still alpha on a picture that moves: as much of it is wrong as `STEP_PX` of motion sweep over."""
    (first, pha), (second, moved) = panned(0), panned(1, known=known)
    swept = 1e3 * np.abs(pha / 255.0 - moved / 255.0).mean()
    assert error((first, pha), (second, pha)) == pytest.approx(swept, rel=0.2)


@pytest.mark.parametrize("known", [True, False], ids=["known", "estimated"])
def test_flicker_is_the_mean_change(known: bool) -> None:
    _, pha = panned(0)
    assert error(panned(0), panned(1, 0.9, known=known)) == pytest.approx(100 * pha.mean() / 255, rel=0.05)


def test_the_change_says_where_and_which_way() -> None:
    went, came = errors(panned(0), panned(1, 0.8), panned(2))[1:]
    assert went is not None
    assert came is not None
    middle = SIDE // 2
    assert went.where[middle, middle - STEP_PX] == pytest.approx(-0.2, abs=0.01)
    assert came.where[middle, middle - 2 * STEP_PX] == pytest.approx(0.2, abs=0.01)
    assert np.abs(came.where[:8]).max() < 0.01


def test_flow_is_in_the_networks_pixels() -> None:
    assert error(panned(0, side=480), panned(1, side=480)) < 0.5
    (first, pha), (second, moved) = panned(0, side=480), panned(1, side=480)
    assert second.flow is not None
    wrong = replace(second, flow=second.flow / 3)
    assert error((first, pha), (wrong, moved)) > 2


def test_only_trusted_motion_counts() -> None:
    """Alpha changes in the left half, where the picture does too: not flicker. In the right half it is."""
    other = texture(seed=5)[:, :SIDE]
    alpha = np.zeros((SIDE, SIDE), np.float32)
    picture = texture()[:, :SIDE].copy()
    first = replace(make_matte(alpha), src=picture)
    changed = picture.copy()
    changed[:, : SIDE // 2] = np.where(np.abs(other - picture) > 0.3, other, 1 - picture)[:, : SIDE // 2]
    second = replace(first, src=changed, flow=np.zeros((SIDE, SIDE, 2), np.float32))
    blank, left, right = (np.zeros((SIDE, SIDE), np.uint8) for _ in range(3))
    left[40:120, 10:70] = right[40:120, 90:150] = 255
    assert error((first, blank), (second, left)) < 0.3 * error((first, blank), (second, right))


def test_nothing_is_said_where_nothing_can_be() -> None:
    matte, pha = panned(0)
    cut = replace(panned(1)[0], discontinuity=True)
    assert errors((matte, pha), (cut, pha)) == [None, None]
    negative = replace(panned(0)[0], src=np.where(matte.src > 0.5, np.float32(0), np.float32(1)))
    assert errors((matte, pha), (negative, pha)) == [None, None], "no motion can be trusted"
    assert errors((matte, pha), panned(1, side=80)) == [None, None], "another size"


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 16), (15, 400), (256, 144)])
def test_any_size(size: tuple[int, int]) -> None:
    matte = make_matte(np.zeros(size, np.float32))
    pha = np.zeros((48, 64), np.uint8)
    assert error((matte, pha), (matte, pha)) == 0
    assert error((matte, pha), (matte, pha + 51)) == pytest.approx(200, abs=0.1)


def test_the_grid_is_small_and_holds_the_mean() -> None:
    alpha = disc(1920, 1080, soft_px=8)
    small = shrink(make_matte(np.zeros((320, 320), np.float32)), np.rint(alpha * 1023).astype(np.uint16), 1023)
    assert small.pha.shape == small.src.shape[:2] == (160, 160)
    assert float(small.pha.mean()) == pytest.approx(float(alpha.mean()), rel=0.005)
    assert small.flow is None
