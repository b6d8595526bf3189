"""From frames to steady mattes at network size: look, motion, keyframes, network, stabilizer, lookahead."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, cast

from streammatte.batches import with_batches
from streammatte.errors import first_line
from streammatte.frame import Frame, Look, Matte, Packet, Shown
from streammatte.keyframes import Keyframes
from streammatte.late import with_late_mattes
from streammatte.lookahead import looking_ahead
from streammatte.meter import Meter
from streammatte.parallel import with_mattes
from streammatte.ports import Selector, Stabilizer, Tracker
from streammatte.tracking import HostTracker

__all__ = ["Ahead", "BatchMaker", "Inference", "MatteMaker", "Pace"]

_Matted: TypeAlias = tuple[Frame, Matte] | Packet
Ahead: TypeAlias = Callable[[Iterable[_Matted], int], Iterator[_Matted]]
"""How mattes are averaged with those of so many frames to come."""


class MatteMaker(Protocol):
    """What inference needs of a Matter."""

    def look(self, frame: Frame) -> Look:
        """The frame prepared for the network."""

    def see(self, look: Look) -> Matte:
        """The network's matte of it, at network resolution. Called from as many threads as there are streams."""


class BatchMaker(MatteMaker, Protocol):
    """A Matter that sees several frames at once."""

    def see_all(self, looks: list[Look]) -> list[Matte]:
        """The network's mattes of them, in order."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the network is asked, and how many frames may wait."""

    stride: int = 1
    """A keyframe at the latest every so many frames."""
    tolerance: float = 0.0
    """The motion that may be lost between two keyframes: see `Keyframes`."""
    lookahead: int = 0
    """Frames after the present one that a matte is averaged with."""
    streams: int = 1
    """Keyframes that the network may be given at once, each from a thread of its own."""
    batch: int = 1
    """Keyframes that the network is shown at once; more than one only where `maker` has `see_all`."""
    live: bool = False
    """Frames are not kept waiting: mattes that come late are carried to the present."""


class Inference:
    """Runs over one stream's events. `network_runs` and, live, `failed` count as it goes.

    `maker`, `stabilizer` and the stride and tolerance of `pace` may be replaced from one frame to the next. `tracker`
    is the host's where none is given, and so is `ahead`. Without `selector` all that the network finds is kept.
    """

    def __init__(
        self,
        maker: MatteMaker,
        stabilizer: Stabilizer,
        pace: Pace,
        meter: Meter,
        tracker: Tracker | None = None,
        ahead: Ahead = looking_ahead,
        selector: Selector | None = None,
    ) -> None:
        self.maker, self.stabilizer, self.pace = maker, stabilizer, pace
        self._meter = meter
        self._ahead, self._selector = ahead, selector
        self._tracker = tracker or HostTracker(onward=pace.lookahead > 0)
        self.network_runs = 0
        self.failed = 0
        """Errors of the network that a live run went on after; files stop at the first instead."""
        self.last_failure = ""
        self._cut_seq = self._tried_seq = -1
        self._counting = threading.Lock()

    @property
    def cuts(self) -> int:
        """Scene cuts so far."""
        return self._tracker.cuts

    @property
    def notes(self) -> tuple[str, ...]:
        """What the selector took otherwise than asked, so far."""
        return () if self._selector is None else tuple(self._selector.notes)

    def mattes(self, events: Iterable[Frame | Packet]) -> Iterator[_Matted]:
        """Each frame with its steady matte, in order, packets between them where they were."""
        with closing(self._seen(events)) as seen:  # also where a stabilizer fails: the network's threads end here
            steadied = self._steadied(seen)
            ahead = 0 if self.pace.live else self.pace.lookahead
            yield from self._ahead(steadied, ahead) if ahead else steadied

    def _seen(self, events: Iterable[Frame | Packet]) -> Generator[_Matted, None, None]:
        shown = self._shown(events)
        if self.pace.live:
            return with_late_mattes(shown, self._tried)
        if self.pace.batch > 1:
            return with_batches(shown, self._see_all, self.pace.batch)
        return with_mattes(shown, self._see, self.pace.streams)

    def _shown(self, events: Iterable[Frame | Packet]) -> Iterator[Shown | Packet]:
        keyframes = Keyframes(self.pace.stride, self.pace.tolerance)
        for event in events:
            if isinstance(event, Packet):
                yield event
                continue
            with self._meter.stage("look"):
                look = self.maker.look(event)
            with self._meter.stage("motion"):
                matte = self._tracker.step(look.matte)
            if matte.discontinuity:
                self._cut_seq = matte.seq
                if look.teacher is not None:
                    look = look.teacher()
            keyframes.stride, keyframes.tolerance = self.pace.stride, self.pace.tolerance
            key = keyframes.is_key(matte) or look.teacher is not None
            yield Shown(event, replace(look, matte=matte), key)

    def _see(self, look: Look) -> Matte:
        with self._meter.stage("infer"):
            matte = self.maker.see(look)
        with self._counting:
            self.network_runs += 1
        return matte

    def _see_all(self, looks: list[Look]) -> list[Matte]:
        maker = cast(BatchMaker, self.maker)
        with self._meter.stage("infer"):
            mattes = maker.see_all(looks)
        with self._counting:
            self.network_runs += len(looks)
        return mattes

    def _tried(self, look: Look) -> Matte:
        """`_see`, with its error kept before it is passed on.

        The first frame that is seen after a cut may not be that of the cut: it then takes the discontinuity from it.
        """
        seq = look.matte.seq
        if self._tried_seq < self._cut_seq <= seq:
            look = replace(look, matte=replace(look.matte, discontinuity=True))
        self._tried_seq = seq
        try:
            return self._see(look)
        except Exception as error:
            with self._counting:
                self.failed += 1
                self.last_failure = first_line(error)
            raise

    def _steadied(self, events: Iterable[_Matted]) -> Iterator[_Matted]:
        for event in events:
            if isinstance(event, Packet):
                yield event
                continue
            frame, matte = event
            if matte.age_s == math.inf:  # nothing is known: there is nothing to steady
                yield frame, matte
                continue
            if self._selector is not None:
                with self._meter.stage("select"):
                    matte = self._selector.step(matte, frame)
            with self._meter.stage("stabilize"):
                matte = self.stabilizer.step(matte)
            yield frame, matte
