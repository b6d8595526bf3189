"""Makes the README's picture: source | matte | composite, from one frame of a clip.

python tools/picture.py CLIP BACKGROUND OUT.jpg [--at SECONDS] [--model u2net]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streammatte import Settings, open_pipeline

_Picture = npt.NDArray[np.uint8]
_GAP_PX = 6


def main() -> None:
    """Run the pipeline on a moment before `--at` up to it and paste its last frame's three pictures together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("background")
    parser.add_argument("out", type=Path)
    parser.add_argument("--at", type=float, default=2.0)
    parser.add_argument("--model", default="u2net")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = Settings(
            output=(folder / "com_%d.png",),
            matte=folder / "pha_%d.png",
            bg=given.background,
            model=given.model,
            start_s=given.at,
            duration_s=0.04,
        )
        open_pipeline(given.clip, settings).run()
        panels = [_source(given.clip, given.at, folder), _read(folder / "pha_1.png"), _read(folder / "com_1.png")]
    gap = np.full((panels[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    picture = np.hstack([panels[0], gap, panels[1], gap, panels[2]])
    cv2.imwrite(str(given.out), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


def _read(path: Path) -> _Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, path
    return np.asarray(picture, np.uint8)


def _source(clip: str, at_s: float, folder: Path) -> _Picture:
    """The frame itself, written by the same sink as the composite, so that colours compare; its alpha is dropped."""
    settings = Settings(output=(folder / "src_%d.png",), fgr="off", model="selfie", start_s=at_s, duration_s=0.04)
    open_pipeline(clip, settings).run()
    return _read(folder / "src_1.png")


if __name__ == "__main__":
    main()
