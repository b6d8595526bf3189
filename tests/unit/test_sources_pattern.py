"""`pattern:` is what it says: alpha * F + (1 - alpha) * B, the same every time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from streammatte.errors import SourceError
from streammatte.frame import Frame
from streammatte.sources import SourceOptions, open_source
from streammatte.sources.pattern import PatternSource


def frames_of(source: PatternSource) -> list[Frame]:
    return [event for event in source.events() if isinstance(event, Frame)]


def test_spec() -> None:
    info = PatternSource("pattern:640x360@30000/1001?frames=7&seed=3&format=yuv444p10le").info
    assert (info.width, info.height, info.frame_count) == (640, 360, 7)
    assert (info.rate, info.format.name) == (Fraction(30000, 1001), "yuv444p10le")
    assert isinstance(open_source("pattern:64x48?frames=1"), PatternSource)
    assert PatternSource("pattern:").info.format.name == "yuv420p"


@pytest.mark.parametrize(
    "spec",
    [
        "pattern:640",
        "pattern:8x8",
        "pattern:64x64@0",
        "pattern:?frames=0",
        "pattern:?x=1",
        "pattern:?format=nv12",
    ],
)
def test_bad_spec(spec: str) -> None:
    with pytest.raises(SourceError, match="write pattern:640x360"):
        PatternSource(spec)


@pytest.mark.parametrize(("size", "seed"), [("320x180", 0), ("97x131", 4)])
def test_truth_has_all_kinds_of_alpha(size: str, seed: int) -> None:
    source = PatternSource(f"pattern:{size}?frames=9&seed={seed}")
    alpha = source.truth(5)
    assert (alpha.dtype, alpha.shape) == (np.float32, (source.info.height, source.info.width))
    assert alpha.min() == 0
    assert alpha.max() == 1
    assert 0.1 < (alpha == 1).mean() < 0.6
    assert (alpha == 0).mean() > 0.2
    assert (np.abs(alpha - 0.45) < 0.001).mean() > 0.01  # the veil
    assert ((alpha > 0.02) & (alpha < 0.4)).mean() > 0.004  # hair and edges


@pytest.mark.parametrize(
    ("format_", "offset", "span"), [("yuv420p", 16, 219), ("yuv444p10le", 64, 876), ("gray12le", 256, 3504)]
)
def test_luma_is_the_composite(format_: str, offset: int, span: int) -> None:
    source = PatternSource(f"pattern:96x64?frames=4&format={format_}")
    weights = np.array([0.2126, 0.7152, 0.0722])
    for frame in frames_of(source):
        alpha, (subject, behind) = source.truth(frame.seq).astype(np.float64), source.layers(frame.seq)
        wanted = alpha * (subject @ weights) + (1 - alpha) * (behind @ weights)
        assert np.abs(frame.planes[0] - (offset + span * wanted)).max() < 0.51


def test_chroma_is_the_composite() -> None:
    source = PatternSource("pattern:96x64?frames=3&format=yuv420p")
    frame = frames_of(source)[2]
    alpha, (subject, behind) = source.truth(2)[..., None].astype(np.float64), source.layers(2)
    com = alpha * subject + (1 - alpha) * behind
    luma = com @ np.array([0.2126, 0.7152, 0.0722])
    for plane, channel, scale in ((1, 2, 1.8556), (2, 0, 1.5748)):
        full = 128 + 224 * (com[..., channel] - luma) / scale
        assert np.abs(frame.planes[plane] - full.reshape(32, 2, 48, 2).mean(axis=(1, 3))).max() < 0.51


def test_rgb_is_the_composite() -> None:
    source = PatternSource("pattern:96x64?frames=1&format=gbrp")
    (frame,) = frames_of(source)
    alpha, (subject, behind) = source.truth(0)[..., None], source.layers(0)
    com = 255 * (alpha * subject + (1 - alpha) * behind)
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
        assert np.abs(plane - com[..., channel]).max() < 0.51


def test_same_spec_same_film() -> None:
    first, again, other = (frames_of(PatternSource(f"pattern:64x48?frames=3&seed={s}")) for s in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one.planes, two.planes, strict=True))
    assert not np.array_equal(first[0].planes[0], other[0].planes[0])


def test_it_moves() -> None:
    source = PatternSource("pattern:160x90@30?frames=30")
    assert np.abs(source.truth(0) - source.truth(10)).mean() > 0.01
    assert np.abs(source.layers(0)[1] - source.layers(1)[1]).mean() > 0.005


def test_start_shows_the_same_film_later() -> None:
    whole = frames_of(PatternSource("pattern:64x48@25?frames=20"))
    source = PatternSource("pattern:64x48@25?frames=20", SourceOptions(start_s=0.4))
    late = frames_of(source)
    assert len(late) == 10
    assert np.array_equal(late[0].planes[0], whole[10].planes[0])
    assert np.array_equal(source.truth(0), PatternSource("pattern:64x48@25?frames=20").truth(10))
