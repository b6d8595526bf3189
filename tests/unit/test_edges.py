"""`--feather` and `--shift`: as far as asked, in every direction, with nothing rounded to in or out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import FORMATS, coded, disc, make_frame, make_matte

from streammatte.frame import Frame, Matte, Plane
from streammatte.refiners.edges import EdgeRefiner

DEPTHS = ["gray", "gray10le", "gray16le"]


class Given:
    """A refiner that was told the answer."""

    def __init__(self, pha: Plane) -> None:
        self._pha = pha

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        return self._pha


def shaped(pha: npt.NDArray[np.float32], name: str = "gray", **how: float) -> npt.NDArray[np.float64]:
    """Alpha (h, w) in [0, 1] as it comes out of the refiner, in [0, 1]."""
    frame = make_frame(name, pha.shape[::-1])
    plane = coded(pha, frame.format)
    kept = plane.copy()
    out = EdgeRefiner(Given(plane), **how).refine(make_matte(disc(8, 8)), frame)
    assert (out.dtype, out.shape, out.flags.c_contiguous) == (plane.dtype, plane.shape, True)
    assert np.array_equal(plane, kept), "what the other refiner gave is left alone"
    return out / frame.format.peak


def half_plane(degrees: float, soft_px: float, size: int = 160) -> npt.NDArray[np.float32]:
    """Inside on the left of a straight edge through the middle, which is `soft_px` wide and turned."""
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    distance = x * np.cos(np.deg2rad(degrees)) + y * np.sin(np.deg2rad(degrees))
    return np.asarray(np.clip(0.5 - distance / soft_px, 0, 1), np.float32)


def moved_px(before: npt.NDArray[Any], after: npt.NDArray[Any], degrees: float) -> float:
    """How far the edge of a half plane went outward, measured along the middle line."""
    row = before.shape[0] // 2
    across = (after[row - 8 : row + 8].sum() - before[row - 8 : row + 8].sum()) / 16
    return float(across * np.cos(np.deg2rad(degrees)))


@pytest.mark.parametrize("degrees", [0, 15, 30, 45])
@pytest.mark.parametrize("soft_px", [1, 6])
@pytest.mark.parametrize("shift_px", [0.25, 0.5, 1, 1.75, 2.5, 7.3, 20, -0.4, -1, -3, -12.5])
@pytest.mark.parametrize("name", DEPTHS)
def test_the_edge_goes_as_far_as_asked_in_every_direction(
    name: str, degrees: float, soft_px: float, shift_px: float
) -> None:
    before = half_plane(degrees, soft_px)
    after = shaped(before, name, shift_px=shift_px)
    assert moved_px(before, after, degrees) == pytest.approx(shift_px, rel=0.08, abs=0.03)


def test_a_ramp_is_moved_as_it_is() -> None:
    before = half_plane(0, 20)
    after = shaped(before, "gray16le", shift_px=-2.5)
    assert after[:, 20:-20] == pytest.approx((before[:, 22:-18] + before[:, 23:-17]) / 2, abs=1e-3)


@pytest.mark.parametrize("shift_px", [1.5, -0.5])
def test_hair_stays_soft(shift_px: float) -> None:
    """Strands of two pixels at 0.4 neither vanish nor fill up."""
    hair = np.zeros((60, 60), np.float32)
    hair[:, 20:40:7] = hair[:, 21:41:7] = 0.4
    after = shaped(hair, shift_px=shift_px)
    middle = after[30, 18:42]
    assert 0.15 < middle.max() < 0.41
    assert ((middle > 0.05) & (middle < 0.95)).sum() >= 3


@pytest.mark.parametrize("name", ["gray", "gray10le"])
@given(st.floats(0, 6), st.floats(0, 6), st.integers(0, 1000))
@settings(max_examples=40)
def test_further_out_is_more_and_further_in_is_less(name: str, one: float, other: float, seed: int) -> None:
    pha = np.random.default_rng(seed).random((24, 30)).astype(np.float32) * disc(30, 24)
    near, far = sorted((one, other))
    rounding = 1.5 / 255 * (1 + far)
    assert (shaped(pha, name, shift_px=far) >= shaped(pha, name, shift_px=near) - rounding).all()
    assert (shaped(pha, name, shift_px=-far) <= shaped(pha, name, shift_px=-near) + rounding).all()
    assert (shaped(pha, name, shift_px=near) >= pha - rounding).all()


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("feather_px", [0.7, 2, 9])
def test_feather_is_the_sigma_of_the_edge(name: str, feather_px: float) -> None:
    profile = shaped(half_plane(0, 0.01), name, feather_px=feather_px)[80]
    high, middle, low = np.interp([-0.8413, -0.5, -0.1587], -profile, np.arange(160))
    assert (low - high) / 2 == pytest.approx(feather_px, rel=0.06, abs=0.1)
    assert middle == pytest.approx(79.5, abs=0.1)


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("how", [{"feather_px": 3.0}, {"shift_px": 2.0}, {"shift_px": -2.0, "feather_px": 1.0}])
def test_inside_and_outside_keep_their_values(name: str, how: dict[str, float]) -> None:
    after = shaped(disc(160, 120, 4), name, **how)
    assert after[60, 80] == 1
    assert (after[:10] == 0).all()
    assert (after[:, :20] == 0).all()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("size", [(63, 47), (5, 3), (1, 1)])
def test_nobody_and_nothing_but_the_subject(name: str, size: tuple[int, int], value: float) -> None:
    """Also at the frame's border, which is no edge of the subject."""
    flat = np.full(size[::-1], value, np.float32)
    assert (shaped(flat, name, feather_px=2.5, shift_px=-3.5) == value).all()


@pytest.mark.parametrize("how", [{"feather_px": 2.0}, {"shift_px": 2.5}, {"shift_px": -2.5}])
@given(left=st.integers(0, 60), top=st.integers(0, 60))
@settings(max_examples=20)
def test_where_the_subject_stands_makes_no_difference(how: dict[str, float], left: int, top: int) -> None:
    """The work is done in a box around it; no seam shows where that ends."""
    subject = disc(40, 40, 5)
    picture = np.zeros((140, 140), np.float32)
    picture[20 + top : 60 + top, 20 + left : 60 + left] = subject
    centred = np.zeros((140, 140), np.float32)
    centred[50:90, 50:90] = subject
    moved = np.roll(shaped(picture, **how), (30 - top, 30 - left), axis=(0, 1))
    assert np.array_equal(moved, shaped(centred, **how))
