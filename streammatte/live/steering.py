"""What the governor decides, done: in a thread of its own, so that opening a model holds up no frame."""

from __future__ import annotations

import time
from collections.abc import Callable

from streammatte.errors import StreammatteError
from streammatte.live.governor import Governor, Rung
from streammatte.meter import GovernorStep
from streammatte.worker import Worker

__all__ = ["Steering"]

_EVERY_S = 0.2


class Steering:
    """Tells the governor of frames and drops, and has `apply` put its rung into effect."""

    def __init__(self, governor: Governor, rungs: tuple[Rung, ...], apply: Callable[[Rung], None]) -> None:
        self._governor, self._rungs, self._apply = governor, rungs, apply
        self._applied, self._dropped = governor.rung, 0
        self._started_s = time.monotonic()
        self._open = True
        self.notes: list[str] = []
        self._worker = Worker("govern", self._run)
        self._worker.start()

    def frame(self, latency_s: float, dropped: int) -> None:
        """One frame came out this long after its capture; `dropped` frames were lost since the start."""
        self._governor.frame(latency_s)
        if dropped > self._dropped:
            self._governor.dropped(dropped - self._dropped)
            self._dropped = dropped

    def lost(self) -> None:
        """One frame was not shown because the network was too slow."""
        self._governor.late()

    @property
    def steps(self) -> tuple[GovernorStep, ...]:
        """All steps so far, in words."""
        return tuple(
            GovernorStep(
                round(step.time_s - self._started_s, 1),
                self._named(step.from_rung),
                self._named(step.to_rung),
                step.why,
            )
            for step in self._governor.steps
        )

    def close(self) -> None:
        """No more steps."""
        self._open = False
        self._worker.ended.wait(1.0)

    def _named(self, index: int) -> str:
        return str(self._rungs[index])

    def _run(self) -> None:
        while self._open:
            time.sleep(_EVERY_S)
            rung = self._governor.rung
            if rung != self._applied:
                try:
                    self._apply(self._rungs[rung])
                except StreammatteError as error:
                    self.notes.append(str(error))
                self._applied = rung
