"""Live: no frame waits for the network; its answers are carried along the motion to the frame that is there by then."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Look, Matte, Packet, Shown
from streammatte.kernels.warping import warp

__all__ = ["with_late_mattes"]

_PATIENCE_S = 0.25
"""How long a frame is held where nothing is known, at the start and after a cut: a network's time, and to spare."""
_ENDING_S = 2.0
"""How long the network is waited for at the end; one that hangs is left behind."""

_Matted: TypeAlias = Generator[tuple[Frame, Matte] | Packet, None, None]
_See: TypeAlias = Callable[[Look], Matte]


def with_late_mattes(events: Iterable[Shown | Packet], see: _See) -> _Matted:
    """Each frame with the matte that is known for it, and `age_s`: how old the frame is that the network last answered.

    The network sees one frame at a time. Its matte is given with the first frame after it is done, carried there along
    the motion; it counts as that frame's own. Only where nothing is known is it waited for, and not for long: then
    `age_s` is infinite and `pha` 0. A `see` that raises has given no answer; the next frame is shown to it again.
    """
    late = _Late(see)
    try:
        for event in events:
            yield event if isinstance(event, Packet) else (event.frame, late.matte(event))
    finally:
        late.end()


@dataclass(slots=True)
class _Asked:
    """A look that is with the network, and the way from its frame to the present one."""

    answer: Future[Matte]
    time_s: float
    way: npt.NDArray[np.float32] | None = None
    void: bool = False
    """A cut has come since."""


class _Late:
    def __init__(self, see: _See) -> None:
        self._see = see
        self._asked: _Asked | None = None
        self._known_s: float | None = None
        self._urgent = False
        self._patience_s = _PATIENCE_S

    def matte(self, shown: Shown) -> Matte:
        now = shown.look.matte
        self._move_on(now)
        if shown.look.teacher is not None:
            return self._at_once(shown.look)
        found = self._answer(now)
        if self._asked is None and (shown.key or self._urgent or self._known_s is None):
            self._asked = _ask(self._see, shown.look)
            if self._known_s is None:
                found = self._answer(now)
        if found is not None:
            return found
        age_s = math.inf if self._known_s is None else now.time_s - self._known_s
        return replace(now, age_s=age_s)

    def _at_once(self, look: Look) -> Matte:
        """A student's answer, which is there before the frame has to leave; what was asked before it is forgotten."""
        now = look.matte
        if self._asked is not None:
            self._asked.void = True
        try:
            found = self._see(look)
        except Exception:  # counted where it was asked; the last matte does for this frame
            return replace(now, age_s=math.inf if self._known_s is None else now.time_s - self._known_s)
        first, self._known_s = self._known_s is None, now.time_s
        return replace(found, flow=None, trust=None, discontinuity=True) if first else found

    def end(self) -> None:
        if self._asked is not None:
            _within(self._asked.answer, _ENDING_S)

    def _move_on(self, now: Matte) -> None:
        asked = self._asked
        if now.flow is None:
            self._known_s = None
        if asked is None:
            return
        if now.flow is None:
            asked.void = True
        elif not asked.void:
            way = asked.way
            asked.way = now.flow if way is None else np.asarray(warp(way, now.flow) + now.flow, np.float32)

    def _answer(self, now: Matte) -> Matte | None:
        """The network's answer at this frame's places, where there is one; waited for only if nothing is known."""
        asked = self._asked
        if asked is None or not self._done(asked.answer):
            return None
        self._asked, self._patience_s = None, _PATIENCE_S
        self._urgent = asked.answer.exception() is not None
        if self._urgent or asked.void:
            return None
        pha = asked.answer.result().pha
        if asked.way is not None:
            pha = np.asarray(warp(pha, asked.way), np.float32)
        first, self._known_s = self._known_s is None, asked.time_s
        found = replace(now, pha=pha, seen=True, age_s=now.time_s - asked.time_s)
        return replace(found, flow=None, trust=None, discontinuity=True) if first else found

    def _done(self, answer: Future[Matte]) -> bool:
        if answer.done() or self._known_s is not None:
            return answer.done()
        done = _within(answer, self._patience_s)
        if not done:
            self._patience_s = 0.0  # it hangs: the frames that come meanwhile do not wait as well
        return done


def _ask(see: _See, look: Look) -> _Asked:
    answer: Future[Matte] = Future()
    # A thread of its own, which the process need not wait for: one that hangs holds up nothing but itself.
    threading.Thread(target=_answered, args=(answer, see, look), name="infer", daemon=True).start()
    return _Asked(answer, look.matte.time_s)


def _answered(answer: Future[Matte], see: _See, look: Look) -> None:
    try:
        answer.set_result(see(look))
    except BaseException as error:  # it belongs to whoever asked
        answer.set_exception(error)


def _within(answer: Future[Matte], seconds: float) -> bool:
    """Whether the answer, or an error, has come within this time."""
    done, _ = wait([answer], seconds)
    return bool(done)
