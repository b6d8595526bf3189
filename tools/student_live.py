"""Live, a tuned scene beside the large network: processor time a frame and latency, in one run, by turns.

    streammatte tune CLIP --name bench
    python tools/student_live.py CLIP --scene bench [--seconds 30] [--rounds 2] [--size 640x360] [--out JSON]

CLIP is shown over and over at 30 frames a second, as a camera would show it, into `--to null` over a blurred room, with
`--quality balanced` and no governor: both do what they are asked to, and all of it.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from command import keep, report_of, table
from machine import describe

from streammatte.scenes import manifest_of


def main() -> None:
    """Run both by turns, print a table, keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--scene", required=True)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    manifest = manifest_of(given.scene)
    models = {"teacher": manifest.teacher, "student": f"scene:{manifest.name}"}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in models}
    for _ in range(given.rounds):
        for name, model in models.items():
            rounds[name].append(_run(given, model))
            print(name, rounds[name][-1], flush=True)
    best = {name: min(runs, key=lambda run: float(run["cpu_ms_a_frame"])) for name, runs in rounds.items()}
    keys = ("cpu_ms_a_frame", "p50_ms", "p95_ms", "shown_fps", "cards")
    rows = [[name, *(f"{best[name][key]:.1f}" for key in keys)] for name in models]
    print(table(["", *keys], rows))
    ratio = best["student"]["cpu_ms_a_frame"] / best["teacher"]["cpu_ms_a_frame"]
    print(f"the student takes {ratio:.2f} of the teacher's processor time")
    result = {"rounds": rounds, "cpu_ratio": round(ratio, 3), "scene": manifest.to_json(), "machine": describe()}
    result["scene"].pop("input")
    keep({"size": given.size, "seconds": given.seconds, **result}, given.out)


def _run(given: argparse.Namespace, model: str) -> dict[str, Any]:
    width, height = given.size.split("x")
    graph = f"lavfi:movie={given.clip.resolve()}:loop=0,setpts=N/FRAME_RATE/TB,fps=30,scale={width}:{height}"
    before = os.times()
    started_s = time.perf_counter()
    report = report_of(
        *(graph, "--to", "null", "--bg", "blur", "--quality", "balanced", "--governor", "off"),
        *("--model", model, "--duration", str(given.seconds)),
    )
    after, wall_s = os.times(), time.perf_counter() - started_s
    cpu_s = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    shown = report["live"]["outputs"][0]
    return {
        "model": report["model"],
        "precision": report["precision"],
        "frames": report["frames_out"],
        "shown": shown["frames"],
        "shown_fps": shown["rate"],
        "cards": shown["cards"],
        "dropped": report["frames_dropped"],
        "cpu_s": round(cpu_s, 2),
        "wall_s": round(wall_s, 1),
        "cpu_ms_a_frame": round(1e3 * cpu_s / max(report["frames_out"], 1), 1),
        "p50_ms": shown["latency"]["p50_ms"],
        "p95_ms": shown["latency"]["p95_ms"],
        "stage_p50_ms": {name: times["p50_ms"] for name, times in report["stages"].items()},
        "network_runs": report["network_runs"],
    }


if __name__ == "__main__":
    main()
