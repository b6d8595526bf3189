"""Runs in the guest in place of the command line: real camera, live pipeline, real virtual camera; a trivial network.

python wire.py WEBCAM VCAM REPORT

The network says that what is bright is the subject, on a grid of 32 x 18 that is repeated to the frame's size. All that
costs a real run its arithmetic is left out, since the guest emulates it a hundred times slower than it is.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from streammatte.backgrounds.still import SolidBackground
from streammatte.composing import Stages
from streammatte.foregrounds.off import OffForeground
from streammatte.frame import Frame, Look, Matte, Plane
from streammatte.inference import Pace
from streammatte.live.pipeline import LivePipeline
from streammatte.reporting import RunFacts
from streammatte.sinks.live import open_live_sink
from streammatte.sources import SourceOptions, open_source
from streammatte.stabilizers.none import NoStabilizer

_CELL_PX = 20


class _Bright:
    """In place of a Matter."""

    def look(self, frame: Frame) -> Look:
        cells = frame.planes[0][_CELL_PX // 2 :: _CELL_PX, _CELL_PX // 2 :: _CELL_PX]
        flat = np.full((*cells.shape, 3), 0.5, np.float32)
        # A discontinuity each: what moved is not asked, which alone would take longer than a frame here.
        unseen = Matte(np.zeros(cells.shape, np.float32), flat, frame.seq, float(frame.time), True, False)
        return Look(unseen, cells.astype(np.float32)[None, None])

    def see(self, look: Look) -> Matte:
        return replace(look.matte, pha=(look.batch[0, 0] > 127).astype(np.float32), seen=True)


class _Repeated:
    """In place of a refiner."""

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        cells: Any = (matte.pha > 0.5).astype(np.uint8) * np.uint8(255)
        return np.ascontiguousarray(cells.repeat(_CELL_PX, 0).repeat(_CELL_PX, 1))


def main() -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    webcam, vcam, report = sys.argv[1:]
    source = open_source(f"camera:{webcam}", SourceOptions(camera_size=(640, 360), camera_rate=Fraction(30)))
    beach = SolidBackground((0.0, 128 / 255, 0.0))
    stages = Stages(_Bright(), NoStabilizer(), _Repeated(), OffForeground(), beach, Pace(live=True))
    facts = RunFacts("bright", "CC0-1.0", "", "none", "f32", "guest")
    live = LivePipeline(source, stages, [], [open_live_sink(f"vcam:{vcam}", source.info)], facts, beach)
    told = live.run()
    Path(report).write_text(json.dumps(asdict(told)), encoding="utf-8")


if __name__ == "__main__":
    main()
