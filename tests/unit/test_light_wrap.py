"""`--light-wrap`: the background shines on the rim, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scenes import FORMATS, disc, make_frame, make_layer

from streammatte.compositor import composite
from streammatte.compositors.light_wrap import LightWrap
from streammatte.compositors.linear import linear_composite
from streammatte.frame import Frame, Layer

SIZE = (320, 240)
DARK, BRIGHT = (0.2, 0.2, 0.25), (0.9, 0.9, 0.6)


def scene(name: str, soft_px: float = 4) -> tuple[Layer, Frame]:
    """A dark subject, and a bright background."""
    return make_layer(make_frame(name, SIZE, rgb=DARK), disc(*SIZE, soft_px)), make_frame(name, SIZE, rgb=BRIGHT)


def inward_px(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """How far each sample of a plane lies inside the disc, in pixels of the frame."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    across, down = (x + 0.5) * SIZE[0] / shape[1] - SIZE[0] / 2, (y + 0.5) * SIZE[1] / shape[0] - SIZE[1] / 2
    return np.asarray(0.3 * SIZE[1] - np.hypot(across, down))


@pytest.mark.parametrize("name", FORMATS)
def test_the_rim_is_lit_the_more_the_stronger_and_the_nearer(name: str) -> None:
    layer, behind = scene(name)
    inside = layer.pha == behind.format.peak
    inward, luma = inward_px(layer.pha.shape), []
    for strength in (0.25, 0.5, 1.0):
        luma.append(LightWrap(strength, composite)(layer, behind.planes).planes[0].astype(float)[inside])
    plain = composite(layer, behind.planes).planes[0].astype(float)[inside]
    contrast = float(behind.planes[0][0, 0]) - float(layer.fgr[0][0, 0])
    near, far = inward[inside] < 4, inward[inside] > 12
    for weaker, stronger in zip([plain, *luma[:-1]], luma, strict=True):
        assert stronger[near].mean() > weaker[near].mean() + 0.01 * contrast
    assert plain[near].mean() + 0.1 * contrast < luma[-1][near].mean() < plain[near].mean() + 0.6 * contrast
    assert np.array_equal(luma[-1][far], plain[far])


@pytest.mark.parametrize("name", FORMATS)
def test_the_background_itself_stays_as_it_is(name: str) -> None:
    layer, behind = scene(name)
    frame = LightWrap(1, composite)(layer, behind.planes).check()
    for plane, wanted, alpha in zip(frame.planes, behind.planes, layer.alphas, strict=True):
        assert (alpha == 0).any()
        assert np.array_equal(plane[alpha == 0], wanted[alpha == 0])
    assert max(int(plane.max()) for plane in frame.planes) <= frame.format.peak
    assert replace(frame, planes=layer.frame.planes) == replace(layer.frame, planes=layer.frame.planes)


@pytest.mark.parametrize("name", ["yuv420p", "gbrp10le"])
def test_a_background_of_the_subjects_colour_changes_nothing(name: str) -> None:
    layer, _ = scene(name)
    planes = LightWrap(1, composite)(layer, layer.fgr).planes
    assert all(np.array_equal(a, b) for a, b in zip(planes, layer.fgr, strict=True))


def test_each_backgrounds_light_is_its_own() -> None:
    layer, bright = scene("yuv420p")
    dark, wrap = make_frame("yuv420p", SIZE, rgb=(0, 0, 0)), LightWrap(1, composite)
    first = wrap(layer, bright.planes)
    assert all(np.array_equal(a, b) for a, b in zip(wrap(layer, bright.planes).planes, first.planes, strict=True))
    for plane, alone in zip(
        wrap(layer, dark.planes).planes, LightWrap(1, composite)(layer, dark.planes).planes, strict=True
    ):
        assert np.array_equal(plane, alone)


def test_the_subject_is_lit_from_where_the_light_is() -> None:
    picture = np.zeros((*SIZE[::-1], 3), np.float32)
    picture[:, : SIZE[0] // 2] = 1
    layer, behind = scene("gray")[0], make_frame("gray", SIZE, rgb=picture)
    (lit,) = LightWrap(1, composite)(layer, behind.planes).planes
    row, edge_px = lit[120].astype(int), round(0.3 * 240) - 3
    assert row[160 - edge_px] > row[160] + 15
    assert row[160 + edge_px] < row[160 - edge_px] - 15


def test_light_goes_before_the_over_in_linear_light() -> None:
    layer, behind = scene("yuv420p")
    frame = LightWrap(0.5, linear_composite)(layer, behind.planes)
    assert not np.array_equal(frame.planes[0], linear_composite(layer, behind.planes).planes[0])
    assert not np.array_equal(frame.planes[0], LightWrap(0.5, composite)(layer, behind.planes).planes[0])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("size", [(63, 47), (5, 3), (1, 1)])
def test_nobody_and_nothing_but_the_subject(name: str, size: tuple[int, int], value: float) -> None:
    layer = make_layer(make_frame(name, size, seed=1), np.full(size[::-1], value, np.float32))
    behind = make_frame(name, size, seed=2)
    planes = LightWrap(1, composite)(layer, behind.planes).planes
    wanted = layer.fgr if value else behind.planes
    assert all(np.array_equal(a, b) for a, b in zip(planes, wanted, strict=True))
