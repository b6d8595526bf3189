"""As much of torch.cuda as a frame needs on its way to and from a GPU: what is put where, what waits for what.

Work is done at once, so results are right whatever the order; the order is what `log` is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from streammatte.kernels.torch.lane import Lane

__all__ = ["FakeCuda"]

Entry = tuple[Any, ...]


class _Event:
    def __init__(self, cuda: FakeCuda, blocking: bool = False) -> None:
        self._cuda, self.blocking, self.stream = cuda, blocking, ""

    def record(self, stream: _Stream) -> None:
        self.stream = stream.name
        self._cuda.log.append(("record", stream.name))

    def synchronize(self) -> None:
        self._cuda.log.append(("host waits", self.stream))


class _Stream:
    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self._cuda, self.name = cuda, name

    def record_event(self) -> _Event:
        event = _Event(self._cuda)
        event.record(self)
        return event

    def wait_event(self, event: _Event) -> None:
        self._cuda.log.append(("waits", self.name, event.stream))

    def wait_stream(self, other: _Stream) -> None:
        self._cuda.log.append(("waits", self.name, other.name))


class FakeCuda:
    """In place of torch.cuda for one test. `lane` is on a GPU, as far as it can tell."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.log: list[Entry] = []
        self._current = "default"
        self._make_empty = torch.empty
        self._pinned: set[int] = set()
        self._default = _Stream(self, "default")
        self.lane = Lane("cpu")
        self.lane.on_cuda, self.lane.stream = True, _Stream(self, "lane")
        patch.setattr(torch.cuda, "Stream", lambda device: _Stream(self, "copies"))
        patch.setattr(torch.cuda, "Event", lambda blocking=False: _Event(self, blocking))
        patch.setattr(torch.cuda, "stream", self._within)
        patch.setattr(torch.cuda, "default_stream", lambda device: self._default)
        patch.setattr(torch, "empty", self._empty)
        patch.setattr(torch.Tensor, "record_stream", lambda part, on: self.log.append(("kept for", on.name)))
        patch.setattr(torch.Tensor, "copy_", self._noted("copy_", torch.Tensor.copy_))
        patch.setattr(torch.Tensor, "to", self._noted("to", torch.Tensor.to))
        patch.setattr(torch.Tensor, "clone", self._noted("clone", torch.Tensor.clone))

    @contextmanager
    def _within(self, stream: _Stream | None) -> Iterator[None]:
        before = self._current
        self._current = before if stream is None else stream.name
        yield
        self._current = before

    def _empty(self, *size: Any, pin_memory: bool = False, **how: Any) -> torch.Tensor:
        made = self._make_empty(*size, **how)
        if pin_memory:
            self.log.append(("pinned", tuple(size[0])))
            self._pinned.add(made.data_ptr())
        return made

    def _noted(self, name: str, work: Any) -> Any:
        def noted(tensor: torch.Tensor, *given: Any, **how: Any) -> Any:
            what = f"pinned {name}" if tensor.data_ptr() in self._pinned else name
            self.log.append((what, self._current))
            return work(tensor, *given, **how)

        return noted
