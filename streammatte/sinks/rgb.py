"""A frame's planes as one RGB picture at the frame's own depth of 8 or 16 bits, for image files.

The stream's own matrix and range are used, the transfer is left as it is, and chroma is brought to full size
from where its samples sit.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import ChromaLocation, decode_matrix
from streammatte.frame import Frame, PixelFormat, Plane
from streammatte.sinks.frames import rescale

__all__ = ["alpha_samples", "bgr_samples", "image_format"]

_BETWEEN = {  # how far a 4:2:0 chroma sample sits right of and below its first luma sample, in luma samples
    ChromaLocation.UNSPECIFIED: (0.0, 0.5),
    ChromaLocation.LEFT: (0.0, 0.5),
    ChromaLocation.CENTER: (0.5, 0.5),
    ChromaLocation.TOP_LEFT: (0.0, 0.0),
    ChromaLocation.TOP: (0.5, 0.0),
    ChromaLocation.BOTTOM_LEFT: (0.0, 1.0),
    ChromaLocation.BOTTOM: (0.5, 1.0),
}


def image_format(source: PixelFormat) -> PixelFormat:
    """Gray at the depth an image file has: 8 bits, or 16 for anything deeper."""
    return PixelFormat.named("gray" if source.bits <= 8 else "gray16le")


def alpha_samples(pha: Plane, source: PixelFormat) -> Plane:
    """Alpha 0..peak at the image's depth: exact for 8 and 16 bits, rounded and reversible between."""
    return rescale(pha, source, image_format(source))


def bgr_samples(frame: Frame) -> npt.NDArray[Any]:
    """The picture as (H, W, 3) B, G, R in OpenCV's order, uint8 or uint16, stored orientation."""
    target = image_format(frame.format)
    if frame.format.model == "gbr":
        green, blue, red = (rescale(plane, frame.format, target) for plane in frame.planes)
        return np.dstack([blue, green, red])
    spec = frame.color.resolved(frame.format.model, frame.height)
    matrix = decode_matrix(spec, frame.format.bits)
    coded = np.full((frame.height, frame.width, 3), float(1 << (frame.format.bits - 1)), np.float32)
    for index, plane in enumerate(frame.planes):
        coded[..., index] = _full_size(plane, frame) if index else plane
    bgr = cv2.transform(coded, matrix[::-1] * np.float32(target.peak))
    return np.asarray(np.rint(np.clip(bgr, 0, target.peak)), target.dtype)


def _full_size(plane: Plane, frame: Frame) -> npt.NDArray[np.float32]:
    """A chroma plane at luma size, linear between its samples."""
    fmt = frame.format
    if (fmt.log2_chroma_w, fmt.log2_chroma_h) == (0, 0):
        return plane.astype(np.float32)
    step_x, step_y = 1 << fmt.log2_chroma_w, 1 << fmt.log2_chroma_h
    off_x, off_y = _BETWEEN[frame.color.chroma_location]
    # Siting across only means something where chroma is halved across, and likewise down.
    off_x = off_x if step_x == 2 else (step_x - 1) / 2
    off_y = off_y if step_y == 2 else (step_y - 1) / 2
    to_chroma = np.array([[1 / step_x, 0, -off_x / step_x], [0, 1 / step_y, -off_y / step_y]])
    grown = cv2.warpAffine(
        plane.astype(np.float32),
        to_chroma,
        (frame.width, frame.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(grown, np.float32)
