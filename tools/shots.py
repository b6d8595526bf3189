"""Long clips out of short ones whose alpha is known: shots that never show the same picture twice, and their truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from streammatte import scoring

__all__ = ["Picture", "Shot", "mad", "mattes", "with_truth", "write"]

Picture = npt.NDArray[np.uint8]
_WIDEST, _BREATH, _BREATH_FRAMES, _WANDER_FRAMES = 0.86, 0.1, 97, (61, 83)
"""The window: its share of the clip's picture and how that changes, and how many frames its sways take / 2 pi."""


def with_truth(folder: Path, only: Sequence[str] | None = None) -> list[Path]:
    """The clips below FOLDER/public with a source.mp4 and an alpha.mkv, by name; of these names only, where given."""
    clips = sorted(clip for clip in (folder / "public").iterdir() if (clip / "alpha.mkv").exists())
    return [clip for clip in clips if only is None or clip.name in only]


@dataclass(frozen=True)
class Shot:
    """`clip` there and back at its own pace, seen through a window that wanders and breathes, at `size`."""

    clip: Path
    frames: int
    size: tuple[int, int]
    gain: float = 1.0
    """Of the light."""
    zoom: float = 1.0

    def sources(self) -> Iterator[Picture]:
        """RGB (h, w, 3)."""
        pictures = _decoded(self.clip / "source.mp4", "rgb24")
        for index in range(self.frames):
            seen = self._seen(pictures, index)
            yield seen if self.gain == 1 else np.asarray(cv2.convertScaleAbs(seen, alpha=self.gain), np.uint8)

    def truths(self) -> Iterator[Picture]:
        """Alpha (h, w) of each frame."""
        pictures = _decoded(self.clip / "alpha.mkv", "gray")
        return (self._seen(pictures, index) for index in range(self.frames))

    def _seen(self, pictures: list[Picture], index: int) -> Picture:
        last = len(pictures) - 1
        there = index % (2 * last)
        picture = pictures[min(there, 2 * last - there)]
        high, wide = picture.shape[:2]
        share = (_WIDEST + _BREATH * math.sin(index / _BREATH_FRAMES)) / self.zoom
        width, height = share * wide, share * high
        left = (wide - width) * (0.5 + 0.5 * math.sin(index / _WANDER_FRAMES[0]))
        top = (high - height) * (0.5 + 0.5 * math.cos(index / _WANDER_FRAMES[1]))
        across, down = self.size[0] / width, self.size[1] / height
        place = np.array([[across, 0, -left * across], [0, down, -top * down]], np.float64)
        return np.asarray(cv2.warpAffine(picture, place, self.size, flags=cv2.INTER_LINEAR), np.uint8)


def write(path: Path, pictures: Iterable[Picture], size: tuple[int, int], rate: int) -> None:
    """H.264 of RGB pictures of `size`, `rate` a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, rate)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def mattes(path: Path, step: int = 1) -> Iterator[tuple[float, Picture]]:
    """Time in seconds and matte (h, w) of every `step`th frame of a recording."""
    with av.open(str(path)) as opened:
        for number, frame in enumerate(opened.decode(video=0)):
            if number % step == 0:
                yield float(frame.time or 0.0), np.asarray(frame.to_ndarray(format="gray"), np.uint8)


def mad(said: Picture, truth: Picture) -> float:
    """Mean absolute difference of two alphas, in thousandths."""
    return scoring.mad(np.asarray((said.astype(np.float32) - truth) / 255, np.float32))


def _decoded(path: Path, form: str) -> list[Picture]:
    with av.open(str(path)) as opened:
        return [np.asarray(frame.to_ndarray(format=form), np.uint8) for frame in opened.decode(video=0)]
