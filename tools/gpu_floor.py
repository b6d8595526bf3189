"""What a GPU can do at best, measured on it: the floor under every time that gpu_check.py takes."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

__all__ = ["ceilings", "median_ms"]

_LEAST_TIMES, _TIMES = 2, 30
_WARM = 5
_ENOUGH_S = 5.0
"""What is slow (a processor, to try the tools) is not timed as often."""


def median_ms(work: Callable[[], Any], device: torch.device, times: int = _TIMES) -> float:
    """The median time of `work` on the device, between two events on the current stream, after a few unmeasured."""
    if device.type != "cuda":
        return _host_ms(work, times)
    for _ in range(_WARM):
        work()
    pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(times)]
    for start, end in pairs:
        start.record()
        work()
        end.record()
    torch.cuda.synchronize(device)
    taken: list[float] = [start.elapsed_time(end) for start, end in pairs]
    return statistics.median(taken)


def _host_ms(work: Callable[[], Any], times: int) -> float:
    work()
    taken: list[float] = []
    began = perf_counter()
    while len(taken) < times and (len(taken) < _LEAST_TIMES or perf_counter() - began < _ENOUGH_S):
        start = perf_counter()
        work()
        taken.append(1e3 * (perf_counter() - start))
    return statistics.median(taken)


def ceilings(device: torch.device, small: bool) -> dict[str, float]:
    """Bytes and operations a second, and the cost of doing nothing: the best this GPU was seen to do, in this run.

    memory_gb_s: reading and writing device memory. *_tflops: products of large matrices. up_gb_s, down_gb_s: copies
    from and to pinned host memory. launch_us: an empty kernel.
    """
    side = 256 if small else 8192
    count = 1 << (20 if small else 28)
    block = torch.zeros(count, dtype=torch.float32, device=device)
    other = torch.empty_like(block)
    moved = 2 * block.nbytes
    found = {"memory_gb_s": moved / median_ms(lambda: other.copy_(block), device) / 1e6}
    for name, dtype in (("f32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)):
        left = torch.randn(side, side, device=device).to(dtype)
        out = torch.empty_like(left)
        found[f"{name}_tflops"] = 2 * side**3 / median_ms(lambda a=left, b=out: torch.mm(a, a, out=b), device) / 1e9  # type: ignore[misc]
    pinned = torch.zeros(count // 4, dtype=torch.float32, pin_memory=device.type == "cuda")
    there = torch.empty_like(pinned, device=device)
    found["up_gb_s"] = pinned.nbytes / median_ms(lambda: there.copy_(pinned, non_blocking=True), device) / 1e6
    found["down_gb_s"] = pinned.nbytes / median_ms(lambda: pinned.copy_(there, non_blocking=True), device) / 1e6
    one = torch.zeros(1, device=device)
    found["launch_us"] = 1e3 * median_ms(lambda: one.add_(1), device)
    return {name: float(f"{value:.4g}") for name, value in found.items()}
