"""How far a video's alpha is from the truth: MAD, MSE, Grad and dtSSD.

Alphas are (H, W) float32 in [0, 1], the video's at the size of the truth: nothing is resampled, which would blur the
very edges that are judged. A score is the mean over frames. MAD, MSE and dtSSD are means over pixels, too; Grad is a
sum, as it was published, and grows with the picture: compare it within one clip only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.color import decode_matrix
from streammatte.errors import ConfigError, ContractError
from streammatte.frame import Frame, StreamInfo
from streammatte.ports import Source

__all__ = [
    "Scorer",
    "Scores",
    "Truth",
    "TruthReader",
    "alpha_of",
    "dtssd",
    "grad",
    "mad",
    "mse",
    "steepness",
    "truth_of",
]

_Alpha: TypeAlias = npt.NDArray[np.float32]

_SIGMA_PX = 1.4
_LEAST_TAP = 0.01
"""Where the Gaussian ends."""


class Truth(NamedTuple):
    """One frame of the truth, with what every matte is compared with."""

    pha: _Alpha
    steepness: _Alpha


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the frames that were compared; 0 is perfect."""

    frames: int
    mad: float
    mse: float
    grad: float
    dtssd: float | None
    """None where there was one frame only."""


class Scorer:
    """Compares the mattes of one video with the truth, frame by frame, in order."""

    def __init__(self) -> None:
        self.frames = 0
        self._sums = np.zeros(4)
        self._off_before: _Alpha | None = None

    def step(self, pha: _Alpha, truth: Truth) -> None:
        """Take in the next frame's alpha. Raises ContractError where it is not of the truth's size."""
        if pha.shape != truth.pha.shape:
            raise ContractError(f"an alpha {truth.pha.shape}", str(pha.shape))
        off = np.asarray(pha - truth.pha, np.float32)
        change = 0.0 if self._off_before is None else dtssd(off, self._off_before)
        self._sums += (mad(off), mse(off), grad(steepness(pha), truth.steepness), change)
        self._off_before = off
        self.frames += 1

    def scores(self) -> Scores | None:
        """All frames so far; None before the first."""
        if not self.frames:
            return None
        mad_, mse_, grad_ = (round(float(total) / self.frames, 4) for total in self._sums[:3])
        changes = self.frames - 1
        return Scores(self.frames, mad_, mse_, grad_, round(float(self._sums[3]) / changes, 4) if changes else None)


class TruthReader:
    """The right alpha of each frame, in order from the first; the times that its file states are not looked at.

    `shown` is the video it belongs to. Raises ConfigError where `truth` is not of that size.
    """

    def __init__(self, truth: Source, shown: StreamInfo) -> None:
        self._name = truth.info.name
        self._turns = (truth.info.rotation - shown.rotation) // 90
        if _upright(truth.info) != _upright(shown):
            sizes = "the truth {}x{}, the input {}x{}".format(*_upright(truth.info), *_upright(shown))
            raise ConfigError("--truth", f"{self._name}: is of another size: {sizes}; give one of the input's size")
        self._alphas = (alpha_of(event) for event in truth.events() if isinstance(event, Frame))
        self._given = 0

    def step(self) -> _Alpha | None:
        """That of the next frame, (H, W) in the video's stored orientation; None once it has ended."""
        pha = next(self._alphas, None)
        if pha is None:
            return None
        self._given += 1
        return np.ascontiguousarray(np.rot90(pha, self._turns))

    def notes(self, frames: int, whole: bool) -> tuple[str, ...]:
        """What is to be said of its length, after `step` for each of the video's `frames`, which are `whole` or not."""
        if self._given < frames:
            return (f"{self._name}: ends after {self._given} of {frames} frames; scores are of these alone",)
        if whole and next(self._alphas, None) is not None:
            return (f"{self._name}: has more frames than the input's {frames}; scores are of the first {frames}",)
        return ()


def _upright(info: StreamInfo) -> tuple[int, int]:
    return (info.height, info.width) if info.rotation % 180 else (info.width, info.height)


def mad(off: _Alpha) -> float:
    """10³ · mean |a - g| of one frame, from a - g."""
    return 1e3 * float(np.abs(off).mean(dtype=np.float64))


