"""Which frames the network is shown, where it need not see all: the inference stride follows the motion."""

from __future__ import annotations

from streammatte.frame import Matte

__all__ = ["Keyframes"]


class Keyframes:
    """A keyframe at the latest every `stride` frames, sooner where the motion since the last one is lost.

    What is lost from one frame to the next is the mean of 1 - `trust` over the picture; a keyframe is due once more
    than `tolerance` has come together. Without motion (the first frame, a cut) every frame is one.
    """

    def __init__(self, stride: int, tolerance: float) -> None:
        self.stride, self.tolerance = stride, tolerance
        """May be changed from one frame to the next."""
        self._since, self._lost = 0, 0.0

    def is_key(self, matte: Matte) -> bool:
        """Whether the network should see this frame; asked once for each, in order."""
        self._since += 1
        self._lost += 1.0 if matte.trust is None else 1.0 - float(matte.trust.mean())
        due = matte.trust is None or self._since >= self.stride or self._lost > self.tolerance
        if due:
            self._since, self._lost = 0, 0.0
        return due
