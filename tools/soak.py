"""A long live run: does it keep the camera's pace, in time, without losing frames or growing?

    python tools/soak.py [--seconds 600] [--size 640x360] [--rate 30] [--quality balanced] [--loaded 60]
        [--busy 1 --busy 3] [--out JSON]

A looped clip at the camera's pace goes through the default network into a null live output, by the command line in its
own process, whose resident memory is read every few seconds. Then, for `--loaded` seconds each, the same while other
processes do nothing but keep cores busy: what the governor does about it stands in the report.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from command import keep
from machine import describe

CLIP = Path(__file__).parent.parent / "streammatte" / "demo_clip" / "webcam.mp4"
_EVERY_S = 5.0
_WARM_S = 30.0
"""Memory is compared from here on: by then everything has been allocated once."""


def main() -> None:
    """Run alone, then loaded; print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--loaded", type=int, default=60)
    parser.add_argument("--busy", type=int, action="append", help="other busy processes; default 1, then 3")
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    runs = {"alone": _run(given, given.seconds)} if given.seconds else {}
    for count in (given.busy or [1, 3]) if given.loaded else ():
        runs[f"{count} busy beside it"] = _loaded(given, count)
    result = {
        "what": f"live, {given.size} at {given.rate} frames a second, quality {given.quality}, into a null output",
        "runs": runs,
        "machine": describe(),
    }
    print(json.dumps(result, indent=1))
    keep(result, given.out)


def _loaded(given: argparse.Namespace, count: int) -> dict[str, Any]:
    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(count)]
    for process in busy:
        process.start()
    try:
        return _run(given, given.loaded)
    finally:
        for process in busy:
            process.kill()
            process.join()


def _spin() -> None:
    while True:
        pass


def _run(given: argparse.Namespace, seconds: int) -> dict[str, Any]:
    wide, high = given.size.split("x")
    graph = f"lavfi:movie={given.clip}:loop=0,setpts=N/FRAME_RATE/TB,fps={given.rate},scale={wide}:{high}"
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        words = [sys.executable, "-m", "streammatte", graph, "--duration", str(seconds), "--bg", "seagreen"]
        words += ["--to", "null", "--quality", given.quality, "--control", "off", "--report", str(report), "--quiet"]
        process = subprocess.Popen(words)
        memory = _memory(process)
        if process.returncode:
            raise SystemExit(f"the run failed with {process.returncode}")
        return _told(json.loads(report.read_text(encoding="utf-8")), memory, seconds)


def _memory(process: subprocess.Popen[bytes]) -> list[tuple[float, float]]:
    """(seconds since the start, resident MiB) until the process ends."""
    started, found = time.monotonic(), []
    while True:
        try:
            process.wait(_EVERY_S)
        except subprocess.TimeoutExpired:
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
            resident = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)
            found.append((round(time.monotonic() - started, 1), round(resident, 1)))
        else:
            return found


def _told(report: dict[str, Any], memory: list[tuple[float, float]], seconds: int) -> dict[str, Any]:
    live = report["live"]
    output = live["outputs"][0]
    settled = [mib for at, mib in memory if at >= min(_WARM_S, seconds / 3)]
    lost = live["capture_dropped"] + output["dropped"]
    return {
        "seconds": seconds,
        "frames_captured": report["frames_in"],
        "frames_shown": output["frames"],
        "rate": output["rate"],
        "dropped_percent": round(100 * lost / max(1, report["frames_in"]), 2),
        "capture_to_sink_ms": output["latency"],
        "network_runs": report["network_runs"],
        "memory_mib": {"settled": settled[0], "last": settled[-1], "most": max(settled)} if settled else None,
        "governor": live["steps"],
        "cards": output["cards"],
        "incidents": live["incidents"],
        "ran_on": f"{report['runtime']}, {report['precision']}",
        "stages": report["stages"],
        "notes": report["fallbacks"],
    }


if __name__ == "__main__":
    main()
