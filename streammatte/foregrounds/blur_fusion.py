"""Foreground colour by blur fusion, on planes, at a quarter of the size.

M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021: with F^ and B^ the means of the picture around
a pixel weighted by alpha and by 1 - alpha,

    F = F^ + alpha * (I - alpha * F^ - (1 - alpha) * B^)

run twice, with a wide and then a narrow window. F^ and B^ are smooth, so they are computed on the picture reduced
four times; the equation's last use, which brings the detail in, is done at full size, on soft pixels alone. All of
it is linear, so it is done on the stream's own planes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Plane
from streammatte.kernels import host

__all__ = ["BlurFusionForeground"]

_REDUCTION = 4
_WIDE = 90 / 1000  # window over picture height; the paper's radii 90 and 6 at about a thousand lines
_NARROW = 6 / 1000
_EPSILON = 1e-3

Stack = npt.NDArray[np.float32]


class BlurFusionForeground:
    """Takes the old background's colour out of soft edges; opaque pixels keep the source's bits."""

    def estimate(self, frame: Frame, pha: Plane) -> tuple[Plane, ...]:
        """Planes of F. Where alpha is 0, F is the subject's colour carried outwards, never the old background's."""
        picture, share = _reduced(frame, pha)
        front, back = _means(picture, picture, picture, share, _window(frame.height, _WIDE))
        fused = _fuse(front, back, picture, share)
        front, back = _means(picture, fused, back, share, _window(frame.height, _NARROW))
        alphas = host.chroma_alpha(pha, frame.format, frame.color)
        return tuple(
            _restore(plane, alpha, front[..., i], back[..., i], frame.format.peak)
            for i, (plane, alpha) in enumerate(zip(frame.planes, alphas, strict=True))
        )


def _window(height: int, part: float) -> int:
    return max(1, round(height * part / _REDUCTION)) * 2 + 1


def _reduced(frame: Frame, pha: Plane) -> tuple[Stack, Stack]:
    """The picture (h, w, planes) and alpha (h, w, 1) in [0, 1], both at the reduced size."""
    width, height = max(1, frame.width // _REDUCTION), max(1, frame.height // _REDUCTION)
    small = [host.resize(plane, width, height).astype(np.float32) for plane in frame.planes]
    share = host.resize(pha, width, height).astype(np.float32) / np.float32(frame.format.peak)
    return np.dstack(small), share[..., None]


def _means(picture: Stack, front: Stack, back: Stack, share: Stack, window: int) -> tuple[Stack, Stack]:
    """Local means of `front` weighted by alpha, of `back` by 1 - alpha; far off, the picture's own mean."""
    return _mean(front, share, window, picture), _mean(back, 1 - share, window, picture)


def _mean(value: Stack, weight: Stack, window: int, picture: Stack) -> Stack:
    total = float(weight.sum()) + _EPSILON
    far = (picture * weight).sum(axis=(0, 1)) / total
    stacked = cv2.blur(np.dstack([value * weight, weight]), (window, window), borderType=cv2.BORDER_REPLICATE)
    near = np.maximum(stacked[..., -1:], 0.0)
    return np.asarray((np.maximum(stacked[..., :-1], 0) + _EPSILON * far) / (near + _EPSILON), np.float32)


def _fuse(front: Stack, back: Stack, picture: Stack, share: Stack) -> Stack:
    return np.asarray(front + share * (picture - share * front - (1 - share) * back), np.float32)


def _restore(plane: Plane, alpha: Plane, front: Stack, back: Stack, peak: int) -> Plane:
    """F at full size: the source where alpha is peak, the equation on soft pixels, F^ where alpha is 0."""
    height, width = plane.shape
    outside = _rounded(cv2.resize(front, (width, height), interpolation=cv2.INTER_LINEAR), peak, plane)
    cv2.copyTo(plane, cv2.inRange(alpha, 1, peak), outside)
    soft = host.soft_indices(alpha, peak)
    if soft.size:
        share = alpha.ravel()[soft].astype(np.float32) / np.float32(peak)
        near = _sample(front, soft, width, height)
        behind = _sample(back, soft, width, height)
        source = plane[np.divmod(soft, width)].astype(np.float32)
        fused = near + share * (source - share * near - (1 - share) * behind)
        outside.ravel()[soft] = np.clip(np.rint(fused), 0, peak)
    return outside


def _rounded(plane: npt.NDArray[Any], peak: int, like: Plane) -> Plane:
    if like.dtype == np.uint8:
        return np.asarray(cv2.convertScaleAbs(plane), np.uint8)
    return np.asarray(np.clip(np.rint(plane), 0, peak), np.uint16)


def _sample(small: Stack, indices: npt.NDArray[np.intp], width: int, height: int) -> npt.NDArray[np.float32]:
    """`small` read with linear interpolation at flat indices of the full-size plane; (n,) float32."""
    rows, columns = np.divmod(indices, width)
    scale_x, scale_y = small.shape[1] / width, small.shape[0] / height
    x = (columns + np.float32(0.5)) * np.float32(scale_x) - np.float32(0.5)
    y = (rows + np.float32(0.5)) * np.float32(scale_y) - np.float32(0.5)
    # remap refuses sides beyond 32767, so the list is folded into rows of 4096.
    fold = -(-x.size // 4096) * 4096
    grid_x = np.resize(x.astype(np.float32), fold).reshape(-1, 4096)
    grid_y = np.resize(y.astype(np.float32), fold).reshape(-1, 4096)
    read = cv2.remap(small, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read.ravel()[: x.size], np.float32)
