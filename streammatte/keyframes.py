"""Which frames the network is shown, where it need not see all: the inference stride follows the motion."""

from __future__ import annotations

from streammatte.frame import Matte

__all__ = ["Keyframes"]

_LONGEST_S = 0.5
"""A webcam in the dark gives seven frames a second: a stride that is short at thirty would take seconds."""


class Keyframes:
    """A keyframe at the latest every `stride` frames and every half second, sooner where the motion since is lost.

    What is lost from one frame to the next is the mean of 1 - `trust` over the picture; a keyframe is due once more
    than `tolerance` has come together. Without motion (the first frame, a cut) every frame is one.
    """

    def __init__(self, stride: int, tolerance: float) -> None:
        self.stride, self.tolerance = stride, tolerance
        """May be changed from one frame to the next."""
        self._since, self._lost, self._last_s = 0, 0.0, 0.0

    def is_key(self, matte: Matte) -> bool:
        """Whether the network should see this frame; asked once for each, in order."""
        if self.stride == 1:  # without looking at the motion, which a device would have to be waited for
            self._since, self._lost, self._last_s = 0, 0.0, matte.time_s
            return True
        self._since += 1
        self._lost += 1.0 if matte.trust is None else 1.0 - float(matte.trust.mean())
        late = self._since >= self.stride or matte.time_s - self._last_s > _LONGEST_S
        due = matte.trust is None or late or self._lost > self.tolerance
        if due:
            self._since, self._lost, self._last_s = 0, 0.0, matte.time_s
        return due
