"""What is done to every pixel between two frames: how far motion is believed, and the average along it.

The numbers are those of the host's `temporal`; the tests hold the two together.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["agreement", "average"]

_APART = 0.5
_APART_SHARE = 0.05
_HOLD = 0.9
_STEP_S = 0.04


def agreement(flow: Tensor, back: Tensor, change: Tensor) -> Tensor:
    """exp(-|flow + back|^2 / (0.5 + 0.05 (|flow|^2 + |back|^2)) - change^2), (h, w) in [0, 1].

    `flow` and `back` are (h, w, 2), in pixels; `back` is the way back from where `flow` leads. `change` is how much the
    picture changed on the way, 1 being much.
    """
    apart = (flow + back).square_().sum(-1)
    length = flow.square().add_(back.square()).sum(-1)
    return apart.div_(length.mul_(_APART_SHARE).add_(_APART)).addcmul_(change, change).neg_().exp_()


def average(pha: Tensor, carried: Tensor, trust: Tensor, keep: float | Tensor, elapsed_s: float | Tensor) -> Tensor:
    """`pha` mixed with the past that was carried to it, (h, w), all float32.

    The past has the weight `keep` * trust; less where `pha` is the more certain, more where the past is. `keep` and
    `elapsed_s` are tensors where a captured graph is to serve frames of any distance in time.
    """
    gain = (2 * pha - 1).abs_().sub_((2 * carried - 1).abs_())
    weight = (1 - gain.clamp(min=0)).pow_(elapsed_s / _STEP_S).mul_(trust).mul_(keep)
    weight += (1 - weight) * trust * gain.neg_().clamp_(min=0).mul_(_HOLD)
    return torch.lerp(pha, carried, weight)
