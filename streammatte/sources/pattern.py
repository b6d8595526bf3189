"""`pattern:` is a moving subject whose alpha is known exactly, for tests and first tries.

    pattern:[WIDTHxHEIGHT][@RATE][?frames=N&seed=N&format=yuv420p]

A head with loose hair, shoulders and a half-clear veil sways over a drifting texture. There is no noise and
no compression: each sample is alpha * F + (1 - alpha) * B, rounded once. Equal specs give equal films.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qsl

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.errors import ContractError, SourceError
from streammatte.frame import Frame, Packet, PixelFormat, Plane, StreamInfo
from streammatte.sources.once import ReadOnce
from streammatte.sources.options import SourceOptions
from streammatte.sources.subject import backdrop, subject_alpha, subject_color

__all__ = ["PatternSource"]

_SPEC = re.compile(r"pattern:?(?:(?P<w>\d+)x(?P<h>\d+))?(?:@(?P<rate>\d+(?:[/.]\d+)?))?(?:\?(?P<query>.*))?")
_HELP = "write pattern:640x360@30?frames=60&seed=1&format=yuv420p (all parts optional)"
_Image: TypeAlias = npt.NDArray[np.float32]
# BT.709 (H.273 matrix 1): rows Y, Cb, Cr of R'G'B'
_TO_YCC = np.array(
    [
        [0.2126, 0.7152, 0.0722],
        [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.5],
        [0.5, -0.7152 / 1.5748, -0.0722 / 1.5748],
    ],
    np.float32,
)


@dataclass(frozen=True, slots=True)
class _Film:
    width: int = 1280
    height: int = 720
    rate: Fraction = Fraction(30)
    frames: int = 300
    seed: int = 0
    format: PixelFormat = PixelFormat.named("yuv420p")  # noqa: RUF009 (frozen)


class PatternSource(ReadOnce):
    """The film described above. `truth` and `layers` answer for any frame, also after `close`."""

    info: StreamInfo

    def __init__(self, spec: str = "pattern:", options: SourceOptions = SourceOptions()) -> None:  # noqa: B008
        """Raises SourceError for a spec that cannot be read."""
        super().__init__(spec)
        self._film = _parse(spec)
        self._skipped, self._count = self._window(options)
        film = self._film
        self._alpha = subject_alpha(film.width, film.height, film.seed)
        self._subject = subject_color(film.width, film.height, film.seed)
        self._backdrop = backdrop(film.width, film.height, film.seed)
        self.info = StreamInfo(
            name=spec,
            width=film.width,
            height=film.height,
            format=film.format,
            color=self._color(),
            time_base=1 / film.rate,
            rate=film.rate,
            frame_count=self._count,
            duration_s=float(self._count / film.rate),
            codec="rawvideo",
            container="pattern",
        )

    @property
    def notes(self) -> list[str]:
        """Nothing is ever put right here."""
        return []

    def close(self) -> None:
        """Stop giving frames."""
        self._closed = True

    def truth(self, seq: int) -> _Image:
        """The exact alpha of frame `seq`, (H, W) float32 in [0, 1]."""
        return self._moved(self._alpha, seq)

    def layers(self, seq: int) -> tuple[_Image, _Image]:
        """F and B of frame `seq`, (H, W, 3) float32 R'G'B' in [0, 1]; F is defined everywhere."""
        film, shown = self._film, seq + self._skipped
        dx, dy = (shown * 3) % film.width, (shown * 2) % film.height
        return self._moved(self._subject, seq), self._backdrop[dy : dy + film.height, dx : dx + film.width]

    def _given(self) -> Iterator[Frame | Packet]:
        for seq in range(self._count):
            if self._closed:
                return
            yield self._frame(seq)

    def _frame(self, seq: int) -> Frame:
        return Frame(
            planes=self._planes(seq),
            format=self._film.format,
            color=self.info.color,
            pts=seq,
            time_base=self.info.time_base,
            duration=1,
            seq=seq,
        )

    def _planes(self, seq: int) -> tuple[Plane, ...]:
        alpha = self.truth(seq)[..., None]
        subject, behind = self.layers(seq)
        com = np.ascontiguousarray(alpha * subject + (1 - alpha) * behind)
        format_ = self._film.format
        if format_.model == "gbr":
            return tuple(self._quantised(com[..., channel] * format_.peak) for channel in (1, 2, 0))
        luma, *chroma = (_float(p) for p in cv2.split(cv2.transform(com, _TO_YCC)))
        unit = 1 << (format_.bits - 8)
        planes = [self._quantised(luma * (219 * unit) + 16 * unit)]
        if format_.model == "yuv":
            planes += [self._quantised(self._subsampled(c) * (224 * unit) + 128 * unit) for c in chroma]
        return tuple(planes)

    def _subsampled(self, chroma: _Image) -> _Image:
        """The mean over each chroma sample's luma samples (sited in their middle)."""
        height, width = self._film.format.plane_shape(1, self._film.width, self._film.height)
        down, across = 1 << self._film.format.log2_chroma_h, 1 << self._film.format.log2_chroma_w
        pad_y, pad_x = height * down - chroma.shape[0], width * across - chroma.shape[1]
        whole = np.pad(chroma, ((0, pad_y), (0, pad_x)), "edge")
        return np.asarray(whole.reshape(height, down, width, across).mean(axis=(1, 3)), np.float32)

    def _quantised(self, values: _Image) -> Plane:
        format_ = self._film.format
        rounded: Any = np.clip(np.rint(values), 0, format_.peak).astype(format_.dtype)
        return cast(Plane, rounded)

    def _moved(self, still: _Image, seq: int) -> _Image:
        """`still` where it stands in frame `seq`: it sways and tilts, by parts of a pixel."""
        film = self._film
        t = float((seq + self._skipped) / film.rate)
        centre = (film.width / 2, film.height)
        matrix = cv2.getRotationMatrix2D(centre, 3.0 * np.sin(1.7 * t), 1.0)
        matrix[:, 2] += (0.12 * film.width * np.sin(1.1 * t), 0.02 * film.height * np.sin(2.3 * t))
        size = (film.width, film.height)
        moved = cv2.warpAffine(still, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return _float(moved)

    def _color(self) -> ColorSpec:
        model = self._film.format.model
        if model == "gbr":
            return ColorSpec(0, 1, 1, True)
        sited = self._film.format.name.startswith("yuv420")
        return ColorSpec(1, 1, 1, False, ChromaLocation.CENTER if sited else ChromaLocation.UNSPECIFIED)

    def _window(self, options: SourceOptions) -> tuple[int, int]:
        """(frames passed over, frames given): those whose time lies in the window."""
        rate, total = self._film.rate, self._film.frames
        begin = -(-options.start * rate // 1)
        end = total if options.end is None else min(total, -(-options.end * rate // 1))
        if begin >= end:
            raise SourceError(f"{self._name}: ends before --start {options.start_s:g} s")
        return int(begin), int(end - begin)


def _float(values: Any) -> _Image:
    return np.asarray(values, np.float32)


def _parse(spec: str) -> _Film:
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise SourceError(f"{spec}: not a pattern; {_HELP}")
    known = _Film()
    query = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
    if unknown := sorted(set(query) - {"frames", "seed", "format"}):
        raise SourceError(f"{spec}: a pattern has no {', '.join(unknown)}; {_HELP}")
    try:
        film = _Film(
            width=int(match["w"] or known.width),
            height=int(match["h"] or known.height),
            rate=Fraction(match["rate"] or known.rate),
            frames=int(query.get("frames", known.frames)),
            seed=int(query.get("seed", known.seed)),
            format=PixelFormat.named(query.get("format", known.format.name)),
        )
    except (ValueError, ZeroDivisionError, ContractError) as error:
        raise SourceError(f"{spec}: {error}; {_HELP}") from error
    if min(film.width, film.height) < 16 or film.frames < 1 or film.rate <= 0 or film.seed < 0:
        raise SourceError(f"{spec}: must be 16x16 or larger, with a frame or more and a rate above 0; {_HELP}")
    return film
