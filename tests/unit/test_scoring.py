"""The scores: the published definitions, and how alpha is read from a truth's frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sink_clips import BT709, make_info

from streammatte.color import ColorSpec
from streammatte.errors import ConfigError, ContractError
from streammatte.frame import Frame, Packet, PixelFormat, StreamInfo
from streammatte.scoring import Scorer, TruthReader, alpha_of, grad, steepness, truth_of

Alpha = npt.NDArray[np.float32]

alphas = arrays(np.float32, (9, 12), elements=st.floats(0, 1, width=32))


def scored(said: Sequence[Alpha], right: Sequence[Alpha]) -> Any:
    scorer = Scorer()
    for pha, truth in zip(said, right, strict=True):
        scorer.step(pha, truth_of(truth))
    return scorer.scores()


def discs(count: int = 5, height: int = 48, width: int = 64) -> Iterator[tuple[Alpha, Alpha]]:
    """A matte of 8 bits that is too small, too soft, late and uneven; and its truth."""
    y, x = np.mgrid[0:height, 0:width]
    for t in range(count):
        right = np.clip((15 - np.hypot(y - 24, x - 30 - 2 * t)) / 6 + 0.5, 0, 1)
        said = np.clip(
            (14 - np.hypot(y - 25, x - 30 - 1.5 * t)) / 9 + 0.5 + 0.1 * np.sin(x / 5 + 2 * t),
            0,
            1,
        )
        yield np.float32(np.rint(255 * said) / 255), np.float32(np.rint(255 * right) / 255)


# the definitions


def test_the_evaluations_own_scorer_says_the_same() -> None:
    """It was given these frames as lossless video; the numbers are what it printed."""
    said, right = zip(*discs(), strict=True)
    scores = scored(said, right)
    assert scores.frames == 5
    assert scores.mad == pytest.approx(42.9869, abs=2e-4)
    assert scores.mse == pytest.approx(10.8871, abs=2e-4)
    assert scores.grad == pytest.approx(0.2091, abs=1e-4)
    assert scores.dtssd == pytest.approx(8.3356, abs=2e-4)


def test_what_is_off_everywhere_alike() -> None:
    right = [np.full((6, 8), 0.25, np.float32)] * 3
    said = [np.full((6, 8), value, np.float32) for value in (0.5, 0.5, 0.75)]
    scores = scored(said, right)
    assert scores.mad == pytest.approx(1e3 * (0.25 + 0.25 + 0.5) / 3, abs=1e-4)
    assert scores.mse == pytest.approx(1e3 * (0.0625 + 0.0625 + 0.25) / 3, abs=1e-4)
    assert scores.grad == 0
    assert scores.dtssd == pytest.approx(1e2 * (0 + 0.25) / 2, abs=1e-4)


def test_one_frame_has_no_change_and_none_no_score() -> None:
    assert scored([], []) is None
    (pha, truth), *_ = discs(1)
    assert scored([pha], [truth]).dtssd is None


@given(alphas, alphas)
def test_what_is_right_scores_nothing(first: Alpha, second: Alpha) -> None:
    scores = scored([first, second], [first, second])
    assert (scores.mad, scores.mse, scores.grad, scores.dtssd) == (0, 0, 0, 0)


@given(st.lists(alphas, min_size=2, max_size=2), st.lists(alphas, min_size=2, max_size=2))
def test_scores_are_distances(said: list[Alpha], right: list[Alpha]) -> None:
    there, back = scored(said, right), scored(right, said)
    assert there == back
    assert 0 <= there.mse <= there.mad + 1e-4 <= 1e3 + 1e-3
    assert 0 <= there.dtssd <= 200


def test_another_size_is_refused() -> None:
    with pytest.raises(ContractError, match=r"an alpha \(6, 8\), got \(8, 6\)"):
        scored([np.zeros((8, 6), np.float32)], [np.zeros((6, 8), np.float32)])


# the gradient


def direct_steepness(pha: Alpha, sigma: float = 1.4) -> npt.NDArray[np.float64]:
    """Rhemann's formula, pixel by pixel."""
    reach = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * 0.01)))
    v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    kernel = u * np.exp(-(u**2 + v**2) / (2 * sigma**2))
    kernel /= np.sqrt((kernel**2).sum())
    wide = np.pad(pha.astype(float), reach, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(wide, kernel.shape)
    across = (around * kernel).sum(axis=(2, 3))
    down = (around * kernel.T).sum(axis=(2, 3))
    return np.asarray(np.hypot(across, down))


@given(alphas)
def test_the_gradient_is_that_of_the_formula(pha: Alpha) -> None:
    np.testing.assert_allclose(steepness(pha), direct_steepness(pha), atol=2e-6)


@given(alphas)
def test_the_gradient_does_not_care_which_way_up(pha: Alpha) -> None:
    for turned in (np.rot90, np.flipud, np.transpose):
        np.testing.assert_allclose(steepness(np.ascontiguousarray(turned(pha))), turned(steepness(pha)), atol=2e-6)


def test_grad_sums_over_pixels() -> None:
    (pha, truth), *_ = discs(1)
    once = grad(steepness(pha), steepness(truth))
    wide, beside = np.hstack([pha, pha]), np.hstack([truth, truth])
    assert grad(steepness(wide), steepness(beside)) == pytest.approx(2 * once, rel=1e-3)
    assert once == pytest.approx(1e-3 * ((direct_steepness(pha) - direct_steepness(truth)) ** 2).sum(), rel=1e-4)


# reading a truth


def frame_of(name: str, values: Sequence[Any], color: ColorSpec = BT709, alpha: Any = None) -> Frame:
    """A frame of flat planes, `values`."""
    fmt = PixelFormat.named(name)
    planes = tuple(np.full(fmt.plane_shape(i, 8, 6), value, fmt.dtype) for i, value in enumerate(values))
    own = None if alpha is None else np.full((6, 8), alpha, fmt.dtype)
    return Frame(planes, fmt, color, pts=0, time_base=Fraction(1, 25), duration=1, seq=0, alpha=own).check()


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        (frame_of("gray", [51]), 0.2),
        (frame_of("gray", [51], ColorSpec(full_range=True)), 0.2),
        (frame_of("gray12le", [4095]), 1.0),
        (frame_of("yuv420p", [16, 128, 128]), 0.0),
        (frame_of("yuv420p", [235, 128, 128]), 1.0),
        (frame_of("yuv420p", [8, 128, 128]), 0.0),
        (frame_of("yuv420p", [250, 128, 128]), 1.0),
        (frame_of("yuv420p", [51, 128, 128], ColorSpec(1, 1, 1, True)), 0.2),
        (frame_of("yuv420p", [235, 128, 128], ColorSpec()), 1.0),
        (frame_of("yuv422p10le", [64 + 438, 512, 512]), 0.5),
        (frame_of("gbrp", [0, 102, 51], ColorSpec(0, 1, 1, True)), 0.2),
        (frame_of("yuv420p", [16, 128, 128], alpha=51), 0.2),
        (frame_of("gbrp", [0, 0, 0], alpha=255), 1.0),
    ],
)
def test_the_alpha_that_a_frame_shows(frame: Frame, wanted: float) -> None:
    pha = alpha_of(frame)
    assert (pha.shape, pha.dtype) == ((6, 8), np.float32)
    np.testing.assert_allclose(pha, wanted, atol=1e-6)


