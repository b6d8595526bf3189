"""A cut is told from motion, exposure, noise and a dissolve."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import make_matte

from streammatte.cuts import CutDetector
from streammatte.frame import Frame
from streammatte.kernels import host
from streammatte.sources.pattern import PatternSource

Picture = npt.NDArray[np.floating]


def room(seed: int, hue: tuple[float, float, float]) -> Picture:
    """A room of soft patches around one hue."""
    coarse = np.random.default_rng(seed).random((6, 8, 3), np.float32) * 0.5
    smooth = np.asarray(cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray(np.clip(smooth + np.array(hue, np.float32) * 0.5, 0, 1), np.float32)


def cuts(*pictures: Picture) -> list[bool]:
    detector = CutDetector()
    blank = make_matte(np.zeros((120, 160), np.float32))
    return [detector.is_cut(replace(blank, src=np.ascontiguousarray(picture, np.float32))) for picture in pictures]


WARM, COLD = room(0, (0.9, 0.4, 0.1)), room(1, (0.1, 0.5, 0.9))


def test_first_frame_is_no_cut() -> None:
    assert cuts(WARM) == [False]


def test_another_scene_is_a_cut_once() -> None:
    assert cuts(WARM, WARM, COLD, COLD, WARM) == [False, False, True, False, True]


def test_a_test_card_between_is_a_cut_both_ways() -> None:
    bars = np.zeros((120, 160, 3), np.float32)
    bars[:, ::2] = bars[:, 80:] = 1.0
    assert cuts(bars, WARM, bars)[1:] == [True, True]


@pytest.mark.parametrize("gain", [0.6, 0.8, 1.25])
def test_a_change_of_exposure_is_none(gain: float) -> None:
    flat = 0.5 + (WARM - 0.5) * 0.4
    assert cuts(flat, np.clip(flat * gain, 0, 1)) == [False, False]


def test_noise_is_none() -> None:
    dice = np.random.default_rng(2)
    noisy = [np.clip(WARM + dice.normal(0, 0.08, WARM.shape), 0, 1) for _ in range(4)]
    assert not any(cuts(*noisy))


def test_a_dissolve_is_none() -> None:
    steps = [(1 - t) * WARM + t * COLD for t in np.linspace(0, 1, 25)]
    assert not any(cuts(*steps))


@pytest.mark.parametrize("step_px", [2, 8, 16])
def test_a_pan_is_none(step_px: int) -> None:
    wide = np.concatenate([WARM, WARM[:, ::-1]], axis=1)
    assert not any(cuts(*(wide[:, x : x + 160] for x in range(0, 150, step_px))))


def test_a_subject_that_crosses_is_none() -> None:
    pictures = []
    for x in range(-30, 160, 12):
        picture = COLD.copy()
        cv2.rectangle(picture, (x, 20), (x + 40, 119), (0.8, 0.6, 0.5), -1)
        pictures.append(picture)
    assert not any(cuts(*pictures))


def test_the_pattern_is_one_scene() -> None:
    source = PatternSource("pattern:320x180@30?frames=45")
    frames = [event for event in source.events() if isinstance(event, Frame)]
    assert not any(cuts(*(host.frame_rgb(frame, 160, 120) for frame in frames)))


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (640, 360)])
def test_any_size_of_picture(size: tuple[int, int]) -> None:
    white, black = np.ones((*size[::-1], 3), np.float32), np.zeros((*size[::-1], 3), np.float32)
    assert cuts(white, white) == [False, False]
    assert cuts(black, white) == [False, False], "a lamp: no layout changes"
