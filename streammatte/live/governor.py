"""Keeps a live run within its time per frame: does less for the matte while the machine is too slow, more when it can.

Control theory calls it hysteresis with exponential back-off: the bound to step down at and the bound to step up at lie
apart, and a step up that had to be taken back is tried again only after twice the time. So that a load which does not
change settles: it ends on one rung, but for a trial of the rung above that gets as rare as one every 160 s.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streammatte.quality import Quality

__all__ = ["Governor", "Rung", "Step", "rungs"]

_WINDOW_S = 1.0
_SETTLING_S = 0.5
"""Frames that were under way at a step say nothing of the rung it led to."""
_SILENCE_S = 3.0
"""After so long without a frame (a camera away) what was measured before counts no more."""
_WINDOWS_OVER = 2
_TWICE = 2.0
_MOST_DROPPED = 0.02
_EXCESS, _LARGEST_EXCESS = 2.0, 10.0
"""Frames lost beyond _MOST_DROPPED add up, from window to window, to this before they count: at 30 frames a second one
is 3 % of a window already, and one now and then says nothing."""
_LEAST_RATE = 0.97
_EASY = 0.7
_FIRST_PATIENCE_S = 10.0
_LONGEST_PATIENCE_S = 160.0


@dataclass(frozen=True, slots=True)
class Rung:
    """How much is done for the matte: a smaller bundle than a `Quality`."""

    stride: int
    tolerance: float
    refine: str
    refine_steps: int
    """Of closed-form; 0 for other refiners."""
    model: str | None
    """None: the run's own."""

    def __str__(self) -> str:
        steps = f" in {self.refine_steps} steps" if self.refine_steps else ""
        model = f", {self.model}" if self.model else ""
        return f"network every {self.stride} frames, {self.refine}{steps}{model}"


_LADDER = (
    Rung(3, 0.1, "closed-form", 6, None),
    Rung(5, 0.2, "closed-form", 4, None),
    Rung(8, 0.3, "closed-form", 3, None),
    Rung(8, 0.3, "guided", 0, None),
    Rung(12, 0.4, "guided", 0, ""),
    Rung(16, 0.5, "none", 0, ""),
)
"""The balanced quality and what is cheaper, by cost; model "" stands for the cheaper one, if there is one."""
_DEAREST_LAST = ("none", "guided", "rembg", "closed-form")


def rungs(quality: Quality, cheaper: str | None) -> tuple[Rung, ...]:
    """`quality` itself, then ever cheaper ones; the last go over to the model `cheaper`. None of them does more of
    anything than the one before it.
    """
    steps = quality.refine_steps if quality.refine == "closed-form" else 0
    found = [Rung(quality.stride, quality.stride_tolerance, quality.refine, steps, None)]
    for rung in _LADDER:
        lower = _at_most(found[-1], rung, cheaper)
        if lower != found[-1]:
            found.append(lower)
    return tuple(found)


