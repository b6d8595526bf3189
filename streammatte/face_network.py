"""Finds faces in a frame (`--subject face`): a small network of the catalogue, loaded as a matting network is."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.catalog import model as model_in_catalog
from streammatte.color import FloatImage
from streammatte.frame import Frame
from streammatte.kernels import host
from streammatte.kernels.faces import SIDE_PX, Boxes, faces_in, merged, squares
from streammatte.ledger import check_licence
from streammatte.loading import REFERENCE, load_session
from streammatte.meter import RefinerReport
from streammatte.weights.fetch import Progress
from streammatte.weights.pull import ensure

__all__ = ["FaceNetwork"]

_MODEL = "blazeface"
_SHORTER_PX = 256
"""The picture's shorter side as it is looked at: the finest squares are then what the network takes."""
_SURE = 0.7
"""Surer than is usual for this network: what is taken for a face chooses the subject."""
_SEEN = 0.2
"""How much of a face's box has to be in the matte: who is not in that cannot be kept."""


class FaceNetwork:
    """The person whose face is the largest (port `Prompter`), of those that the matte has.

    It runs on the host in f32, whatever the matting network does: it is a hundredth of that. Raises ModelError,
    RuntimeUnavailable.
    """

    outlines = False

    def __init__(self, *, commercial: bool = False, progress: Progress | None = None) -> None:
        self.model = model_in_catalog(_MODEL)
        check_licence(self.model, commercial=commercial, accept_licence=())
        weights = ensure(self.model, progress=progress)
        loaded = load_session(self.model, weights, runtime=REFERENCE, precision="f32", require=None)
        self._session = loaded.session
        info = self._session.info
        self.report = RefinerReport(
            model=self.model.name,
            model_licence=self.model.licence,
            weights_sha256=weights.sha256,
            runtime=info.runtime,
            precision=info.precision,
            device=info.device,
        )

    def region(
        self, frame: Frame, pha: npt.NDArray[np.float32], place: tuple[float, float] | None
    ) -> npt.NDArray[np.float32] | None:
        """See port `Prompter`: the box of the largest face, at the size of `pha`. `place` does not matter."""
        height, width = pha.shape
        best, most = None, 0.0
        for left, top, wide, high, _ in self.faces(_upright(frame)):
            rows = slice(max(0, int(top * height)), max(1, int(np.ceil((top + high) * height))))
            columns = slice(max(0, int(left * width)), max(1, int(np.ceil((left + wide) * width))))
            inside = pha[rows, columns]
            if inside.size and float(inside.mean()) >= _SEEN and wide * high > most:
                best, most = (rows, columns), wide * high
        if best is None:
            return None
        region = np.zeros((height, width), np.float32)
        region[best] = 1
        return region

    def faces(self, rgb: FloatImage) -> Boxes:
        """The faces in an upright R'G'B' picture (h, w, 3) in [0, 1], in parts of its width and height.

        It is looked at whole, and where that shows none in ever finer squares.
        """
        height, width = rgb.shape[:2]
        for level in squares(width, height):
            found = [self._in_square(rgb, *square) for square in level]
            boxes = merged(np.concatenate(found))
            if len(boxes):
                return np.asarray(boxes / np.array([width, height, width, height, 1]), np.float32)
        return np.zeros((0, 5), np.float32)

    def _in_square(self, rgb: FloatImage, left: int, top: int, side: int) -> Boxes:
        """In pixels of `rgb`; what of the square lies beside it is black."""
        height, width = rgb.shape[:2]
        x, y = max(left, 0), max(top, 0)
        inside = rgb[y : min(top + side, height), x : min(left + side, width)]
        below, right = top + side - y - inside.shape[0], left + side - x - inside.shape[1]
        square = cv2.copyMakeBorder(inside, y - top, below, x - left, right, cv2.BORDER_CONSTANT, value=0)
        spec = self.model.input
        small = cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        normalised = (small - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        table = self._session.run(np.ascontiguousarray(normalised.transpose(2, 0, 1)[None], np.float32))
        boxes = faces_in(table[0, 0], _SURE)
        boxes[:, :4] *= np.float32(side)
        boxes[:, :2] += np.array([left, top], np.float32)
        return boxes

    def close(self) -> None:
        """Release the engine."""
        self._session.close()


def _upright(frame: Frame) -> FloatImage:
    """The frame as R'G'B', upright, small."""
    scale = _SHORTER_PX / min(frame.width, frame.height)
    rgb = host.frame_rgb(frame, max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
    return np.ascontiguousarray(host.turn(rgb, frame.rotation))
