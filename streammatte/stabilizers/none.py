"""`--stabilize none`: every frame stands for itself."""

from __future__ import annotations

from streammatte.frame import Matte

__all__ = ["NoStabilizer"]


class NoStabilizer:
    """Gives every matte back as it came."""

    def step(self, matte: Matte) -> Matte:
        """The same matte."""
        return matte
