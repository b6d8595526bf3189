"""The same picture in other places, light and noise: what a student shown a few dozen pictures must not go by."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

__all__ = ["augmented"]

_ROTATION = math.radians(8)
_SCALE = 1.2
_SHIFT = 0.2
"""Of half the picture."""
_AS_IT_IS = 0.1
"""Share of pictures that stay where they are."""
_GAIN, _GAMMA = 0.25, 0.2
"""Greatest |log| of them."""
_TINT = 0.08
_NOISE = 0.03
"""Greatest standard deviation, of the picture's range."""


def augmented(src: torch.Tensor, pha: torch.Tensor, chance: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (n, 3, h, w) and mattes (n, 1, h, w) in [0, 1], each moved, turned, scaled and mirrored as one, and the
    pictures relit; what comes in from beyond the edge is the picture mirrored there."""
    height, width = src.shape[2:]
    where = functional.affine_grid(_places(len(src), width / height, chance), list(src.shape), align_corners=False)
    both = torch.cat((src, pha), 1)
    both = functional.grid_sample(both, where, padding_mode="reflection", align_corners=False)
    return _relit(both[:, :3], chance), both[:, 3:].clamp(0, 1)


def _places(count: int, shape: float, chance: torch.Generator) -> torch.Tensor:
    """(count, 2, 3): where each picture's corners are taken from. `shape` is width / height."""
    angle = _spread((count,), chance) * _ROTATION
    scale = torch.exp(_spread((count,), chance) * math.log(_SCALE))
    mirror = torch.where(torch.rand(count, generator=chance) < 0.5, -1.0, 1.0)
    places = torch.zeros(count, 2, 3)
    places[:, 0, 0] = torch.cos(angle) / scale * mirror
    places[:, 0, 1] = -torch.sin(angle) / shape / scale
    places[:, 1, 0] = torch.sin(angle) * shape / scale * mirror
    places[:, 1, 1] = torch.cos(angle) / scale
    places[:, :, 2] = _spread((count, 2), chance) * _SHIFT
    places[torch.rand(count, generator=chance) < _AS_IT_IS] = torch.eye(2, 3)
    return places


def _relit(src: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    each = (len(src), 1, 1, 1)
    gain = torch.exp(_spread(each, chance) * _GAIN)
    gamma = torch.exp(_spread(each, chance) * _GAMMA)
    tint = 1 + _spread((len(src), 3, 1, 1), chance) * _TINT
    noise = torch.randn(src.shape, generator=chance) * torch.rand(each, generator=chance) * _NOISE
    return (src.clamp(1e-4, 1) ** gamma * gain * tint + noise).clamp(0, 1)


def _spread(shape: tuple[int, ...], chance: torch.Generator) -> torch.Tensor:
    """Evenly in -1 to 1."""
    return torch.rand(shape, generator=chance) * 2 - 1
