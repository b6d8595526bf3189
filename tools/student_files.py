"""A long clip of several shots, with a student of its own beside without: total time, teaching included, and MAD.

    python tools/student_files.py FOLDER [--seconds 300] [--clips NAME ...] [--variant "NAME: OPTIONS"] ... [--out JSON]

FOLDER holds public/<clip>/{source.mp4, alpha.mkv, meta.json}. Each shot is made of one of these clips (shots.py); all
are 1080p at 30 frames a second. Each variant makes a composite and a matte in a process of its own. MAD (thousandths)
is of every tenth frame.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from command import BEACH, add_variants, keep, report_of, table
from machine import describe
from shots import Shot, mad, mattes, with_truth, write

_RATE = 30
_SIZE = 1920, 1080
_SCORED = 10
_VARIANTS = [
    ("fast", ["--quality", "fast"]),
    ("fast with a student", ["--quality", "fast", "--student", "auto"]),
    ("balanced", ["--quality", "balanced"]),
]


def main() -> None:
    """Make the clip, run every variant, print a table, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="only these, in this order")
    parser.add_argument("--out", type=Path)
    add_variants(parser)
    given = parser.parse_args()
    clips = [given.folder / "public" / name for name in given.clips or ()] or with_truth(given.folder)
    frames = round(given.seconds * _RATE / len(clips))
    shots = [Shot(clip, frames, _SIZE) for clip in clips]
    with tempfile.TemporaryDirectory() as place:
        long = Path(place) / "shots.mp4"
        write(long, chain.from_iterable(shot.sources() for shot in shots), _SIZE, _RATE)
        found = {}
        for name, options in given.variants or _VARIANTS:
            found[name] = _run(long, shots, options, Path(place))
            print(name, found[name], flush=True)
    print(table(["", "seconds", "fps", "MAD", "by the student"], [_row(name, run) for name, run in found.items()]))
    facts = {"seconds": given.seconds, "clips": [clip.name for clip in clips], "frames_a_shot": frames}
    keep({**facts, "variants": found, "machine": describe()}, given.out)


def _row(name: str, run: dict[str, Any]) -> list[str]:
    share = f"{100 * run['frames_student'] / run['frames']:.0f} %"
    return [name, f"{run['wall_s']:.0f}", f"{run['fps']:.2f}", f"{run['mad']:.1f}", share]


def _run(long: Path, shots: list[Shot], options: list[str], place: Path) -> dict[str, Any]:
    matte, composite = place / "matte.mkv", place / "out.mp4"
    started_s = time.perf_counter()
    report = report_of(str(long), *options, "--bg", str(BEACH), "-o", str(composite), "--matte", str(matte), "--force")
    wall_s = time.perf_counter() - started_s
    student = report["student"] or {}
    return {
        "options": options,
        "frames": report["frames_out"],
        "wall_s": round(wall_s, 1),
        "fps": round(report["frames_out"] / wall_s, 2),
        **_mads(matte, shots),
        "frames_student": student.get("frames_student", 0),
        "student": student,
        "network_runs": report["network_runs"],
        "stage_p50_ms": {name.replace(f"{place}/", ""): times["p50_ms"] for name, times in report["stages"].items()},
    }


def _mads(matte: Path, shots: list[Shot]) -> dict[str, Any]:
    truths = chain.from_iterable(shot.truths() for shot in shots)
    names = [shot.clip.name for shot in shots for _ in range(shot.frames)]
    found: dict[str, list[float]] = {}
    for (_, said), truth, name in zip(
        mattes(matte, _SCORED), islice(truths, 0, None, _SCORED), names[::_SCORED], strict=True
    ):
        found.setdefault(name, []).append(mad(said, truth))
    by_clip = {name: round(float(np.mean(mads)), 2) for name, mads in found.items()}
    return {"mad": round(float(np.mean(list(by_clip.values()))), 2), "mad_by_clip": by_clip}


if __name__ == "__main__":
    main()
