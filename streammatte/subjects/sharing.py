"""Parts with several figures in them, divided."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.kernels.figures import COLORS, divide
from streammatte.subjects.scene import MOST, Figure, Scene, There, hidden_by

__all__ = ["divided"]

_Map: TypeAlias = npt.NDArray[np.float32]
_Coded: TypeAlias = npt.NDArray[np.uint8]

_NEARBY = 0.1
"""How far around what a figure holds new pixels are its own rather than another's; of the longer side."""
_SEAM_PX = 5
"""How soft a division is."""


def divided(figures: dict[int, Figure], held: _Coded, there: There, scene: Scene) -> _Map | None:
    """Each figure's shares of each pixel (h, w, MOST) in [0, 1]; None where no part has several figures.

    Those who may come out from behind another are looked for; who is found is marked present, and in `there`.
    """
    hidden = [
        (int(part), number, int(before))
        for part, before in np.argwhere(there)
        for number in hidden_by(figures, int(before), scene.time_s)
    ]
    if not hidden and (there.sum(axis=1) < 2).all():
        return None
    tried = there.copy()
    for part, number, _ in hidden:
        tried[part, number] = True
    side = 2 * round(_NEARBY * scene.longer_px) + 1
    near = np.asarray(cv2.blur(held, (side, side)), np.uint8)
    palettes = np.zeros((MOST, COLORS), np.float32)
    for number, figure in figures.items():
        palettes[number] = figure.palette
    shares = divide(scene.parts.labels, tried, scene.pha, held, near, scene.src, palettes)
    shares = _softened(shares)
    for part, number, before in hidden:
        inside = scene.parts.labels == part
        if float(shares[inside, number] @ scene.pha[inside]) > scene.least:
            there[part, number] = figures[number].present = True
            figures[number].seen_s = scene.time_s
        else:
            shares[inside, before] += shares[inside, number]
            shares[inside, number] = 0
    return shares


def _softened(shares: _Map) -> _Map:
    """With a soft seam; the sum stays 1 up to the outline, beyond which there are no shares."""
    soft = np.asarray(cv2.blur(shares, (_SEAM_PX, _SEAM_PX)), np.float32)
    return np.asarray(soft / np.maximum(soft.sum(axis=2, keepdims=True), np.float32(1e-6)), np.float32)
