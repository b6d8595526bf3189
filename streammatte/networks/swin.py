"""Swin Transformer v1 as a backbone of four feature maps.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021. Modules are named as
in the authors' detection code, whose weights BiRefNet's backbone continues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from streammatte.networks.constants import on_device
from streammatte.networks.precision import LayerNorm32, softmax32

__all__ = ["SWINS", "Swin", "SwinShape"]

_PATCH_PX = 4
_MLP_RATIO = 4
_APART = -100.0
"""What is added to the logits of positions that are no neighbours. Finite (as in the paper's code), because -inf
becomes NaN wherever a whole row has it, or where float16 meets it twice."""


@dataclass(frozen=True, slots=True)
class SwinShape:
    """What tells one Swin from another."""

    width: int
    """Channels of the first stage; each later one has twice as many."""
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Of the four feature maps, finest first."""
        return self.width, self.width * 2, self.width * 4, self.width * 8


SWINS = {
    "swin_v1_t": SwinShape(96, (2, 2, 6, 2), (3, 6, 12, 24), 7),
    "swin_v1_l": SwinShape(192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
}


class Swin(nn.Module):
    """Picture to features at a fourth, eighth, sixteenth and thirty-second of its size."""

    def __init__(self, shape: SwinShape) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbed(shape.width)
        self.layers = nn.ModuleList()
        for stage, (width, depth, heads) in enumerate(zip(shape.channels, shape.depths, shape.heads, strict=True)):
            self.layers.append(_Stage(width, depth, heads, shape.window, last=stage == 3))
            self.add_module(f"norm{stage}", LayerNorm32(width))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, 3, h, w), sides multiples of 4 -> four maps (n, channels, h / 4 ..., w / 4 ...), sizes rounded up."""
        found: list[Tensor] = []
        x = self.patch_embed(x)
        for stage, layer in enumerate(self.layers):
            x, deeper = layer(x)
            found.append(self.get_submodule(f"norm{stage}")(x).permute(0, 3, 1, 2))
            x = deeper
        return found


class _PatchEmbed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, _PATCH_PX, stride=_PATCH_PX)
        self.norm = LayerNorm32(width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, h / 4, w / 4, width), the layout of all that follows."""
        embedded: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 1))
        return embedded


class _Stage(nn.Module):
    """Blocks at one resolution, every second with its windows shifted, and the way down to the next."""

    def __init__(self, width: int, depth: int, heads: int, window: int, *, last: bool) -> None:
        super().__init__()
        self._window = window
        self.blocks = nn.ModuleList(
            _Block(width, heads, window, shift=window // 2 if number % 2 else 0) for number in range(depth)
        )
        self.downsample = None if last else _PatchMerging(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, h, w, c) -> the same, and (n, h / 2, w / 2, 2c) (the same once more where the stage is the last)."""
        mask = _shift_mask(x.shape[1], x.shape[2], self._window, x.device)
        for block in self.blocks:
            x = block(x, mask)
        return x, x if self.downsample is None else self.downsample(x)


class _Block(nn.Module):
    """Attention within windows, then a perceptron, each behind a norm and beside a skip (paper, eq. 3)."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self._window, self._shift = window, shift
        self.norm1 = LayerNorm32(width)
        self.attn = _WindowAttention(width, heads, window)
        self.norm2 = LayerNorm32(width)
        self.mlp = _Mlp(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        y = _padded(self.norm1(x), self._window)
        if self._shift:
            y = y.roll((-self._shift, -self._shift), (1, 2))
        seen = self.attn(_windows(y, self._window), mask if self._shift else None)
        y = _from_windows(seen, y.shape[1], y.shape[2], self._window)
        if self._shift:
            y = y.roll((self._shift, self._shift), (1, 2))
        x = x + y[:, :h, :w]
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class _WindowAttention(nn.Module):
    """Self-attention of the positions of a window, with a learned bias for each relative position (paper, eq. 4)."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self._heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _relative_positions(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x (n * windows, positions, c), mask (windows, positions, positions) -> as x."""
        count, positions, width = x.shape
        size = width // self._heads
        q, k, v = self.qkv(x).reshape(count, positions, 3, self._heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        logits = (q * size**-0.5 @ k.transpose(-2, -1)).float()
        # An embedding, not an index: exported it is Gather, which every runtime has.
        bias = functional.embedding(self.relative_position_index, self.relative_position_bias_table)
        logits = logits + bias.permute(2, 0, 1)
        if mask is not None:
            by_window = logits.reshape(-1, mask.shape[0], self._heads, positions, positions)
            logits = (by_window + mask[:, None]).reshape(count, self._heads, positions, positions)
        mixed = softmax32(logits).to(x.dtype) @ v
        return self.proj(mixed.transpose(1, 2).reshape(count, positions, width))  # type: ignore[no-any-return]


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, _MLP_RATIO * width)
        self.fc2 = nn.Linear(_MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class _PatchMerging(nn.Module):
    """Each two by two positions into one of twice the channels; odd sizes get a row or column of zeros."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = LayerNorm32(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = _padded(x, 2)
        # Column by column: the order that the weights were learned in.
        four = torch.cat([x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], -1)
        return self.reduction(self.norm(four))  # type: ignore[no-any-return]


def _padded(x: Tensor, multiple: int) -> Tensor:
    """(n, h, w, c) with zeros below and to the right, up to a multiple."""
    below, right = -x.shape[1] % multiple, -x.shape[2] % multiple
    return functional.pad(x, (0, 0, 0, right, 0, below)) if below or right else x


def _windows(x: Tensor, size: int) -> Tensor:
    """(n, h, w, c) -> (n * windows, size * size, c)."""
    n, h, w, c = x.shape
    cut = x.reshape(n, h // size, size, w // size, size, c).permute(0, 1, 3, 2, 4, 5)
    return cut.reshape(-1, size * size, c)


def _from_windows(x: Tensor, h: int, w: int, size: int) -> Tensor:
    """The inverse of `_windows`."""
    c = x.shape[-1]
    return x.reshape(-1, h // size, w // size, size, size, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, c)


def _relative_positions(window: int) -> Tensor:
    """(positions, positions) int64: for each two positions of a window, their row of the bias table.

    Real ones also where the network is on the meta device: no file of weights is needed to know them.
    """
    steps = torch.arange(window, device="cpu")
    rows, columns = (axis.flatten() for axis in torch.meshgrid(steps, steps, indexing="ij"))
    apart_y, apart_x = (axis[:, None] - axis[None, :] + window - 1 for axis in (rows, columns))
    return apart_y * (2 * window - 1) + apart_x


def _shift_mask(h: int, w: int, window: int, device: torch.device) -> Tensor:
    """(windows, positions, positions) float32: `_APART` where a shifted window joins what lies at opposite borders."""
    region = on_device(_regions, h, w, window, device=device)
    return (region[:, :, None] != region[:, None, :]).float() * _APART


def _regions(h: int, w: int, window: int) -> npt.NDArray[np.int32]:
    """(windows, positions): which part of the picture each position comes from; a constant of a graph that is exported.

    Of each axis, padded, the last window's part that came round and the part before it are strangers to the rest.
    """

    def of_axis(length: int) -> npt.NDArray[np.int32]:
        whole = length + -length % window
        at = np.arange(whole)
        return (at >= whole - window).astype(np.int32) + (at >= whole - window // 2)

    rows, columns = of_axis(h), of_axis(w)
    region = 3 * rows[:, None] + columns[None, :]
    cut = region.reshape(len(rows) // window, window, len(columns) // window, window).transpose(0, 2, 1, 3)
    return cut.reshape(-1, window * window)
