"""Mattes every evaluation clip in each variant, scores it, and sets it beside rembg's recipe.

    python tools/score_clips.py FOLDER [--variant "NAME: OPTIONS"] ... [--clips NAME ...] [--out JSON]

FOLDER holds score.py and public/<clip>/{source.mp4, alpha.mkv, meta.json}. Each clip is run through the command line
as a user would, to a lossless matte (.mkv, FFV1), and scored by score.py in a process of its own. Means and MAD of each
clip are printed as markdown; a MAD more than a tenth worse than rembg's recipe (rembg_reference.json) is marked.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from command import QUALITIES, add_variants, keep, printed_by, report_of, runs_per_frame, stage_p50_ms, table
from machine import describe
from shots import with_truth

Row: TypeAlias = dict[str, float]

_SHOWN = {
    "mad": ("MAD", "{:.1f}"),
    "mse": ("MSE", "{:.1f}"),
    "grad": ("Grad", "{:.2f}"),
    "dtssd": ("dtSSD", "{:.2f}"),
    "mid_mad": ("mid", "{:.0f}"),
    "mid_pred_mid": ("kept", "{:.2f}"),
    "flicker_static": ("flick", "{:.1f}"),
}
_KEYS = (*_SHOWN, "conn", "iou")
_WORSE = 1.1
_MARK = "▲"


def main() -> None:
    """Score all clips with truth in all variants, print the tables, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--out", type=Path)
    add_variants(parser)
    given = parser.parse_args()
    clips = with_truth(given.folder, given.clips)
    if not clips:
        parser.error(f"{given.folder}/public: no such clip with an alpha.mkv")
    variants = given.variants or QUALITIES
    reference = json.loads(Path(__file__).with_name("rembg_reference.json").read_text(encoding="utf-8"))
    found = {name: _scored(given.folder / "score.py", clips, name, options) for name, options in variants}
    theirs = {clip.name: reference["clips"][clip.name] for clip in clips if clip.name in reference["clips"]}
    scores = {"rembg's recipe": theirs} | {name: entry["clips"] for name, entry in found.items()}
    print("", means_table(scores), "", mad_table(scores), "", sep="\n")
    keep({"variants": found, "rembg_reference": reference, "machine": describe()}, given.out)


def _scored(score: Path, clips: list[Path], name: str, options: list[str]) -> dict[str, Any]:
    rows: dict[str, Row] = {}
    runs: dict[str, dict[str, Any]] = {}
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for clip in clips:
            matte = Path(place) / f"{clip.name}.mkv"
            report = report_of(str(clip / "source.mp4"), "--matte", str(matte), *options)
            scored = printed_by(str(score), str(matte), str(clip), "--conn")
            rows[clip.name] = {key: float(scored[key]) for key in _KEYS}
            runs[clip.name] = {"network_runs_per_frame": runs_per_frame(report), "stage_p50_ms": stage_p50_ms(report)}
            print(name, clip.name, *(f"{key} {rows[clip.name][key]:.3f}" for key in _KEYS), flush=True)
    ran = {key: report[key] for key in ("model", "runtime", "precision", "weights_sha256")}
    return {"options": options, **ran, "mean": _mean(rows.values(), _KEYS), "clips": rows, "runs": runs}


def _mean(rows: Iterable[Row], keys: Iterable[str]) -> Row:
    rows = list(rows)
    return {key: round(sum(row[key] for row in rows) / len(rows), 4) for key in keys}


def means_table(scores: dict[str, dict[str, Row]]) -> str:
    """A row of means for each run in `scores`, run -> clip -> scores; a run without clips has no row."""
    rows = []
    for name, clips in scores.items():
        if clips:
            mean = _mean(clips.values(), _SHOWN)
            rows.append([name, *(form.format(mean[key]) for key, (_, form) in _SHOWN.items())])
    return table(["mean", *(title for title, _ in _SHOWN.values())], rows)


def mad_table(scores: dict[str, dict[str, Row]]) -> str:
    """MAD of each clip in each run, marked where more than a tenth worse than the first run, the reference, has it."""
    first, *others = scores.values()
    clips = sorted({clip for rows in scores.values() for clip in rows})
    rows = []
    for clip in clips:
        limit = _WORSE * first[clip]["mad"] if clip in first else float("inf")
        known = f"{first[clip]['mad']:.1f}" if clip in first else "–"
        rows.append([clip, known, *(_marked(run[clip]["mad"], limit) for run in others)])
    return table(["MAD", *scores], rows)


def _marked(mad: float, limit: float) -> str:
    return f"{mad:.1f} {_MARK}" if mad > limit else f"{mad:.1f}"


if __name__ == "__main__":
    main()
