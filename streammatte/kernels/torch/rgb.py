"""Planes as the RGB picture that a network is shown."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from streammatte.color import ColorSpec, decode_matrix
from streammatte.frame import Frame
from streammatte.kernels.torch.planes import planes_of
from streammatte.kernels.torch.resizing import resize
from streammatte.transfer import PQ_C1, PQ_C2, PQ_C3, PQ_M1, PQ_M2, TRANSFER_PQ

__all__ = ["frame_rgb", "lift_box", "normalised"]


def frame_rgb(frame: Frame, width: int, height: int) -> Tensor:
    """The frame as SDR R'G'B' (3, height, width) float32 in [0, 1], stored orientation.

    Planes are resampled first, each once, so that the matrix is only applied at the size asked for.
    """
    spec = frame.color.resolved(frame.format.model, frame.height)
    planes = [resize(plane, width, height) for plane in planes_of(frame)]
    if frame.format.model == "gbr":
        green, blue, red = planes
        return _to_sdr(torch.stack((red, green, blue)) / frame.format.peak, spec)
    matrix, offset = _decoding(spec, frame.format.bits, len(planes), planes[0].device)
    coded = torch.stack(planes).to(torch.float32).reshape(len(planes), -1)
    return _to_sdr(torch.addmm(offset, matrix, coded).reshape(3, height, width), spec)


@cache
def _decoding(spec: ColorSpec, bits: int, planes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(3, planes) and (3, 1): R'G'B' of code values. Luma alone stands for all three where there is no chroma."""
    full = decode_matrix(spec, bits)
    matrix, offset = full[:, :planes], full[:, 3:]
    if planes == 1:
        offset = np.full((3, 1), 0.0 if spec.full_range else -16.0 / 219.0, np.float32)
    return torch.from_numpy(matrix.copy()).to(device), torch.from_numpy(offset.copy()).to(device)


def lift_box(rgb: Tensor) -> Tensor:
    """An averaged-down picture (3, h, w) in [0, 1] with the detail back that averaging over a box takes."""
    padded = functional.pad(rgb, (1, 1, 1, 1), mode="replicate")
    across = _lifted(padded[..., :-2], padded[..., 1:-1], padded[..., 2:])
    return _lifted(across[:, :-2], across[:, 1:-1], across[:, 2:]).clamp_(0.0, 1.0)


_SIDE_TAP = float((1 / np.sinc(0.25) - 1) / 2)


def _lifted(before: Tensor, at: Tensor, after: Tensor) -> Tensor:
    return (at * (1 + 2 * _SIDE_TAP)).sub_(before, alpha=_SIDE_TAP).sub_(after, alpha=_SIDE_TAP)


def normalised(rgb: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """A picture (3, h, w) in [0, 1] as a network's batch (1, 3, h, w): (rgb - mean) / std, component by component."""
    batch = torch.empty_like(rgb)
    for out, component, middle, scale in zip(batch, rgb, mean, std, strict=True):
        torch.sub(component, middle, out=out).mul_(1 / scale)
    return batch[None]


# BT.2408's diffuse white and BT.2020's primaries in BT.709's (`color.to_sdr`).
_WHITE_NITS = 203.0
_WHITEST = 1000.0 / _WHITE_NITS
_EXPOSURE = 1.6
_BT709_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def _to_sdr(rgb: Tensor, spec: ColorSpec) -> Tensor:
    """`color.to_sdr` of (3, h, w), which is written over."""
    if spec.transfer != TRANSFER_PQ:
        return rgb.clamp_(0.0, 1.0)
    power = rgb.clamp_(0.0, 1.0).pow_(1 / PQ_M2)
    light = ((power - PQ_C1).clamp_(min=0) / (PQ_C2 - PQ_C3 * power)).pow_(1 / PQ_M1) * (1e4 / _WHITE_NITS)
    rolled = light * (1 + light / _WHITEST**2) / (1 + light)
    narrow = (_to_bt709(rgb.device) @ rolled.reshape(3, -1)).reshape(rgb.shape).clamp_(min=0).mul_(_EXPOSURE)
    curved = (1.055 * narrow.pow(1 / 2.4)).sub_(0.055)
    return torch.where(narrow <= 0.0031308, narrow * 12.92, curved).clamp_(0.0, 1.0)


@cache
def _to_bt709(device: torch.device) -> Tensor:
    return torch.from_numpy(np.linalg.inv(_BT709_TO_BT2020).astype(np.float32)).to(device)
