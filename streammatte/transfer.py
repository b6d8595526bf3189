"""Transfer functions: what turns a stream's R'G'B' into light, and back (H.273 TransferCharacteristics)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "BT1886_GAMMA",
    "GAMMAS",
    "HLG_A",
    "HLG_B",
    "HLG_C",
    "LINEAR",
    "PQ_C1",
    "PQ_C2",
    "PQ_C3",
    "PQ_M1",
    "PQ_M2",
    "TRANSFER_HLG",
    "TRANSFER_PQ",
    "TRANSFER_SRGB",
    "from_light",
    "nits_to_pq",
    "pq_to_nits",
    "to_light",
]

TRANSFER_SRGB = 13
TRANSFER_PQ = 16
TRANSFER_HLG = 18
LINEAR = 8
GAMMAS = {4: 2.2, 5: 2.8}
BT1886_GAMMA = 2.4  # what displays do with BT.709, BT.601 and BT.2020
_PQ_PEAK_NITS = np.float32(1e4)
PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073  # ITU-R BT.2100, table 5

_Values: TypeAlias = npt.NDArray[np.float32]


def pq_to_nits(signal: _Values) -> _Values:
    """SMPTE ST 2084 EOTF: [0, 1] to cd/m2."""
    power = np.power(np.clip(signal, 0.0, 1.0), 1 / PQ_M2)
    return np.asarray(1e4 * np.power(np.maximum(power - PQ_C1, 0) / (PQ_C2 - PQ_C3 * power), 1 / PQ_M1), np.float32)


def nits_to_pq(nits: _Values) -> _Values:
    """SMPTE ST 2084 inverse EOTF: cd/m2 to [0, 1]."""
    power = np.power(np.clip(nits / 1e4, 0.0, 1.0), PQ_M1)
    return np.asarray(np.power((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power), PQ_M2), np.float32)


def to_light(signal: _Values, transfer: int) -> _Values:
    """R'G'B' of any shape, 0 to 1 nominally, as linear light of the same scale.

    Display light for SDR (ITU-R BT.1886 with black at 0; sRGB) and PQ, scene light for HLG (BT.2100's inverse OETF).
    Below 0 the curve goes on as it does above (IEC 61966-2-4), so that out-of-range colours survive the way there and
    back; PQ ends at 1.
    """
    size = np.abs(signal)
    return np.asarray(np.copysign(_expanded(size, transfer), signal), np.float32)


def from_light(light: _Values, transfer: int) -> _Values:
    """The inverse of `to_light`."""
    size = np.abs(light)
    return np.asarray(np.copysign(_compressed(size, transfer), light), np.float32)


def _expanded(signal: _Values, transfer: int) -> _Values:
    if transfer == LINEAR:
        return signal
    if transfer == TRANSFER_PQ:
        return pq_to_nits(signal) / _PQ_PEAK_NITS
    if transfer == TRANSFER_HLG:
        high = (np.exp((signal - HLG_C) / HLG_A) + HLG_B) / 12
        return np.asarray(np.where(signal <= 0.5, signal**2 / 3, high), np.float32)
    if transfer == TRANSFER_SRGB:
        high = np.power((signal + 0.055) / 1.055, 2.4)
        return np.asarray(np.where(signal <= 0.04045, signal / 12.92, high), np.float32)
    return np.asarray(np.power(signal, np.float32(GAMMAS.get(transfer, BT1886_GAMMA))), np.float32)


def _compressed(light: _Values, transfer: int) -> _Values:
    if transfer == LINEAR:
        return light
    if transfer == TRANSFER_PQ:
        return nits_to_pq(light * _PQ_PEAK_NITS)
    if transfer == TRANSFER_HLG:
        high = HLG_A * np.log(np.maximum(12 * light - HLG_B, 1e-6)) + HLG_C
        return np.asarray(np.where(light <= 1 / 12, np.sqrt(3 * light), high), np.float32)
    if transfer == TRANSFER_SRGB:
        high = 1.055 * np.power(light, 1 / 2.4) - 0.055
        return np.asarray(np.where(light <= 0.0031308, light * 12.92, high), np.float32)
    return np.asarray(np.power(light, np.float32(1 / GAMMAS.get(transfer, BT1886_GAMMA))), np.float32)
