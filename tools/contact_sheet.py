"""Makes a picture to compare by eye: one moment of each clip as source, rembg's recipe, each variant, and the truth.

    python tools/contact_sheet.py FOLDER OUT.jpg --clips NAME ... FILE.mp4 [--at 0.7] [--variant "NAME: OPTIONS"] ...

A NAME is FOLDER/public/NAME/{source.mp4, alpha.mkv, meta.json}; a FILE has no truth. Each clip has three strips: the
composite over green, alpha, and the composite where alpha is softest. The run goes through the command line, from the
clip's start to the moment shown. rembg's recipe is composited with the source's own colour (its `putalpha`); the truth
with the foreground colour that streammatte estimates for it. A clip whose meta.json does not say "redistributable" is
refused, unless --private; the licences to be named beside the picture are printed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from command import QUALITIES, add_variants, report_of

from streammatte.color import ColorSpec
from streammatte.foregrounds.blur_fusion import BlurFusionForeground
from streammatte.frame import Frame, PixelFormat

_Picture = npt.NDArray[np.uint8]
_Box = tuple[slice, slice]

_GREEN = (70, 150, 100)
_RECIPE = ("rembg's recipe", ["--compat", "rembg", "--fgr", "off"])
_WIDE_PX, _GAP_PX, _TEXT_PX = 1980, 6, 24
_SRGB = ColorSpec(matrix=0, primaries=1, transfer=13, full_range=True)


@dataclass(frozen=True, slots=True)
class _Shot:
    """One cell's pictures: composite (H, W, 3) RGB and alpha (H, W), 0..255; for the source, itself and nothing."""

    com: _Picture
    pha: _Picture | None


def main() -> None:
    """Run every clip in every variant and paste the sheet together."""
    given = _arguments()
    variants = [_RECIPE, *(given.variants or QUALITIES)]
    titles = ["source", *(name for name, _ in variants), "truth"]
    wide = (_WIDE_PX + _GAP_PX) // len(titles) - _GAP_PX
    rows = [_titles(titles, wide)]
    for name in given.clips:
        clip = given.folder / "public" / name
        source, truth = (clip / "source.mp4", clip / "alpha.mkv") if clip.is_dir() else (Path(name), None)
        print(_licence(clip, given.private), flush=True)
        rows += _strips(_shots(source, truth, variants, given.at), wide, Path(name).stem)
    cv2.imwrite(str(given.out), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.2f} MB")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", nargs="+", required=True, metavar="NAME|FILE")
    parser.add_argument("--at", type=float, default=0.7, help="part of the clip")
    parser.add_argument("--private", action="store_true", help="the picture is not to be published")
    add_variants(parser)
    return parser.parse_args()


def _licence(clip: Path, private: bool) -> str:
    """The clip's origin and licence in a line. Raises SystemExit for one that must not be published."""
    if not clip.is_dir():
        return f"{clip.name}: a file, whose licence is yours to know"
    meta = json.loads((clip / "meta.json").read_text(encoding="utf-8"))
    if not (private or publishable(meta["licence"])):
        raise SystemExit(f"{clip.name}: {meta['licence']}; leave it out, or --private")
    return f"{clip.name}: {meta['origin']}; {meta['licence']}"


def publishable(licence: str) -> bool:
    """Whether the licence line of a meta.json allows a published picture."""
    return "redistributable" in licence and "not redistributable" not in licence


def _shots(source: Path, truth: Path | None, variants: Sequence[tuple[str, list[str]]], at: float) -> list[_Shot]:
    """Source, each variant, truth (the last only where there is one), all of one frame."""
    with av.open(str(source)) as container:
        video: Any = container.streams.video[0]
        seconds = float(at * video.frames / video.average_rate)
    shots = []
    with tempfile.TemporaryDirectory() as place:
        for _, options in variants:
            shot, frames = _run(source, options, seconds, Path(place))
            shots.append(shot)
    picture, _ = _last(source, "rgb24", frames)
    shots.insert(0, _Shot(picture, None))
    if truth is not None:
        pha, _ = _last(truth, "gray", frames)
        shots.append(_Shot(_over_green(picture, pha), pha))
    return shots


