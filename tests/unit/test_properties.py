"""What must hold of stabilizer, refiner, foreground and compositor together, whatever the film shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import Float, make_frame, make_look, textured

from streammatte import registry
from streammatte.backgrounds.still import SolidBackground
from streammatte.compositor import composite
from streammatte.config import Settings
from streammatte.frame import Frame, Layer, Look, Matte, Packet
from streammatte.inference import Inference, Pace
from streammatte.kernels import host
from streammatte.meter import Meter
from streammatte.ports import Foreground, Refiner, Stabilizer
from streammatte.quality import quality_of
from streammatte.stabilizers.motion import MotionStabilizer

SIZE = (160, 120)
"""Of the films here: so small that refiners work at that size. The network sees them at half of it."""
REFINERS = ("guided", "closed-form")


def refiner_named(name: str) -> Refiner:
    made: Refiner = registry.load(registry.REFINERS, name, "--refine")()
    return made


class Film:
    """In place of a source and a Matter: pictures (h, w, 3), and what a network of half the size says of each."""

    def __init__(self, pictures: list[Float], alphas: list[Float], name: str = "yuv420p") -> None:
        self._alphas = [half(alpha) for alpha in alphas]
        self._pictures = [half(picture) for picture in pictures]
        size = pictures[0].shape[1], pictures[0].shape[0]
        self.frames = [make_frame(name, size, rgb=rgb, seq=seq, pts=seq) for seq, rgb in enumerate(pictures)]

    def look(self, frame: Frame) -> Look:
        return make_look(frame, self._pictures[frame.seq])

    def see(self, look: Look) -> Matte:
        return replace(look.matte, pha=self._alphas[look.matte.seq], seen=True)

    def steadied(
        self, stabilizer: Stabilizer | None = None, part: slice = slice(None), **pace: Any
    ) -> list[tuple[Frame, Matte]]:
        inference = Inference(self, stabilizer or MotionStabilizer(0.16), Pace(**pace), Meter())
        return [event for event in inference.mattes(self.frames[part]) if not isinstance(event, Packet)]

    def refined(self, refiner: Refiner, part: slice = slice(None), **pace: Any) -> list[npt.NDArray[np.float64]]:
        """Alpha of every frame in code values."""
        return [refiner.refine(matte, frame).astype(np.float64) for frame, matte in self.steadied(None, part, **pace)]


def half(picture: Float) -> Float:
    size = picture.shape[1] // 2, picture.shape[0] // 2
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def panned(canvas: Float, way: list[tuple[int, int]]) -> list[Float]:
    """What a camera sees of a larger picture, its upper left corner at these places (x, y)."""
    return [np.ascontiguousarray(canvas[y : y + SIZE[1], x : x + SIZE[0]]) for x, y in way]


# constant in, constant out


@settings(max_examples=12)
@given(
    value=st.floats(0, 1, width=32),
    seed=st.integers(0, 1000),
    steps=st.lists(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=2, max_size=4),
    name=st.sampled_from(["yuv420p", "yuv444p", "gbrp", "gray", "yuv420p10le"]),
)
@pytest.mark.parametrize("refiner", REFINERS)
def test_a_constant_matte_stays_constant_over_any_video(
    refiner: str, value: float, seed: int, steps: list[tuple[int, int]], name: str
) -> None:
    """To one code value, through motion, lookahead and refiner."""
    canvas = textured(seed, (SIZE[0] + 64, SIZE[1] + 64), 1.5)
    pictures = panned(canvas, [(32 + 4 * x, 32 + 4 * y) for x, y in steps])
    film = Film(pictures, [np.full(SIZE[::-1], value, np.float32)] * len(pictures), name)
    assert all(np.abs(matte.pha - value).max() < 1e-5 for _, matte in film.steadied(lookahead=2))
    for alpha in film.refined(refiner_named(refiner), lookahead=2):
        assert np.abs(alpha - value * film.frames[0].format.peak).max() <= 1


@pytest.mark.parametrize("refiner", REFINERS)
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
def test_nothing_and_everything_stay_exactly_that(refiner: str, value: float, name: str) -> None:
    pictures = [textured(seed, SIZE, 1.5) for seed in range(3)]
    film = Film(pictures, [np.full(SIZE[::-1], value, np.float32)] * 3, name)
    for alpha in film.refined(refiner_named(refiner), lookahead=1):
        assert (alpha == value * film.frames[0].format.peak).all()


# translated in, translated out


def hairy(size: tuple[int, int], seed: int = 0) -> Float:
    """A head with loose hair in the middle: true alpha."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    angle, reach = np.arctan2(y - size[1] / 2, x - size[0] / 2), np.hypot(y - size[1] / 2, x - size[0] / 2)
    dice = np.random.default_rng(seed)
    edge = 26 + sum(dice.uniform(1, 3) * np.sin(angle * k + dice.uniform(0, 6)) for k in (3, 7, 13, 23, 31))
    return np.asarray(np.clip((edge - reach) / 2 + 0.5, 0, 1), np.float32)


