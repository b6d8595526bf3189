"""Alpha read eight bytes at a time, to see at once that many pixels need no work: most are all 0 or all opaque."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streammatte.frame import Plane

__all__ = ["in_words"]


def in_words(pha: Plane, peak: int) -> tuple[npt.NDArray[np.uint64], int, np.uint64]:
    """(h, w // samples) words of `pha` (h, w), the samples in each, and the word whose samples are all `peak`.

    The samples at the end of a row that fill no word are left out.
    """
    samples = 8 // pha.itemsize
    whole = pha.shape[1] // samples * samples
    words = np.ascontiguousarray(pha[:, :whole]).view(np.uint64)
    return words, samples, np.full(samples, peak, pha.dtype).view(np.uint64)[0]
