"""Who is in the picture: figures, followed from frame to frame by the pixels they hold.

What each figure holds is carried along the motion, and it is where most of that went. A part of the matte that one
figure went to is all of it; one that several went to, because they touch or cross, is divided between them.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.kernels.figures import color_counts, hold, tally
from streammatte.kernels.warping import warp
from streammatte.subjects.following import Following
from streammatte.subjects.outlining import owned
from streammatte.subjects.scene import KNOWN, MOST, Figure, Scene, There
from streammatte.subjects.sharing import divided

__all__ = ["Division", "Figures"]

_Map: TypeAlias = npt.NDArray[np.float32]

_HIDDEN, _ROOM = 0.35, 1.15
"""Who has less than this share of a part is hidden if the part is no larger than the other was alone, and this much."""


@dataclass(frozen=True, slots=True)
class Division:
    """What belongs to whom in one frame."""

    there: There
    shares: _Map | None
    """(h, w, MOST) in [0, 1]: of each pixel of a part; None where no part has several figures."""


class Figures:
    """All figures of one shot, numbered from 0."""

    def __init__(self) -> None:
        self._all: dict[int, Figure] = {}
        self._held = np.zeros((1, 1, MOST), np.uint8)
        self._sums = np.zeros((1, 3 + MOST))

    def carry(self, flow: _Map) -> None:
        """Take what is held along to the next frame; `flow` is as in `Matte`, at the size of the scenes."""
        if self._all:
            self._held = np.asarray(warp(self._held, flow), np.uint8)

    def present(self, number: int) -> bool:
        """Whether this figure was in the last frame."""
        return number in self._all and self._all[number].present

    def place_px(self, number: int) -> tuple[float, float]:
        """Where the middle of its alpha is, or was last: x, y."""
        return self._all[number].place

    def outline(self, region: _Map, scene: Scene) -> frozenset[int]:
        """Start anew with who is in `region` (h, w) in [0, 1]: their numbers; who is beside them is somebody else.

        Where there is too little in it all stays as it was, and nobody is found.
        """
        found = owned(region, scene)
        if found:
            self._all, self._held = {}, np.zeros((*scene.pha.shape, MOST), np.uint8)
        chosen = set()
        for own, others in found:
            if len(self._all) < MOST:
                chosen.add(self._add(own, scene))
            if len(self._all) < MOST and others.sum() >= scene.least:
                self._add(others, scene)
        return frozenset(chosen)

    def _add(self, own: _Map, scene: Scene) -> int:
        """A figure whose alpha is `own` (h, w): its number."""
        number = len(self._all)
        figure = self._all[number] = Figure(scene.time_s)
        figure.renew(float(own.sum()), color_counts((own > 0).astype(np.int32), 2, own, scene.src)[1])
        self._held[..., number] = np.rint(255 * np.minimum(1, 2 * own))
        return number

    def step(self, scene: Scene, kept: Set[int], wished: Sequence[int]) -> Division:
        """The next frame's division.

        The numbers in `kept` are not given to others, however long these are gone. The parts in `wished` have somebody,
        however many others there are.
        """
        if not self._all:
            self._held = np.zeros((*scene.pha.shape, MOST), np.uint8)
        parts = scene.parts
        self._sums = tally(parts.labels, parts.count, scene.pha, self._held, scene.trust)
        colors = color_counts(parts.labels, parts.count, scene.pha, scene.src)
        there = Following(self._all, self._held, self._sums, colors, scene, kept, wished).there()
        division = Division(there, divided(self._all, self._held, there, scene))
        for number in self._all:
            self._remember(number, division, colors, scene)
        self._hold(division, scene)
        return division

    def _remember(self, number: int, division: Division, colors: _Map, scene: Scene) -> None:
        figure, there = self._all[number], division.there
        parts = np.flatnonzero(there[:, number])
        mass, x, y = (float(each) for each in self._sums[parts, :3].sum(axis=0))
        alone = division.shares is None or bool((there[parts].sum(axis=1) == 1).all())
        if not alone and division.shares is not None:
            moments = cv2.moments(division.shares[..., number] * scene.pha)
            mass, x, y = moments["m00"], moments["m10"], moments["m01"]
        beside = self._beside(number, parts, there)
        if mass < scene.least * KNOWN or self._is_hidden(mass, parts, beside):
            if figure.present:
                figure.behind = figure.beside if beside is None else beside
            figure.present = False
            return
        figure.seen_s, figure.place = scene.time_s, (x / mass, y / mass)
        figure.beside, figure.behind = beside, None
        if alone:
            figure.renew(mass, colors[parts].sum(axis=0))

    def _beside(self, number: int, parts: npt.NDArray[np.intp], there: There) -> int | None:
        """The largest of the others in these parts."""
        others = {int(each) for part in parts for each in np.flatnonzero(there[part])} - {number}
        return max(others, key=lambda each: float(self._sums[parts, 3 + each].sum()), default=None)

    def _is_hidden(self, mass: float, parts: npt.NDArray[np.intp], beside: int | None) -> bool:
        whole = float(self._sums[parts, 0].sum())
        return beside is not None and mass < _HIDDEN * whole and whole < _ROOM * self._all[beside].mass

    def _hold(self, division: Division, scene: Scene) -> None:
        if division.shares is None:
            now = hold(scene.parts.labels, division.there, scene.pha)
        else:
            firm = np.minimum(1, 2 * scene.pha)[..., None]
            # Sharper than what is shown, or the seam would blur from frame to frame.
            sharp = np.clip(2 * division.shares - np.float32(0.5), 0, 1)
            now = np.rint(255 * sharp * firm).astype(np.uint8)
        for number, figure in self._all.items():
            if not figure.present:  # who left is waited for where it was; who is hidden, where its colours come out
                now[..., number] = self._held[..., number] if figure.behind is None else 0
        self._held = now
