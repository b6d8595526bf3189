"""Sets the cut-outs of `--compat rembg` beside rembg's own: perceptual hash, and difference of alpha and of colour.

    pip install imagehash
    python -m venv elsewhere && elsewhere/bin/pip install 'rembg[cpu]==2.0.66'
    python tools/rembg_cutouts.py PICTURE|FOLDER|VIDEO ... --rembg-python elsewhere/bin/python [--out result.json]
    python tools/rembg_cutouts.py --checkout REMBG [--model NAME]

rembg runs in a Python of its own, on the very files and the very weights. Of a video, `--frames` pictures are taken,
PNG and JPEG by turns. With a checkout of rembg's repository its test's pictures (tests/fixtures) are cut out and set
beside what that test expects (tests/results), by what it goes by: equal `imagehash.phash`. Ends with 1 where a hash
differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
from command import keep, table
from machine import describe
from PIL import Image

from streammatte import open_pipeline
from streammatte.catalog import model as model_named
from streammatte.config import Settings
from streammatte.sources import PICTURE_SUFFIXES
from streammatte.weights.pull import ensure

_RUNTIMES = ["onnxruntime", "openvino"]
_THEIRS = """
import json, sys
from importlib.metadata import version
from pathlib import Path
from rembg import new_session, remove
model, *pairs = json.load(sys.stdin)
session = new_session(model)
for picture, target in pairs:
    Path(target).write_bytes(remove(Path(picture).read_bytes(), session=session))
print(json.dumps({name: version(name) for name in ("rembg", "onnxruntime", "pillow", "numpy")}))
"""


def main() -> None:
    """Cut every picture out both ways and compare."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if given.checkout:
            theirs, of = _expected(given.checkout, given.model), {"cut-outs": "tests/results of a checkout of rembg"}
        else:
            theirs, of = _cut_by_rembg(_pictures(given.inputs, given.frames, place), given, place)
        rows = [_compared(picture, cutout, given, place) for picture, cutout in theirs.items()]
    print(table(["picture", "by", "hash equal", "alpha max", "alpha mean", "RGB max", "RGB mean"], _lines(rows)))
    weights = ensure(model_named(given.model)).sha256
    keep(
        {
            "what": "--compat rembg beside rembg: equal imagehash.phash; |difference| of 0..255; RGB where alpha > 0",
            "model": given.model,
            "weights_sha256": weights,
            "rembg": of,
            "pictures": rows,
            "machine": describe(),
        },
        given.out,
    )
    if not all(found["hash_equal"] for row in rows for found in row["by"].values()):
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path, nargs="*", metavar="PICTURE|FOLDER|VIDEO")
    parser.add_argument("--rembg-python", type=Path, metavar="PYTHON", help="the Python that has rembg")
    parser.add_argument("--checkout", type=Path, metavar="REMBG", help="a checkout of rembg's repository")
    parser.add_argument("--model", default="u2net", help="default: u2net")
    parser.add_argument("--frames", type=int, default=2, metavar="N", help="of each video; default: 2")
    parser.add_argument("--runtime", action="append", choices=_RUNTIMES, help="repeat for several; default: both")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    given = parser.parse_args()
    if given.checkout is None and not (given.inputs and given.rembg_python):
        parser.error("give --checkout, or pictures and --rembg-python")
    if find_spec("imagehash") is None:
        parser.error("imagehash is not installed: pip install imagehash")
    given.runtime = given.runtime or _RUNTIMES
    return given


def _expected(checkout: Path, model: str) -> dict[Path, Path]:
    """rembg's own fixtures and what its test expects of each."""
    fixtures = sorted((checkout / "tests" / "fixtures").glob("*.jpg"))
    found = {picture: checkout / "tests" / "results" / f"{picture.stem}.{model}.png" for picture in fixtures}
    missing = [str(path) for path in found.values() if not path.is_file()]
    if missing or not found:
        sys.exit(f"{checkout}: no tests/fixtures/*.jpg there" if not found else f"not there: {', '.join(missing)}")
    return found


def _pictures(inputs: Iterable[Path], frames: int, place: Path) -> list[Path]:
    """The picture files that `inputs` are, hold or show."""
    found: list[Path] = []
    kinds = (".png" if number % 2 else ".jpg" for number in count())
    for path in inputs:
        if path.is_dir():
            found += sorted(each for each in path.iterdir() if each.suffix.lower() in PICTURE_SUFFIXES)
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            found.append(path)
        else:
            found += _taken_from(path, frames, place, kinds)
    return found


def _taken_from(video: Path, frames: int, place: Path, kinds: Iterator[str]) -> Iterator[Path]:
    """So many of its frames, evenly spread, as pictures of their own."""
    label = video.stem if video.stem != "source" else video.parent.name
    with av.open(str(video)) as container:
        shown: list[Any] = list(container.decode(video=0))
    for number in range(frames):
        index = (2 * number + 1) * len(shown) // (2 * frames)
        target = place / f"{label}-{index}{next(kinds)}"
        shown[index].to_image().save(target, **({"quality": 92} if target.suffix == ".jpg" else {}))
        yield target


def _cut_by_rembg(
    pictures: list[Path], given: argparse.Namespace, place: Path
) -> tuple[dict[Path, Path], dict[str, str]]:
    """rembg's cut-out of each picture, and the versions of what made them."""
    weights = ensure(model_named(given.model))
    (place / f"{given.model}.onnx").symlink_to(weights.path)
    theirs = {picture: place / f"theirs-{number}.png" for number, picture in enumerate(pictures)}
    done = subprocess.run(
        [str(given.rembg_python), "-c", _THEIRS],
        input=json.dumps([given.model, *([str(a.absolute()), str(b)] for a, b in theirs.items())]),
        env=os.environ | {"U2NET_HOME": str(place)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return theirs, json.loads(done.stdout.splitlines()[-1])


def _compared(picture: Path, theirs: Path, given: argparse.Namespace, place: Path) -> dict[str, Any]:
    found = {}
    for runtime in given.runtime:
        ours = place / "ours.png"
        settings = Settings(model=given.model, compat="rembg", runtime=runtime, output=(ours,), force=True)
        open_pipeline(str(picture), settings).run()
        found[runtime] = _difference(ours, theirs)
    with Image.open(picture) as opened:
        return {"picture": picture.name, "size": list(opened.size), "by": found}


def _difference(ours: Path, theirs: Path) -> dict[str, Any]:
    from imagehash import phash

    with Image.open(ours) as own, Image.open(theirs) as other:
        equal = bool(phash(own) == phash(other))
        mine, yours = (np.asarray(each.convert("RGBA"), np.int16) for each in (own, other))
    if mine.shape != yours.shape:
        sys.exit(f"{ours}: is {mine.shape}, rembg's is {yours.shape}")
    apart, seen = np.abs(mine - yours), (mine[..., 3] > 0) | (yours[..., 3] > 0)
    rgb = apart[..., :3][seen] if seen.any() else np.zeros(1)
    return {
        "hash_equal": equal,
        "alpha_max": int(apart[..., 3].max()),
        "alpha_mean": round(float(apart[..., 3].mean()), 5),
        "rgb_max": int(rgb.max()),
        "rgb_mean": round(float(rgb.mean()), 5),
    }


def _lines(rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    for row in rows:
        for runtime, found in row["by"].items():
            yield [row["picture"], runtime, *(str(value) for value in found.values())]


if __name__ == "__main__":
    main()
