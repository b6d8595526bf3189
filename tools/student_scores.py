"""Teaches a student the first half of every evaluation clip, and scores it on the second half beside its teacher.

    python tools/student_scores.py FOLDER [--clips NAME ...] [--seconds 120] [--quality balanced] [--out JSON]

FOLDER holds score.py and public/<clip>/{source.mp4, alpha.mkv, meta.json}. Three runs of the second half are scored by
score.py: the teacher's, as anybody would run it; the student's alone, as `--model scene:NAME`; and both, the student
where it holds on samples of the second half that it was never taught, as `--student auto` gates it. `--seconds` is the
time of labelling and teaching together, of every core's processor time: what else the machine does does not count.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from command import keep, printed_by, table
from machine import describe
from shots import with_truth

from streammatte.agreement import Examined
from streammatte.assembly import open_input
from streammatte.composing import Stages
from streammatte.config import Settings
from streammatte.matter import Matter
from streammatte.parts import facts_of, matter_of, sink_options, stages_of
from streammatte.pipeline import Pipeline
from streammatte.quality import quality_of
from streammatte.sampling import found
from streammatte.schooling import Taught, examined, opened, teach
from streammatte.sinks import open_sink
from streammatte.student import Student
from streammatte.students.process import Trainer
from streammatte.tandem import STUDENT, Tandem

_KEYS = ("mad", "grad", "dtssd", "mid_mad", "mid_pred_mid", "flicker_static")
_PEOPLE = ("pub_render_webcam_longhair", "pub_real_man_webcam", "pub_real_woman_handheld")
_SHOWN = [
    "clip",
    "teacher MAD",
    "student",
    "gated",
    "teacher dtSSD",
    "student",
    "gated",
    "by the student",
    "apart",
    "steps",
]


def main() -> None:
    """Teach, run and score every clip with truth; print a table, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    clips: dict[str, dict[str, Any]] = {}
    for clip in with_truth(given.folder, given.clips):
        clips[clip.name] = _clip(clip, given)
        print(clip.name, json.dumps(clips[clip.name]), flush=True)
    if not clips:
        parser.error(f"{given.folder}/public: no such clip with an alpha.mkv")
    print(table(_SHOWN, [_row(name, entry) for name, entry in clips.items()]))
    keep({"seconds": given.seconds, "quality": given.quality, "clips": clips, "machine": describe()}, given.out)


def _row(name: str, entry: dict[str, Any]) -> list[str]:
    runs = [entry[who] for who in ("teacher", "student", "gated")]
    share = entry["frames_student"] / entry["frames"]
    return [
        name,
        *(f"{run['mad']:.1f}" for run in runs),
        *(f"{run['dtssd']:.2f}" for run in runs),
        f"{100 * share:.0f} %",
        f"{entry['apart']:.4f}",
        str(entry["steps"]),
    ]


def _clip(clip: Path, given: argparse.Namespace) -> dict[str, Any]:
    spec = str(clip / "source.mp4")
    meta = json.loads((clip / "meta.json").read_text(encoding="utf-8"))
    half = meta["frames"] // 2
    # Half a frame earlier than the frame: times are rounded.
    cut_s = (half - 0.5) / meta["fps"]
    settings = Settings(quality=given.quality, seed=given.seed)
    first, second = replace(settings, duration_s=cut_s), replace(settings, start_s=cut_s)
    quality = quality_of(settings, live=False)
    with (
        tempfile.TemporaryDirectory() as place,
        closing(matter_of(settings, replace(quality, tta=True), streams=1)) as labelling,
        closing(matter_of(settings, quality, streams=1)) as teacher,
        closing(Trainer(aside=False)) as trainer,
    ):
        started_s = time.process_time()
        samples = found(open_input(spec, first), labelling)
        labelling_s = (time.process_time() - started_s) / (os.cpu_count() or 1)
        learnt = teach(trainer, samples, given.seconds - labelling_s, seed=given.seed)
        taught = Taught(learnt, tuple(samples))
        manifest = taught.manifest("student", teacher, spec, given.seed)
        with closing(opened(manifest, learnt.onnx, Path(place))) as student:
            said = [
                replace(each, held_out=True) for each in examined(student, found(open_input(spec, second), labelling))
            ]
            tandem = Tandem(teacher, Student(student), said, math.inf, 1)
            runs: dict[str, Any] = {"teacher": teacher, "student": student, "gated": tandem}
            scores = {
                name: _scored(clip, half, second, maker, teacher, Path(place) / f"{name}.mkv")
                for name, maker in runs.items()
            }
            frames_student = sum(span.frames for span in tandem.spans if span.network == STUDENT)
            student_ms = _run_ms(student)
    return {
        **scores,
        "frames": meta["frames"] - half,
        "frames_student": frames_student,
        "taught_frames": manifest.frames,
        "labelling_s": round(labelling_s, 1),
        "teaching_wall_s": round(learnt.seconds, 1),
        "steps": learnt.steps,
        "precision": learnt.precision,
        "held_out": round(learnt.error, 5),
        "apart": round(_mean(said), 5),
        "apart_most": round(max(each.apart for each in said), 5),
        "student_ms": student_ms,
    }


def _mean(said: list[Examined]) -> float:
    return sum(each.apart for each in said) / len(said)


def _run_ms(student: Matter) -> dict[str, Any]:
    """Milliseconds of one run of the student's engine, median of 200."""
    import numpy as np

    spec = student.model.input
    batch = np.random.default_rng(0).normal(size=(1, 3, spec.height, spec.width)).astype(np.float32)
    times = []
    for _ in range(200):
        started_s = time.perf_counter()
        student.session.run(batch)
        times.append(1e3 * (time.perf_counter() - started_s))
    return {"median": round(float(np.median(times)), 2), "runtime": student.info.runtime, "in": student.info.precision}


def _scored(clip: Path, half: int, settings: Settings, maker: Any, teacher: Matter, out: Path) -> dict[str, float]:
    source = open_input(str(clip / "source.mp4"), settings)
    sink = open_sink(out, "pha", source.info, sink_options(settings, teacher))
    quality = quality_of(settings, live=False)
    stages: Stages = stages_of(settings, quality, maker if isinstance(maker, Matter) else teacher, None, live=False)
    if isinstance(maker, Matter) and maker is not teacher:
        stages = replace(stages, pace=replace(stages.pace, stride=1))
    Pipeline(source, replace(stages, matter=maker), [sink], facts_of(teacher)).run()
    scored = printed_by(str(clip.parents[1] / "score.py"), str(out), str(clip), "--offset", str(half))
    return {key: round(float(scored[key]), 4) for key in _KEYS}


if __name__ == "__main__":
    main()
