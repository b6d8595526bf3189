"""Several models behind one MatteMaker, one in use: mattes keep the first one's grid, so that nothing jumps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Look, Matte
from streammatte.inference import MatteMaker

__all__ = ["Models", "Opened"]


class Opened(MatteMaker, Protocol):
    """A model that can be closed."""

    def close(self) -> None:
        """Release the engine."""


class Models:
    """The model in use is `current`; `use` opens one where it is not open yet.

    Looks and mattes of another size are brought to the size of the first model's: so the stabilizer goes on, and a
    change of model fades in over its half-life.
    """

    def __init__(self, name: str, first: Opened, open_model: Callable[[str], Opened]) -> None:
        self._open = open_model
        self._models = {name: first}
        self._size: tuple[int, int] | None = None
        self._opening = threading.Lock()
        self.current = name

    def use(self, name: str) -> None:
        """Use this model from the next frame on. Raises what opening it raises; then nothing has changed."""
        with self._opening:
            if name not in self._models:
                self._models[name] = self._open(name)
            self.current = name

    def look(self, frame: Frame, name: str = "") -> Look:
        """The frame prepared for the model in use, or for `name`, which was in use before."""
        name = name or self.current
        look = self._models[name].look(frame)
        src = look.matte.src
        if self._size is None:
            self._size = src.shape[0], src.shape[1]
        if src.shape[:2] != self._size:
            src = _sized(src, self._size)
            look = replace(look, matte=replace(look.matte, src=src, pha=np.zeros(self._size, np.float32)))
        return replace(look, model=name)

    def see(self, look: Look) -> Matte:
        """The matte, by the model that the look was made for."""
        matte = self._models[look.model].see(look)
        size = look.matte.src.shape[0], look.matte.src.shape[1]
        return matte if matte.pha.shape == size else replace(matte, pha=_sized(matte.pha, size))

    def close(self) -> None:
        """Release all engines."""
        for model in self._models.values():
            model.close()


def _sized(picture: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