def _run(source: Path, options: list[str], seconds: float, folder: Path) -> tuple[_Shot, int]:
    """The last frame of `seconds` of the clip, and how many frames they are."""
    com, pha = folder / "com.mkv", folder / "pha.mkv"
    green = "#{:02x}{:02x}{:02x}".format(*_GREEN)
    outputs = ("-o", str(com), "--matte", str(pha), "--codec", "ffv1", "--bg", green, "--force")
    report_of(str(source), *outputs, "--duration", f"{seconds:.4f}", *options)
    picture, frames = _last(com, "rgb24")
    return _Shot(picture, _last(pha, "gray")[0]), frames


def _last(path: Path, pixels: str, most: int | None = None) -> tuple[_Picture, int]:
    """The last of the file's first `most` frames, or of all, as an array; and its number, from 1."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0), 1):
            last: Any = frame
            if number == most:
                break
    return np.asarray(last.to_ndarray(format=pixels), np.uint8), number


def _over_green(picture: _Picture, pha: _Picture) -> _Picture:
    """The subject of `picture` (H, W, 3) over green, its colour estimated as streammatte does."""
    planes = tuple(np.ascontiguousarray(picture[..., i]) for i in (1, 2, 0))
    frame = Frame(planes, PixelFormat.named("gbrp"), _SRGB, pts=0, time_base=Fraction(1), duration=0, seq=0)
    green, blue, red = BlurFusionForeground().estimate(frame, (pha,) * 3)
    alpha = pha[..., None].astype(np.float32) / 255
    mixed = alpha * np.stack([red, green, blue], -1) + (1 - alpha) * np.array(_GREEN, np.float32)
    return np.asarray(np.round(mixed), np.uint8)


def _strips(shots: list[_Shot], wide: int, name: str) -> list[_Picture]:
    """Composites, alphas, and the softest quarter of the composites; the source has its name in place of alpha."""
    last = shots[-1].pha
    assert last is not None
    box = _softest(last)
    alphas = [None if shot.pha is None else np.repeat(shot.pha[..., None], 3, -1) for shot in shots]
    strips = ([shot.com for shot in shots], alphas, [shot.com[box] for shot in shots])
    high = round(wide * last.shape[0] / last.shape[1])
    pasted = [_strip(cells, wide, high) for cells in strips]
    _write(pasted[1], name, (2, _TEXT_PX), 0.5)
    return [*pasted, _white(2 * _GAP_PX)]


def _softest(pha: _Picture) -> _Box:
    """Where a window of half the width and height holds the most mid-opacity."""
    high, wide = pha.shape[0] // 2, pha.shape[1] // 2
    alpha = pha.astype(np.float64) / 255
    total = cv2.integral(alpha * (1 - alpha))
    sums = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]
    top, left = np.unravel_index(int(np.argmax(sums)), sums.shape)
    return slice(int(top), int(top) + high), slice(int(left), int(left) + wide)


def _strip(cells: Sequence[_Picture | None], wide: int, high: int) -> _Picture:
    strip = _white(high + _GAP_PX)
    for number, cell in enumerate(cells):
        if cell is not None:
            left = number * (wide + _GAP_PX)
            how = cv2.INTER_AREA if cell.shape[1] > wide else cv2.INTER_CUBIC
            strip[:high, left : left + wide] = cv2.resize(cell, (wide, high), interpolation=how)
    return strip


def _titles(titles: Sequence[str], wide: int) -> _Picture:
    strip = _white(_TEXT_PX)
    for number, title in enumerate(titles):
        _write(strip, title, (number * (wide + _GAP_PX) + 2, _TEXT_PX - 8), 0.6)
    return strip


def _write(picture: _Picture, text: str, place_px: tuple[int, int], scale: float) -> None:
    cv2.putText(picture, text, place_px, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)


def _white(high: int) -> _Picture:
    return np.full((high, _WIDE_PX, 3), 255, np.uint8)


if __name__ == "__main__":
    main()
