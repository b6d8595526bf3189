"""Mattes every evaluation clip and scores it: tools/score_clips.py FOLDER [--out JSON] [-- STREAMMATTE OPTIONS].

FOLDER holds score.py and public/<clip>/{source.mp4, alpha.mkv, meta.json}. Each clip is run through the command line
as a user would, to a lossless matte (.mkv, FFV1), and scored by score.py in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from command import keep, report_of
from machine import describe

_KEYS = ("mad", "mse", "grad", "conn", "dtssd", "mid_mad", "mid_pred_mid", "flicker_static", "iou")


def main() -> None:
    """Score all clips with truth and print a row each, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    own, options = _split(sys.argv[1:])
    given = parser.parse_args(own)
    rows: dict[str, dict[str, float]] = {}
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for clip in sorted((given.folder / "public").iterdir()):
            if (clip / "alpha.mkv").exists():
                matte = Path(place) / f"{clip.name}.mkv"
                report = report_of(str(clip / "source.mp4"), "--matte", str(matte), *options)
                rows[clip.name] = _score(given.folder / "score.py", matte, clip)
                print(clip.name, *(f"{key} {rows[clip.name][key]:.3f}" for key in _KEYS), flush=True)
                matte.unlink()
    mean = {key: round(sum(row[key] for row in rows.values()) / len(rows), 4) for key in _KEYS}
    print("mean", *(f"{key} {value:.3f}" for key, value in mean.items()))
    if given.out:
        ran = {key: report[key] for key in ("model", "runtime", "precision", "weights_sha256")}
        result = {"options": options, **ran, "mean": mean, "clips": rows, "machine": describe()}
        keep(result, given.out)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and behind "--"; argparse would mix them."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _score(score: Path, matte: Path, clip: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, str(score), str(matte), str(clip), "--conn"], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    return {key: float(found[key]) for key in _KEYS}


if __name__ == "__main__":
    main()
