"""`--refine closed-form`: alpha as the picture's colour lines have it, and no guess of where the edge is.

In the band of soft pixels alpha minimises the matting Laplacian's energy plus its distance from the network's
(Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting", TPAMI 2008; with large windows: He, Sun
and Tang, CVPR 2010), by a few steps of conjugate gradients from the last frame's solution brought along the motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host
from streammatte.kernels.local_linear import solve
from streammatte.kernels.warping import warp
from streammatte.refiners.local_color import Scene, applied, scene

__all__ = ["KEEP", "LEAST_PRIOR", "OUTSIDE", "PRIOR", "ClosedFormRefiner"]

PRIOR = 0.01
"""Weight of the network's alpha against the picture, where it is sure; `LEAST_PRIOR` of it where it is not."""
LEAST_PRIOR = 0.02
OUTSIDE = 5.0
KEEP = 0.1
"""How much of the last frame's solution stays in this one's, where the motion can be trusted."""

_Map: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Carried:
    """The last solution at this frame's places (h, w), and how far to believe it, 0 to 1."""

    pha: _Map
    trust: _Map


class ClosedFormRefiner:
    """`iterations` steps a frame. Holds the last solution, which it drops at a discontinuity and at another size."""

    def __init__(self, iterations: int = 6) -> None:
        self._iterations = iterations
        self._last: _Map | None = None

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth; called for every frame in order."""
        part = scene(matte, frame)
        if part is None:
            self._last = None
            return host.alpha_plane(matte.pha, frame.width, frame.height, frame.format)
        found = self._solution(part, self._carried(matte, part))
        self._last = part.pha.copy()
        self._last[part.box] = found
        return applied(part, found, frame)

    def _carried(self, matte: Matte, part: Scene) -> _Carried | None:
        last, height, width = self._last, *part.pha.shape
        if last is None or last.shape != part.pha.shape or matte.flow is None or matte.trust is None:
            return None
        scale = np.array([width / matte.pha.shape[1], height / matte.pha.shape[0]], np.float32)
        flow = cv2.resize(matte.flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale
        trust = np.asarray(cv2.resize(matte.trust, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        return _Carried(warp(last, np.asarray(flow, np.float32))[part.box], trust[part.box] * part.band)

    def _solution(self, part: Scene, carried: _Carried | None) -> _Map:
        pha = np.ascontiguousarray(part.pha[part.box])
        sure = np.square(2 * pha - 1)
        weight = part.band * np.float32(PRIOR) * (np.float32(LEAST_PRIOR) + sure)
        weight += np.float32(OUTSIDE) * (1 - part.band)
        start = pha if carried is None else pha + carried.trust * (carried.pha - pha)
        found = solve(
            part.windows, pha, np.asarray(weight, np.float32), np.asarray(start, np.float32), self._iterations
        )
        np.clip(found, 0, 1, out=found)
        found = pha + part.band * (found - pha)
        if carried is not None:
            found += np.float32(KEEP) * carried.trust * (carried.pha - found)
        return np.asarray(found, np.float32)
