"""Who is in which part of the next frame."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.subjects.scene import ALIKE, KNOWN, MOST, Figure, Scene, There, hidden_by

__all__ = ["Following"]

_Map: TypeAlias = npt.NDArray[np.float32]

_SMALL, _NEAR = 0.05, 0.04
"""What is new, smaller than this beside a figure and nearer than this part of the picture's longer side is of it."""
_YOUNG_S = 1.0
"""Who joins another within this time of coming was never somebody else: a hand that was raised."""
_AROUND = 0.25
"""Who was lost comes back within this part of the longer side of where it was."""
_MUCH = 0.5
"""Of what a hidden figure was: a piece as large as this that comes off the one before it is that figure."""


@dataclass(frozen=True, slots=True)
class Following:
    """One step. Figures are marked present, made, joined and let go as it goes; `held` is what was carried here."""

    figures: dict[int, Figure]
    held: npt.NDArray[np.uint8]
    sums: npt.NDArray[Any]
    """Of each part: see `kernels.figures.tally`."""
    colors: _Map
    """Of each part."""
    scene: Scene
    kept: Set[int]
    """Figures that are not let go."""
    wished: Sequence[int]
    """Parts that are to have a figure, whoever else has none."""

    def there(self) -> There:
        """Who is where."""
        there = self._where_most_went()
        self._split(there)
        self._join(there)
        if not there[1:].any(axis=1).all():
            self._welcome(there)
        return there

    def _where_most_went(self) -> There:
        held = self.sums[:, 3:]
        there = np.zeros(held.shape, np.bool_)
        for number, figure in self.figures.items():
            if figure.present and held[:, number].sum() > self.scene.least * KNOWN:
                there[held[:, number].argmax(), number] = True
        return there

    def _split(self, there: There) -> None:
        """Pieces that came off somebody are still theirs, or who was hidden by them."""
        present = [number for number, figure in self.figures.items() if figure.present]
        for part in np.flatnonzero(~there.any(axis=1)):
            mass, held = self.sums[part, 0], self.sums[part, 3:]
            if not part or not present or held[present].sum() <= KNOWN * mass:
                continue
            holder = max(present, key=lambda number: float(held[number]))
            for number in hidden_by(self.figures, holder, self.scene.time_s):
                hidden = self.figures[number]
                if mass > _MUCH * hidden.mass and hidden.likeness(self.colors[part]) > ALIKE:
                    hidden.present, holder = True, number
            there[part, holder] = True

    def _join(self, there: There) -> None:
        """Who has just come and is in one part with another, who was there before, is of that one."""
        for row in there[there.sum(axis=1) > 1]:
            numbers = [int(number) for number in np.flatnonzero(row)]
            oldest = min(numbers, key=lambda number: self.figures[number].born_s)
            for number in (number for number in numbers if number not in self.kept):
                born_s = self.figures[number].born_s
                if born_s > self.figures[oldest].born_s and self.scene.time_s - born_s < _YOUNG_S:
                    there[:, oldest] |= there[:, number]
                    there[:, number] = False
                    np.maximum(self.held[..., oldest], self.held[..., number], out=self.held[..., oldest])
                    self._let_go(number)

    def _let_go(self, number: int) -> None:
        self.held[..., number] = 0
        del self.figures[number]

    def _welcome(self, there: There) -> None:
        """A figure for each part without one, largest first: one that was lost, one that it is a bit of, a new one."""
        for part in [*self.wished, *(int(part) for part in np.argsort(-self.sums[:, 0]))]:
            if not part or there[part].any():
                continue
            number = self._returned(part)
            if number is None:
                number = self._attached(part, there)
            if number is None and self.sums[part, 0] >= self.scene.least:
                number = self._new(there, urgent=part in self.wished)
            if number is not None:
                there[part, number] = True

    def _returned(self, part: int) -> int | None:
        mass, x, y = self.sums[part, :3]
        for number, figure in self.figures.items():
            if figure.present or mass < self.scene.least:
                continue
            known = self.sums[part, 3 + number] > KNOWN * mass
            way_px = math.hypot(x / mass - figure.place[0], y / mass - figure.place[1])
            near = way_px < _AROUND * self.scene.longer_px
            if known or (near and figure.likeness(self.colors[part]) > ALIKE):
                figure.present = True
                return number
        return None

    def _attached(self, part: int, there: There) -> int | None:
        """The figure that this part is a bit of: a strand of hair, a finger."""
        masses, labels = self.sums[:, 0], self.scene.parts.labels
        large = there.any(axis=1) & (masses[part] < _SMALL * masses)
        theirs = np.flatnonzero(large[labels])
        if not theirs.size:
            return None
        away_px = cv2.distanceTransform((labels != part).view(np.uint8), cv2.DIST_L2, 3)
        closest = theirs[away_px.flat[theirs].argmin()]
        if away_px.flat[closest] > _NEAR * self.scene.longer_px:
            return None
        other = labels.flat[closest]
        return int(np.argmax(there[other] * (1 + self.sums[other, 3:])))

    def _new(self, there: There, *, urgent: bool) -> int | None:
        """The number of a new figure: a free one, or that of who is gone longest, or if need be of the smallest."""
        free = [number for number in range(MOST) if number not in self.figures]
        others = [number for number in self.figures if number not in self.kept]
        gone = [number for number in others if not self.figures[number].present]
        if not free and gone:
            free = [min(gone, key=lambda number: self.figures[number].seen_s)]
        elif not free and urgent and others:
            free = [min(others, key=lambda number: self.figures[number].mass)]
        if not free:
            return None
        if free[0] in self.figures:
            there[:, free[0]] = False
            self._let_go(free[0])
        self.figures[free[0]] = Figure(self.scene.time_s)
        return free[0]
