"""Live, with a student of its own, a room that becomes another one: when that is noticed, and what is seen till then.

    python tools/student_drift.py FOLDER [--change cut|dissolve] [--seconds 150] [--clips ONE OTHER] [--out JSON]

FOLDER holds public/<clip>/{source.mp4, alpha.mkv, meta.json}. For so many seconds the clip is a shot of one (shots.py),
then for as many a shot of the other, nearer and in less light: another subject, framing and light at once, from one
frame to the next, or over a second. It is run as a camera would be, into `--to null`, its mattes recorded and each
compared with the truth. Seconds are of the clip; MAD is in thousandths; `leak` is the share of what is surely
background that is shown opaque: the raw room.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from command import keep, report_of
from machine import describe
from shots import Picture, Shot, mad, mattes, write

_RATE = 25
_SIZE = 640, 360
_DARK, _NEAR = 0.6, 1.3
_DISSOLVE = 25
_OPAQUE = 128
_WINDOW_S = 1.0
_CLIPS = "pub_real_man_webcam", "pub_real_woman_handheld"


def main() -> None:
    """Make the clip, run it, say what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--change", choices=("cut", "dissolve"), default="cut")
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--clips", nargs=2, default=_CLIPS, metavar="NAME")
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    frames = round(given.seconds * _RATE)
    one, other = (given.folder / "public" / name for name in given.clips)
    shots = Shot(one, frames, _SIZE), Shot(other, frames, _SIZE, gain=_DARK, zoom=_NEAR)
    with tempfile.TemporaryDirectory() as place:
        clip, matte = Path(place) / "drift.mp4", Path(place) / "matte.mkv"
        write(clip, _joined(shots, given.change), _SIZE, _RATE)
        report = report_of(
            *(str(clip), "--to", "null", "--matte", str(matte), "--bg", "red", "--student", "auto"),
            *("--quality", given.quality),
        )
        if report["student"] is None:
            parser.exit(1, "no student was taught in that time: give it more --seconds\n")
        found = _found(report["student"], matte, shots, given.seconds)
    for key, value in found.items():
        print(f"{key:<24} {value}")
    facts = {"change": given.change, "seconds": given.seconds, "clips": list(given.clips), "student": report["student"]}
    live = {key: report[key] for key in ("frames_out", "frames_dropped", "network_runs")}
    keep({**facts, **live, **found, "machine": describe()}, given.out)


def _joined(shots: tuple[Shot, Shot], change: str) -> Iterator[Picture]:
    if change == "cut":
        yield from chain(shots[0].sources(), shots[1].sources())
        return
    before = np.zeros((), np.uint8)
    for before in shots[0].sources():
        yield before
    for number, picture in enumerate(shots[1].sources()):
        share = min(1.0, (number + 1) / _DISSOLVE)
        yield np.asarray(cv2.addWeighted(picture, share, before, 1 - share, 0), np.uint8) if share < 1 else picture


def _found(student: dict[str, Any], matte: Path, shots: tuple[Shot, Shot], change_s: float) -> dict[str, Any]:
    turns = [(turn["at_s"], turn["to"]) for turn in student["turns"]]
    before = [to for at_s, to in turns if at_s < change_s]
    noticed = next((at_s for at_s, to in turns if to == "teacher" and at_s >= change_s), None)
    again = next((at_s for at_s, to in turns if to == "student" and noticed is not None and at_s > noticed), None)
    scored = list(_scored(matte, shots))

    def over(start_s: float, end_s: float, key: int = 1, how: Any = np.mean) -> float | None:
        values = [each[key] for each in scored if start_s <= each[0] < end_s]
        return round(float(how(values)), 2) if values else None

    end_s = 2 * change_s
    wrong = (scored[-1][0] if noticed is None else noticed) - change_s if before[-1:] == ["student"] else 0.0
    return {
        "student_before": before[-1:] == ["student"],
        "noticed_after_s": None if noticed is None else round(noticed - change_s, 2),
        "frames_by_a_wrong_student": sum(change_s <= each[0] < change_s + wrong for each in scored),
        "student_again_after_s": None if again is None else round(again - change_s, 2),
        "mad_before": over(change_s - 10, change_s),
        "mad_first_second_after": over(change_s, change_s + _WINDOW_S),
        "mad_most_after": over(change_s, end_s, 1, np.max),
        "mad_10_s_later": over(change_s + 10, change_s + 20),
        "mad_last_10_s": over(end_s - 10, end_s),
        "leak_most": over(0, end_s, 2, np.max),
        "frames_recorded": len(scored),
    }


def _scored(matte: Path, shots: tuple[Shot, Shot]) -> Iterator[tuple[float, float, float]]:
    """(time, MAD, leak) of each frame that was recorded."""
    truths = enumerate(chain(shots[0].truths(), shots[1].truths()))
    for time_s, said in mattes(matte):
        truth = next(truth for number, truth in truths if number >= round(time_s * _RATE))
        background = truth == 0
        yield time_s, mad(said, truth), float((said[background] > _OPAQUE).mean())


if __name__ == "__main__":
    main()
