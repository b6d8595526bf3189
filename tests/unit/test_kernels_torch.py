"""Pixel kernels on a device against the host's: planes, sizes, RGB, chroma's alpha, over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import BT709, FORMATS, HLG, PQ, disc, make_frame

from streammatte.color import ChromaLocation, ColorSpec, decode_matrix
from streammatte.frame import PixelFormat
from streammatte.kernels import host
from streammatte.kernels import mixing as host_mixing

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, apart, got, sent  # noqa: E402

from streammatte.kernels.torch import mixing, planes, resizing, rgb, semiplanar, siting  # noqa: E402

NAMES = [f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")]
names = st.sampled_from(NAMES)
depths = st.sampled_from(["gray", "gray10le", "gray12le", "gray14le", "gray16le"])
sides = st.integers(1, 97)
seeds = st.integers(0, 10_000)
turns = st.sampled_from([0, 90, 180, 270])


def noise(shape: tuple[int, ...], peak: int, seed: int) -> npt.NDArray[Any]:
    dtype = np.uint8 if peak <= 255 else np.uint16
    return np.random.default_rng(seed).integers(0, peak, shape, dtype, endpoint=True)


# there and back


@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_goes_there_and_back_as_it_is(name: str) -> None:
    alpha = noise((17, 33), PixelFormat.named(name).peak, 1)
    frame = make_frame(name, (33, 17), alpha=alpha, rotation=90, pts=7)
    for plane in (*frame.planes, alpha):
        plane.flags.writeable = False  # as a decoder's planes are
    there = planes.on_device(frame, DEVICE)
    assert {plane.dtype for plane in there.planes} == {planes.sample_type(frame.format)}
    assert (there.width, there.height, there.pts, there.rotation) == (33, 17, 7, 90)
    back = planes.on_host(there).check()
    assert all(map(np.array_equal, back.planes, frame.planes))
    assert np.array_equal(back.alpha, alpha)


@given(turns, sides, sides, seeds, st.sampled_from([255, 1023]))
def test_turns_are_the_hosts(degrees: int, width: int, height: int, seed: int, peak: int) -> None:
    image = noise((height, width), peak, seed)
    there = planes.turn(sent(image), degrees)
    assert apart(there, host.turn(image, degrees)) == 0
    assert apart(planes.turn_back(there, degrees), image) == 0


def test_a_picture_turns_as_its_planes_do() -> None:
    image = noise((5, 4, 3), 255, 0)
    turned = planes.turn(sent(image).permute(2, 0, 1), 90)
    assert apart(turned.permute(1, 2, 0), host.turn(image, 90)) == 0


@given(names, sides, sides, seeds)
def test_two_planes_become_three_and_two_again(name: str, width: int, height: int, seed: int) -> None:
    frame = make_frame(name, (width, height), seed=seed)
    bits = frame.format.bits
    shift = 16 - bits if bits > 8 else 0  # NV12 and P010
    luma, *chroma = (plane << shift for plane in frame.planes)
    words = [torch.from_numpy(each.copy()).to(DEVICE) for each in (luma, np.dstack(chroma))]
    found = semiplanar.planar(*words, frame.format, shift)
    assert all(apart(one, other) == 0 for one, other in zip(found, frame.planes, strict=True))
    assert {plane.dtype for plane in found} == {planes.sample_type(frame.format)}
    for again, word in zip(semiplanar.semiplanar(found, frame.format, shift), words, strict=True):
        assert again.dtype == word.dtype
        assert np.array_equal(got(again), got(word))


# sizes


def steps(w: int, h: int, width: int, height: int) -> int:
    """How often samples are rounded after the halvings: each time OpenCV, which grows with weights of 11 bits, may err.

    In 20,000 drawn sizes of 8 bits 33 had a sample that was off by two, all where one axis shrinks and one grows.
    """
    return 2 if (width - w) * (height - h) < 0 else 1


@given(sides, sides, sides, sides, st.sampled_from([255, 1023, 65535]), seeds)
@settings(max_examples=60)
def test_resize_is_the_hosts_to_one_code_value(w: int, h: int, width: int, height: int, peak: int, seed: int) -> None:
    image = noise((h, w), peak, seed)
    found, expected = resizing.resize(sent(image), width, height), host.resize(image, width, height)
    assert found.dtype == sent(image).dtype
    # OpenCV leaves out what a sample covers less than a thousandth of.
    assert apart(found, expected) <= max(steps(w, h, width, height), peak / 500)


@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), st.sampled_from([255, 1023, 65535]), seeds)
def test_resize_halves_as_the_host_bit_for_bit(times: int, width: int, height: int, peak: int, seed: int) -> None:
    """Also the rounding on the way: guided filters magnify what is left of it."""
    image = noise((height << times, width << times), peak, seed)
    assert apart(resizing.resize(sent(image), width, height), host.resize(image, width, height)) == 0


@given(sides, sides, sides, sides, seeds)
@settings(max_examples=50)
def test_resize_of_maps_is_the_hosts(w: int, h: int, width: int, height: int, seed: int) -> None:
    image = np.random.default_rng(seed).random((h, w, 2), np.float32)
    found = resizing.resize(sent(image).permute(2, 0, 1), width, height)
    # OpenCV leaves out what a sample covers less than a thousandth of
    assert apart(found.permute(1, 2, 0), host.resize(image, width, height)) <= 2e-3


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (854, 480), (641, 361)])
@pytest.mark.parametrize("small", [(320, 320), (1024, 576), (285, 160)])
def test_resize_at_sizes_that_are_used(size: tuple[int, int], small: tuple[int, int]) -> None:
    image = noise(size[::-1], 255, 2)
    found, expected = resizing.resize(sent(image), *small), host.resize(image, *small)
    assert apart(found, expected) <= 1
    assert (got(found) == expected).mean() > (0.98 if small[0] < size[0] else 0.8)


@given(sides, sides, sides, sides, depths, seeds)
@settings(max_examples=50)
def test_alpha_plane_is_the_hosts(w: int, h: int, width: int, height: int, name: str, seed: int) -> None:
    target, matte = PixelFormat.named(name), np.random.default_rng(seed).random((h, w), np.float32)
    found = resizing.alpha_plane(sent(matte), width, height, target)
    assert found.dtype == planes.sample_type(target)
    assert apart(found, host.alpha_plane(matte, width, height, target)) <= max(1, target.peak / 2**15)
    for value in (0.0, 1.0):
        flat = resizing.alpha_plane(torch.full((h, w), value, device=DEVICE), width, height, target)
        assert (flat == round(value * target.peak)).all()


# RGB


def one_code_value(name: str, color: ColorSpec, height: int) -> float:
    """The most that one code value in each plane can move an R'G'B' value."""
    fmt = PixelFormat.named(name)
    if fmt.model == "gbr":
        return 1 / fmt.peak
    matrix = np.abs(decode_matrix(color.resolved(fmt.model, height), fmt.bits)[:, :3])
    return float((matrix[:, 0] if fmt.model == "gray" else matrix.sum(axis=1)).max())


