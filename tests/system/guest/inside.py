"""Runs in the guest: webcam, streammatte and a reader on real kernel devices; prints what was seen as JSON.

python inside.py TINY_FOLDER [wire|steady|unplug|kill|term]
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from scene import BEACH, SIZE, STEPS, count_in, room_samples, seen

HERE = Path(__file__).parent
WEBCAM, VCAM = "/dev/video11", "/dev/video10"
_START_S = 120.0
_REPORT = "/tmp/report.json"


def main() -> None:
    """One scenario."""
    folder, what = sys.argv[1], sys.argv[2]
    webcam = subprocess.Popen([sys.executable, HERE / "feed.py", WEBCAM])
    time.sleep(3)
    live = subprocess.Popen(_product(folder, wire=what == "wire"), stdout=sys.stderr)
    found = _watch(what, webcam, live)
    if live.poll() is None:
        live.send_signal(signal.SIGTERM)
    started = time.monotonic()
    found["exit"] = live.wait(30)
    found["stopped_in_s"] = round(time.monotonic() - started, 2)
    webcam.kill()
    report = Path(_REPORT)
    told = json.loads(report.read_text()) if report.exists() else {}
    found["live"], found["stages"] = told.get("live"), told.get("stages")
    print("FOUND " + json.dumps(found), flush=True)


def _product(folder: str, *, wire: bool) -> list[str | Path]:
    """What is run: the command line with the tiny network, or the live pipeline with next to none."""
    if wire:
        return [sys.executable, HERE / "wire.py", WEBCAM, VCAM, _REPORT]
    words = [
        f"camera:{WEBCAM}",
        "--size",
        "x".join(map(str, SIZE)),
        "--bg",
        BEACH,
        "--to",
        f"vcam:{VCAM}",
        "-m",
        "tiny",
    ]
    words += [
        "--runtime",
        "onnxruntime",
        "--refine",
        "none",
        "--stabilize",
        "none",
        "--fgr",
        "off",
        "--governor",
        "off",
    ]
    return [sys.executable, HERE.parent.parent / "tiny.py", folder, *words, "--report", _REPORT]


def _watch(what: str, webcam: subprocess.Popen[bytes], live: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Read the virtual camera, for a while before and a while after what happens."""
    frames: list[tuple[float, Any]] = []
    reading = _frames(live)
    frames += _for(reading, 4.0, most=100)
    steady = len(frames)
    if what == "unplug":
        webcam.kill()
        webcam.wait()
        frames += _for(reading, 3.0)
        again = subprocess.Popen([sys.executable, HERE / "feed.py", WEBCAM])
        frames += _for(reading, 10.0)
        again.kill()
    elif what == "kill":
        live.kill()
        frames += _for(reading, 2.0)
    elif what == "term":
        live.send_signal(signal.SIGTERM)
        frames += _for(reading, 3.0)
    else:
        frames += _for(reading, 8.0)
    times = [at for at, _ in frames]
    counts = [count for _, frame in frames if (count := count_in(frame)) is not None]
    steps = [(later - one) % STEPS for one, later in itertools.pairwise(counts)]
    good = [seen(frame) for _, frame in frames]
    return {
        "frames": len(frames),
        "steady": steady,
        "rate": round((len(times) - 1) / (times[-1] - times[0]), 2) if len(times) > 1 else 0.0,
        "room_samples": max((room_samples(frame) for _, frame in frames), default=0),
        "background": sum(behind for behind, _ in good),
        "subject": sum(subject for _, subject in good),
        "backwards": sum(step > STEPS - 20 for step in steps),
        "repeated": sum(step == 0 for step in steps),
        "skipped": sum(1 < step <= STEPS - 20 for step in steps),
    }


def _frames(live: subprocess.Popen[bytes]) -> Iterator[tuple[float, Any] | None]:
    """(time, I420 picture) as they come, None while none does; ends where the device does."""
    began = time.monotonic()
    options = {"video_size": "x".join(map(str, SIZE)), "fflags": "+4"}  # not blocking, also once nobody writes
    while True:
        try:
            container: Any = av.open(VCAM, format="v4l2", options=options)
            break
        except (av.FFmpegError, OSError):  # with exclusive_caps it is no camera before it is written to
            if time.monotonic() - began > _START_S or live.poll() is not None:
                raise
            time.sleep(0.2)
    while True:
        try:
            for packet in container.demux(video=0):
                for frame in packet.decode():
                    yield time.monotonic(), np.array(frame.to_ndarray(format="yuv420p"))
            return
        except av.BlockingIOError:
            yield None
            time.sleep(0.003)
        except (av.FFmpegError, OSError):
            return


def _for(reading: Iterator[Any], seconds: float, most: int = 10_000) -> list[tuple[float, Any]]:
    """The frames of so many seconds, from the first of them on."""
    found: list[tuple[float, Any]] = []
    until: float | None = None
    for entry in reading:
        until = until or time.monotonic() + seconds
        if entry is not None:
            found.append(entry)
        if time.monotonic() > until or len(found) >= most:
            break
    return found


if __name__ == "__main__":
    main()
