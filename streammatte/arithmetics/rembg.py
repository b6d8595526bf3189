"""`--compat rembg`: rembg's arithmetic, step for step, for people who must match it.

Full-size 8-bit RGB as PyAV gives it, Pillow's LANCZOS to the network's size, division by the picture's own maximum,
mean and standard deviation; the output stretched so that its minimum is 0 and its maximum 1. Both gains depend on the
frame, so they flicker in video and blow the noise of an empty frame up to a ghost. Needs the extra `compat` (Pillow).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from streammatte.arithmetics.swscale import swscale_rgb
from streammatte.catalog import Model
from streammatte.color import FloatImage
from streammatte.frame import Frame
from streammatte.kernels import host

__all__ = ["RembgArithmetic"]


class RembgArithmetic:
    """Bit-compatible with rembg's `normalize` and `predict` for its U2-Net and BiRefNet families."""

    def __init__(self, model: Model) -> None:
        self._input = model.input
        self._output = model.output

    def batch(self, frame: Frame) -> tuple[npt.NDArray[np.float32], FloatImage]:
        """`normalize(img, mean, std, size)`: float64 until the last step, as there."""
        size = (self._input.width, self._input.height)
        picture = Image.fromarray(swscale_rgb(frame)).resize(size, Image.Resampling.LANCZOS)
        small = np.asarray(picture)
        scaled = small / max(float(small.max()), 1e-6)
        normalised = (scaled - np.array(self._input.mean)) / np.array(self._input.std)
        batch = normalised.transpose(2, 0, 1)[None].astype(np.float32)
        return batch, small.astype(np.float32) / np.float32(255)

    def pha(self, raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`(pred - min) / (max - min)`, of logits after a sigmoid; a constant, where rembg divides by zero, gives 0.

        Of classes, 1 where the most likely is one to be kept.
        """
        if self._output.classes:
            likeliest, kept = raw[0].argmax(axis=0), self._output.subject
            return np.asarray(likeliest == self._output.classes.index(kept) if kept else likeliest > 0, np.float32)
        pred = host.opacity(raw, self._output)
        low, high = pred.min(), pred.max()
        if not high > low:
            return np.zeros_like(pred)
        return np.asarray((pred - low) / (high - low), np.float32)
