"""`--refine pymatting`: closed-form matting solved exactly, over the whole picture, at frame size.

Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting" (TPAMI 2008), by the library pymatting.
Importing it compiles its loops, once a machine, which takes half a minute.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pymatting

from streammatte.color import FloatImage
from streammatte.errors import StreammatteError, first_line
from streammatte.frame import Frame
from streammatte.kernels import host
from streammatte.kernels.trimaps import FOREGROUND, UNKNOWN, Trimap, says_both
from streammatte.refiners.by_trimap import TrimapRefiner, box_of_unknown

__all__ = ["PymattingRefiner"]

_REACH_PX = 2
"""Between two pixels of one 3 x 3 window; what is certain and further away is in no equation of an unknown pixel."""


class PymattingRefiner(TrimapRefiner):
    """Each frame by itself: nothing is carried from one to the next."""

    def _found(self, frame: Frame, trimap: Trimap) -> FloatImage | None:
        """None, too, where the unknown touches only one kind of what is certain."""
        box = box_of_unknown(trimap, _REACH_PX)
        part = trimap[box]
        if not says_both(part):
            return None
        rgb = host.frame_rgb(frame, frame.width, frame.height)[box].astype(np.float64)
        known = np.where(part == UNKNOWN, 0.5, part == FOREGROUND)
        pha = np.zeros(trimap.shape, np.float32)
        try:
            # It prints what its preconditioner had to do; standard output is the report's.
            with redirect_stdout(io.StringIO()):
                pha[box] = pymatting.estimate_alpha_cf(np.ascontiguousarray(rgb), known)
        except ValueError as error:
            remedy = "leave it to --refine closed-form"
            raise StreammatteError(f"--refine pymatting: frame {frame.seq}: {first_line(error)}; {remedy}") from error
        return pha
