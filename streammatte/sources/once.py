"""What every source does alike: its events are given once, and not after `close`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet

__all__ = ["ReadOnce"]


class ReadOnce(ABC):
    """Base of the sources; `_given` is what `events` hands out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._taken = self._closed = False

    def events(self) -> Iterator[Frame | Packet]:
        """Frames and packets in order; SourceError on a second call, or after `close`."""
        if self._taken or self._closed:
            raise SourceError(f"{self._name}: was already read; open it again to read it again")
        self._taken = True
        return self._given()

    @abstractmethod
    def _given(self) -> Iterator[Frame | Packet]: ...
