"""U²-Net and its small sister U²-Netp.

Qin et al., "U²-Net: Going deeper with nested U-structure for salient object detection", Pattern Recognition 106
(2020) 107404. Modules are named as in the authors' weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["U2Net"]

_STAGES = {  # depth, dilated, inputs, middle, outputs
    "stage1": (7, False, 3, 32, 64),
    "stage2": (6, False, 64, 32, 128),
    "stage3": (5, False, 128, 64, 256),
    "stage4": (4, False, 256, 128, 512),
    "stage5": (4, True, 512, 256, 512),
    "stage6": (4, True, 512, 256, 512),
    "stage5d": (4, True, 1024, 256, 512),
    "stage4d": (4, False, 1024, 128, 256),
    "stage3d": (5, False, 512, 64, 128),
    "stage2d": (6, False, 256, 32, 64),
    "stage1d": (7, False, 128, 16, 64),
}
"""Table 1 of the paper."""
_LEVELS = 6
_SMALL_MIDDLE, _SMALL_OUTPUTS = 16, 64


class U2Net(nn.Module):
    """A U of U-blocks: six stages down, five up, six side outputs fused into one. Takes pictures of any size."""

    def __init__(self, *, small: bool = False) -> None:
        super().__init__()
        for name, (depth, dilated, inputs, middle, outputs) in _STAGES.items():
            if small:
                inputs = 3 if name == "stage1" else _SMALL_OUTPUTS * (2 if name.endswith("d") else 1)
                middle, outputs = _SMALL_MIDDLE, _SMALL_OUTPUTS
            self.add_module(name, _Rsu(depth, inputs, middle, outputs, dilated=dilated))
        for level in range(1, _LEVELS + 1):
            stage = f"stage{level}" if level == _LEVELS else f"stage{level}d"
            width = _SMALL_OUTPUTS if small else _STAGES[stage][-1]
            self.add_module(f"side{level}", nn.Conv2d(width, 1, 3, padding=1))
        self.outconv = nn.Conv2d(_LEVELS, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 1, h, w) float32: the fused output, d0 in the paper, after the sigmoid."""
        skips: list[Tensor] = []
        for level in range(1, _LEVELS):
            skips.append(self._run(f"stage{level}", x))
            x = _halved(skips[-1])
        x = self._run(f"stage{_LEVELS}", x)
        features = [x]
        for level in range(_LEVELS - 1, 0, -1):
            x = self._run(f"stage{level}d", _joined(x, skips[level - 1]))
            features.insert(0, x)
        sides = [self._run(f"side{level}", feature) for level, feature in enumerate(features, start=1)]
        fused = self.outconv(torch.cat([_resized(side, sides[0]) for side in sides], 1))
        return torch.sigmoid(fused.float())

    def _run(self, name: str, x: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(name)(x)
        return result


class _Rsu(nn.Module):
    """Residual U-block: a small U-Net of `depth` levels added to its own input.

    Levels are halved in size one after the other, or, where `dilated`, keep it and double their dilation.
    """

    def __init__(self, depth: int, inputs: int, middle: int, outputs: int, *, dilated: bool) -> None:
        super().__init__()
        self._depth, self._dilated = depth, dilated
        self.rebnconvin = _ConvNormRelu(inputs, outputs)
        for level in range(1, depth + 1):
            dilation = 2 if level == depth else 1
            dilation = 2 ** (level - 1) if dilated else dilation
            self.add_module(f"rebnconv{level}", _ConvNormRelu(outputs if level == 1 else middle, middle, dilation))
        for level in range(depth - 1, 0, -1):
            dilation = 2 ** (level - 1) if dilated else 1
            self.add_module(f"rebnconv{level}d", _ConvNormRelu(2 * middle, outputs if level == 1 else middle, dilation))

    def forward(self, x: Tensor) -> Tensor:
        entered: Tensor = self.rebnconvin(x)
        levels: list[Tensor] = []
        x = entered
        for level in range(1, self._depth):
            x = self.get_submodule(f"rebnconv{level}")(x if level == 1 or self._dilated else _halved(x))
            levels.append(x)
        x = self.get_submodule(f"rebnconv{self._depth}")(x)
        for level in range(self._depth - 1, 0, -1):
            x = self.get_submodule(f"rebnconv{level}d")(_joined(x, levels[level - 1]))
        return x + entered


class _ConvNormRelu(nn.Module):
    """3x3 convolution, batch normalisation, ReLU; the size is kept."""

    FOLDS = (("conv_s1", "bn_s1"),)

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn_s1(self.conv_s1(x)))


def _halved(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 2, stride=2, ceil_mode=True)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def _joined(deep: Tensor, skip: Tensor) -> Tensor:
    return torch.cat((_resized(deep, skip), skip), 1)
