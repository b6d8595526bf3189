"""A source around another one: whatever it does not change is the other's."""

from __future__ import annotations

from streammatte.frame import StreamInfo
from streammatte.ports import Source

__all__ = ["Around"]


class Around:
    """Base of sources that change the events of `source`; they give `events` themselves."""

    info: StreamInfo

    def __init__(self, source: Source) -> None:
        self._source = source
        self.info = source.info

    @property
    def notes(self) -> list[str]:
        """The source's own."""
        return self._source.notes

    @notes.setter
    def notes(self, value: list[str]) -> None:
        self._source.notes = value

    def close(self) -> None:
        """Release the source."""
        self._source.close()
