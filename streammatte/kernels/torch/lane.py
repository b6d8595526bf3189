"""The one line in which everything is put on a device, in order."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch

__all__ = ["Lane"]


class Lane:
    """A device's stream of work. `with lane:` puts work on it, which is done in the order in which it was put there.

    One thread at a time: a stage that runs in a thread of its own finds ready whatever earlier stages made for it,
    without events between them, and a graph is captured with no other call in between. Gradients are off within.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.on_cuda = self.device.type == "cuda"
        self.stream: Any = torch.cuda.Stream(self.device) if self.on_cuda else None
        """Torch's stream, not the default one, which cannot be captured; None where the device has none."""
        self._turn = threading.RLock()
        self._entered = threading.local()

    def __enter__(self) -> Lane:
        self._turn.acquire()
        stack = ExitStack()
        try:
            stack.enter_context(torch.no_grad())
            if self.on_cuda:
                stack.enter_context(torch.cuda.stream(self.stream))
        except BaseException:
            stack.close()
            self._turn.release()
            raise
        self._stacks().append(stack)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stacks().pop().close()
        finally:
            self._turn.release()

    def _stacks(self) -> list[ExitStack]:
        if not hasattr(self._entered, "stacks"):
            self._entered.stacks = []
        stacks: list[ExitStack] = self._entered.stacks
        return stacks

    def wait(self) -> None:
        """Until all that was put on it is done."""
        if self.on_cuda:
            self.stream.synchronize()
