"""What a network needs to run in float16: parts that stay in float32, and weights made ready for it.

float16 ends at 65504 and has eleven bits: sums over many values (norms, softmax, means) overflow or lose what they
are about, and so do coordinates. These compute in float32 whatever the dtype of the rest, and cost little of the time.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = ["LayerNorm32", "Mean32", "fold_batch_norms", "for_inference", "halve", "sigmoid32", "softmax32"]


class LayerNorm32(nn.LayerNorm):
    """Layer norm over the last axis, computed in float32; gives the dtype it was given."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., c) -> the same shape and dtype."""
        return functional.layer_norm(x.float(), self.normalized_shape, self.weight, self.bias, self.eps).to(x.dtype)


class Mean32(nn.Module):
    """Mean over all of a map, computed in float32."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, 1, 1) of the same dtype."""
        return x.float().mean((2, 3), keepdim=True).to(x.dtype)


def softmax32(x: Tensor) -> Tensor:
    """Over the last axis, in float32."""
    return functional.softmax(x.float(), -1)


def sigmoid32(x: Tensor) -> Tensor:
    """In float32."""
    return torch.sigmoid(x.float())


def for_inference(network: nn.Module) -> None:
    """Fold batch norms, and drop the parts that only training uses (the `TRAINING` of their module), in place."""
    fold_batch_norms(network)
    for module in network.modules():
        for name in getattr(module, "TRAINING", ()):
            if hasattr(module, name):
                delattr(module, name)


def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, in place: exact in evaluation mode, and kinder to float16.

    Pairs are neighbours in an `nn.Sequential`, or named by the `FOLDS` of the module that holds both.
    """
    for module in list(network.modules()):
        pairs = getattr(module, "FOLDS", ())
        if isinstance(module, nn.Sequential):
            pairs = tuple(pairwise(name for name, _ in module.named_children()))
        for before, after in pairs:
            norm = module.get_submodule(after)
            if isinstance(norm, nn.BatchNorm2d):
                _fold(module.get_submodule(before), norm)
                setattr(module, after, nn.Identity())


def _fold(convolution: nn.Module, norm: nn.BatchNorm2d) -> None:
    assert isinstance(convolution, nn.Conv2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    convolution.bias = bias


def halve(network: nn.Module, dtype: torch.dtype = torch.float16) -> None:
    """Convolutions and linear layers to `dtype` (float16 or bfloat16), in place; norms and tables stay in float32.

    Fold batch norms first.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(dtype)
