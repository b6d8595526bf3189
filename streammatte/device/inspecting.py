"""Mattes on a device, shown to what inspects them on the host: one frame late, so that nobody waits for the copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from streammatte.device.download import Downloads, Fetched
from streammatte.frame import Frame, Matte, Plane

__all__ = ["LateInspector", "Watcher"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Watcher(Protocol[T_co]):
    """Takes frames on the host, in order."""

    def inspect(self, frame: Frame, matte: Matte, pha: Plane) -> None:
        """Take in the next frame, its steadied matte and its final alpha."""

    def findings(self) -> T_co:
        """What was found."""


class LateInspector(Generic[T]):
    """Stands for `watcher` in a run on a device. With `pictures` the frames themselves are fetched too.

    A frame whose motion is trusted nowhere begins a scene: a tracker on a device says of a cut no more.
    """

    def __init__(self, watcher: Watcher[T], downloads: Downloads, *, pictures: bool) -> None:
        self._watcher, self._downloads, self._pictures = watcher, downloads, pictures
        self._waiting: Callable[[], None] | None = None

    def inspect(self, frame: Frame, matte: Matte, pha: Plane) -> None:
        """Take in the next frame; show the one before."""
        wanted: Any = (matte.pha, matte.src, matte.flow, matte.trust)
        fetched = self._downloads.fetched((*wanted, pha, *(frame.planes if self._pictures else ())))
        before, self._waiting = self._waiting, lambda: self._show(frame, matte, fetched)
        if before is not None:
            before()

    def _show(self, frame: Frame, matte: Matte, fetched: Fetched) -> None:
        small, src, flow, trust, pha, *planes = fetched.arrays()
        begins = matte.discontinuity or not trust.any()
        matte = replace(
            matte,
            pha=small,
            src=np.ascontiguousarray(src.transpose(1, 2, 0)),
            discontinuity=begins,
            flow=None if begins else flow,
            trust=None if begins else trust,
            onward=None,
        )
        shown: tuple[Plane, ...] = tuple(_plane(each, frame) for each in planes)
        self._watcher.inspect(replace(frame, planes=shown) if shown else frame, matte, _plane(pha, frame))

    def findings(self) -> T:
        """What was found, up to the last frame."""
        if self._waiting is not None:
            self._waiting()
            self._waiting = None
        return self._watcher.findings()


def _plane(samples: npt.NDArray[Any], frame: Frame) -> Plane:
    plane: Any = samples.astype(frame.format.dtype, copy=False)
    return cast(Plane, plane)
