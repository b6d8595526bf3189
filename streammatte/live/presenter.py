"""One sink's own thread in a live run: it shows the newest frame, drops what it has no time for, and falls private."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from streammatte.errors import SinkError, StreammatteError, first_line
from streammatte.frame import Frame, Packet, is_packet
from streammatte.handoff import Cancelled, Handoff
from streammatte.live.card import Card
from streammatte.meter import LiveOutput, Meter
from streammatte.ports import LiveSink, Sink, SinkKind, SinkReport
from streammatte.worker import Worker

__all__ = ["Outcome", "Presenter", "Recorder", "Screen"]

_STALE_S = 0.5
"""Without a new frame for so long, a live sink shows the card: nobody is left frozen in a bad moment."""
_CARD_EVERY_S = 0.2
"""The card is sent again and again: readers take a camera that sends nothing for broken."""
_RECORDED = 30
"""Frames a recording may be behind."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A frame in the forms that sinks want; where `why` says why it must not be shown, the card in its place."""

    frames: dict[SinkKind, Frame]
    why: str = ""


class Presenter(ABC):
    """A thread that gives one sink what comes through `slot`. A sink that fails is closed; others do not notice."""

    def __init__(self, sink: Sink, capacity: int, meter: Meter) -> None:
        self.sink = sink
        self.slot: Handoff[Outcome | Packet] = Handoff(capacity, "drop_oldest", is_packet)
        self.failure: StreammatteError | None = None
        self.shown = self.cards = 0
        self._meter = meter
        self._first_s = self._last_s = 0.0
        self._worker = Worker(f"present {sink.name}", self._run)
        self.ended = self._worker.ended

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def put(self, item: Outcome | Packet) -> None:
        """Hand on; a sink that has failed takes nothing and holds up nobody."""
        try:
            self.slot.put(item)
        except Cancelled:
            return

    def finish(self) -> SinkReport | None:
        """Complete the sink once its thread has ended; None where it has failed."""
        if self.failure is not None:
            return None
        try:
            return self.sink.finish()
        except StreammatteError as error:
            self._fail(error)
            return None

    def report(self) -> LiveOutput:
        """How it fared."""
        lasted_s = self._last_s - self._first_s
        rate = (self.shown - 1) / lasted_s if lasted_s > 0 else 0.0
        latency = self._meter.stages().get(self._latency_name)
        return LiveOutput(self.sink.name, self.shown, self.cards, round(rate, 2), self.slot.dropped, latency)

    @property
    def _latency_name(self) -> str:
        return f"capture to {self.sink.name}"

    def state(self) -> dict[str, object]:
        """How it fares, for whoever controls the run."""
        return {"frames": self.shown, "cards": self.cards}

    def _run(self) -> None:
        try:
            while not self.slot.over:
                self._step()
        except Cancelled:
            pass
        except Exception as error:
            known = isinstance(error, StreammatteError)
            self._fail(error if known else SinkError(f"{self.sink.name}: {first_line(error)}"))  # type: ignore[arg-type]

    def _fail(self, error: StreammatteError) -> None:
        self.failure = error
        self.slot.cancel()
        self.sink.abort()

    @abstractmethod
    def _step(self) -> None:
        """Take one item from the slot, or wait for one a while."""

    def _show(self, frame: Frame) -> None:
        self.sink.write(frame)
        self.shown += 1
        self._last_s = time.monotonic()
        self._first_s = self._first_s or self._last_s
        if frame.captured_ns is not None:
            self._meter.add(self._latency_name, (time.monotonic_ns() - frame.captured_ns) / 1e9)


class Screen(Presenter):
    """A live sink: one frame waits at most. Nothing is shown before the first good one; then, with none, `card`."""

    sink: LiveSink

    def __init__(self, sink: LiveSink, meter: Meter, card: Card) -> None:
        super().__init__(sink, 1, meter)
        self._card = card
        self._carded_s = 0.0

    @property
    def begun(self) -> bool:
        """It has shown a composite."""
        return self.shown > 0

    def state(self) -> dict[str, object]:
        """How it fares, and how it is reached."""
        return {**super().state(), **self.sink.reach}

    def _step(self) -> None:
        item = self.slot.take(_CARD_EVERY_S)
        if isinstance(item, Outcome) and not item.why:
            self._show(item.frames[self.sink.kind])
        elif isinstance(item, Outcome) or self._stale():
            self._show_card(item.frames.get(self.sink.kind) if isinstance(item, Outcome) else None)
        if self.slot.over and self.begun:
            self._show_card(None)  # what stays with readers when the run is over

    def _stale(self) -> bool:
        return time.monotonic() - self._last_s > _STALE_S

    def _show_card(self, frame: Frame | None) -> None:
        card = frame or self._card.frames.get(self.sink.kind)
        if self.begun and card is not None:
            self.sink.write(card)
            self.cards += 1


class Recorder(Presenter):
    """A file: every frame it is given, in order, packets of sound between them; none where nothing may be shown."""

    def __init__(self, sink: Sink, meter: Meter) -> None:
        super().__init__(sink, _RECORDED, meter)

    def _step(self) -> None:
        item = self.slot.take()
        if isinstance(item, Packet):
            self.sink.write_packet(item)
        elif item is not None and not item.why:
            self._show(item.frames[self.sink.kind])
