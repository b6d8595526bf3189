"""`--linear`: soft pixels mixed as light, against a re-statement in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scenes import BT709, FORMATS, HLG, PQ, coded, disc, make_frame, make_layer

from streammatte.color import ChromaLocation, ColorSpec, decode_matrix
from streammatte.compositor import composite
from streammatte.compositors.linear import linear_composite
from streammatte.frame import Frame, Layer
from streammatte.kernels import host
from streammatte.transfer import TRANSFER_SRGB

WHOLE = ["yuv444p", "yuv444p10le", "yuv444p12le", "gbrp", "gbrp10le", "gray", "gray10le"]
SPECS = [BT709, ColorSpec(6, 6, 6, True), ColorSpec(1, 1, TRANSFER_SRGB, True), PQ, HLG]
Float64 = npt.NDArray[np.float64]


def curve(signal: Float64, transfer: int) -> Float64:
    """R'G'B' in [0, 1] as light: BT.1886, sRGB, ST 2084, BT.2100."""
    if transfer == 16:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = signal ** (1 / m2)
        return np.asarray((np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))
    if transfer == 18:
        high = (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
        return np.asarray(np.where(signal <= 0.5, signal**2 / 3, high))
    if transfer == TRANSFER_SRGB:
        return np.asarray(np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4))
    return np.asarray(signal**2.4)


def uncurve(light: Float64, transfer: int) -> Float64:
    """The inverse of `curve`, by bisection: nothing of it is written down twice."""
    low, high = np.zeros_like(light), np.ones_like(light)
    for _ in range(50):
        middle = (low + high) / 2
        above = curve(middle, transfer) > light
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return low


def matrix(frame: Frame) -> Float64:
    """(n, n + 1): code values in the order of the planes to R'G'B', or to Y'."""
    spec, bits = frame.color.resolved(frame.format.model, frame.height), frame.format.bits
    if frame.format.model == "yuv":
        return decode_matrix(spec, bits).astype(np.float64)
    if frame.format.model == "gbr" or spec.full_range:
        count = frame.format.plane_count
        return np.hstack([np.eye(count) / frame.format.peak, np.zeros((count, 1))])
    return np.array([[1 / (219 << bits - 8), -16 / 219]])


def wanted(layer: Layer, behind: Frame) -> Float64:
    """The mix in light of whole-chroma planes (h, w, n), not rounded."""
    frame, decode = layer.frame, matrix(layer.frame)
    transfer = frame.color.resolved(frame.format.model, frame.height).transfer
    front, back = (np.stack(p, -1) @ decode[:, :-1].T + decode[:, -1] for p in (layer.fgr, behind.planes))
    share = (layer.pha / frame.format.peak)[..., None]
    light = share * curve(front, transfer) + (1 - share) * curve(back, transfer)
    return np.asarray((uncurve(light, transfer) - decode[:, -1]) @ np.linalg.inv(decode[:, :-1]).T)


def picture(size: tuple[int, int], seed: int, smooth_px: float = 0) -> npt.NDArray[np.float32]:
    """Random colours, clear of black and white, so that no rounding leaves the legal range."""
    dice = np.random.default_rng(seed)
    if not smooth_px:
        return dice.uniform(0.05, 0.95, (size[1], size[0], 3)).astype(np.float32)
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / smooth_px
    waves = [np.sin(x * a + y * b + c) for a, b, c in dice.uniform(-1, 1, (3, 3))]
    return np.asarray(0.5 + 0.4 * np.dstack(waves), np.float32)


