"""Faces out of what BlazeFace says of a square picture, and the squares that a picture is looked at in.

Bazarevsky, Kartynnik, Vakunov, Raveendran, Grundmann: BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs,
2019 (arXiv:1907.05047): its anchors are points, two to a cell of 8 pixels and six to one of 16, and boxes that mean the
same face are not dropped for the surest of them but averaged.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["SIDE_PX", "faces_in", "merged", "squares"]

Boxes: TypeAlias = npt.NDArray[np.float32]
"""(n, 5): left, top, width, height, and how sure it is, 0 to 1; the surest first."""

SIDE_PX = 128
"""What the network sees; all that it says is in these pixels."""
_CELLS = ((8, 2), (16, 6))
"""Pixels of a cell, and anchors in each."""
_SAME = 0.3
"""Boxes that share this much of what they cover together (intersection over union) are of one face."""
_LARGEST_LOGIT = 80.0
"""Beyond it the exponential is no float32 any more."""
_OVERLAP = 0.5


def _anchors() -> npt.NDArray[np.float32]:
    """(896, 2): the middle of each anchor's cell, x and y in pixels, in the network's order."""
    found = []
    for cell_px, count in _CELLS:
        middles = (np.arange(SIDE_PX // cell_px, dtype=np.float32) + 0.5) * cell_px
        y, x = np.meshgrid(middles, middles, indexing="ij")
        found.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(found)


_ANCHORS = _anchors()


def faces_in(table: npt.NDArray[np.float32], least: float) -> Boxes:
    """The faces in a square picture, in parts of its side, of which the network is at least so sure.

    `table` (896, 17) float32: of each anchor the box's middle from the anchor's, its size, six points of the face, all
    in pixels, and a logit.
    """
    sure = 1 / (1 + np.exp(-np.clip(table[:, 16], -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    chosen = sure >= least
    middles, sizes = table[chosen, :2] + _ANCHORS[chosen], table[chosen, 2:4]
    boxes = np.concatenate([middles - sizes / 2, sizes], axis=1) / np.float32(SIDE_PX)
    return merged(np.column_stack([boxes, sure[chosen]]).astype(np.float32))


def merged(boxes: Boxes) -> Boxes:
    """One box for each face: the mean of all that lie on the surest of them, weighted by how sure each is."""
    left = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    found = []
    while len(left):
        same = _shared(left[0], left) > _SAME
        same[0] = True
        weights = left[same, 4:]
        mean = (left[same, :4] * weights).sum(axis=0) / weights.sum()
        found.append([*mean, left[0, 4]])
        left = left[~same]
    return np.array(found, np.float32).reshape(-1, 5)


def _shared(box: npt.NDArray[np.float32], others: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of `box` (5,) with each of `others`."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:4], others[:, :2] + others[:, 2:4])
    common = np.maximum(high - low, 0).prod(axis=1)
    whole = box[2:4].prod() + others[:, 2:4].prod(axis=1) - common
    return np.asarray(common / np.maximum(whole, np.float32(1e-9)), np.float32)


def squares(width: int, height: int) -> list[list[tuple[int, int, int]]]:
    """Squares that cover a picture, each (left, top, side) in its pixels: coarse ones first, then finer ones.

    The network knows faces of a tenth of a square and more. The first square holds the whole picture, and lies partly
    beside it; the sides of the others are the picture's shorter side, and half of that.
    """
    longer, shorter = max(width, height), min(width, height)
    levels = [[((width - longer) // 2, (height - longer) // 2, longer)]]
    for side in (shorter, shorter // 2):
        levels.append([(x, y, side) for y in _starts(height, side) for x in _starts(width, side)])
    return levels


def _starts(length: int, side: int) -> list[int]:
    """Where along `length` pieces of `side` begin that overlap by half."""
    steps = max(0, int(np.ceil((length - side) / (side * _OVERLAP))))
    return [round(step * (length - side) / steps) for step in range(steps + 1)] if steps else [0]
