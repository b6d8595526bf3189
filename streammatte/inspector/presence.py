"""Whether there is a subject: coverage, empty and ghost frames, subjects that vanish."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streammatte.inspection import Loss, Span

__all__ = ["Losses", "Spans", "is_empty", "is_ghost"]

_EMPTY = 0.001
_SOME, _HALF = 0.05, 0.5
_CONFIDENT_SHARE = 0.05
_MOST_KEPT = 100
_NORMAL = 0.01
_LEFT = 0.1
_BACK = 0.5
_ABRUPT_S = 0.2
_HALF_LIFE_S = 2.0


def is_empty(coverage: float) -> bool:
    """Whether less than 0.1 % of a frame is covered (mean alpha)."""
    return coverage < _EMPTY


def is_ghost(pha: npt.NDArray[np.float32]) -> bool:
    """Whether a small alpha (h, w) in [0, 1] shows something, and nothing firmly.

    So it is where the 95th percentile of the alphas above 0.05 is below 0.5, and the frame is not empty.
    """
    some, firm = (int(np.count_nonzero(pha > level)) for level in (_SOME, _HALF))
    return firm < _CONFIDENT_SHARE * some and not is_empty(float(pha.mean()))


class Spans:
    """Frames on end of which something holds: how many in all, and the longest hundred stretches."""

    def __init__(self) -> None:
        self.frames = 0
        self._spans: list[Span] = []
        self._current: Span | None = None

    def step(self, time_s: float, end_s: float, holds: bool) -> float | None:
        """Take in a frame, shown from `time_s` to `end_s`; when the stretch it is in began, if it is in one."""
        if not holds:
            self._close()
            return None
        self.frames += 1
        begun = self._current or Span(time_s, end_s, 0)
        self._current = replace(begun, end_s=end_s, frames=begun.frames + 1)
        return begun.start_s

    def _close(self) -> None:
        if self._current is not None:
            self._spans = _longest([*self._spans, self._current])
            self._current = None

    def spans(self) -> tuple[Span, ...]:
        """The stretches so far, in order of time."""
        return tuple(_longest([*self._spans, *([self._current] if self._current else [])]))


def _longest(spans: list[Span]) -> list[Span]:
    if len(spans) > _MOST_KEPT:
        spans.remove(min(spans, key=lambda span: span.frames))
    return spans


class Losses:
    """Tells when a subject vanishes at once: less than a tenth of what there was 0.2 s ago (or a frame ago, if longer).

    What there was must be normal: 1 % of the frame at least, and half of the mean of the last seconds (half-life 2 s),
    so that the last of someone who walks out of the picture is no loss.
    """

    def __init__(self) -> None:
        self.losses: list[Loss] = []
        """The first hundred."""
        self._recent: deque[tuple[float, float]] = deque()
        self._level = 0.0
        self._lost: Loss | None = None

    def step(self, time_s: float, coverage: float, discontinuity: bool) -> Loss | None:
        """Take in a frame; the loss that happens with it, if one does."""
        if discontinuity:
            self._recent.clear()
            self._lost = None
        while len(self._recent) > 1 and self._recent[0][0] < time_s - _ABRUPT_S:
            self._recent.popleft()
        loss = self._missed(time_s, coverage) if self._lost is None else None
        if self._lost is None:
            self._follow(time_s, coverage)
        elif coverage >= _BACK * self._lost.before:
            self._found(self._lost, time_s)
        self._recent.append((time_s, coverage))
        return loss

    def _missed(self, time_s: float, coverage: float) -> Loss | None:
        before = max((value for _, value in self._recent), default=0.0)
        if before < max(_NORMAL, self._level / 2) or coverage >= _LEFT * before:
            return None
        self._lost = Loss(time_s, before, coverage, None)
        if len(self.losses) < _MOST_KEPT:
            self.losses.append(self._lost)
        return self._lost

    def _found(self, lost: Loss, time_s: float) -> None:
        if self.losses[-1] is lost:
            self.losses[-1] = replace(lost, back_s=time_s)
        self._lost = None

    def _follow(self, time_s: float, coverage: float) -> None:
        if not self._recent:
            self._level = coverage
            return
        kept = 0.5 ** ((time_s - self._recent[-1][0]) / _HALF_LIFE_S)
        self._level = kept * self._level + (1 - kept) * coverage
