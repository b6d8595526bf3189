"""`--fgr model`: the subject's own colour as the network itself says it, where it does (RobustVideoMatting's kind).

It says it of the small picture that it was shown, which has lost the detail of the frame. So what is taken from it is
how far its colour is from that picture's (Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance",
WACV 2022, whose network is trained to say no more), and that is added to the frame's own samples.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import encode_matrix
from streammatte.foregrounds.blur_fusion import FAINT, BlurFusionForeground
from streammatte.frame import Frame, Matte, Plane

__all__ = ["ModelForeground"]


class ModelForeground:
    """The network's colour in soft edges; where alpha is faint, or it says nothing, that of `--fgr fusion`.

    Of what it does not see at all a network says nothing that holds, and that must not be the room.
    """

    def __init__(self) -> None:
        self._otherwise = BlurFusionForeground()

    def estimate(self, frame: Frame, alphas: tuple[Plane, ...], matte: Matte | None = None) -> tuple[Plane, ...]:
        """Planes of F; `matte.fgr` counts where alpha lies between 1/32 and peak. Of SDR frames alone."""
        planes = self._otherwise.estimate(frame, alphas, matte)
        if matte is None or matte.fgr is None or frame.color.hdr:
            return planes
        apart, peak = _in_samples(matte.fgr - matte.src, frame), frame.format.peak
        for index, (plane, source, alpha) in enumerate(zip(planes, frame.planes, alphas, strict=True)):
            soft = (alpha > peak * FAINT) & (alpha < peak)
            size = (source.shape[1], source.shape[0])
            # Where chroma's samples sit between those of luma is less than the small picture can say.
            grown = cv2.resize(np.ascontiguousarray(apart[..., index]), size, interpolation=cv2.INTER_LINEAR)
            plane[soft] = np.clip(np.rint(source[soft] + grown[soft]), 0, peak).astype(plane.dtype)
        return planes


def _in_samples(rgb: npt.NDArray[np.float32], frame: Frame) -> npt.NDArray[np.float32]:
    """A difference of R'G'B' (h, w, 3) as one of the frame's samples, a component each in the order of its planes."""
    if frame.format.model == "gbr":
        return np.asarray(rgb[..., [1, 2, 0]] * np.float32(frame.format.peak), np.float32)
    matrix = encode_matrix(frame.color.resolved(frame.format.model, frame.height), frame.format.bits)
    return np.asarray(rgb @ matrix[:, :3].T, np.float32)
