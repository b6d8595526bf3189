"""The room out of focus: no halo of the subject, and as soft as asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import FORMATS, alphas_of, coded, disc, make_frame, make_layer, over

from streammatte.backgrounds.blur import BlurBackground
from streammatte.errors import ConfigError
from streammatte.foregrounds.blur_fusion import BlurFusionForeground
from streammatte.frame import Layer, Plane
from streammatte.kernels import host

SIZE = (320, 180)
SUBJECT, ROOM = (1.0, 0.9, 0.8), (0.15, 0.25, 0.4)


def layer_of(name: str, soft_px: float, size: tuple[int, int] = SIZE) -> tuple[Layer, Layer]:
    """A bright subject in a flat room, with its true F, and the empty room."""
    subject, room = make_frame(name, size, rgb=SUBJECT), make_frame(name, size, rgb=ROOM)
    pha = coded(disc(*size, soft_px), room.format)
    frame = replace(room, planes=over(subject.planes, room.planes, pha, room))
    return Layer(subject.planes, alphas_of(frame, pha), frame), make_layer(room, np.zeros(size[::-1], np.float32))


def bleeding(layer: Layer, empty: Layer, strength: float) -> tuple[float, float]:
    """How far the room is off where it is all there is, and as far as it shows beside the subject; in 1/255."""
    frame = layer.frame
    planes = BlurBackground(strength).planes(layer)
    alphas = host.chroma_alpha(layer.pha, frame.format, frame.color)
    bare, seen = 0.0, 0.0
    for plane, wanted, alpha in zip(planes, empty.frame.planes, alphas, strict=True):
        off = np.abs(plane.astype(np.float64) - wanted) * 255 / frame.format.peak
        bare = max(bare, float(off[alpha == 0].max()))
        seen = max(seen, float((off * (1 - alpha / frame.format.peak)).max()))
    return bare, seen


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("soft_px", [0, 8])
@pytest.mark.parametrize("strength", [0.5, 2.5, 20])
def test_a_bright_subject_does_not_bleed_into_a_flat_room(name: str, soft_px: float, strength: float) -> None:
    assert max(bleeding(*layer_of(name, soft_px), strength)) <= 2


@pytest.mark.parametrize("strength", [1, 2.5, 10])
def test_nor_where_the_foreground_is_estimated(strength: float) -> None:
    layer, empty = layer_of("yuv420p", 8)
    layer = replace(layer, fgr=BlurFusionForeground().estimate(layer.frame, layer.alphas))
    bare, seen = bleeding(layer, empty, strength)
    assert bare <= 3
    assert seen <= 5


RED = (0.85, 0.1, 0.1)
WRONG: dict[str, Callable[[Plane], Plane]] = {
    "right": lambda pha: pha,
    "soft": lambda pha: cv2.GaussianBlur(pha, (0, 0), 3),  # type: ignore[dict-item, return-value]
    "thin": lambda pha: cv2.erode(pha, np.ones((5, 5), np.uint8)),  # type: ignore[dict-item, return-value]
    "thick": lambda pha: cv2.dilate(pha, np.ones((5, 5), np.uint8)),  # type: ignore[dict-item, return-value]
}
"""What networks make of alpha: an edge too soft, all hair missed, a rim of the room."""


def strands(width: int, height: int) -> npt.NDArray[np.float32]:
    """Alpha of a disc with hair, and with motion blur on its right."""
    y, x = np.mgrid[0:height, 0:width] - np.array([height / 2, width / 2]).reshape(2, 1, 1)
    hair = 0.6 * (np.sin(40 * np.arctan2(y, x)) > 0.7) * (np.hypot(x, y) < 0.42 * height) * (x < 0)
    blurred = np.clip((0.55 * height - x) / (0.3 * height), 0, 1) * (np.abs(y) < 0.2 * height) * (x > 0)
    return np.maximum.reduce([disc(width, height, 4), hair, blurred]).astype(np.float32)


@pytest.mark.parametrize(("wrong", "most"), [("right", 4), ("soft", 4), ("thin", 16), ("thick", 4)])
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
def test_a_red_subject_leaves_a_gray_room_gray(name: str, wrong: str, most: float) -> None:
    """With hair, motion blur and an estimated F, also where alpha is wrong. In 1/255 of chroma, where the room is."""
    size = (640, 360)
    subject, room = make_frame(name, size, rgb=RED), make_frame(name, size, rgb=(0.5, 0.5, 0.5))
    pha = coded(strands(*size), room.format)
    frame = replace(room, planes=over(subject.planes, room.planes, pha, room))
    alphas = alphas_of(frame, WRONG[wrong](pha))
    layer = Layer(BlurFusionForeground().estimate(frame, alphas), alphas, frame)
    for plane, gray, alpha in zip(BlurBackground(2.5).planes(layer)[1:], room.planes[1:], alphas[1:], strict=True):
        assert np.abs(plane.astype(int) - gray)[alpha == 0].max() * 255 / room.format.peak <= most


def test_an_odd_picture_does_not_bleed_either() -> None:
    assert max(bleeding(*layer_of("yuv420p", 0, (321, 181)), 2.5)) <= 2


def spread(plane: Plane) -> float:
    """Sigma, in pixels, of the blur that a dark-to-light step across the picture went through: half of 16 to 84 %."""
    profile = plane[plane.shape[0] // 2].astype(np.float64)
    share = (profile - profile[0]) / (profile[-1] - profile[0])
    low, high = np.interp([0.1587, 0.8413], share, np.arange(share.size))
    return float(high - low) / 2


@pytest.mark.parametrize("strength", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("name", ["gray", "yuv420p10le"])
def test_strength_is_sigma_in_percent_of_the_height(name: str, strength: float) -> None:
    width, height = 640, 360
    picture = np.zeros((height, width, 3), np.float32)
    picture[:, width // 2 :] = 1.0
    layer = make_layer(make_frame(name, (width, height), rgb=picture), np.zeros((height, width), np.float32))
    sigma_px = spread(BlurBackground(strength).planes(layer)[0])
    assert sigma_px == pytest.approx(height * strength / 100, rel=0.15)


def test_the_room_behind_the_subject_is_filled_from_around_it() -> None:
    """Dark on the left, light on the right: behind the middle of the subject it is between, and in order."""
    picture = np.repeat(np.linspace(0.2, 0.8, 320, dtype=np.float32)[None, :, None], 3, axis=2).repeat(180, axis=0)
    room = make_frame("gray", SIZE, rgb=picture)
    pha = coded(disc(*SIZE, 0), room.format)
    subject = make_frame("gray", SIZE, rgb=(1, 1, 1))
    frame = replace(room, planes=over(subject.planes, room.planes, pha, room))
    (plane,) = BlurBackground(2.5).planes(Layer(subject.planes, alphas_of(frame, pha), frame))
    assert np.abs(plane[:, 40:-40].astype(int) - room.planes[0][:, 40:-40]).max() < 35
    assert (np.diff(plane[90].astype(int)) >= -3).all()


@pytest.mark.parametrize("strength", [0, -1, 20.1, float("nan")])
def test_strength_out_of_range(strength: float) -> None:
    with pytest.raises(ConfigError, match=r"--bg blur: strength must be more than 0 and at most 20 percent"):
        BlurBackground(strength)
