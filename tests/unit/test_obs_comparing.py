"""Whether a picture is one of those that were sent: on pictures made for it."""

from __future__ import annotations

import numpy as np
import pytest

from streammatte.obs.comparing import Comparison, compare
from streammatte.obs.watching import Picture

FRAMES = 30


def picture(number: int, *, opaque: bool = False) -> Picture:
    """A disc with a soft edge that moves over a transparent ground, whose hidden colour is any."""
    y, x = np.mgrid[0:90, 0:160]
    made = np.empty((90, 160, 4), np.uint8)
    made[..., 0], made[..., 1], made[..., 2] = 2 * y, x, 255 - x
    made[..., 3] = 255 if opaque else np.clip(255 * (2 - np.hypot(y - 45, x - 40 - 2 * number) / 20), 0, 255)
    return made


def looked(shown: Picture, asked_s: float = 1.0, sent: list[Picture] | None = None) -> Comparison:
    """Among 30 frames a second that arrived from 0 s on."""
    frames = [picture(number) for number in range(FRAMES)] if sent is None else sent
    return compare(shown, asked_s, [(number / 30, lambda one=one: one) for number, one in enumerate(frames)])


def test_the_very_frame_is_found() -> None:
    found = looked(picture(24))
    assert (found.verdict, found.why, found.mean, found.p99) == ("same", "", 0, 0)
    assert found.lag_ms == pytest.approx(200)


def test_hidden_colours_do_not_count() -> None:
    shown = picture(24)
    shown[shown[..., 3] == 0] = 0
    assert looked(shown).mean == 0


@pytest.mark.parametrize(("error", "verdict"), [(2, "same"), (6, "not the same")])
def test_small_errors_are_the_codecs(error: int, verdict: str) -> None:
    shown = picture(24, opaque=True)
    frames = [picture(number) for number in range(20)] + [shown]
    noisy = shown.copy()
    noisy[..., :3] += np.where(noisy[..., :3] < 128, error, -error).astype(np.uint8)
    assert looked(noisy, sent=frames).verdict == verdict


def test_premultiplied_is_not_the_same() -> None:
    shown = picture(24)
    shown[..., :3] = shown[..., :3] * (shown[..., 3:] / 255.0)
    found = looked(shown)
    assert (found.verdict, found.lag_ms) == ("not the same", None)
    assert "another picture" in found.why


def test_a_subject_that_is_small_counts_no_less() -> None:
    shown, sent = np.zeros((2, 360, 640, 4), np.uint8)
    shown[100:110, 100:110] = (0, 0, 255, 255)
    sent[100:110, 100:110] = (0, 255, 0, 255)
    assert looked(shown, sent=[sent]).verdict == "not the same"


def test_a_still_picture_has_no_lag() -> None:
    found = looked(picture(0), sent=[picture(0)] * FRAMES)
    assert (found.verdict, found.lag_ms) == ("same", None)


def test_a_few_equal_frames_have_the_last_ones_lag() -> None:
    frames = [picture(number // 4 * 4) for number in range(FRAMES)]
    assert looked(picture(24), sent=frames).lag_ms == pytest.approx(1000 - 900)


def test_a_lag_before_its_question_is_none() -> None:
    found = looked(picture(24), asked_s=0.5)
    assert (found.verdict, found.lag_ms) == ("same", None)


def test_nothing_to_see() -> None:
    clear = np.zeros((90, 160, 4), np.uint8)
    assert looked(clear, sent=[clear, clear]).verdict == "nothing to see"
    found = looked(clear)
    assert found.verdict == "not the same"
    assert "nothing in place" in found.why


def test_another_size() -> None:
    found = looked(np.zeros((45, 80, 4), np.uint8))
    assert (found.verdict, found.why) == ("not the same", "OBS has a picture of 80x45, 160x90 is sent")
