"""A network in torch that is ready to run: port `DeviceSession`."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from streammatte.kernels.torch.lane import Lane
from streammatte.networks.export import Typed
from streammatte.networks.precision import halve
from streammatte.ports import Precision, SessionInfo

__all__ = ["TorchSession", "open_session"]

_DTYPES = {"f32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def open_session(network: nn.Module, device: str, precision: Precision, identity: tuple[str, str]) -> TorchSession:
    """`network` (float32, batch norms folded), used up, as a session on `device`; `precision` is no int8."""
    dtype = _DTYPES[precision]
    if dtype is not torch.float32:
        halve(network, dtype)
    typed = Typed(network, dtype).eval()
    lane = Lane(device)
    with lane:
        # The order in which tensor cores, and convolutions on processors, take samples without sorting them first.
        typed.to(device, memory_format=torch.channels_last)
    lane.wait()
    return TorchSession(typed, lane, device, SessionInfo(*identity, precision))


class TorchSession:
    """A network on a device. It is called as it is: whoever wants a CUDA graph captures `run_on`."""

    capturable = True
    batch = None

    def __init__(self, network: nn.Module, lane: Lane, device: str, info: SessionInfo) -> None:
        self.info = info
        self.device = device
        self._lane = lane
        self._network: nn.Module | None = network

    def run_on(self, batch: Tensor) -> Tensor:
        """See port `DeviceSession`."""
        assert self._network is not None, "the session is closed"
        with torch.no_grad(), _EXACT:
            alpha: Tensor = self._network(batch.contiguous(memory_format=torch.channels_last))
        return alpha.contiguous()

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See port `Session`."""
        with self._lane:
            found: npt.NDArray[np.float32] = self.run_on(torch.tensor(batch, device=self.device)).cpu().numpy()
        return found

    def close(self) -> None:
        """Give the memory of the weights back to torch."""
        self._network = None


class _Exact:
    """float32 that is float32: by default torch rounds what goes into convolutions to TF32, ten bits.

    Torch has this for the whole process alone, so the first session to run switches it, and the last to have run puts
    it back. In a graph that is captured meanwhile it stays.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._running = 0
        self._before: list[str] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._running:
                self._before = [each.fp32_precision for each in self._switches()]
                for each in self._switches():
                    each.fp32_precision = "ieee"
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                for each, was in zip(self._switches(), self._before, strict=True):
                    each.fp32_precision = was

    def _switches(self) -> tuple[Any, ...]:
        return torch.backends.cudnn.conv, torch.backends.cuda.matmul


_EXACT = _Exact()
