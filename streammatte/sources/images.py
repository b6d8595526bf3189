"""Still pictures, folders of them and numbered sequences, as a film."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from streammatte.color import ChromaLocation
from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet, StreamInfo
from streammatte.sources import probe
from streammatte.sources.once import ReadOnce
from streammatte.sources.options import PICTURE_SUFFIXES, SourceOptions
from streammatte.sources.pictures import decode_picture
from streammatte.sources.planes import Picture, unpack

__all__ = ["ImageSource", "find_pictures"]

_RATE = Fraction(25)
_NUMBER = re.compile(r"%(0?)(\d*)d")


class ImageSource(ReadOnce):
    """Pictures of one size and format, one a tick of 1 / rate (25 a second unless `input_rate` is given).

    A JPEG's or PNG's EXIF orientation becomes `rotation`. One picture is a film of one frame.
    """

    info: StreamInfo

    def __init__(self, spec: str, options: SourceOptions = SourceOptions()) -> None:  # noqa: B008 (frozen)
        """Find the pictures and decode the first. Raises SourceError."""
        super().__init__(spec)
        self._rate = options.input_rate or _RATE
        self._notes: list[str] = []
        self._paths = self._wanted(find_pictures(spec), options)
        self._first: av.VideoFrame | None
        self._libjpeg = options.libjpeg
        self._first, codec = decode_picture(self._paths[0], libjpeg=self._libjpeg)
        self.info = self._describe(self._first, codec)

    @property
    def notes(self) -> list[str]:
        """What was not exact, in words, for the report."""
        return list(self._notes)

    def close(self) -> None:
        """Stop. Nothing is held open between pictures."""
        self._closed = True

    def _given(self) -> Iterator[Frame | Packet]:
        for seq, path in enumerate(self._paths):
            if self._closed:
                return
            decoded, self._first = self._first or decode_picture(path, libjpeg=self._libjpeg)[0], None
            frame = self._frame(decoded, unpack(decoded), seq)
            self._check_same(frame, path)
            yield frame

    def _wanted(self, paths: list[Path], options: SourceOptions) -> list[Path]:
        """Those shown from `start` until before `end`, as a film of them would be cut."""
        end = options.end
        ticks = range(len(paths))
        kept = [paths[i] for i in ticks if i / self._rate >= options.start and (end is None or i / self._rate < end)]
        if not kept:
            raise SourceError(f"{self._name}: its {len(paths)} pictures end before --start {options.start_s:g} s")
        return kept

    def _frame(self, decoded: av.VideoFrame, picture: Picture, seq: int) -> Frame:
        siting = ChromaLocation.CENTER if decoded.format.name.startswith("yuvj") else ChromaLocation.UNSPECIFIED
        return Frame(
            planes=picture.planes,
            format=picture.format,
            color=probe.color_spec(decoded, picture, siting),
            pts=seq,
            time_base=1 / self._rate,
            duration=1,
            seq=seq,
            alpha=picture.alpha,
            rotation=probe.quarter_turns(decoded),
        )

    def _check_same(self, frame: Frame, path: Path) -> None:
        info = self.info
        was = (info.width, info.height, info.format.name, info.rotation)
        now = (frame.width, frame.height, frame.format.name, frame.rotation)
        if was != now:
            first, this = (f"{w}x{h} {name} turned {turn}" for w, h, name, turn in (was, now))
            raise SourceError(f"{path}: is {this}, but {self._paths[0].name} is {first}; a sequence has one size")

    def _describe(self, decoded: av.VideoFrame, codec: str) -> StreamInfo:
        picture = unpack(decoded)
        if picture.note:
            self._notes.append(picture.note)
        frame = self._frame(decoded, picture, 0)
        return StreamInfo(
            name=self._name,
            width=frame.width,
            height=frame.height,
            format=frame.format,
            color=frame.color,
            time_base=frame.time_base,
            rate=self._rate,
            frame_count=len(self._paths),
            duration_s=float(len(self._paths) / self._rate),
            rotation=frame.rotation,
            has_alpha=frame.alpha is not None,
            codec=codec,
            container="image2",
        )


def find_pictures(spec: str) -> list[Path]:
    """The files `spec` names, in natural order: picture, folder, `%04d.png` or glob. Raises SourceError."""
    path = Path(spec)
    if path.is_dir():
        return _in_folder(spec, path)
    if path.exists():
        return [path]
    if _NUMBER.search(path.name):
        found = [p for p in _entries(spec, path.parent) if _numbered(path.name).fullmatch(p.name)]
    elif re.search(r"[*?\[]", path.name):
        found = list(path.parent.glob(path.name))
    else:
        raise SourceError(f"{spec}: no such file")
    if not found:
        raise SourceError(f"{spec}: no file has such a name")
    return sorted(found, key=_natural)


def _in_folder(spec: str, folder: Path) -> list[Path]:
    found = [p for p in _entries(spec, folder) if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise SourceError(f"{spec}: the folder holds no pictures (png, jpg, webp, tiff, bmp)")
    return sorted(found, key=_natural)


def _entries(spec: str, folder: Path) -> list[Path]:
    try:
        return [p for p in folder.iterdir() if p.is_file()]
    except OSError as error:
        raise SourceError(f"{spec}: the folder cannot be read ({error.strerror})") from error


def _numbered(pattern: str) -> re.Pattern[str]:
    """`frame_%04d.png` as a regular expression: at least four digits, as printf writes them."""
    match = _NUMBER.search(pattern)
    assert match is not None  # asked only of such names
    digits = rf"\d{{{match[2]},}}" if match[1] and match[2] else r"\d+"
    return re.compile(re.escape(pattern[: match.start()]) + digits + re.escape(pattern[match.end() :]))


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
