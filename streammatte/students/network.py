"""The student: a U-Net (Ronneberger et al., MICCAI 2015) of about half a million parameters, for one room.

It works at half the size of its input and below: sub-pixel layers at both ends (Shi et al., "Real-Time Single Image and
Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016) keep the detail of the
full size at a quarter of its cost.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["MEAN", "STD", "StudentNetwork"]

MEAN, STD = 0.5, 0.25
"""Of each channel: the input is (picture in [0, 1] - MEAN) / STD."""
_CHANNELS = (16, 24, 40, 64, 96)
_LAYERS = (0, 1, 1, 1, 2)
"""Convolutions at each size after the one that leads there."""
_BACKGROUND = -1.0
"""The first answer's logit: most of a picture is background."""


def _layer(before: int, after: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class StudentNetwork(nn.Module):
    """(n, 3, h, w) normalised RGB -> (n, 1, h, w) logit of alpha; h and w are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _layer(12, _CHANNELS[0])
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level in range(1, len(_CHANNELS)):
            before, here = _CHANNELS[level - 1], _CHANNELS[level]
            further = [_layer(here, here) for _ in range(_LAYERS[level])]
            self.down.append(nn.Sequential(_layer(before, here, 2), *further))
            self.up.insert(0, _layer(before + here, before))
        self.head = nn.Conv2d(_CHANNELS[0], 4, 3, 1, 1)
        if self.head.bias is not None:
            nn.init.constant_(self.head.bias, _BACKGROUND)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """See the class."""
        levels = [self.stem(functional.pixel_unshuffle(batch, 2))]
        for down in self.down:
            levels.append(down(levels[-1]))
        features = levels.pop()
        for up in self.up:
            grown = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            features = up(torch.cat((grown, levels.pop()), 1))
        return functional.pixel_shuffle(self.head(features), 2)