def scene_of(seed: int) -> tuple[Float, Float]:
    """A larger picture of a subject over a texture, and its alpha."""
    size = SIZE[0] + 64, SIZE[1] + 64
    alpha = hairy(size, seed)
    subject, behind = textured(seed, size) * np.float32(0.3), textured(seed + 1, size)
    return np.asarray(alpha[..., None] * subject + (1 - alpha[..., None]) * behind, np.float32), alpha


WAY = [(32, 32), (34, 32), (36, 30), (36, 28)]


def seen_along(way: list[tuple[int, int]], seed: int) -> tuple[list[Float], list[Float]]:
    """Pictures of a subject with hair over a texture; and alpha as a network gives it, which is a blur."""
    canvas, alpha = scene_of(seed)
    return panned(canvas, way), panned(np.asarray(cv2.GaussianBlur(alpha, (0, 0), 3), np.float32), way)


@pytest.mark.parametrize("refiner", REFINERS)
@pytest.mark.parametrize(("x_px", "y_px"), [(8, 0), (0, -6), (-12, 10)])
@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "gbrp"])
def test_a_translated_source_gives_a_translated_matte(
    refiner: str, x_px: int, y_px: int, lookahead: int, name: str
) -> None:
    """Away from the border, to one code value; a few pixels may fall to either side of what is cut off at the ends."""
    there = [(x - x_px, y - y_px) for x, y in WAY]
    films = [Film(*seen_along(way, seed=1), name) for way in (WAY, there)]
    first, second = (film.refined(refiner_named(refiner), lookahead=lookahead) for film in films)
    inside = (slice(30, -30), slice(30, -30))
    for one, other in zip(first, second, strict=True):
        off = np.abs(np.roll(one, (y_px, x_px), axis=(0, 1)) - other)[inside]
        assert np.mean(off > 1) < 0.002
        assert off.max() <= 3 * films[0].frames[0].format.peak / 255
        assert np.abs(one - other)[inside].mean() > 5, "there is something that can be out of place"


# a cut


@pytest.mark.parametrize("refiner", REFINERS)
@pytest.mark.parametrize("lookahead", [0, 3])
@pytest.mark.parametrize("stride", [1, 3])
def test_a_cut_leaves_no_ghost_and_casts_none_before_it(refiner: str, lookahead: int, stride: int) -> None:
    """Frames on either side of it are those of either scene alone: bit for bit where no flow has to do with them.

    OpenCV's first flow is a hundredth of a pixel off what the same two pictures give later.
    """
    left, right = ([(x + dx, 32) for x in range(28, 36, 2)] for dx in (24, -24))
    one, other = (seen_along(way, seed) for way, seed in ((left, 11), (right, 21)))
    film = Film([*one[0], *other[0]], [*one[1], *other[1]])
    pace = {"lookahead": lookahead, "stride": stride, "tolerance": 1.0}
    assert [matte.discontinuity for _, matte in film.steadied(**pace)] == [seq == 4 for seq in range(8)]
    parts = (slice(8), slice(4), slice(4, 8))
    whole, before, after = (film.refined(refiner_named(refiner), part, **pace) for part in parts)
    apart = [np.abs(a - b).max() for a, b in zip(whole, [*before, *after], strict=True)]
    exact = 4 if lookahead else 5
    assert apart[:exact] == [0] * exact
    assert max(apart) <= 1
    assert np.abs(before[-1] - after[0]).mean() > 20, "a ghost would be seen"


# the ends of alpha, bit for bit


def stages_of(name: str) -> tuple[Stabilizer, Refiner, Foreground]:
    """What `--quality NAME` does to a frame."""
    quality = quality_of(Settings(quality=name), live=False)
    stabilizer = registry.load(registry.STABILIZERS, quality.stabilize, "--stabilize")(quality.half_life_s)
    refiner = registry.load(registry.REFINERS, quality.refine, "--refine")
    steps = (quality.refine_steps,) if quality.refine == "closed-form" else ()
    return stabilizer, refiner(*steps), registry.load(registry.FOREGROUNDS, "fusion", "--fgr")()


@pytest.mark.parametrize("quality", ["fast", "balanced", "best"])
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "gbrp", "yuv420p10le", "yuv422p10le"])
def test_alpha_0_is_the_background_and_alpha_1_the_source(quality: str, name: str) -> None:
    stabilizer, refiner, foreground = stages_of(quality)
    film, room = Film(*seen_along(WAY, seed=4), name), SolidBackground((0.1, 0.7, 0.3))
    for frame, matte in film.steadied(stabilizer):
        alphas = host.chroma_alpha(refiner.refine(matte, frame), frame.format, frame.color)
        layer = Layer(foreground.estimate(frame, alphas), alphas, frame)
        behind = room.planes(layer)
        shown = composite(layer, behind)
        for plane, source, back, alpha in zip(shown.planes, frame.planes, behind, alphas, strict=True):
            nothing, all_of_it = alpha == 0, alpha == frame.format.peak
            assert nothing.mean() > 0.2
            assert all_of_it.mean() > 0.005
            assert (nothing | all_of_it).mean() < 0.98
            assert np.array_equal(plane[nothing], back[nothing])
            assert np.array_equal(plane[all_of_it], source[all_of_it])
