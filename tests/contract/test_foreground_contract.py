"""What `ports.Foreground` promises, over every foreground in the registry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import FORMATS, alphas_of, coded, disc, make_frame

from streammatte import registry
from streammatte.color import ChromaLocation, ColorSpec
from streammatte.kernels import host
from streammatte.ports import Foreground

SIZES = [(160, 96), (63, 47), (9, 5), (3, 2), (1, 1)]

ESTIMATES = [name for name in registry.FOREGROUNDS if name != "rembg"]  # which darkens soft edges, as rembg does


@pytest.fixture(params=registry.FOREGROUNDS)
def foreground(request: pytest.FixtureRequest) -> Foreground:
    made: Foreground = registry.load(registry.FOREGROUNDS, request.param, "--fgr")()
    return made


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_planes_are_like_the_frames(foreground: Foreground, name: str, size: tuple[int, int]) -> None:
    frame = make_frame(name, size)
    planes = foreground.estimate(frame, alphas_of(frame, coded(disc(*size), frame.format)))
    made = replace(frame, planes=planes).check()
    assert max(int(plane.max()) for plane in made.planes) <= frame.format.peak


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("location", [ChromaLocation.LEFT, ChromaLocation.CENTER, ChromaLocation.BOTTOM])
def test_bit_for_bit_the_sources_where_alpha_is_peak(
    foreground: Foreground, name: str, location: ChromaLocation
) -> None:
    frame = make_frame(name, (63, 47), color=ColorSpec(1, 1, 1, False, location))
    pha = coded(disc(63, 47), frame.format)
    alphas = host.chroma_alpha(pha, frame.format, frame.color)
    for plane, source, alpha in zip(
        foreground.estimate(frame, alphas_of(frame, pha)), frame.planes, alphas, strict=True
    ):
        assert (alpha == frame.format.peak).any()
        assert np.array_equal(plane[alpha == frame.format.peak], source[alpha == frame.format.peak])


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p16le"])
def test_all_of_it_where_all_is_subject(foreground: Foreground, name: str) -> None:
    frame = make_frame(name, (63, 47))
    planes = foreground.estimate(frame, alphas_of(frame, coded(np.ones((47, 63), np.float32), frame.format)))
    assert all(np.array_equal(a, b) for a, b in zip(planes, frame.planes, strict=True))


@pytest.mark.parametrize("foreground", ESTIMATES, indirect=True)
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "gray", "gbrp"])
def test_a_subject_on_a_room_of_its_own_colour_stays_that_colour(foreground: Foreground, name: str) -> None:
    frame = make_frame(name, (63, 47), rgb=[0.7, 0.4, 0.3])
    alphas = alphas_of(frame, coded(disc(63, 47), frame.format))
    for plane, source in zip(foreground.estimate(frame, alphas), frame.planes, strict=True):
        assert np.abs(plane.astype(int) - source).max() <= max(1, frame.format.peak // 255)


def test_frame_and_alpha_are_left_alone(foreground: Foreground) -> None:
    frame, pha = make_frame(), coded(disc(64, 48), make_frame().format)
    kept, shape = [plane.copy() for plane in frame.planes], pha.copy()
    foreground.estimate(frame, alphas_of(frame, pha))
    assert all(np.array_equal(a, b) for a, b in zip(frame.planes, kept, strict=True))
    assert np.array_equal(pha, shape)


def test_frames_do_not_know_each_other(foreground: Foreground) -> None:
    frame, pha = make_frame(seed=1), coded(disc(64, 48), make_frame().format)
    first = [plane.copy() for plane in foreground.estimate(frame, alphas_of(frame, pha))]
    foreground.estimate(make_frame(seed=2), alphas_of(make_frame(seed=2), pha))
    again = foreground.estimate(frame, alphas_of(frame, pha))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
