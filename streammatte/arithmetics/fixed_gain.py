"""The default: inputs scaled by 255 (the depth's peak), outputs by the network's own activation, nothing per frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.catalog import Model
from streammatte.color import FloatImage
from streammatte.frame import Frame
from streammatte.kernels import host

__all__ = ["FixedGainArithmetic"]

_MID_GRAY = np.float32(0.5)


class FixedGainArithmetic:
    """No gain depends on a frame's content, so a steady scene stays steady and an empty one empty."""

    def __init__(self, model: Model) -> None:
        self._input = model.input
        self._output = model.output
        self._mean = np.array(model.input.mean, np.float32)
        self._scale = 1 / np.array(model.input.std, np.float32)

    def batch(self, frame: Frame) -> tuple[npt.NDArray[np.float32], FloatImage]:
        """The frame at network size, upright; what its own alpha hides is shown as mid gray."""
        wide, high = self._input.width, self._input.height
        size = (wide, high) if frame.rotation % 180 == 0 else (high, wide)
        rgb = host.frame_rgb(frame, *size)
        if frame.width > size[0] and frame.height > size[1]:
            rgb = host.lift_box(rgb)
        if frame.alpha is not None:
            share = host.resize(frame.alpha, *size).astype(np.float32)[..., None] / np.float32(frame.format.peak)
            rgb = np.asarray(rgb * share + _MID_GRAY * (1 - share), np.float32)
        rgb = host.turn(rgb, frame.rotation)
        return self._normalised(rgb), rgb

    def _normalised(self, rgb: FloatImage) -> npt.NDArray[np.float32]:
        batch = np.empty((1, 3, *rgb.shape[:2]), np.float32)
        for plane, out, mean, scale in zip(cv2.split(rgb), batch[0], self._mean, self._scale, strict=True):
            np.multiply(np.subtract(plane, mean, out=out), scale, out=out)
        return batch

    def pha(self, raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The activation alone; NaN, which no healthy network gives, reads as 0."""
        return np.asarray(np.clip(np.nan_to_num(host.opacity(raw, self._output), nan=0.0), 0.0, 1.0))
