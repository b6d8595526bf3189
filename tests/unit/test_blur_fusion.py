"""Foreground colour: F comes out of alpha * F + (1 - alpha) * B, and opaque pixels keep their bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from scenes import FORMATS, alphas_of, coded, disc, make_frame, over

from streammatte.foregrounds.blur_fusion import BlurFusionForeground
from streammatte.frame import Frame, Plane
from streammatte.kernels import host

SIZE = (320, 240)
SUBJECT, ROOM = (0.9, 0.6, 0.5), (0.1, 0.2, 0.8)


def errors(planes: Sequence[Plane], truth: Frame, where: Sequence[npt.NDArray[np.bool_]]) -> list[float]:
    """Mean absolute difference of each plane from the true F, in parts of peak."""
    pairs = zip(planes, truth.planes, where, strict=True)
    return [float(np.abs(a.astype(np.float64) - b)[w].mean()) / truth.format.peak for a, b, w in pairs]


def scene(name: str, soft_px: float, size: tuple[int, int] = SIZE) -> tuple[Frame, Frame, Plane]:
    """(the source, its true F, its alpha)."""
    truth, room = make_frame(name, size, rgb=SUBJECT), make_frame(name, size, rgb=ROOM)
    pha = coded(disc(*size, soft_px), truth.format)
    return replace(truth, planes=over(truth.planes, room.planes, pha, truth)), truth, pha


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("soft_px", [4, 12])
def test_soft_edges_get_the_subjects_own_colour(name: str, soft_px: float) -> None:
    source, truth, pha = scene(name, soft_px)
    alphas = host.chroma_alpha(pha, source.format, source.color)
    soft = [(alpha > 0) & (alpha < source.format.peak) for alpha in alphas]
    before = errors(source.planes, truth, soft)
    after = errors(BlurFusionForeground().estimate(source, alphas_of(source, pha)), truth, soft)
    for index, (was, now) in enumerate(zip(before, after, strict=True)):
        assert was > 0.01, "the room shows through the edge, or this tests nothing"
        assert now < was / 5, f"plane {index}"


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p12le", "gbrp"])
def test_a_textured_subject_over_a_textured_room(name: str) -> None:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] / 9
    waves = np.dstack([np.sin(x), np.cos(y), np.sin(x + y)]).astype(np.float32)
    truth = make_frame(name, SIZE, rgb=np.array(SUBJECT) + 0.08 * waves)
    room = make_frame(name, SIZE, rgb=np.array(ROOM) + 0.08 * waves[::-1])
    pha = coded(disc(*SIZE, 10), truth.format)
    source = replace(truth, planes=over(truth.planes, room.planes, pha, truth))
    alphas = host.chroma_alpha(pha, source.format, source.color)
    soft = [(alpha > 0) & (alpha < source.format.peak) for alpha in alphas]
    before, after = (
        errors(source.planes, truth, soft),
        errors(BlurFusionForeground().estimate(source, alphas_of(source, pha)), truth, soft),
    )
    assert max(now / was for now, was in zip(after, before, strict=True)) < 0.4


@pytest.mark.parametrize("name", ["gray", "gray10le"])
def test_detail_of_the_subject_stays_where_it_is_nearly_opaque(name: str) -> None:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    weave = np.repeat((0.15 * np.sin(1.3 * x) * np.sin(1.3 * y))[..., None], 3, axis=2)
    truth, room = make_frame(name, SIZE, rgb=0.7 + weave), make_frame(name, SIZE, rgb=(0.2, 0.2, 0.2))
    pha = coded(disc(*SIZE, 20), truth.format)
    source = replace(truth, planes=over(truth.planes, room.planes, pha, truth))
    near = (pha > 0.7 * truth.format.peak) & (pha < truth.format.peak)
    (plain,) = make_frame(name, SIZE, rgb=(0.7, 0.7, 0.7)).planes
    detail = float(np.abs(plain.astype(np.float64) - truth.planes[0])[near].mean())
    (left,) = errors(BlurFusionForeground().estimate(source, alphas_of(source, pha)), truth, [near])
    assert left * truth.format.peak < detail / 2


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(320, 240), (63, 47)])
def test_opaque_pixels_keep_their_bits(name: str, size: tuple[int, int]) -> None:
    frame = make_frame(name, size)
    pha = coded(disc(*size), frame.format)
    for plane, source, alpha in zip(
        BlurFusionForeground().estimate(frame, alphas_of(frame, pha)),
        frame.planes,
        host.chroma_alpha(pha, frame.format, frame.color),
        strict=True,
    ):
        opaque = alpha == frame.format.peak
        assert opaque.any()
        assert np.array_equal(plane[opaque], source[opaque])


def test_clear_pixels_get_the_subjects_colour_not_the_rooms() -> None:
    source, truth, pha = scene("yuv420p", 8)
    ring = (disc(*SIZE, 0, radius=0.36) > 0) & (pha == 0)
    found = BlurFusionForeground().estimate(source, alphas_of(source, pha))[0].astype(int)
    wanted, room = int(truth.planes[0][0, 0]), int(source.planes[0][0, 0])
    assert ring.any()
    assert np.abs(found[ring] - wanted).max() < 0.15 * abs(room - wanted)


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "gbrp"])
def test_far_out_it_is_still_the_subjects_colour(name: str) -> None:
    """Files with alpha hold F everywhere: a codec mixes it across the edge, and a viewer may show it."""
    source, truth, pha = scene(name, 8, (640, 480))
    found = BlurFusionForeground().estimate(source, alphas_of(source, pha))
    for plane, wanted, room in zip(found, truth.planes, source.planes, strict=True):
        contrast = abs(int(room[0, 0]) - int(wanted[0, 0]))
        for corner in (plane[0, 0], plane[-1, -1]):
            assert abs(int(corner) - int(wanted[0, 0])) < 0.1 * contrast + 2


def test_each_part_of_the_subject_keeps_its_own_colour_at_the_edge() -> None:
    """Half dark, half light: at the edge F is that half's, not the mean of both."""
    picture = np.zeros((480, 640, 3), np.float32)
    picture[:, :320], picture[:, 320:] = 0.2, 0.9
    truth, room = make_frame("gray", (640, 480), rgb=picture), make_frame("gray", (640, 480), rgb=(0.5, 0.5, 0.5))
    pha = coded(disc(640, 480, 10), truth.format)
    source = replace(truth, planes=over(truth.planes, room.planes, pha, truth))
    (plane,) = BlurFusionForeground().estimate(source, alphas_of(source, pha))
    row = plane[240].astype(int)
    soft = np.flatnonzero((pha[240] > 20) & (pha[240] < 255))
    for side in (soft[soft < 320], soft[soft > 320]):
        assert side.size
        assert np.abs(row[side] - truth.planes[0][240, side]).max() < 12


