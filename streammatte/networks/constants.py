"""Constants of a size, on the device they are needed on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["on_device"]

_Make: TypeAlias = Callable[..., npt.NDArray[Any]]


def on_device(make: _Make, *size: int, device: torch.device) -> Tensor:
    """What `make(*size)` gives, as a tensor on `device`: the same one each time, since captured graphs point at it.

    While a graph is exported it is a constant of that graph instead.
    """
    if torch.compiler.is_exporting():
        return torch.as_tensor(make(*size), device=device)
    return _kept(make, size, device)


@cache
def _kept(make: _Make, size: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.as_tensor(make(*size), device=device)
