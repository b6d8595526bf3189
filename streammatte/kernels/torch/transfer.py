"""Transfer functions: what turns a stream's R'G'B' into light, and back. The maths stands in `streammatte.transfer`."""

from __future__ import annotations

import torch
from torch import Tensor

from streammatte.transfer import (
    BT1886_GAMMA,
    GAMMAS,
    HLG_A,
    HLG_B,
    HLG_C,
    LINEAR,
    PQ_C1,
    PQ_C2,
    PQ_C3,
    PQ_M1,
    PQ_M2,
    TRANSFER_HLG,
    TRANSFER_PQ,
    TRANSFER_SRGB,
)

__all__ = ["from_light", "to_light"]


def to_light(signal: Tensor, transfer: int) -> Tensor:
    """R'G'B' as linear light; below 0 the curve goes on as it does above."""
    size = signal.abs()
    if transfer == LINEAR:
        return signal
    if transfer == TRANSFER_PQ:
        power = size.clamp(max=1).pow_(1 / PQ_M2)
        light = ((power - PQ_C1).clamp_(min=0) / (PQ_C2 - PQ_C3 * power)).pow_(1 / PQ_M1)
    elif transfer == TRANSFER_HLG:
        light = torch.where(size <= 0.5, size.square() / 3, (((size - HLG_C) / HLG_A).exp_() + HLG_B) / 12)
    elif transfer == TRANSFER_SRGB:
        light = torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055).pow_(2.4))
    else:
        light = size.pow(GAMMAS.get(transfer, BT1886_GAMMA))
    return torch.copysign(light, signal)


def from_light(light: Tensor, transfer: int) -> Tensor:
    """The inverse of `to_light`."""
    size = light.abs()
    if transfer == LINEAR:
        return light
    if transfer == TRANSFER_PQ:
        power = size.clamp(max=1).pow_(PQ_M1)
        signal = ((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)).pow_(PQ_M2)
    elif transfer == TRANSFER_HLG:
        high = HLG_A * (12 * size - HLG_B).clamp_(min=1e-6).log_() + HLG_C
        signal = torch.where(size <= 1 / 12, (3 * size).sqrt_(), high)
    elif transfer == TRANSFER_SRGB:
        signal = torch.where(size <= 0.0031308, size * 12.92, 1.055 * size.pow(1 / 2.4) - 0.055)
    else:
        signal = size.pow(1 / GAMMAS.get(transfer, BT1886_GAMMA))
    return torch.copysign(signal, light)
