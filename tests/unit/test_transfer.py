"""Transfer functions against the standards' own numbers, and against themselves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammatte.transfer import TRANSFER_HLG, TRANSFER_PQ, TRANSFER_SRGB, from_light, to_light

BT709, GAMMA22, GAMMA28, LINEAR, BT2020 = 1, 4, 5, 8, 14
EVERY = [BT709, GAMMA22, GAMMA28, 6, LINEAR, TRANSFER_SRGB, BT2020, 15, TRANSFER_PQ, TRANSFER_HLG]


def one(value: float) -> npt.NDArray[np.float32]:
    return np.array([value], np.float32)


@pytest.mark.parametrize(
    ("transfer", "signal", "light"),
    [
        (BT709, 0.5, 0.5**2.4),  # BT.1886
        (GAMMA22, 0.5, 0.5**2.2),
        (GAMMA28, 0.5, 0.5**2.8),
        (LINEAR, 0.5, 0.5),
        (TRANSFER_SRGB, 0.04, 0.04 / 12.92),
        (TRANSFER_SRGB, 0.5, 0.21404),
        (TRANSFER_PQ, 0.5081, 0.01),  # 100 cd/m2 of 10 000
        (TRANSFER_HLG, 0.5, 1 / 12),
        (TRANSFER_HLG, 1.0, 1.0),
        (TRANSFER_HLG, 0.75, 0.265),  # BT.2408: where SDR white is put
    ],
)
def test_known_values(transfer: int, signal: float, light: float) -> None:
    assert to_light(one(signal), transfer)[0] == pytest.approx(light, rel=2e-3)
    assert from_light(one(light), transfer)[0] == pytest.approx(signal, abs=2e-4)


@pytest.mark.parametrize("transfer", EVERY)
@given(st.floats(-0.25, 1.0, width=32))
def test_there_and_back(transfer: int, signal: float) -> None:
    there = to_light(one(signal), transfer)
    assert there.dtype == np.float32
    assert from_light(there, transfer)[0] == pytest.approx(signal, abs=2e-5)


@pytest.mark.parametrize("transfer", EVERY)
def test_more_signal_is_more_light_from_black_to_white(transfer: int) -> None:
    light = to_light(np.linspace(-0.1, 1, 1001, dtype=np.float32), transfer)
    assert (np.diff(light) > 0).all()
    assert to_light(one(0.0), transfer)[0] == pytest.approx(0, abs=1e-7)
    assert to_light(one(1.0), transfer)[0] == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("transfer", [each for each in EVERY if each != TRANSFER_PQ])
def test_whiter_than_white_comes_back(transfer: int) -> None:
    assert from_light(to_light(one(1.09), transfer), transfer)[0] == pytest.approx(1.09, abs=1e-5)
