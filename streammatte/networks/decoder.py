"""BiRefNet's decoder: blocks of deformable pooling pyramids that see the picture itself once more at every level.

Zheng et al., "Bilateral Reference for High-Resolution Dichotomous Image Segmentation", CAAI Artificial Intelligence
Research 3 (2024) 9150038. Modules are named as in the authors' weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from streammatte.networks.deform import DeformableConv
from streammatte.networks.patches import PatchOrder
from streammatte.networks.precision import Mean32, sigmoid32

__all__ = ["Decoder", "DecoderBlock", "patches_of", "resized"]

_INNER = 64
_BRANCH = 256
_KERNELS = (1, 3, 7)
_GRADIENT = 16


class Decoder(nn.Module):
    """Four feature maps and the picture to one map of logits.

    Level 4 is the coarsest. Its own parts are numbered so; what brings the picture in is numbered one higher.
    """

    TRAINING = tuple(f"{name}_{level}" for level in (4, 3, 2) for name in ("gdt_convs_pred", "conv_ms_spvn"))

    def __init__(self, channels: Sequence[int], order: PatchOrder) -> None:
        super().__init__()
        self._order = order
        by_level = dict(enumerate(channels, start=1))
        for level in (4, 3, 2, 1):
            width, deeper = by_level[level], by_level[min(level + 1, 4)]
            below = by_level[level - 1] if level > 1 else width // 2
            # The picture in (2 ** level * 2) ** 2 cells.
            self.add_module(f"ipt_blk{level + 1}", _PictureBlock(3 * 4 ** (level + 1), deeper // 8))
            self.add_module(f"decoder_block{level}", DecoderBlock(width + deeper // 8, below))
            if level > 1:
                self._add_guidance(level, below)
        self.ipt_blk1 = _PictureBlock(3, channels[0] // 8)
        self.conv_out1 = nn.Sequential(nn.Conv2d(channels[0] // 2 + channels[0] // 8, 1, 1))

    def _add_guidance(self, level: int, width: int) -> None:
        """The way into the next level: its skip, and the gradient attention (the paper's "outward reference")."""
        self.add_module(f"lateral_block{level}", _Lateral(width))
        convolution = nn.Conv2d(width, _GRADIENT, 3, padding=1)
        norm = nn.BatchNorm2d(_GRADIENT)
        self.add_module(f"gdt_convs_{level}", nn.Sequential(convolution, norm, nn.ReLU()))
        self.add_module(f"gdt_convs_attn_{level}", nn.Sequential(nn.Conv2d(_GRADIENT, 1, 1)))
        # Of use in training only, but in every file of weights.
        self.add_module(f"gdt_convs_pred_{level}", nn.Sequential(nn.Conv2d(_GRADIENT, 1, 1)))
        self.add_module(f"conv_ms_spvn_{level}", nn.Conv2d(width, 1, 1))

    def forward(self, picture: Tensor, features: Sequence[Tensor]) -> Tensor:
        """(n, 3, h, w) and maps of a fourth to a thirty-second of it, finest first -> (n, 1, h, w) logits."""
        x = features[3]
        for level in (4, 3, 2):
            x = self._run(f"decoder_block{level}", self._with_picture(level + 1, x, picture))
            gradient = self._run(f"gdt_convs_{level}", x)
            x = x * sigmoid32(self._run(f"gdt_convs_attn_{level}", gradient)).to(x.dtype)
            skip = features[level - 2]
            x = resized(x, skip) + self._run(f"lateral_block{level}", skip)
        x = self._run("decoder_block1", self._with_picture(2, x, picture))
        x = self._with_picture(1, resized(x, picture), picture)
        logits: Tensor = self.conv_out1(x)
        return logits

    def _with_picture(self, number: int, x: Tensor, picture: Tensor) -> Tensor:
        """x and, as further channels, what `ipt_blk<number>` makes of the picture."""
        patches = patches_of(picture, x.shape[2], x.shape[3], self._order)
        return torch.cat((x, self._run(f"ipt_blk{number}", patches)), 1)

    def _run(self, name: str, x: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(name)(x)
        return result


class DecoderBlock(nn.Module):
    """Narrow, look around, widen."""

    FOLDS = (("conv_in", "bn_in"), ("conv_out", "bn_out"))

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(inputs, _INNER, 3, padding=1)
        self.dec_att = _DeformablePyramid()
        self.conv_out = nn.Conv2d(_INNER, outputs, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(_INNER)
        self.bn_out = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h, w)."""
        x = self.dec_att(functional.relu(self.bn_in(self.conv_in(x))))
        return self.bn_out(self.conv_out(x))  # type: ignore[no-any-return]


class _DeformablePyramid(nn.Module):
    """Atrous spatial pyramid pooling whose branches are deformable convolutions of several sizes."""

    FOLDS = (("conv1", "bn1"),)

    def __init__(self) -> None:
        super().__init__()
        self.aspp1 = _Branch(1)
        self.aspp_deforms = nn.ModuleList(_Branch(kernel) for kernel in _KERNELS)
        pooled = nn.Conv2d(_INNER, _BRANCH, 1, bias=False)
        self.global_avg_pool = nn.Sequential(Mean32(), pooled, nn.BatchNorm2d(_BRANCH), nn.ReLU())
        self.conv1 = nn.Conv2d(_BRANCH * (2 + len(_KERNELS)), _INNER, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_INNER)

    def forward(self, x: Tensor) -> Tensor:
        everywhere = self.global_avg_pool(x).expand(-1, -1, x.shape[2], x.shape[3])
        branches = [self.aspp1(x), *(branch(x) for branch in self.aspp_deforms), everywhere]
        return functional.relu(self.bn1(self.conv1(torch.cat(branches, 1))))


class _Branch(nn.Module):
    FOLDS = (("atrous_conv.regular_conv", "bn"),)

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv(_INNER, _BRANCH, kernel)
        self.bn = nn.BatchNorm2d(_BRANCH)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.atrous_conv(x)))


class _PictureBlock(nn.Module):
    """Patches of the picture to features; there is nothing between the two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, _INNER, 3, padding=1)
        self.conv_out = nn.Conv2d(_INNER, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv1(x))  # type: ignore[no-any-return]


class _Lateral(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)  # type: ignore[no-any-return]


def patches_of(picture: Tensor, h: int, w: int, order: PatchOrder) -> Tensor:
    """(n, c, H, W), multiples of h and w, cut into cells of (h, w) -> (n, c * cells, h, w), stacked in `order`."""
    n, c, height, width = picture.shape
    cells = picture.reshape(n, c, height // h, h, width // w, w)
    axes = (0, 1, 2, 4, 3, 5) if order == "planes" else (0, 4, 2, 1, 3, 5)
    return cells.permute(axes).reshape(n, -1, h, w)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear, corner pixels on corner pixels."""
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
