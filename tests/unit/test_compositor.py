"""Over on planes: exact at both ends, right between, and every fact of the frame kept."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scenes import FORMATS, alphas_of, coded, disc, make_frame, make_layer, over

from streammatte.color import ColorSpec
from streammatte.compositor import composite
from streammatte.frame import Frame, Layer, PixelFormat, alpha_frame, subject_frame
from streammatte.kernels import host

SIZES = [(64, 48), (33, 17)]
FACTS: dict[str, Any] = {
    "pts": 1001,
    "time_base": Fraction(1, 24000),
    "duration": 1001,
    "seq": 7,
    "rotation": 90,
    "sar": Fraction(4, 3),
    "interlaced": True,
    "captured_ns": 12,
    "discontinuity": True,
}


def layer_of(name: str, size: tuple[int, int]) -> tuple[Layer, Frame]:
    """A noisy subject with a soft disc of alpha, in a frame with every fact set, and a noisy background."""
    frame = make_frame(name, size, **FACTS)
    frame = replace(frame, alpha=np.full_like(frame.planes[0], 7))
    subject, behind = make_frame(name, size, seed=1), make_frame(name, size, seed=2)
    return make_layer(frame, fgr=subject.planes), behind


def same_facts(frame: Frame, source: Frame, besides: set[str]) -> bool:
    names = {field.name for field in fields(Frame)} - besides
    return all(getattr(frame, name) == getattr(source, name) for name in names)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_composite(name: str, size: tuple[int, int]) -> None:
    layer, behind = layer_of(name, size)
    frame = composite(layer, behind.planes).check()
    assert same_facts(frame, layer.frame, {"planes", "alpha"})
    assert frame.alpha is None
    wanted = over(layer.fgr, behind.planes, layer.pha, layer.frame)
    worst = max(np.abs(a.astype(np.int64) - b).max() for a, b in zip(frame.planes, wanted, strict=True))
    assert worst <= (0 if frame.format.bits <= 10 else 1), "ties of deeper planes may round either way"


@pytest.mark.parametrize("name", FORMATS)
def test_composite_is_bit_exact_at_both_ends(name: str) -> None:
    layer, behind = layer_of(name, (64, 48))
    frame = composite(layer, behind.planes)
    alphas = host.chroma_alpha(layer.pha, frame.format, frame.color)
    for mixed, front, back, alpha in zip(frame.planes, layer.fgr, behind.planes, alphas, strict=True):
        clear, solid = alpha == 0, alpha == frame.format.peak
        assert clear.any()
        assert solid.any()
        assert np.array_equal(mixed[clear], back[clear])
        assert np.array_equal(mixed[solid], front[solid])


def test_composite_undoes_itself() -> None:
    """The source is F over B: put over B again, F gives the source."""
    behind, subject = make_frame("yuv444p", seed=2), make_frame("yuv444p", seed=1)
    pha = coded(disc(64, 48), behind.format)
    source = make_frame("yuv444p")
    source = Frame(over(subject.planes, behind.planes, pha, source), source.format, source.color, 0, Fraction(1), 0, 0)
    frame = composite(Layer(subject.planes, alphas_of(source, pha), source), behind.planes)
    assert all(np.array_equal(a, b) for a, b in zip(frame.planes, source.planes, strict=True))


def test_a_background_of_too_few_planes_is_refused() -> None:
    layer, behind = layer_of("yuv420p", (64, 48))
    with pytest.raises(ValueError, match="zip"):
        composite(layer, behind.planes[:1])


@pytest.mark.parametrize("name", FORMATS)
def test_subject_frame_has_the_subjects_colour_and_straight_alpha(name: str) -> None:
    layer, _ = layer_of(name, (33, 17))
    frame = subject_frame(layer).check()
    assert same_facts(frame, layer.frame, {"planes", "alpha"})
    assert frame.planes is layer.fgr
    assert frame.alpha is layer.pha


@pytest.mark.parametrize("name", FORMATS)
def test_alpha_frame_is_full_range_gray_of_the_same_depth(name: str) -> None:
    layer, _ = layer_of(name, (33, 17))
    frame = alpha_frame(layer).check()
    assert same_facts(frame, layer.frame, {"planes", "alpha", "format", "color"})
    assert (frame.format.model, frame.format.bits) == ("gray", layer.frame.format.bits)
    assert frame.planes[0] is layer.pha
    assert frame.color.full_range
    assert frame.alpha is None


def test_alpha_frame_reads_back_as_alpha() -> None:
    """White is 1.0 and black 0.0 for whoever looks at the gray frame as a picture."""
    frame = make_frame("yuv420p10le", color=ColorSpec(1, 1, 1, False))
    pha = coded(disc(64, 48), frame.format)
    seen = host.frame_rgb(alpha_frame(Layer(frame.planes, alphas_of(frame, pha), frame)), 64, 48)
    assert seen == pytest.approx(np.repeat(disc(64, 48)[..., None], 3, axis=2), abs=0.6 / 1023)
    assert PixelFormat.named("gray10le").peak == 1023