class Film:
    """A source of gray frames with a packet between."""

    def __init__(self, planes: Sequence[npt.NDArray[np.uint8]], rotation: int = 0) -> None:
        height, width = planes[0].shape
        self.info = replace(make_info("gray", width, height, rotation=rotation), name="truth.mkv")
        self.notes: list[str] = []
        self._planes = planes

    def events(self) -> Iterator[Frame | Packet]:
        for seq, plane in enumerate(self._planes):
            fmt = PixelFormat.named("gray")
            yield Packet(1, None)
            yield Frame((plane,), fmt, BT709, pts=seq, time_base=Fraction(1, 25), duration=1, seq=seq)

    def close(self) -> None:
        """Nothing is open."""


def film(count: int, rotation: int = 0) -> Film:
    return Film([np.arange(48, dtype=np.uint8).reshape(6, 8) + seq for seq in range(count)], rotation)


def info_of(width: int, height: int, rotation: int = 0) -> StreamInfo:
    return make_info("yuv420p", width, height, rotation=rotation)


def test_a_truth_gives_a_frame_after_the_other() -> None:
    reader = TruthReader(film(2), info_of(8, 6))
    for seq in range(2):
        pha = reader.step()
        assert pha is not None
        np.testing.assert_allclose(pha, (np.arange(48).reshape(6, 8) + seq) / 255, atol=1e-6)
    assert reader.step() is None
    assert reader.step() is None


@pytest.mark.parametrize("own", [0, 90, 180, 270])
@pytest.mark.parametrize("shown", [0, 90, 180, 270])
def test_a_truth_is_turned_as_the_input_is_stored(own: int, shown: int) -> None:
    upright = (6, 8) if own % 180 == 0 else (8, 6)
    stored = upright if shown % 180 == 0 else upright[::-1]
    pha = TruthReader(film(1, own), info_of(stored[1], stored[0], shown)).step()
    assert pha is not None
    as_seen = np.rot90(np.arange(48).reshape(6, 8), own // 90)
    np.testing.assert_allclose(np.rot90(pha, shown // 90), as_seen / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("shown", "sizes"),
    [
        (info_of(6, 8), "the truth 8x6, the input 6x8"),
        (info_of(8, 6, 90), "the truth 8x6, the input 6x8"),
        (info_of(16, 12), "the truth 8x6, the input 16x12"),
    ],
)
def test_a_truth_of_another_size_is_one_line(shown: StreamInfo, sizes: str) -> None:
    with pytest.raises(ConfigError, match=rf"--truth: truth\.mkv: is of another size: {sizes}; give one of"):
        TruthReader(film(1), shown)


@pytest.mark.parametrize(
    ("count", "frames", "whole", "words"),
    [
        (3, 3, True, ()),
        (3, 5, True, ("truth.mkv: ends after 3 of 5 frames; scores are of these alone",)),
        (5, 3, True, ("truth.mkv: has more frames than the input's 3; scores are of the first 3",)),
        (5, 3, False, ()),
        (3, 5, False, ("truth.mkv: ends after 3 of 5 frames; scores are of these alone",)),
    ],
)
def test_a_truth_of_another_length_is_one_line(count: int, frames: int, whole: bool, words: tuple[str, ...]) -> None:
    reader = TruthReader(film(count), info_of(8, 6))
    for _ in range(frames):
        reader.step()
    assert reader.notes(frames, whole) == words
