"""`--subject` by a network that looks at the picture: who is wanted is asked once, and then followed by geometry."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Matte
from streammatte.kernels import host
from streammatte.ports import Prompter
from streammatte.subject import Subject
from streammatte.subjects.figures import Division
from streammatte.subjects.geometry import GeometrySelector, stored
from streammatte.subjects.scene import Scene

__all__ = ["PromptedSelector"]

_Map: TypeAlias = npt.NDArray[np.float32]

_EACH_S, _FACE_EACH_S = 1.0, 0.25
"""How often a prompter is asked for who is not there: the larger networks take seconds, that for faces none."""
_PATIENCE_S = 2.0
"""How long a face is looked for."""
_MOST_NOTES = 10
"""Of shots without a subject; a live run may have any number."""


class PromptedSelector(GeometrySelector):
    """Cuts mattes down to whom `prompter` finds, and follows them (port `Selector`).

    It is asked in the first frame that has anybody, again until it finds somebody, and anew at each cut. A text is also
    asked for again while its subject is gone. Until a face is found the largest is kept, and after two seconds without
    one to the end of the shot; who is asked for otherwise and is not found leaves nothing.
    """

    def __init__(self, wish: Subject, prompter: Prompter) -> None:
        super().__init__(Subject("largest") if wish.kind == "face" else wish)
        self._asked, self._prompter = wish, prompter
        self._found = self._looking = False
        self._began_s = self._next_s = 0.0
        self._place: tuple[float, float] | None = None
        self._missing = False
        """The last note is of this shot, in which nobody was found yet."""

    def _begin(self, size: tuple[int, int]) -> None:
        super()._begin(size)
        if self._sought:
            x, y = np.mean(self._sought, axis=0)
            self._place = float(x), float(y)
        self._found = self._looking = self._missing = False

    def _divided(self, scene: Scene, matte: Matte, frame: Frame) -> Division:
        somebody = float(scene.pha[scene.parts.labels > 0].sum()) >= scene.least
        wished = self._ask(scene, matte, frame) if somebody and self._wants(scene.time_s) else []
        if self._found or self._asked.kind != "face":
            return self._followed(scene, wished)
        return super()._divided(scene, matte, frame)

    def _is_patient(self, now_s: float) -> bool:
        return self._found or super()._is_patient(now_s)

    def _wants(self, now_s: float) -> bool:
        """Whether the prompter is to be asked."""
        if self._found and not self._waits(now_s):  # it was a ghost
            self._found = self._looking = False
        if self._found:
            if self._asked.kind != "text" or self._is_there():
                self._next_s = now_s + _EACH_S
                return False
        elif not self._began(now_s):
            return False
        return now_s >= self._next_s

    def _began(self, now_s: float) -> bool:
        """Whether somebody is looked for in this shot: a face is not for ever."""
        if not self._looking:
            self._looking, self._began_s, self._next_s = True, now_s, now_s
        return self._asked.kind != "face" or now_s - self._began_s <= _PATIENCE_S

    def _ask(self, scene: Scene, matte: Matte, frame: Frame) -> list[int]:
        """The parts that are wanted; none where there are none, or where the figures already know."""
        now_s = scene.time_s
        self._next_s = now_s + (_FACE_EACH_S if self._asked.kind == "face" else _EACH_S)
        region = self._prompter.region(frame, host.turn(matte.pha, frame.rotation), self._upright_place(frame))
        wished: list[int] = []
        chosen: frozenset[int] = frozenset()
        if region is not None:
            turned = np.ascontiguousarray(host.turn_back(region, frame.rotation), np.float32)
            small = cv2.resize(turned, scene.pha.shape[::-1], interpolation=cv2.INTER_AREA)
            if self._prompter.outlines:
                chosen = self._figures.outline(np.asarray(small, np.float32), scene)
            else:
                wished = _most_within(np.asarray(small, np.float32), scene)
        if chosen:
            self._chosen, self._since_s = chosen, now_s
        was_found, found = self._found, bool(chosen or wished)
        self._found |= found
        if not was_found:
            self._say(found, now_s)
        return wished

    def _upright_place(self, frame: Frame) -> tuple[float, float] | None:
        if self._place is None:
            return None
        x, y = stored(self._place, -frame.rotation % 360)
        return x, y

    def _say(self, found: bool, now_s: float) -> None:
        """Note what is kept in place of whom nobody has found."""
        if found and self._missing:
            self.notes[-1] += f" until {now_s:.1f} s"
        elif not found and not self._missing and len(self.notes) < _MOST_NOTES:
            kept = "the largest" if self._asked.kind == "face" else "nothing"
            self.notes.append(f"--subject {self._asked}: not found at {now_s:.1f} s; {kept} is kept")
            self._missing = True
        if found:
            self._missing = False


def _most_within(region: _Map, scene: Scene) -> list[int]:
    """The part that has the most alpha in the region, if any has."""
    labels = scene.parts.labels
    within = np.bincount(labels.ravel(), (region * scene.pha).ravel(), scene.parts.count)
    within[0] = 0
    return [int(within.argmax())] if within.max() > 0 else []
