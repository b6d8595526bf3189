"""Chains of kernels as CUDA graphs: one launch where there would be hundreds, and no Python between them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from streammatte.kernels.torch.lane import Lane

__all__ = ["Captured"]

_WARM_UPS = 2
"""Calls before a capture: constants are made, libraries choose their kernels, the allocator finds its sizes."""

_Function: TypeAlias = Callable[..., tuple[Tensor, ...]]


class Captured:
    """`function` of tensors, captured once for each set of shapes, types and fixed arguments.

    It must be pure: what it remembers comes in and goes out as tensors. Results are the caller's own. On a device
    that has no graphs it is called as it is. Used inside `with lane:` alone.
    """

    def __init__(self, function: _Function, lane: Lane) -> None:
        self._function, self._lane = function, lane
        self._graphs: dict[Hashable, _Graph] = {}

    def __call__(self, *tensors: Tensor, **fixed: Hashable) -> tuple[Tensor, ...]:
        """`function(*tensors, **fixed)`."""
        if not self._lane.on_cuda:
            return self._function(*tensors, **fixed)
        key = (tuple((each.shape, each.dtype) for each in tensors), tuple(sorted(fixed.items())))
        graph = self._graphs.get(key)
        if graph is None:
            graph = self._graphs[key] = _Graph(self._function, tensors, fixed)
        return graph.replay(tensors)


class _Graph:
    """One capture, with the memory that it reads and writes."""

    def __init__(self, function: _Function, tensors: tuple[Tensor, ...], fixed: dict[str, Any]) -> None:
        self._inputs = tuple(each.contiguous().clone() for each in tensors)
        for _ in range(_WARM_UPS):
            function(*self._inputs, **fixed)
        torch.cuda.current_stream().synchronize()
        self._graph = torch.cuda.CUDAGraph()
        # Only this thread's calls matter to the capture: others may allocate and wait meanwhile.
        with torch.cuda.graph(self._graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            self._outputs = function(*self._inputs, **fixed)

    def replay(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for own, given in zip(self._inputs, tensors, strict=True):
            own.copy_(given)
        self._graph.replay()
        return tuple(each.clone() for each in self._outputs)
