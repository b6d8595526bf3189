"""One of several models on the same frames: its own stages, and what is measured along its way."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, cast

from streammatte.composing import Stages
from streammatte.frame import Frame, Matte, Packet
from streammatte.inspector import Inspector
from streammatte.meter import Meter
from streammatte.ports import SinkKind
from streammatte.reporting import RunFacts
from streammatte.scoring import Scorer, Scores

__all__ = ["Contestant", "ModelReport"]

_Matted: TypeAlias = tuple[Frame, Matte] | Packet

_MID = slice(1, 9)
"""Of the inspection's tenths of opacity: 0.1 to 0.9."""


@dataclass(frozen=True, slots=True)
class ModelReport:
    """How one model fared; docs/compare.md tells how to read it."""

    facts: RunFacts
    network_ms: float
    """Median of the network's runs, each with the machine to itself."""
    throughput_fps: float
    """Frames a second of all that is done for a matte and a composite, by the medians of its stages."""
    flicker: float | None
    """As in `Inspection`, and so are `edge_collapsed` and `coverage`."""
    mid_opacity: float | None
    """Share, in [0, 1], of alphas at the edge that lie in [0.1, 0.9); None: no edges."""
    edge_collapsed: float | None
    coverage: float
    scores: Scores | None
    """None without a truth."""


class _Turns(Meter):
    """Times one model's stages, of which only one of all models' goes on at a time: none slows another down."""

    def __init__(self, turn: threading.Lock) -> None:
        super().__init__()
        self._turn = turn

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Wait for the turn, then time the block as one frame's work in stage `name`."""
        with self._turn, super().stage(name):
            yield


class Contestant:
    """A model with the stages that follow it. It works only while it holds `turn`, which all contestants share."""

    def __init__(self, facts: RunFacts, stages: Stages, turn: threading.Lock) -> None:
        self.name, self.facts = facts.model, facts
        self.scorer = Scorer()
        self._stages, self._meter, self._inspector = stages, _Turns(turn), Inspector()
        self._inference = stages.inference(self._meter)

    def mattes(self, events: Iterable[Frame | Packet]) -> Generator[_Matted, None, None]:
        """Each frame with its steady matte, in order, packets between them where they were. To be closed."""
        return cast("Generator[_Matted, None, None]", self._inference.mattes(events))

    def compose(self, frame: Frame, matte: Matte) -> dict[SinkKind, Frame]:
        """The frame as composite (`com`) and alpha (`pha`); called for every frame in order."""
        return self._stages.compose(frame, matte, {"com", "pha"}, self._meter, self._inspector)

    def report(self) -> ModelReport:
        """All that was measured. Raises ContractError before the first frame."""
        found, stages = self._inspector.findings(), self._meter.stages()
        network_ms = stages.pop("infer").p50_ms
        others_ms = sum(stage.p50_ms for stage in stages.values())
        return ModelReport(
            facts=self.facts,
            network_ms=network_ms,
            throughput_fps=round(1e3 / (others_ms + network_ms * self._inference.network_runs / found.frames), 2),
            flicker=found.flicker,
            mid_opacity=None if found.edge_opacity is None else round(sum(found.edge_opacity[_MID]), 4),
            edge_collapsed=found.edge_collapsed,
            coverage=found.coverage_mean,
            scores=self.scorer.scores(),
        )