@given(
    st.sampled_from(FORMATS),
    st.sampled_from([BT709, ColorSpec(), ColorSpec(6, 1, 1, True), ColorSpec(9, 9, 14, False), HLG]),
    st.tuples(sides, sides),
    st.tuples(sides, sides),
    turns,
    seeds,
)
@settings(max_examples=60)
def test_frame_rgb_is_the_hosts(
    name: str, color: ColorSpec, size: tuple[int, int], small: tuple[int, int], degrees: int, seed: int
) -> None:
    frame = make_frame(name, size, color=color, seed=seed, rotation=degrees)
    found = planes.turn(rgb.frame_rgb(planes.on_device(frame, DEVICE), *small), degrees)
    expected = host.turn(host.frame_rgb(frame, *small), degrees)
    assert found.dtype == torch.float32
    shapes = {plane.shape[::-1] for plane in frame.planes}
    most = max(steps(*shape, *small) for shape in shapes) * one_code_value(name, color, size[1])
    assert apart(found.permute(1, 2, 0), expected) <= max(most, 2e-3) + 1e-5


@pytest.mark.parametrize("name", ["yuv444p", "yuv444p10le", "gbrp10le", "gray12le", "yuv444p16le"])
@pytest.mark.parametrize("color", [BT709, ColorSpec(6, 1, 1, True), PQ, HLG])
def test_frame_rgb_is_the_hosts_exactly_where_nothing_is_resized(name: str, color: ColorSpec) -> None:
    frame = make_frame(name, (64, 48), color=color)
    found = rgb.frame_rgb(planes.on_device(frame, DEVICE), 64, 48)
    assert apart(found.permute(1, 2, 0), host.frame_rgb(frame, 64, 48)) <= (5e-4 if color.hdr else 2e-5)


@given(sides, sides, seeds)
def test_lift_box_is_the_hosts(width: int, height: int, seed: int) -> None:
    picture = np.random.default_rng(seed).random((height, width, 3), np.float32)
    assert apart(rgb.lift_box(sent(picture).permute(2, 0, 1)).permute(1, 2, 0), host.lift_box(picture)) < 1e-5


def test_a_batch_is_normalised() -> None:
    picture = np.random.default_rng(0).random((3, 5, 7), np.float32)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    found = rgb.normalised(sent(picture), mean, std)
    assert apart(found, ((picture - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1)))[None]) < 1e-6


# chroma's alpha