def mse(off: _Alpha) -> float:
    """10³ · mean (a - g)² of one frame, from a - g."""
    return 1e3 * float(np.square(off).mean(dtype=np.float64))


def grad(steep: _Alpha, truly: _Alpha) -> float:
    """10⁻³ · sum (|∇a| - |∇g|)² of one frame, from both `steepness` (Rhemann et al., CVPR 2009)."""
    return 1e-3 * float(np.square(steep - truly).sum(dtype=np.float64))


def dtssd(off: _Alpha, off_before: _Alpha) -> float:
    """10² · sqrt(mean ((a - a') - (g - g'))²), from a - g of a frame and of the one before it, a' - g'.

    Erofeev et al. (Perceptually Motivated Benchmark for Video Matting, BMVC 2015), as a mean over pixels, in the scale
    of RobustVideoMatting (Lin et al., WACV 2022).
    """
    return 1e2 * math.sqrt(float(np.square(off - off_before).mean(dtype=np.float64)))


def truth_of(pha: _Alpha) -> Truth:
    """A frame of the truth, ready to be compared with."""
    return Truth(pha, steepness(pha))


def steepness(pha: _Alpha) -> _Alpha:
    """|∇a| (H, W): the length of the gradient, by derivatives of a Gaussian of sigma 1.4 px whose squares sum to 1.

    As in Rhemann et al. (A Perceptually Motivated Online Benchmark for Image Matting, CVPR 2009); borders repeat.
    """
    smooth, slope = _taps()
    across = _filtered(_filtered(pha, smooth, 0, 1), slope, 1, -1)
    down = _filtered(_filtered(pha, smooth, 1, 1), slope, 0, -1)
    return np.asarray(np.sqrt(across * across + down * down), np.float32)


def _taps() -> tuple[_Alpha, _Alpha]:
    """The Gaussian and its derivative at 0, 1, 2, ... px, each scaled so that all its taps' squares sum to 1."""
    reach = math.ceil(_SIGMA_PX * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * _SIGMA_PX * _LEAST_TAP)))
    at = np.arange(reach + 1, dtype=np.float64)
    smooth = np.exp(-(at**2) / (2 * _SIGMA_PX**2))
    slope = at * smooth
    return _unit(smooth), _unit(slope)


def _unit(half: npt.NDArray[np.float64]) -> _Alpha:
    """Taps from the middle on, which the other half repeats."""
    return np.asarray(half / math.sqrt(half[0] ** 2 + 2 * float((half[1:] ** 2).sum())), np.float32)


def _filtered(pha: _Alpha, taps: _Alpha, axis: int, other_side: int) -> _Alpha:
    """`pha` correlated along `axis` with `taps`, which go on to the other side times `other_side`: 1 or -1."""
    reach, count = len(taps) - 1, pha.shape[axis]
    border = [(0, 0), (0, 0)]
    border[axis] = (reach, reach)
    wide = np.moveaxis(np.pad(pha, border, "edge"), axis, 0)
    total = taps[0] * wide[reach : reach + count]
    for away in range(1, reach + 1):
        after, before = wide[reach + away : reach + away + count], wide[reach - away : reach - away + count]
        total += taps[away] * (after + other_side * before)
    return np.moveaxis(total, 0, axis)


def alpha_of(frame: Frame) -> _Alpha:
    """The alpha that a frame of a matte's video shows, (H, W) float32 in [0, 1], stored orientation.

    Its alpha channel where it has one, else gray (which is always full range), luma, or the mean of R, G and B.
    """
    peak = np.float32(frame.format.peak)
    if frame.alpha is not None:
        return np.asarray(frame.alpha.astype(np.float32) / peak, np.float32)
    if frame.format.model != "yuv":
        return np.asarray(np.mean(frame.planes, axis=0, dtype=np.float32) / peak, np.float32)
    matrix = decode_matrix(frame.color.resolved("yuv", frame.height), frame.format.bits)
    luma = frame.planes[0].astype(np.float32) * matrix[0, 0]
    black = -16 / 219 if not frame.color.full_range else 0
    return np.asarray(np.clip(luma + np.float32(black), 0, 1), np.float32)