def scene(name: str, color: ColorSpec, smooth_px: float = 0, size: tuple[int, int] = (64, 48)) -> tuple[Layer, Frame]:
    front, behind = (make_frame(name, size, rgb=picture(size, seed, smooth_px), color=color) for seed in (1, 2))
    return make_layer(front, disc(*size, 20)), behind


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("color", SPECS)
def test_within_a_code_value_of_float64(name: str, color: ColorSpec) -> None:
    layer, behind = scene(name, color)
    mixed, plain = linear_composite(layer, behind.planes).check(), composite(layer, behind.planes)
    off = [np.abs(plane - wanted(layer, behind)[..., i]).max() for i, plane in enumerate(mixed.planes)]
    assert max(off) < 0.6
    apart = max(np.abs(a.astype(int) - b).max() for a, b in zip(mixed.planes, plain.planes, strict=True))
    assert apart > mixed.format.peak / 20, "in light is not as in code values, or this tests nothing"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (33, 17), (1, 1)])
def test_bit_exact_at_both_ends(name: str, size: tuple[int, int]) -> None:
    """Noise over every code value: also what is no legal colour comes through."""
    layer = make_layer(make_frame(name, size, seed=1))
    behind = make_frame(name, size, seed=2)
    frame = linear_composite(layer, behind.planes).check()
    for mixed, front, back, alpha in zip(frame.planes, layer.fgr, behind.planes, layer.alphas, strict=True):
        assert np.array_equal(mixed[alpha == 0], back[alpha == 0])
        assert np.array_equal(mixed[alpha == frame.format.peak], front[alpha == frame.format.peak])
        assert mixed.max() <= frame.format.peak


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv440p", "yuv420p10le"])
@pytest.mark.parametrize("location", [ChromaLocation.LEFT, ChromaLocation.TOP_LEFT, ChromaLocation.CENTER])
def test_subsampled_chroma_comes_close_to_whole_chroma(name: str, location: ChromaLocation) -> None:
    """The mix at full resolution, its chroma then subsampled, is what it is held against."""
    color = ColorSpec(1, 1, 1, False, location)
    layer, behind = scene(name, color, smooth_px=20, size=(96, 64))
    full = name.replace("420", "444").replace("422", "444").replace("440", "444")
    whole, whole_behind = scene(full, color, smooth_px=20, size=(96, 64))
    truth = list(np.moveaxis(wanted(whole, whole_behind), -1, 0))
    truth[1:] = [host.subsample(plane.astype(np.float32), layer.frame.format, location) for plane in truth[1:]]

    def off(frame: Frame) -> list[float]:
        return [float(np.abs(a - b).mean()) / frame.format.peak for a, b in zip(frame.planes, truth, strict=True)]

    mixed, plain = off(linear_composite(layer, behind.planes)), off(composite(layer, behind.planes))
    assert all(now < max(0.15 * was, 0.6 / 255) for now, was in zip(mixed, plain, strict=True))


def test_half_of_white_over_black_is_half_of_the_light() -> None:
    white, black = make_frame("gbrp", rgb=(1, 1, 1)), make_frame("gbrp", rgb=(0, 0, 0))
    layer = make_layer(white, np.full((48, 64), 0.5, np.float32))
    share = 128 / 255
    assert int(linear_composite(layer, black.planes).planes[0][20, 20]) == round(255 * share ** (1 / 2.4))


@pytest.mark.parametrize("name", ["yuv420p", "gbrp10le"])
def test_a_colour_over_itself_is_that_colour(name: str) -> None:
    frame = make_frame(name, rgb=(0.7, 0.2, 0.4))
    planes = linear_composite(make_layer(frame), frame.planes).planes
    assert all(np.array_equal(a, b) for a, b in zip(planes, frame.planes, strict=True))


def test_facts_of_the_frame_are_kept() -> None:
    facts: dict[str, Any] = {"pts": 7, "seq": 3, "rotation": 90, "interlaced": True}
    frame = make_frame(**facts)
    mixed = linear_composite(make_layer(frame), make_frame(seed=2).planes)
    assert {name: getattr(mixed, name) for name in facts} == facts
    assert mixed.alpha is None
    assert coded(disc(64, 48), frame.format).shape == mixed.planes[0].shape
