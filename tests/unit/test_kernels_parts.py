"""Boxes around the subject, runs of soft pixels, Gaussians of any width, and chroma at luma's places."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import FORMATS, coded, disc

from streammatte.color import ChromaLocation
from streammatte.frame import PixelFormat
from streammatte.kernels import host
from streammatte.kernels.blocks import Blocks
from streammatte.kernels.boxes import Box, subject_box
from streammatte.kernels.gaussian import gaussian
from streammatte.kernels.siting import upsample

sides = st.integers(1, 70)
seeds = st.integers(0, 10_000)
DTYPES = [np.uint8, np.uint16]


def sparse(width: int, height: int, seed: int, dtype: Any = np.uint8) -> npt.NDArray[Any]:
    """A plane of which at most a few samples are not 0."""
    dice = np.random.default_rng(seed)
    plane = np.zeros((height, width), dtype)
    for _ in range(dice.integers(0, 4)):
        plane[dice.integers(height), dice.integers(width)] = dice.integers(1, 255)
    return plane


# boxes


@given(sides, sides, st.integers(0, 20), st.sampled_from(DTYPES), seeds)
def test_a_box_holds_all_that_is_there_and_its_margin(w: int, h: int, margin: int, dtype: Any, seed: int) -> None:
    pha = sparse(w, h, seed, dtype)
    box = subject_box(pha, margin)
    if box is None:
        assert not pha.any()
        return
    rows, columns = np.nonzero(pha)
    assert box.left <= max(0, columns.min() - margin)
    assert box.top <= max(0, rows.min() - margin)
    assert min(w, columns.max() + 1 + margin) <= box.right <= w
    assert min(h, rows.max() + 1 + margin) <= box.bottom <= h


@given(sides, sides, seeds)
def test_a_box_is_no_larger_than_its_alignment_asks_for(w: int, h: int, seed: int) -> None:
    pha = sparse(w, h, seed)
    box = subject_box(pha, 0)
    if box is not None:
        rows, columns = np.nonzero(pha)
        assert box.width <= columns.max() + 1 - columns.min() + 30
        assert box.height <= rows.max() + 1 - rows.min() + 30
        assert box.left % 16 == box.top % 16 == 0
        assert (box.right % 16 == 0) or box.right == w


@pytest.mark.parametrize("name", FORMATS)
def test_a_box_of_all_is_all_of_every_plane(name: str) -> None:
    fmt = PixelFormat.named(name)
    for index in range(fmt.plane_count):
        shape = fmt.plane_shape(index, 61, 47)
        assert np.empty(shape)[Box(0, 0, 61, 47).of(index, fmt)].shape == shape
        cut = np.empty(shape)[Box(16, 32, 48, 47).of(index, fmt)]
        assert cut.shape == fmt.plane_shape(index, 32, 15)


# blocks


@given(sides, sides, st.sampled_from(DTYPES), seeds)
def test_blocks_hold_all_that_is_marked_and_give_back_what_they_took(w: int, h: int, dtype: Any, seed: int) -> None:
    marked = sparse(w, h, seed)
    blocks = Blocks.of(marked)
    assert blocks.take(marked).any(axis=1).all(), "no run is there for nothing"
    assert blocks.take(marked).sum() == marked.sum(dtype=np.int64)
    dice = np.random.default_rng(seed)
    wide = dice.integers(0, 255, (h + 3, w + 16), dtype)
    plane = wide[2 : h + 2, 8 : w + 8]
    kept, place = wide.copy(), np.zeros((h, w), bool)
    taken = blocks.take(plane)
    blocks.put(plane, taken + dtype(1))
    blocks.put(place.view(np.uint8), np.ones(taken.shape, np.uint8))
    assert np.array_equal(plane, kept[2 : h + 2, 8 : w + 8] + place)
    plane -= place
    assert np.array_equal(wide, kept), "nothing beside the plane changes"
    assert place[marked > 0].all()


def test_blocks_in_parts_are_all_blocks() -> None:
    marked = np.random.default_rng(0).integers(0, 2, (40, 64), np.uint8)
    blocks, plane = Blocks.of(marked), np.arange(40 * 64, dtype=np.uint16).reshape(40, 64)
    parts = [part.take(plane) for part in blocks.parts(7)]
    assert len(parts) > 1
    assert np.array_equal(np.concatenate(parts), blocks.take(plane))
    assert list(Blocks.of(np.zeros((4, 8), np.uint8)).parts(7)) == []


# gaussian


@given(sides, sides, st.floats(0, 60), st.sampled_from(DTYPES))
def test_what_is_flat_stays_as_it_is(w: int, h: int, sigma_px: float, dtype: Any) -> None:
    plane = np.full((h, w), np.iinfo(dtype).max, dtype)
    assert np.array_equal(gaussian(plane, sigma_px), plane)


@pytest.mark.parametrize("sigma_px", [0.8, 2.0, 3.0, 3.1, 5.0, 12.0, 13.0, 40.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sigma_is_the_gaussians(sigma_px: float, dtype: Any) -> None:
    plane = np.zeros((64, 640), dtype)
    plane[:, 320:] = 255
    steepness, place = np.diff(gaussian(plane, sigma_px)[30] / 255.0), np.arange(0.5, 639)
    middle = (steepness * place).sum()
    assert middle == pytest.approx(319.5, abs=0.3)
    assert np.sqrt((steepness * (place - middle) ** 2).sum()) == pytest.approx(sigma_px, rel=0.04)


# upsampling chroma


LOCATIONS = list(ChromaLocation)
SUBSAMPLED = ["yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le"]


@pytest.mark.parametrize("name", SUBSAMPLED)
@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("size", [(64, 48), (63, 45)])
def test_a_ramp_comes_back_from_chromas_places(name: str, location: ChromaLocation, size: tuple[int, int]) -> None:
    """Down and up again, nothing is moved: not even by half a pixel."""
    fmt, (width, height) = PixelFormat.named(name), size
    y, x = np.mgrid[0:height, 0:width]
    ramp = (x + 2 * y + 20).astype(fmt.dtype)
    small = host.subsample(ramp, fmt, location)
    grown = upsample(small, fmt, location, width, height)
    assert (grown.dtype, grown.shape) == (ramp.dtype, ramp.shape)
    inner = np.s_[8:-8, 8:-8]
    assert np.abs(grown.astype(int) - ramp)[inner].max() <= 1


@pytest.mark.parametrize("name", [*SUBSAMPLED, "yuv444p"])
@given(st.sampled_from(LOCATIONS), sides, sides, seeds)
def test_upsampling_never_overshoots(name: str, location: ChromaLocation, w: int, h: int, seed: int) -> None:
    fmt = PixelFormat.named(name)
    plane = np.random.default_rng(seed).integers(0, fmt.peak, fmt.plane_shape(1, w, h), fmt.dtype)
    grown = upsample(plane, fmt, location, w, h)
    assert grown.shape == (h, w)
    assert plane.min() <= grown.min() <= grown.max() <= plane.max()


def test_subsampled_planes_have_contiguous_rows() -> None:
    for name in FORMATS:
        fmt = PixelFormat.named(name)
        small = host.subsample(coded(disc(64, 48), fmt), fmt, ChromaLocation.LEFT)
        assert small.flags.c_contiguous
