"""Networks in torch, by the names their authors gave every parameter: for export, and for runs on torch itself.

All take (n, 3, h, w) float R'G'B', normalised by the model's mean and std, and give (n, 1, h, w) alpha in [0, 1] in
evaluation mode. This module can be imported without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streammatte.errors import ModelError
from streammatte.networks.patches import PatchOrder

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHITECTURES", "build"]

ARCHITECTURES = ("u2net", "u2netp", "birefnet:swin_v1_t", "birefnet:swin_v1_l")
"""What `build` knows, as NAME or NAME:BACKBONE."""


def build(name: str, *, backbone: str = "swin_v1_l", patches: PatchOrder = "planes") -> nn.Module:
    """The network `name` (u2net, u2netp or birefnet) in evaluation mode, with weights drawn at random.

    `backbone` and `patches` are BiRefNet's. Its attribute `facts` says in words what was asked for. Under
    `torch.device("meta")` it takes no memory until weights are loaded.
    Raises ModelError for a name or a backbone that is not known, ImportError without torch.
    """
    if name in ("u2net", "u2netp"):
        from streammatte.networks.u2net import U2Net

        return _described(U2Net(small=name == "u2netp"), {"architecture": name})
    from streammatte.networks.birefnet import BiRefNet
    from streammatte.networks.swin import SWINS

    if name != "birefnet" or backbone not in SWINS:
        asked = name if name != "birefnet" else f"birefnet:{backbone}"
        raise ModelError(f"{asked}: no such network; one of {', '.join(ARCHITECTURES)}")
    return _described(BiRefNet(SWINS[backbone], patches), {"architecture": f"{name}:{backbone}", "patches": patches})


def _described(network: nn.Module, facts: dict[str, str]) -> nn.Module:
    network.facts = facts
    return network.eval()