@given(
    st.sampled_from([name for name in FORMATS if name.startswith("yuv")] + NAMES),
    st.sampled_from(list(ChromaLocation)),
    sides,
    sides,
    seeds,
)
@settings(max_examples=80)
def test_chroma_alpha_is_the_hosts(name: str, location: ChromaLocation, width: int, height: int, seed: int) -> None:
    target, color = PixelFormat.named(name), ColorSpec(chroma_location=location)
    pha = noise((height, width), target.peak, seed)
    found = siting.chroma_alpha(sent(pha), target, color)
    expected = host.chroma_alpha(pha, target, color)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == planes.sample_type(target)
        assert apart(one, other) <= 1


@given(seeds, st.integers(1, 40), st.integers(1, 40))
def test_chroma_alpha_of_most_video_is_the_hosts_bit_for_bit(seed: int, width: int, height: int) -> None:
    """8-bit 4:2:0 of even sides, sited left."""
    target, pha = PixelFormat.named("yuv420p"), noise((2 * height, 2 * width), 255, seed)
    found = siting.chroma_alpha(sent(pha), target, BT709)
    assert apart(found[1], host.chroma_alpha(pha, target, BT709)[1]) == 0


@given(st.sampled_from(FORMATS), st.sampled_from(list(ChromaLocation)), sides, sides)
def test_chroma_alpha_keeps_the_ends_exact(name: str, location: ChromaLocation, width: int, height: int) -> None:
    target = PixelFormat.named(name)
    for value in (0, target.peak):
        pha = torch.full((height, width), value, dtype=planes.sample_type(target), device=DEVICE)
        found = siting.chroma_alpha(pha, target, ColorSpec(chroma_location=location))
        assert [tuple(p.shape) for p in found] == [target.plane_shape(i, width, height) for i in range(len(found))]
        assert all((plane == value).all() for plane in found)


def test_a_float_plane_is_subsampled_unrounded() -> None:
    target, plane = PixelFormat.named("yuv420p"), np.random.default_rng(0).random((6, 8), np.float32)
    found = siting.subsample(sent(plane), target, ChromaLocation.LEFT)
    assert apart(found, host.subsample(plane, target, ChromaLocation.LEFT)) < 1e-6


# over


@given(depths, sides, sides, seeds)
@settings(max_examples=50)
def test_blend_is_the_hosts_bit_for_bit(name: str, width: int, height: int, seed: int) -> None:
    target = PixelFormat.named(name)
    fgr, bg, pha = noise((3, height, width), target.peak, seed)
    pha[:, : width // 3], pha[: height // 4] = 0, target.peak
    found = mixing.blend(sent(fgr), sent(bg), sent(pha), target.peak)
    assert found.dtype == planes.sample_type(target)
    assert apart(found, host_mixing.blend(fgr, bg, pha, target.peak)) == 0
    assert np.array_equal(got(found)[pha == 0], bg[pha == 0])
    assert np.array_equal(got(found)[pha == target.peak], fgr[pha == target.peak])


def test_blend_of_every_8_bit_triple_of_extremes() -> None:
    fgr, pha = (grid.astype(np.uint8) for grid in np.mgrid[0:256, 0:256])
    for level in (0, 1, 127, 128, 254, 255):
        bg = np.full_like(fgr, level)
        total = pha.astype(np.int64) * fgr + (255 - pha.astype(np.int64)) * level
        assert apart(mixing.blend(sent(fgr), sent(bg), sent(pha), 255), (2 * total + 255) // 510) == 0


@given(names, st.tuples(sides, sides), turns, seeds)
@settings(max_examples=40)
def test_over_on_whole_frames_is_the_hosts(name: str, size: tuple[int, int], degrees: int, seed: int) -> None:
    """From a matte on, cubic: alpha at each plane's size, and over, then upright."""
    fgr, bg = (make_frame(name, size, seed=seed + i, rotation=degrees) for i in range(2))
    matte, peak = disc(40, 30, 8.0), fgr.format.peak
    pha = host.alpha_plane(matte, *size, fgr.format)
    alphas = host.chroma_alpha(pha, fgr.format, fgr.color)
    parts = zip(fgr.planes, bg.planes, alphas, strict=True)
    expected = replace(fgr, planes=tuple(host_mixing.blend(*part, peak) for part in parts))
    front, back = (planes.on_device(each, DEVICE) for each in (fgr, bg))
    there = siting.chroma_alpha(resizing.alpha_plane(sent(matte), *size, fgr.format), fgr.format, fgr.color)
    found = [mixing.blend(*part, peak) for part in zip(front.planes, back.planes, there, strict=True)]
    for one, other, share, alpha in zip(found, expected.planes, there, alphas, strict=True):
        assert apart(planes.turn(one, degrees), host.turn(other, degrees)) <= 1
        same = got(share) == alpha
        assert np.array_equal(got(one)[same], other[same])
