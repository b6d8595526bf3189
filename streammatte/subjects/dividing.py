"""A matte's parts: what hangs together, each with its soft halo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.kernels.figures import meetings

__all__ = ["Parts", "parts_of"]

_Map: TypeAlias = npt.NDArray[np.float32]
_Labels: TypeAlias = npt.NDArray[np.int32]

_CORE = 0.5
_FAINT = 0.1
"""What is less than this belongs to no part."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one matte, numbered from 1."""

    labels: _Labels
    """(h, w): the part that each pixel belongs to; 0 where there is none."""
    count: int
    """How many labels there are, 0 among them."""


def parts_of(pha: _Map) -> Parts:
    """The parts of `pha` (h, w).

    What hangs together is one part, be it as soft as it may; but where soft pixels only hold several cores together,
    each of them half opaque, these are parts of their own, and soft pixels belong to the nearest.
    """
    islands, count = _connected(pha, _FAINT)
    cores, firm = _connected(pha, _CORE)
    held = meetings(islands, cores, (count, firm))[:, 1:].sum(axis=1)
    if (held <= 1).all():
        return Parts(islands, count)
    hollow = np.asarray(held == 0)
    hollow[0] = False
    return _apart(islands, count, (cores > 0) | hollow[islands])


def _connected(pha: _Map, least: float) -> tuple[_Labels, int]:
    count, labels = cv2.connectedComponents(cv2.inRange(pha, least, 2.0))
    return np.asarray(labels, np.int32), count


def _apart(islands: _Labels, count: int, seeds: npt.NDArray[np.bool_]) -> Parts:
    """Islands of several seeds divided between these; the others are one part, however near another's seed is."""
    found = cv2.distanceTransformWithLabels((~seeds).view(np.uint8), cv2.DIST_L2, 3)[1]
    nearest = np.asarray(found, np.int32)
    parts = int(nearest.max()) + 1
    held = meetings(islands, np.where(seeds, nearest, 0).astype(np.int32), (count, parts))
    held[:, 0] = False
    alone = np.where(held.sum(axis=1) == 1, held.argmax(axis=1), 0).astype(np.int32)
    own = alone[islands]
    labels = np.where(own > 0, own, nearest)
    labels[islands == 0] = 0
    return Parts(labels, parts)
