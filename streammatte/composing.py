"""What happens to a frame once its matte is known: refine, own colour, background, over."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace

import numpy as np

from streammatte.compositor import composite
from streammatte.frame import Frame, Layer, Matte, Plane, alpha_frame, subject_frame
from streammatte.inference import Ahead, Inference, MatteMaker, Pace
from streammatte.inspector import Inspector
from streammatte.kernels import host
from streammatte.kernels.mixing import blend
from streammatte.lookahead import looking_ahead
from streammatte.meter import Meter
from streammatte.ports import Background, Compositor, Foreground, Refiner, Selector, SinkKind, Stabilizer, Tracker

__all__ = ["Stages"]


@dataclass(frozen=True, slots=True)
class Stages:
    """What happens to each frame between source and sinks. `background` is None where no sink takes composites.

    `tracker` serves one stream, and so does `selector`; None is the host's own, and no selection.
    """

    matter: MatteMaker
    stabilizer: Stabilizer
    refiner: Refiner
    foreground: Foreground
    background: Background | None
    pace: Pace = field(default_factory=Pace)
    compositor: Compositor = composite
    tracker: Tracker | None = None
    ahead: Ahead = looking_ahead
    selector: Selector | None = None

    def inference(self, meter: Meter) -> Inference:
        """What makes the mattes of one stream."""
        return Inference(self.matter, self.stabilizer, self.pace, meter, self.tracker, self.ahead, self.selector)

    def compose(
        self, frame: Frame, matte: Matte, kinds: Set[SinkKind], meter: Meter, inspector: Inspector | None
    ) -> dict[SinkKind, Frame]:
        """The frame in every form that sinks of these kinds want; called for every frame in order."""
        with meter.stage("refine"):
            pha = self.refiner.refine(matte, frame)
        forms: dict[SinkKind, Frame] = {}
        alphas = host.chroma_alpha(pha, frame.format, frame.color)
        layer = Layer(frame.planes, _with_own_alpha(alphas, frame), frame)
        if inspector is not None:
            with meter.stage("inspect"):
                inspector.inspect(frame, matte, layer.pha)
        if kinds != {"pha"}:
            with meter.stage("foreground"):
                layer = replace(layer, fgr=self.foreground.estimate(frame, alphas, matte))
        if self.background is not None and "com" in kinds:
            with meter.stage("background"):
                behind = self.background.planes(layer)
            with meter.stage("composite"):
                forms["com"] = self.compositor(layer, behind)
        forms["fgr"] = subject_frame(layer)
        forms["pha"] = alpha_frame(layer)
        return forms


def _with_own_alpha(alphas: tuple[Plane, ...], frame: Frame) -> tuple[Plane, ...]:
    """The matte's alpha times the source's own: what the source hides stays hidden."""
    if frame.alpha is None:
        return alphas
    both = blend(frame.alpha, np.zeros_like(frame.alpha), alphas[0], frame.format.peak)
    return host.chroma_alpha(both, frame.format, frame.color)
