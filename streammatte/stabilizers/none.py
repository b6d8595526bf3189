"""`--stabilize none`: every frame stands for itself."""

from __future__ import annotations

from dataclasses import replace

from streammatte.frame import Matte

__all__ = ["NoStabilizer"]


class NoStabilizer:
    """Gives every matte back as it came; the last one again, where it is, for a frame the network has not seen."""

    def __init__(self) -> None:
        self._last: Matte | None = None

    def step(self, matte: Matte) -> Matte:
        """The same matte."""
        if matte.seen or self._last is None:
            self._last = matte
            return matte
        return replace(matte, pha=self._last.pha)