def test_with_nobody_there_it_is_gray() -> None:
    frame = make_frame("yuv420p10le")
    planes = BlurFusionForeground().estimate(frame, alphas_of(frame, np.zeros((48, 64), np.uint16)))
    assert all((plane == 512).all() for plane in planes)


def test_the_source_is_left_alone() -> None:
    frame = make_frame()
    kept = [plane.copy() for plane in frame.planes]
    pha = coded(disc(64, 48), frame.format)
    shape = pha.copy()
    BlurFusionForeground().estimate(frame, alphas_of(frame, pha))
    assert all(np.array_equal(a, b) for a, b in zip(frame.planes, kept, strict=True))
    assert np.array_equal(pha, shape)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("size", [(64, 48), (5, 3), (2, 2), (1, 1)])
def test_nobody_and_nothing_but_the_subject(size: tuple[int, int], value: int) -> None:
    frame = make_frame("yuv420p", size)
    planes = BlurFusionForeground().estimate(frame, alphas_of(frame, np.full(size[::-1], value, np.uint8)))
    replace(frame, planes=planes).check()
    if value:
        assert all(np.array_equal(a, b) for a, b in zip(planes, frame.planes, strict=True))


def test_nothing_but_soft_and_clear_pixels_changes() -> None:
    source, _, _ = scene("gray", 8)
    pha = np.full(SIZE[::-1], 255, np.uint8)
    pha[120, 160], pha[0, 0], pha[-1, -1] = 128, 1, 254
    (plane,) = BlurFusionForeground().estimate(source, alphas_of(source, pha))
    assert np.array_equal(plane[pha == 255], source.planes[0][pha == 255])


@pytest.mark.parametrize("name", ["gray", "yuv444p10le"])
def test_up_is_as_down_and_left_as_right(name: str) -> None:
    """However soft pixels are picked out and put back, none goes astray."""
    source, _, pha = scene(name, 40)
    pha[0], pha[:, 0] = source.format.peak // 2, source.format.peak // 3
    assert ((pha > 0) & (pha < source.format.peak)).sum() > 4 * 4096
    planes = BlurFusionForeground().estimate(source, alphas_of(source, pha))
    for turned in (np.flipud, np.fliplr):
        *mirrored, shape = (cast(Plane, np.ascontiguousarray(turned(plane))) for plane in (*source.planes, pha))
        again = BlurFusionForeground().estimate(replace(source, planes=tuple(mirrored)), alphas_of(source, shape))
        for one, other in zip(planes, again, strict=True):
            assert np.abs(turned(one).astype(int) - other).max() <= 1
