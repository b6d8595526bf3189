"""Transfer functions: what turns a stream's R'G'B' into light, and back. The maths stands in `streammatte.transfer`."""

from __future__ import annotations

import torch
from torch import Tensor

from streammatte.transfer import TRANSFER_HLG, TRANSFER_PQ, TRANSFER_SRGB

__all__ = ["from_light", "to_light"]

# What `transfer` has; the tests hold the two together.
_LINEAR = 8
_GAMMAS = {4: 2.2, 5: 2.8}
_BT1886_GAMMA = 2.4
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073


def to_light(signal: Tensor, transfer: int) -> Tensor:
    """R'G'B' as linear light; below 0 the curve goes on as it does above."""
    size = signal.abs()
    if transfer == _LINEAR:
        return signal
    if transfer == TRANSFER_PQ:
        power = size.clamp(max=1).pow_(1 / _PQ_M2)
        light = ((power - _PQ_C1).clamp_(min=0) / (_PQ_C2 - _PQ_C3 * power)).pow_(1 / _PQ_M1)
    elif transfer == TRANSFER_HLG:
        light = torch.where(size <= 0.5, size.square() / 3, (((size - _HLG_C) / _HLG_A).exp_() + _HLG_B) / 12)
    elif transfer == TRANSFER_SRGB:
        light = torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055).pow_(2.4))
    else:
        light = size.pow(_GAMMAS.get(transfer, _BT1886_GAMMA))
    return torch.copysign(light, signal)


def from_light(light: Tensor, transfer: int) -> Tensor:
    """The inverse of `to_light`."""
    size = light.abs()
    if transfer == _LINEAR:
        return light
    if transfer == TRANSFER_PQ:
        power = size.clamp(max=1).pow_(_PQ_M1)
        signal = ((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power)).pow_(_PQ_M2)
    elif transfer == TRANSFER_HLG:
        high = _HLG_A * (12 * size - _HLG_B).clamp_(min=1e-6).log_() + _HLG_C
        signal = torch.where(size <= 1 / 12, (3 * size).sqrt_(), high)
    elif transfer == TRANSFER_SRGB:
        signal = torch.where(size <= 0.0031308, size * 12.92, 1.055 * size.pow(1 / 2.4) - 0.055)
    else:
        signal = size.pow(1 / _GAMMAS.get(transfer, _BT1886_GAMMA))
    return torch.copysign(signal, light)
