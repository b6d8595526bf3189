"""Whether the picture that OBS has is one of those that were sent.

OBS's screenshot of a source is not blended: it has the source's own straight alpha, and sRGB colours. (Seen in OBS 29:
bit for bit what a raw stream carries, whether `linear_alpha` is set or not; for VP9, whose chroma OBS scales up
otherwise than FFmpeg, a mean difference of 1 and a p99 of 7, of 255.) Colours are compared as they show, times alpha:
behind alpha 0 any is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from streammatte.obs.watching import Picture

__all__ = ["Comparison", "Verdict", "compare"]

Verdict = Literal["same", "not the same", "nothing to see"]

_MEAN_MOST = 2.0
_P99_MOST = 12.0
_COARSE = 4
"""The frame that fits best is looked for on every fourth pixel of every fourth line."""
_AS_GOOD = 1.5
_EXACT = 0.05
_STILL_S = 0.25


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the picture in OBS differs from the frame that was sent and fits best. Differences are of 255."""

    verdict: Verdict
    why: str
    """One clause where the verdict is not "same"."""
    mean: float | None = None
    """Mean absolute difference of premultiplied blue, green, red and alpha, over what is not transparent in both."""
    p99: float | None = None
    """99 of 100 of those differences are no greater."""
    lag_ms: float | None = None
    """From the arrival of that frame here until OBS was asked for its picture.

    None where it cannot be told: many frames fit as well, or OBS took so long that it had a later one.
    """


def compare(shown: Picture, asked_s: float, sent: Sequence[tuple[float, Callable[[], Picture]]]) -> Comparison:
    """Look for `shown`, the picture for which OBS was asked at `asked_s`, in `sent`: (arrival, picture), oldest first.

    Arrivals may be later than `asked_s`: OBS may be the faster reader. `sent` has at least one frame; pictures are
    made when they are needed, as seconds of them fill the memory.
    """
    looks = [_Coarse(shown, picture()) for _, picture in sent]
    if not any(look.fits for look in looks):
        return Comparison("not the same", f"OBS has a picture of {_size(shown)}, {looks[-1].size} is sent")
    if not shown[..., 3].any() and not any(look.opaque for look in looks):
        return Comparison("nothing to see", "all is transparent, in OBS as in what is sent")
    least = min(look.score for look in looks)
    good = [index for index, look in enumerate(looks) if look.score <= _AS_GOOD * least + _EXACT]
    arrived_s, best = sent[good[-1]]
    known = arrived_s <= asked_s and arrived_s - sent[good[0]][0] <= _STILL_S
    lag_ms = 1000 * (asked_s - arrived_s) if known else None
    differences = _differences(shown, best())
    mean, p99 = float(differences.mean()), float(np.percentile(differences, 99))
    if mean <= _MEAN_MOST and p99 <= _P99_MOST:
        return Comparison("same", "", mean, p99, lag_ms)
    why = "nothing" if not shown[..., 3].any() else "another picture"
    return Comparison("not the same", f"OBS has {why} in place of what is sent", mean, p99)


class _Coarse:
    """One sent picture against the one shown."""

    def __init__(self, shown: Picture, picture: Picture) -> None:
        self.size = _size(picture)
        self.fits = picture.shape == shown.shape
        self.opaque = bool(picture[..., 3].any())
        """Anywhere."""
        coarse = slice(None, None, _COARSE)
        self.score = float(_differences(shown[coarse, coarse], picture[coarse, coarse]).mean()) if self.fits else np.inf


def _differences(one: Picture, other: Picture) -> npt.NDArray[np.float32]:
    """(n, 4) over the n pixels that are not transparent in both; one of 0 where there are none."""
    seen = (one[..., 3] > 0) | (other[..., 3] > 0)
    if not seen.any():
        return np.zeros((1, 4), np.float32)
    differences: npt.NDArray[np.float32] = np.abs(_premultiplied(one[seen]) - _premultiplied(other[seen]))
    return differences


def _premultiplied(pixels: Picture) -> npt.NDArray[np.float32]:
    values = pixels.astype(np.float32)
    values[:, :3] *= values[:, 3:] / 255
    return values


def _size(picture: Picture) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