def _at_most(above: Rung, rung: Rung, cheaper: str | None) -> Rung:
    """`rung`, but in nothing dearer than `above`."""
    refine = min(above.refine, rung.refine, key=_DEAREST_LAST.index)
    return Rung(
        stride=max(above.stride, rung.stride),
        tolerance=max(above.tolerance, rung.tolerance),
        refine=refine,
        refine_steps=min(above.refine_steps, rung.refine_steps) if refine == "closed-form" else 0,
        model=cheaper if rung.model is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a governor, for the run report."""

    time_s: float
    """On the governor's clock."""
    from_rung: int
    to_rung: int
    """Rungs count from 0, the dearest."""
    why: str


class _Window:
    """What happened in about a second."""

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self.latencies_s: list[float] = []
        self.dropped = self.late = 0

    @property
    def network_alone(self) -> bool:
        """No frame was shown, and each for want of a matte: doing less beside the network helps nothing."""
        return self.late > 0 and self.late == self.dropped and not self.latencies_s

    @property
    def p90_s(self) -> float:
        """90th percentile of the latencies; 0 without frames."""
        ranked = sorted(self.latencies_s)
        return ranked[math.ceil(0.9 * len(ranked)) - 1] if ranked else 0.0


class Governor:
    """Which of `rungs` to work on, from how frames fare. Every method may be called from any thread, and is quick.

    Down after two windows of a second in which the 90th percentile of the latency was over `target_latency_s`, or more
    than 2 % of the frames were lost, or some were while fewer than 97 % of `target_fps` were shown; after one where the
    latency was over twice the target or half of the frames were lost. Up after 10 s with the latency under 70 % of the
    target and no frame lost, but for a single one now and then; after 20, 40, 80, then 160 s to a rung that had to be
    left again within 160 s of going up to it, at every attempt. Where no frame is shown for want of a matte, straight
    down to another model, if there is one. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        rungs: Sequence[Rung],
        *,
        target_latency_s: float,
        target_fps: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rungs = rungs
        self._target_s = target_latency_s
        self._target_fps = target_fps
        self._clock = clock
        self._busy = threading.Lock()
        self._rung = 0
        self._steps: list[Step] = []
        self._patience_s = [_FIRST_PATIENCE_S] * len(rungs)
        self._heard_s = clock()
        self._window = _Window(self._heard_s + _SETTLING_S)
        self._windows_over = 0
        self._excess = 0.0
        self._easy_since_s: float | None = None
        self._went_up_s = -math.inf

    @property
    def rung(self) -> int:
        """The rung to work on now, 0 the dearest."""
        return self._rung

    @property
    def steps(self) -> list[Step]:
        """Every step so far, in order; a copy."""
        with self._busy:
            return list(self._steps)

    def frame(self, latency_s: float) -> None:
        """A frame was presented, so long after its capture."""
        with self._busy:
            if self._listens():
                self._window.latencies_s.append(latency_s)

    def dropped(self, n: int) -> None:
        """`n` frames were lost on the way since the last call."""
        with self._busy:
            if self._listens():
                self._window.dropped += n

    def late(self) -> None:
        """A frame was lost because the network had not answered."""
        with self._busy:
            if self._listens():
                self._window.dropped += 1
                self._window.late += 1

    def _listens(self) -> bool:
        """Judge the window if it is full; whether what happens now belongs to the present one."""
        now_s = self._clock()
        silent_s, self._heard_s = now_s - self._heard_s, now_s
        if silent_s > _SILENCE_S:
            self._start_over(now_s)
        elif now_s - self._window.start_s >= _WINDOW_S:
            self._judge(self._window, now_s)
        return now_s >= self._window.start_s

    def _start_over(self, now_s: float) -> None:
        self._window = _Window(now_s + _SETTLING_S)
        self._windows_over, self._excess, self._easy_since_s = 0, 0.0, None

    def _judge(self, window: _Window, now_s: float) -> None:
        why, at_once = self._strain(window, now_s - window.start_s)
        self._window = _Window(now_s)
        if why:
            self._easy_since_s = None
            self._windows_over += 1
            if at_once or self._windows_over >= _WINDOWS_OVER:
                self._step_down(now_s, why, window.network_alone)
            return
        self._windows_over = 0
        if window.dropped > 1 or self._excess > 1 or window.p90_s >= _EASY * self._target_s:
            self._easy_since_s = None
            return
        if self._easy_since_s is None:
            self._easy_since_s = window.start_s
        self._step_up(now_s, now_s - self._easy_since_s, window.p90_s)

    def _strain(self, window: _Window, lasted_s: float) -> tuple[str, bool]:
        """What was too much in `window`, in words ("" if nothing), and whether it was very much too much."""
        p90_s, lost, shown = window.p90_s, window.dropped, len(window.latencies_s)
        self._excess = min(max(self._excess + lost - _MOST_DROPPED * (lost + shown), 0.0), _LARGEST_EXCESS)
        half_lost, rate = lost >= max(shown, 1), shown / lasted_s
        if p90_s > self._target_s:
            words = f"latency p90 {1e3 * p90_s:.0f} ms, over {1e3 * self._target_s:.0f} ms"
            return words, p90_s > _TWICE * self._target_s or half_lost
        if lost and self._excess > _EXCESS:
            return f"{lost} of {lost + shown} frames lost", half_lost
        if self._target_fps is not None and lost > 1 and rate < _LEAST_RATE * self._target_fps:
            return f"{rate:.1f} frames a second and {lost} lost, below {self._target_fps:g}", False
        return "", False

    def _step_down(self, now_s: float, why: str, network_alone: bool) -> None:
        if self._rung + 1 == len(self._rungs):
            return
        failed = now_s - self._went_up_s <= _LONGEST_PATIENCE_S
        longer_s = min(2 * self._patience_s[self._rung], _LONGEST_PATIENCE_S)
        self._patience_s[self._rung] = longer_s if failed else _FIRST_PATIENCE_S
        self._went_up_s = -math.inf
        below = self._other_model() if network_alone else None
        if below is not None:  # each attempt to go back is seen as a card: rarely, then
            self._patience_s[below - 1] = _LONGEST_PATIENCE_S
        self._go(self._rung + 1 if below is None else below, now_s, why)

    def _other_model(self) -> int | None:
        """The first rung below with another model."""
        model = self._rungs[self._rung].model
        below = range(self._rung + 1, len(self._rungs))
        return next((index for index in below if self._rungs[index].model != model), None)

    def _step_up(self, now_s: float, easy_s: float, p90_s: float) -> None:
        if self._rung == 0 or easy_s < self._patience_s[self._rung - 1]:
            return
        self._went_up_s = now_s
        self._go(
            self._rung - 1,
            now_s,
            f"latency p90 {1e3 * p90_s:.0f} ms, under {1e3 * _EASY * self._target_s:.0f} ms for {easy_s:.0f} s",
        )

    def _go(self, rung: int, now_s: float, why: str) -> None:
        self._steps.append(Step(now_s, self._rung, rung, why))
        self._rung = rung
        self._start_over(now_s)
