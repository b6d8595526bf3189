"""Networks of the real code with few channels, and pictures for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from streammatte.networks.birefnet import BiRefNet
from streammatte.networks.decoder import DecoderBlock, resized
from streammatte.networks.patches import PatchOrder
from streammatte.networks.precision import sigmoid32
from streammatte.networks.swin import Swin, SwinShape

torch.set_num_threads(1)  # on so small maps, and beside other tests, threads that wait for one another cost tenfold

TINY_SWIN = SwinShape(width=16, depths=(2, 1, 1, 1), heads=(1, 2, 2, 4), window=4)


def tiny_birefnet(patches: PatchOrder = "planes") -> nn.Module:
    """BiRefNet of few channels, with weights under which every part shows in the matte."""
    torch.manual_seed(1)
    network = BiRefNet(TINY_SWIN, patches).eval()
    unsettle(network)
    with torch.no_grad():
        network.decoder.conv_out1[0].weight *= 20  # type: ignore[operator,index,union-attr]
    return network


def unsettle(network: nn.Module) -> None:
    """Give batch norms statistics: fresh ones do nothing."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)


def pictures(height: int, width: int) -> dict[str, Tensor]:
    """Noise, and a bright disc on a slope: (1, 3, height, width), normalised as photographs are."""
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(2))
    y, x = np.indices((height, width)) / height
    disc = (y - 0.5) ** 2 + (x - 0.4) ** 2 < 0.06
    planes = np.stack([x, y, x * y]) * 2 - 1 + disc * 2.0
    return {"noise": noise, "disc": torch.from_numpy(planes[None].astype(np.float32))}


class SampleNetwork(nn.Module):
    """One of each part that BiRefNet repeats, so that its export takes seconds and not a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 4, stride=4)
        self.stage = Swin(TINY_SWIN).layers[0]
        self.block = DecoderBlock(48, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(1, 3, h, w) -> (1, 1, h, w)."""
        fine, coarse = (each.permute(0, 3, 1, 2) for each in self.stage(self.embed(x).permute(0, 2, 3, 1)))
        seen = self.block(torch.cat([fine, resized(coarse, fine)], 1))
        return sigmoid32(self.out(resized(seen, x)))


def sample_network() -> nn.Module:
    """The same weights each time."""
    torch.manual_seed(4)
    network = SampleNetwork().eval()
    unsettle(network)
    return network
