"""`--subject largest|point|box`: the subject by where it is in the picture; no network is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Matte
from streammatte.motion import reduced_size
from streammatte.subject import Subject
from streammatte.subjects.dividing import Parts, parts_of
from streammatte.subjects.figures import Division, Figures
from streammatte.subjects.scene import Scene

__all__ = ["GeometrySelector", "stored"]

_Map: TypeAlias = npt.NDArray[np.float32]
_Coded: TypeAlias = npt.NDArray[np.uint8]

_DECODED = np.arange(256, dtype=np.float32) / np.float32(255)
_UNKNOWN = np.zeros((1, 1), np.float32)
_HALO = 0.05
"""How far beyond a part faint alpha is still its own; of the picture's longer side."""
_FIRM_S = 0.25
"""A subject that is gone sooner than this was a ghost."""
_PATIENCE_S = 5.0
"""How long the largest is waited for; a subject that was pointed at is waited for as long as the shot lasts."""


class GeometrySelector:
    """Cuts mattes down to one subject and follows it (port `Selector`). `wish` is largest, a point or a box.

    It is chosen in the first frame that has one, and again where it vanished at once or, the largest, stays away. At a
    cut, the largest of the new shot is chosen; for a point and a box who is nearest to where the subject was.
    """

    def __init__(self, wish: Subject) -> None:
        self.notes: list[str] = []
        self._wish = wish
        self._figures = Figures()
        self._chosen: frozenset[int] = frozenset()
        self._since_s = self._last_s = 0.0
        self._size = (0, 0)
        self._sought: list[tuple[float, float]] = []

    def step(self, matte: Matte, frame: Frame) -> Matte:
        """See port `Selector`. Raises ConfigError for a place outside the picture."""
        size = reduced_size(*matte.pha.shape[::-1])
        if matte.discontinuity or size != self._size:
            self._begin(size)
        elif matte.flow is not None:
            self._figures.carry(_reduced(matte.flow, size))
        if not matte.seen:
            return matte
        scene = _scene(matte, size)
        division = self._divided(scene, matte, frame)
        if self._is_there():
            self._last_s = matte.time_s
        share = _share(division, scene, sorted(self._chosen))
        if share is None:
            return matte
        large = cv2.resize(share, matte.pha.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return replace(matte, pha=np.asarray(matte.pha * cv2.LUT(large, _DECODED), np.float32))

    def _divided(self, scene: Scene, matte: Matte, frame: Frame) -> Division:
        """What belongs to whom in this frame; `scene` is that of `matte`."""
        return self._followed(scene, [] if self._waits(scene.time_s) else self._wished(scene, frame))

    def _followed(self, scene: Scene, wished: list[int]) -> Division:
        """The next frame's division; who is in the parts `wished`, if any are, is the subject from now on."""
        division = self._figures.step(scene, self._chosen, wished)
        if wished:
            self._chosen, self._since_s = _in(wished, division), scene.time_s
        return division

    def _begin(self, size: tuple[int, int]) -> None:
        if self._chosen and self._wish.kind != "largest":
            wide, high = self._size
            places = [self._figures.place_px(number) for number in self._chosen]
            self._sought = [(x / wide, y / high) for x, y in places]
        self._figures, self._chosen, self._size = Figures(), frozenset(), size

    def _is_there(self) -> bool:
        return any(self._figures.present(number) for number in self._chosen)

    def _waits(self, now_s: float) -> bool:
        """Whether the subject is there, or will come back."""
        firm = self._last_s - self._since_s >= _FIRM_S
        return bool(self._chosen) and (self._is_there() or (firm and self._is_patient(now_s)))

    def _is_patient(self, now_s: float) -> bool:
        return self._wish.kind != "largest" or now_s - self._last_s < _PATIENCE_S

    def _wished(self, scene: Scene, frame: Frame) -> list[int]:
        """The parts that are wanted, of those that are large enough."""
        parts, pha = scene.parts, scene.pha
        masses = np.bincount(parts.labels.ravel(), weights=pha.ravel(), minlength=parts.count)
        masses[0] = 0
        masses[masses < scene.least] = 0
        if not masses.any():
            return []
        if self._wish.kind == "largest":
            return [int(masses.argmax())]
        places = self._sought
        if not places:
            shares = stored(self._wish.shares(*_upright(frame)), frame.rotation)
            if self._wish.kind == "box":
                return _inside(shares, parts, pha, masses)
            places = [(shares[0], shares[1])]
        return sorted({_nearest(place, parts, masses) for place in places})


def _in(parts: list[int], division: Division) -> frozenset[int]:
    return frozenset(int(number) for part in parts for number in np.flatnonzero(division.there[part]))


def _reduced(flow: _Map, size: tuple[int, int]) -> _Map:
    height, width = flow.shape[:2]
    small = cv2.resize(flow, size, interpolation=cv2.INTER_NEAREST)
    scale: Any = (size[0] / width, size[1] / height, 0, 0)  # one a channel, for OpenCV
    return np.asarray(cv2.multiply(small, scale), np.float32)


def _scene(matte: Matte, size: tuple[int, int]) -> Scene:
    pha = np.asarray(cv2.resize(matte.pha, size, interpolation=cv2.INTER_AREA), np.float32)
    trust = _UNKNOWN if matte.trust is None else matte.trust
    return Scene(pha, matte.src, trust, matte.time_s, parts_of(pha))


def _share(division: Division, scene: Scene, chosen: list[int]) -> _Coded | None:
    """How much of each pixel (h, w) is the chosen ones', 255 all of it; None where that is all there is."""
    labels = scene.parts.labels
    wanted = np.asarray(division.there[:, chosen].any(axis=1))
    others = np.asarray(np.delete(division.there, chosen, axis=1).any(axis=1))
    if wanted[1:].all() and not others.any():
        return None
    share = np.where(wanted, 255, 0).astype(np.uint8)[labels]
    if division.shares is not None:
        theirs = np.minimum(division.shares[..., chosen].sum(axis=2), 1)
        share = np.where(others[labels], np.rint(255 * theirs).astype(np.uint8), share)
    # Around parts, what is fainter than any goes with whom it is near to.
    inside = cv2.inRange(labels, 1, scene.parts.count)
    side = 2 * round(_HALO * scene.longer_px) + 1
    around = cv2.divide(cv2.blur(share, (side, side)), cv2.blur(inside, (side, side)), scale=255)
    return np.asarray(cv2.copyTo(share, inside, around), np.uint8)


def _upright(frame: Frame) -> tuple[int, int]:
    return (frame.width, frame.height) if frame.rotation % 180 == 0 else (frame.height, frame.width)


def stored(shares: tuple[float, ...], rotation: int) -> tuple[float, ...]:
    """A point or a box of the upright picture in the stored one, both in parts of their sides.

    With 360 - `rotation` it is the other way round.
    """
    x, y = shares[:2]
    wide, high = shares[2:] or (0.0, 0.0)
    for _ in range(rotation // 90):
        x, y, wide, high = 1 - y - high, x, high, wide
    return (x, y, wide, high)[: len(shares)]


def _nearest(place: tuple[float, float], parts: Parts, masses: npt.NDArray[Any]) -> int:
    """The part with alpha nearest to this place."""
    height, width = parts.labels.shape
    y, x = np.nonzero(masses[parts.labels] > 0)
    closest = np.hypot(x + 0.5 - place[0] * width, y + 0.5 - place[1] * height).argmin()
    return int(parts.labels[y[closest], x[closest]])


def _inside(box: tuple[float, ...], parts: Parts, pha: _Map, masses: npt.NDArray[Any]) -> list[int]:
    """The parts that lie mostly inside; where none does, the one that has the most in it, if any has."""
    height, width = pha.shape
    left, top, wide, high = box
    rows = slice(round(top * height), max(round((top + high) * height), round(top * height) + 1))
    columns = slice(round(left * width), max(round((left + wide) * width), round(left * width) + 1))
    labels = parts.labels[rows, columns]
    within = np.bincount(labels.ravel(), weights=pha[rows, columns].ravel(), minlength=len(masses))
    within[masses == 0] = 0
    mostly = np.flatnonzero(within > masses / 2)
    if mostly.size:
        return [int(part) for part in mostly]
    return [int(within.argmax())] if within.any() else []
