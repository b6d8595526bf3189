"""What every live sink does alike: counts what it shows, and shows nothing once it is closed."""

from __future__ import annotations

from abc import ABC, abstractmethod

from streammatte.errors import SinkError
from streammatte.frame import Frame, Packet
from streammatte.ports import SinkKind, SinkReport

__all__ = ["ShowsFrames"]


class ShowsFrames(ABC):
    """Base of the live sinks. They take frames of `kind`, and keep none of the planes they are given."""

    kind: SinkKind = "com"

    def __init__(self, name: str, codec: str) -> None:
        self.name = name
        self.reach: dict[str, object] = {}
        self._codec = codec
        self._frames = 0
        self._open = True

    def write(self, frame: Frame) -> None:
        """Show one frame now. Raises SinkError where what shows it is gone, or it is of another size."""
        self._check_open()
        self._show(frame)
        self._frames += 1

    def write_packet(self, packet: Packet) -> None:
        """Do nothing: a camera has no sound."""
        del packet

    def finish(self) -> SinkReport:
        """Close what shows the frames, and say what was shown. Raises SinkError if it was closed already."""
        self._check_open()
        self.abort()
        return SinkReport(self.name, self._frames, self._codec, None, self._notes())

    def abort(self) -> None:
        """Close what shows the frames; does nothing the second time."""
        if self._open:
            self._open = False
            self._close()

    def watched(self) -> bool:
        """Whether anybody looks; True where that cannot be told."""
        return True

    def _check_open(self) -> None:
        if not self._open:
            raise SinkError(f"{self.name}: is closed already; open it again to show more")

    def _notes(self) -> tuple[str, ...]:
        """Anything done otherwise than asked; called once, after `_close`."""
        return ()

    @abstractmethod
    def _show(self, frame: Frame) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...
