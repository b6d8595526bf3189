"""How far a build is, told to the thread that waits for it; and a way to end it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from streammatte.ports import BuildProgress

__all__ = ["STEPS", "Watch", "monitor", "watched"]

STEPS = 1000
"""What a build is divided in, whichever phases it has."""

T = TypeVar("T")


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Watch:
    """A build's phases, which lie in one another; methods are called by the library, from any thread, and never raise.

    `told` holds (phase in words, steps done of STEPS), without going back, and None where the build has ended. Once
    `stopped` is set the library is asked to give up.
    """

    def __init__(self) -> None:
        self.told: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self.stopped = False
        self._phases: dict[str, _Phase] = {}
        self._last = ("", -1)
        self._turn = threading.Lock()

    def begin(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of so many steps starts, within another or by itself."""
        with self._turn:
            self._phases[name] = _Phase(parent, max(steps, 1))
            self._tell(name)

    def step(self, name: str, index: int) -> bool:
        """Step number `index` of a phase is done; whether to go on."""
        with self._turn:
            if name in self._phases:
                self._phases[name].done = index + 1
                self._tell(name)
        return not self.stopped

    def end(self, name: str) -> None:
        """A phase is over; also one that was cut short."""
        with self._turn:
            self._phases.pop(name, None)

    def _tell(self, name: str) -> None:
        # The last step is what `watched` says when all is over: phases may follow that nobody announced.
        done = min(int(STEPS * self._share(name)), STEPS - 1)
        told = (name[:1].lower() + name[1:], max(done, self._last[1]))
        if told != self._last:
            self._last = told
            self.told.put(told)

    def _share(self, name: str) -> float:
        """Of the whole, what is done: a step of a phase has been done as far as the phase within it has."""
        share, at, seen = 0.0, name, set[str]()
        while at in self._phases and at not in seen:
            seen.add(at)
            phase = self._phases[at]
            share = min((phase.done + share) / phase.steps, 1.0)
            at = phase.parent or ""
        return share


def watched(work: Callable[[Watch], T], building: BuildProgress | None) -> T:
    """What `work` returns or raises, done on a thread of its own while this one tells `building` how far it is.

    Whatever is raised here meanwhile, by `building` or by Ctrl-C, stops the work and, once that has ended, is raised.
    Nothing of ours thus ever raises within the library, which could not pass it on.
    """
    watch = Watch()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(watch))
        except BaseException as error:
            errors.append(error)
        finally:
            watch.told.put(None)

    thread = threading.Thread(target=run, name="engine build", daemon=True)
    try:
        thread.start()
        for phase, done in iter(watch.told.get, None):
            if building is not None:
                building(phase, done, STEPS)
    except BaseException:
        watch.stopped = True
        raise
    finally:
        thread.join()
    if errors:
        raise errors[0]
    if building is not None:
        building("built", STEPS, STEPS)
    return results[0]


def monitor(trt: Any, watch: Watch) -> Any:
    """`watch` as the library's IProgressMonitor."""

    class Monitor(trt.IProgressMonitor):
        """Passes everything on."""

        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """See `Watch.begin`."""
            watch.begin(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """See `Watch.step`."""
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            """See `Watch.end`."""
            watch.end(phase_name)

    return Monitor()
