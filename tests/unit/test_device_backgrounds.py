"""The backgrounds on a device: the host's brought there, and the room blurred as the host blurs it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import FORMATS, MemorySource, coded, disc, make_frame, make_layer, over, textured

from streammatte.backgrounds.blur import BlurBackground
from streammatte.backgrounds.still import SolidBackground
from streammatte.backgrounds.video import VideoBackground
from streammatte.errors import ConfigError
from streammatte.frame import Layer, Plane

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, LANE, Watch, got, off, sent_layer  # noqa: E402

from streammatte.backgrounds.on_device import DeviceBlurBackground, UploadedBackground, _around  # noqa: E402
from streammatte.kernels.torch import planes  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402

NAMES = [f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")] + ["gbrp", "gray"]
seeds = st.integers(0, 10_000)


# brought there


@pytest.mark.parametrize("name", FORMATS)
def test_the_hosts_planes_come_as_they_are(name: str) -> None:
    layer = make_layer(make_frame(name, (33, 17), rotation=90, sar=Fraction(4, 3)))
    host = SolidBackground((0.9, 0.6, 0.3))
    brought = UploadedBackground(host, LANE).planes(sent_layer(layer))
    for plane, wanted in zip(brought, host.planes(layer), strict=True):
        assert (plane.dtype, plane.device) == (planes.sample_type(layer.frame.format), LANE.device)
        assert np.array_equal(got(plane), wanted)


def test_all_of_16_bits_comes_through() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = UploadedBackground(_Given((every,)), LANE).planes(sent_layer(make_layer(make_frame("gray16le"))))
    assert np.array_equal(got(found[0]), every)


class _Given:
    """A background that keeps its planes for itself to write to, and what it was shown."""

    shows_room = True

    def __init__(self, given_: tuple[Plane, ...]) -> None:
        self.given = given_
        self.shown: list[Layer] = []
        self.closed = 0

    def planes(self, layer: Layer) -> tuple[Plane, ...]:
        self.shown.append(layer)
        return self.given

    def close(self) -> None:
        self.closed += 1


def test_a_still_one_is_brought_once() -> None:
    brought, there = UploadedBackground(SolidBackground((0, 1, 0)), LANE), sent_layer(make_layer(make_frame()))
    first = brought.planes(there)
    with Watch() as watch:
        assert brought.planes(replace(there, frame=replace(there.frame, pts=1))) is first
    assert watch.noted == []
    other = brought.planes(sent_layer(make_layer(make_frame("gbrp", (48, 64)))))
    assert [tuple(plane.shape) for plane in other] == [(64, 48)] * 3


def test_a_video_shows_each_picture_in_its_time() -> None:
    frames = [make_frame("yuv420p", (64, 48), seed=n, pts=n, seq=n) for n in range(3)]
    brought = UploadedBackground(VideoBackground(lambda: MemorySource(frames), "cover"), LANE)
    for n in (0, 0, 1, 2, 3, 4):
        found = brought.planes(sent_layer(make_layer(make_frame("yuv420p", (64, 48), seed=9, pts=n, seq=n))))
        assert all(np.array_equal(got(a), b) for a, b in zip(found, frames[n % 3].planes, strict=True))


def test_what_was_brought_stays_when_the_host_writes_again() -> None:
    host = _Given(make_frame("gray").planes)
    found = UploadedBackground(host, LANE).planes(sent_layer(make_layer(make_frame("gray"))))
    host.given[0][...] = 7
    LANE.wait()
    assert np.array_equal(got(found[0]), make_frame("gray").planes[0])


def test_the_host_is_told_the_frames_facts_and_is_closed() -> None:
    host = _Given(make_frame().planes)
    brought = UploadedBackground(host, LANE)
    frame = make_frame("yuv422p10le", (33, 17), pts=7, rotation=180, alpha=np.full((17, 33), 9, np.uint16))
    assert brought.shows_room
    brought.planes(sent_layer(make_layer(frame)))
    (shown,) = host.shown
    assert replace(shown.frame, planes=frame.planes, alpha=frame.alpha) == frame
    shown.frame.check()
    assert [plane.shape for plane in shown.alphas] == [plane.shape for plane in frame.planes]
    brought.close()
    assert host.closed == 1


# blurred there


def room(name: str, size: tuple[int, int], seed: int = 0) -> Layer:
    """A textured subject in a textured room, with hair, and its true F."""
    subject, behind = (make_frame(name, size, rgb=textured(seed + i, size, 3.0)) for i in range(2))
    y, x = np.mgrid[0 : size[1], 0 : size[0]] - np.array([size[1] / 2, size[0] / 2]).reshape(2, 1, 1)
    hair = 0.6 * (np.sin(40 * np.arctan2(y, x)) > 0.7) * (np.hypot(x, y) < 0.42 * size[1])
    pha = coded(np.maximum(disc(*size, 4.0), hair).astype(np.float32), subject.format)
    mixed = replace(behind, planes=over(subject.planes, behind.planes, pha, behind))
    return replace(make_layer(mixed, fgr=subject.planes), alphas=_alphas(mixed, pha))


def _alphas(frame: Any, pha: Plane) -> tuple[Plane, ...]:
    return make_layer(frame, (pha / np.float32(frame.format.peak)).astype(np.float32)).alphas


def held_together(layer: Layer, strength: float) -> None:
    """To a code value of its own above 8 bits; at 8 OpenCV grows with weights of 11 bits, chroma of odd sides twice."""
    expected = BlurBackground(strength).planes(layer)
    found = DeviceBlurBackground(strength, LANE).planes(sent_layer(layer))
    frame = layer.frame
    for plane, wanted in zip(found, expected, strict=True):
        apart = off(plane, wanted, frame.format.peak)
        if frame.format.bits > 8:
            assert apart.max() <= 255 / frame.format.peak + 1e-9
        else:
            assert (apart > 1).mean() <= (1e-3 if frame.width % 2 == 0 else 3e-3)
            assert apart.max() <= 2


@pytest.mark.parametrize("name", [*NAMES, "yuv444p16le"])
@pytest.mark.parametrize("strength", [0.1, 1.0, 2.5, 20.0])
@pytest.mark.parametrize("size", [(320, 180), (321, 241)])
def test_the_blur_is_the_hosts(name: str, strength: float, size: tuple[int, int]) -> None:
    held_together(room(name, size), strength)


def test_more_subject_than_there_is_leaves_no_room_rather_than_less() -> None:
    dark, white = (make_frame("yuv420p10le", (320, 180), rgb=(share, share, share)) for share in (0.3, 1.0))
    held_together(make_layer(dark, 0.6 * disc(320, 180, 80.0, 0.5), white.planes), 2.5)


@given(
    st.sampled_from(FORMATS),
    st.floats(0.01, 20),
    st.tuples(st.integers(1, 97), st.integers(1, 97)),
    st.sampled_from([0.0, 0.5, 1.0]),
)
@settings(max_examples=40)
def test_of_any_size_also_with_nobody_there_and_nothing_else(
    name: str, strength: float, size: tuple[int, int], value: float
) -> None:
    layer = make_layer(make_frame(name, size), np.full(size[::-1], value, np.float32))
    for plane, like in zip(
        DeviceBlurBackground(strength, LANE).planes(sent_layer(layer)), layer.frame.planes, strict=True
    ):
        assert (tuple(plane.shape), plane.dtype) == (like.shape, planes.sample_type(layer.frame.format))
        assert int(plane.max()) <= layer.frame.format.peak


@given(st.integers(1, 14), st.integers(1, 60), st.integers(1, 60), seeds)
@settings(max_examples=50)
def test_what_is_near_is_opencvs_dilation(reach_px: int, width: int, height: int, seed: int) -> None:
    share = np.random.default_rng(seed).random((height, width), np.float32) ** 8
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1, 2 * reach_px + 1))
    assert np.array_equal(got(_around(torch.from_numpy(share).to(DEVICE), reach_px)), cv2.dilate(share, element))


def test_it_shows_the_room_and_says_what_strengths_there_are() -> None:
    blur = DeviceBlurBackground(2.5, LANE)
    assert blur.shows_room
    blur.close()
    with pytest.raises(ConfigError):
        DeviceBlurBackground(21, LANE)


def test_the_layer_is_left_alone_and_nothing_waits() -> None:
    there = sent_layer(room("yuv420p", (321, 241)))
    held: list[Any] = [*there.frame.planes, *there.fgr, *there.alphas]
    kept = [each.clone() for each in held]
    blur = DeviceBlurBackground(2.5, LANE)
    first = blur.planes(there)
    with Watch() as watch:
        again = blur.planes(there)
    assert watch.noted == []
    assert all(map(torch.equal, held, kept))
    assert all(map(torch.equal, again, first))


def test_no_shape_depends_on_a_sample() -> None:
    """On torch's meta device there are none."""
    there = sent_layer(room("yuv420p", (321, 241)))
    nowhere: Any = [tuple(each.to("meta") for each in group) for group in (there.fgr, there.alphas, there.frame.planes)]
    layer = Layer(nowhere[0], nowhere[1], replace(there.frame, planes=nowhere[2]))
    found = DeviceBlurBackground(2.5, Lane("meta")).planes(layer)
    assert [tuple(plane.shape) for plane in found] == [(241, 321), (121, 161), (121, 161)]
