"""`--fgr off`: the source's colour as it is, old background included."""

from __future__ import annotations

from streammatte.frame import Frame, Matte, Plane

__all__ = ["OffForeground"]


class OffForeground:
    """Gives back the source's planes: what every soft edge looks like without an estimate, to compare."""

    def estimate(self, frame: Frame, alphas: tuple[Plane, ...], matte: Matte | None = None) -> tuple[Plane, ...]:
        """The source's own planes, not copied."""
        return frame.planes
