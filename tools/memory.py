"""Compares the peak memory of a long file with that of a short one of the same kind.

    python tools/memory.py [--size 1920x1080] [--short 10] [--long 600] [--model u2net] [--out JSON]

Each is matted over a colour by the command line, in its own process, whose peak resident memory is read when it ends.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import av
from command import keep, report_of
from machine import describe


def main() -> None:
    """Make both files, run both, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--short", type=int, default=10)
    parser.add_argument("--long", type=int, default=600)
    parser.add_argument("--model", default="u2net")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = {f"{s}_s": _run(s, given, Path(place)) for s in (given.short, given.long)}
    peaks = [run["peak_rss_mb"] for run in runs.values()]
    result = {
        "what": f"peak resident memory in MiB, {given.size} at {given.rate} frames a second, {given.model}",
        "runs": runs,
        "long_over_short": round(peaks[1] / peaks[0], 3),
        "machine": describe(),
    }
    print(json.dumps(result, indent=1))
    keep(result, given.out)


def _run(seconds: int, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    clip, out = folder / f"{seconds}.mp4", folder / f"{seconds}.out.mp4"
    _make(f"testsrc2=size={given.size}:rate={given.rate}:duration={seconds}", clip)
    report = report_of(str(clip), "-m", given.model, "--bg", "navy", "-o", str(out))
    out.unlink()
    return {key: report[key] for key in ("peak_rss_mb", "frames_out", "throughput_fps", "precision", "runtime")}


def _make(graph: str, clip: Path) -> None:
    """A moving test picture as H.264, through FFmpeg's own generator."""
    with av.open(graph, format="lavfi") as source, av.open(str(clip), "w") as target:
        video = source.streams.video[0]
        stream: Any = target.add_stream("libx264", rate=video.average_rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for frame in source.decode(video):
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode())


if __name__ == "__main__":
    main()
