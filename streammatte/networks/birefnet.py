"""BiRefNet: a Swin backbone that sees the picture at two sizes, and a decoder that refers to the picture itself.

Zheng et al., "Bilateral Reference for High-Resolution Dichotomous Image Segmentation", CAAI Artificial Intelligence
Research 3 (2024) 9150038. Modules are named as in the authors' weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from streammatte.errors import ContractError
from streammatte.networks.decoder import Decoder, DecoderBlock, resized
from streammatte.networks.patches import STRIDE_PX, PatchOrder
from streammatte.networks.precision import sigmoid32
from streammatte.networks.swin import Swin, SwinShape

__all__ = ["BiRefNet"]


class BiRefNet(nn.Module):
    """Takes pictures of any size whose sides are multiples of `STRIDE_PX`."""

    def __init__(self, shape: SwinShape, patches: PatchOrder = "planes") -> None:
        super().__init__()
        channels = [2 * width for width in shape.channels]  # of both sizes of the picture
        self.bb = Swin(shape)
        self.squeeze_module = nn.Sequential(DecoderBlock(sum(channels), channels[-1]))
        self.decoder = Decoder(channels, patches)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 1, h, w) float32 alpha, the last prediction after the sigmoid.

        Raises ContractError where h or w is no multiple of `STRIDE_PX`: patches of the picture would not come out even.
        """
        if x.shape[2] % STRIDE_PX or x.shape[3] % STRIDE_PX:
            raise ContractError(f"a width and height in multiples of {STRIDE_PX}", f"{x.shape[3]}x{x.shape[2]}")
        features = self._encode(x)
        # Context: the coarsest features see all finer ones.
        together = torch.cat([*(resized(each, features[-1]) for each in features[:-1]), features[-1]], 1)
        features[-1] = self.squeeze_module(together)
        return sigmoid32(self.decoder(x, features))

    def _encode(self, x: Tensor) -> list[Tensor]:
        """Features of the picture beside those of the picture at half size."""
        half = functional.interpolate(x, (x.shape[2] // 2, x.shape[3] // 2), mode="bilinear", align_corners=True)
        both = zip(self.bb(x), self.bb(half), strict=True)
        return [torch.cat((fine, resized(coarse, fine)), 1) for fine, coarse in both]
