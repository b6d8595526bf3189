"""`--despill`: the old background's light comes off the rim, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scenes import FORMATS, Float, alphas_of, coded, disc, make_frame, over

from streammatte.foregrounds.blur_fusion import BlurFusionForeground
from streammatte.foregrounds.despill import DespillForeground
from streammatte.foregrounds.off import OffForeground
from streammatte.frame import Frame, Plane
from streammatte.kernels import host

SIZE = (320, 240)
SKIN, GREEN, GRAY = (0.8, 0.55, 0.45), (0.1, 0.7, 0.2), (0.5, 0.5, 0.5)
COLOURED = [name for name in FORMATS if not name.startswith("gray")]


def spilled(name: str, wall: tuple[float, float, float] = GREEN, light: float = 0.3) -> tuple[Frame, Frame, Plane]:
    """(a subject before a wall that shines on its rim, the same subject without the light, its alpha)."""
    pha = disc(*SIZE, 6)
    rim = np.clip(1 - (0.3 * SIZE[1] - radius()) / 5, 0, 1)[..., None] * (radius() < 0.36 * SIZE[1])[..., None]
    lit = np.asarray(SKIN, np.float32) + light * rim.astype(np.float32) * (np.asarray(wall, np.float32) - 0.3)
    clean, behind = make_frame(name, SIZE, rgb=SKIN), make_frame(name, SIZE, rgb=wall)
    subject, alpha = make_frame(name, SIZE, rgb=lit), coded(pha, clean.format)
    return replace(clean, planes=over(subject.planes, behind.planes, alpha, clean)), clean, alpha


def radius() -> npt.NDArray[np.float64]:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.asarray(np.hypot(x + 0.5 - SIZE[0] / 2, y + 0.5 - SIZE[1] / 2))


def rgb_of(planes: tuple[Plane, ...], like: Frame) -> Float:
    return host.frame_rgb(replace(like, planes=planes), like.width, like.height)


def green_beyond(planes: tuple[Plane, ...], clean: Frame, pha: Plane) -> float:
    """How much greener F is than the subject, beside its red and blue, where it shows; in parts of peak."""
    off = rgb_of(planes, clean) - rgb_of(clean.planes, clean)
    return float(np.maximum(off[..., 1] - (off[..., 0] + off[..., 2]) / 2, 0)[pha > clean.format.peak / 4].mean())


@pytest.mark.parametrize("name", COLOURED)
def test_green_comes_off_before_a_green_screen(name: str) -> None:
    source, clean, pha = spilled(name)
    alphas, fusion = alphas_of(source, pha), BlurFusionForeground()
    before = green_beyond(fusion.estimate(source, alphas), clean, pha)
    half, full = (
        green_beyond(DespillForeground(fusion, strength).estimate(source, alphas), clean, pha) for strength in (0.5, 1)
    )
    assert before > 0.005, "the wall's light is on the rim, or this tests nothing"
    assert full < before / 2
    assert full < half < before


@pytest.mark.parametrize("wall", [(0.1, 0.2, 0.8), (0.8, 0.2, 0.7)])
def test_the_key_is_whatever_colour_the_wall_has(wall: tuple[float, float, float]) -> None:
    source, clean, pha = spilled("yuv420p", wall)
    alphas = alphas_of(source, pha)
    where = np.asarray(pha > 64)

    def off(planes: tuple[Plane, ...]) -> float:
        return float(np.abs(rgb_of(planes, clean) - rgb_of(clean.planes, clean))[where].mean())

    fusion = BlurFusionForeground()
    assert off(DespillForeground(fusion, 1).estimate(source, alphas)) < 0.75 * off(fusion.estimate(source, alphas))


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p10le"])
def test_luma_stays_what_it_is(name: str) -> None:
    source, _, pha = spilled(name)
    alphas, fusion = alphas_of(source, pha), BlurFusionForeground()
    luma = DespillForeground(fusion, 1).estimate(source, alphas)[0]
    assert np.array_equal(luma, fusion.estimate(source, alphas)[0])


def test_luma_of_rgb_stays_what_it_is() -> None:
    source, _, pha = spilled("gbrp")
    alphas, fusion = alphas_of(source, pha), BlurFusionForeground()
    weights = np.array([0.7152, 0.0722, 0.2126])[:, None, None]
    before, after = (np.sum(weights * np.stack(f.estimate(source, alphas)), axis=0) for f in (fusion, despilled()))
    assert np.abs(after - before).max() < 1


def despilled(strength: float = 1) -> DespillForeground:
    return DespillForeground(BlurFusionForeground(), strength)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_the_rim_keeps_its_bits(name: str) -> None:
    source, _, pha = spilled(name)
    alphas = alphas_of(source, pha)
    before, after = BlurFusionForeground().estimate(source, alphas), despilled().estimate(source, alphas)
    for plane, other in zip(before, after, strict=True):
        y, x = np.mgrid[0 : plane.shape[0], 0 : plane.shape[1]]
        scale_y, scale_x = SIZE[1] / plane.shape[0], SIZE[0] / plane.shape[1]
        inward = 0.3 * SIZE[1] - np.hypot((x + 0.5) * scale_x - SIZE[0] / 2, (y + 0.5) * scale_y - SIZE[1] / 2)
        still = inward > 0.03 * SIZE[1] + 16
        assert still.any()
        assert np.array_equal(plane[still], other[still])


@pytest.mark.parametrize("name", ["yuv420p", "gbrp10le"])
def test_before_a_gray_wall_nothing_happens(name: str) -> None:
    source, _, pha = spilled(name, GRAY)
    alphas = alphas_of(source, pha)
    before, after = BlurFusionForeground().estimate(source, alphas), despilled().estimate(source, alphas)
    worst = max(np.abs(a.astype(int) - b).max() for a, b in zip(before, after, strict=True))
    assert worst <= source.format.peak / 100


def test_a_subject_of_the_walls_colour_keeps_it() -> None:
    """A green shirt before a green wall: its own colour is the limit."""
    frame = make_frame("yuv444p", SIZE, rgb=GREEN)
    alphas = alphas_of(frame, coded(disc(*SIZE, 6), frame.format))
    for plane, kept in zip(despilled().estimate(frame, alphas), frame.planes, strict=True):
        assert np.abs(plane.astype(int) - kept).max() <= 2


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(63, 47), (5, 3), (1, 1)])
def test_planes_are_like_the_frames(name: str, size: tuple[int, int], value: float) -> None:
    frame = make_frame(name, size)
    kept = [plane.copy() for plane in frame.planes]
    flat = coded(np.full(size[::-1], value, np.float32), frame.format)
    planes = DespillForeground(OffForeground(), 1).estimate(frame, alphas_of(frame, flat))
    made = replace(frame, planes=planes).check()
    assert max(int(plane.max()) for plane in made.planes) <= frame.format.peak
    assert all(np.array_equal(a, b) for a, b in zip(frame.planes, kept, strict=True)), "the source is left alone"
