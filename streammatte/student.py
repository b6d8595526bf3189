"""A student at work: it answers for frames that were prepared for its teacher."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from streammatte.frame import Look, Matte
from streammatte.kernels import host
from streammatte.matter import Matter

__all__ = ["Student"]


class Student:
    """`matter` is a scene's model. What it says is brought to the grid of its teacher's mattes, so that all that is
    remembered of one serves the other, and nothing jumps."""

    def __init__(self, matter: Matter) -> None:
        self._matter = matter
        self.streams = matter.info.streams
        spec = matter.model.input
        self._size = spec.width, spec.height
        self._mean, self._std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)

    def see(self, look: Look) -> Matte:
        """Its matte of the frame; `look` may be of any network's."""
        upright = host.turn(look.matte.src, look.rotation)
        seen = cv2.resize(upright, self._size, interpolation=cv2.INTER_AREA)
        batch = np.ascontiguousarray(((seen - self._mean) / self._std).transpose(2, 0, 1)[None])
        matte = self._matter.see(replace(look, batch=batch))
        high, wide = look.matte.src.shape[:2]
        pha = cv2.resize(matte.pha, (wide, high), interpolation=cv2.INTER_LINEAR)
        return replace(matte, pha=np.asarray(pha, np.float32))

    def close(self) -> None:
        """Release the engine."""
        self._matter.close()
