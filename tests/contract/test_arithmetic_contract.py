"""What `ports.Arithmetic` promises, over every arithmetic in the registry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import FORMATS, HLG, PQ, coded, disc, facts, make_frame

from streammatte import registry
from streammatte.color import ColorSpec
from streammatte.ports import Arithmetic

MODELS = {
    "as they are": facts((40, 24)),
    "normalised": facts((40, 24), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "logits": facts((40, 24), sigmoid=True),
}


def made(name: str, model: str = "as they are") -> Arithmetic:
    arithmetic: Arithmetic = registry.load(registry.ARITHMETICS, name, "--compat")(MODELS[model])
    return arithmetic


names = pytest.mark.parametrize("name", registry.ARITHMETICS)
models = pytest.mark.parametrize("model", MODELS)


@names
@models
@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("size", [(97, 61), (40, 24), (3, 2)])
def test_batch_is_what_the_network_takes(name: str, model: str, pix_fmt: str, size: tuple[int, int]) -> None:
    batch, picture = made(name, model).batch(make_frame(pix_fmt, size))
    assert (batch.dtype, batch.shape) == (np.dtype(np.float32), (1, 3, 24, 40))
    assert (picture.dtype, picture.shape) == (np.dtype(np.float32), (24, 40, 3))
    assert np.isfinite(batch).all()
    assert 0 <= picture.min() <= picture.max() <= 1


@names
@pytest.mark.parametrize("color", [PQ, HLG, ColorSpec(), ColorSpec(6, 6, 6, True)])
def test_any_colour_is_a_picture_in_0_to_1(name: str, color: ColorSpec) -> None:
    _, picture = made(name).batch(make_frame("yuv420p10le", (97, 61), color=color))
    assert 0 <= picture.min() <= picture.max() <= 1


@names
@models
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_both_are_upright(name: str, model: str, rotation: int) -> None:
    """Light above, dark below: as the viewer sees it, however it is stored."""
    upright = np.full((60, 60, 3), 0.1, np.float32)
    upright[:30] = 0.9
    stored = np.ascontiguousarray(np.rot90(upright, -(rotation // 90)))
    batch, picture = made(name, model).batch(make_frame("yuv444p", (60, 60), rgb=stored, rotation=rotation))
    assert (batch[0, :, 3].min(axis=1) > batch[0, :, -3].max(axis=1)).all()
    assert picture[3].min() > 0.8
    assert picture[-3].max() < 0.2


@names
def test_channels_are_red_green_blue(name: str) -> None:
    batch, picture = made(name).batch(make_frame("yuv444p", rgb=[0.9, 0.5, 0.1]))
    assert picture.mean(axis=(0, 1)) == pytest.approx([0.9, 0.5, 0.1], abs=0.01)
    red, green, blue = batch[0].mean(axis=(1, 2))
    assert red > green > blue


@names
@models
@given(st.lists(st.floats(-50, 50, width=32), min_size=6, max_size=6))
def test_pha_is_alpha(name: str, model: str, values: list[float]) -> None:
    raw = np.array(values, np.float32).reshape(1, 1, 2, 3)
    kept = raw.copy()
    pha = made(name, model).pha(raw)
    assert (pha.dtype, pha.shape) == (np.dtype(np.float32), (2, 3))
    assert 0 <= pha.min() <= pha.max() <= 1
    order = np.argsort(raw.ravel(), kind="stable")
    assert (np.diff(pha.ravel()[order]) >= 0).all(), "more of the network's output is never less alpha"
    assert np.array_equal(raw, kept)


@names
def test_the_frame_is_left_alone(name: str) -> None:
    frame = make_frame()
    frame = replace(frame, alpha=coded(disc(64, 48), frame.format))
    assert frame.alpha is not None
    held = (*frame.planes, frame.alpha)
    kept = [plane.copy() for plane in held]
    made(name).batch(frame)
    assert all(np.array_equal(a, b) for a, b in zip(held, kept, strict=True))


@names
def test_frames_do_not_know_each_other(name: str) -> None:
    arithmetic = made(name)
    first, _ = arithmetic.batch(make_frame(seed=1))
    kept = first.copy()
    arithmetic.batch(make_frame(seed=2))
    assert np.array_equal(first, kept)
    assert np.array_equal(arithmetic.batch(make_frame(seed=1))[0], kept)
