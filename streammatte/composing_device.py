"""The stages of a run whose frames are on a device."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

from streammatte.composing import Stages
from streammatte.errors import ContractError
from streammatte.frame import Frame, Matte
from streammatte.inspector import Inspector
from streammatte.meter import Meter
from streammatte.ports import SinkKind

__all__ = ["Composer", "DeviceStages", "Fetcher"]


class Composer(Protocol):
    """Puts on the device what makes a frame's forms."""

    def compose(self, frame: Frame, matte: Matte, kinds: Set[SinkKind], meter: Meter) -> dict[SinkKind, Frame]:
        """The frame in every form that sinks of these kinds want, on the device."""


class Fetcher(Protocol):
    """Brings frames to the host."""

    def begun(self, frame: Frame) -> Frame:
        """`frame`, whose way to the host has begun."""


@dataclass(frozen=True, slots=True)
class DeviceStages(Stages):
    """`Stages` whose parts work on tensors: `composer` is made of them. What sinks on the host take is fetched."""

    composer: Composer | None = None
    fetcher: Fetcher | None = None
    fetched: frozenset[SinkKind] = frozenset()
    """The kinds that some sink takes on the host."""

    def compose(
        self, frame: Frame, matte: Matte, kinds: Set[SinkKind], meter: Meter, inspector: Inspector | None
    ) -> dict[SinkKind, Frame]:
        """See `Stages`; the times are those of putting work on the device."""
        if self.composer is None or self.fetcher is None:
            raise ContractError("stages with a composer and a fetcher", "None")
        forms = self.composer.compose(frame, matte, kinds, meter)
        # First, so that the copies are under way while the mattes of earlier frames are inspected.
        forms |= {kind: self.fetcher.begun(forms[kind]) for kind in self.fetched & kinds}
        if inspector is not None:
            with meter.stage("inspect"):
                inspector.inspect(frame, matte, forms["pha"].planes[0])
        return forms
