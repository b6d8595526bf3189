"""Times streammatte beside a loop of rembg's own `remove()` on the same clip, with the same U2-Net weights.

    pip install 'rembg[cpu]'
    python tools/beside_rembg.py CLIP --bg PICTURE [--rounds 3] [--frames 60] [--out docs/benchmarks/DATE-rembg.json]

Both do the whole job, from the file to a composite H.264 file at the clip's size. Loading the network is left out of
both. They take turns, so that a machine whose speed drifts treats them alike; the ratio of each round is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
from command import keep, report_of
from machine import describe

from streammatte.catalog import model as model_named
from streammatte.weights.pull import ensure

_ENCODER = {"preset": "superfast", "crf": "17"}
"""What streammatte writes .mp4 with, for both."""


def main() -> None:
    """Run the rounds and print, or write, the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--bg", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        size, rate = _shape(given.clip)
        remove_loop = _rembg_loop(given.clip, given.bg, folder, given.frames)
        rounds = []
        for number in range(given.rounds):
            theirs = given.frames / remove_loop()
            report = _ours(given.clip, given.bg, folder, given.frames / rate, given.precision)
            ours = report["throughput_fps"]
            rounds.append({"streammatte_fps": ours, "rembg_fps": round(theirs, 3), "ratio": round(ours / theirs, 2)})
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
    result = {
        "what": "whole job, file to composite H.264 file, frames a second",
        "clip": f"{given.clip.name}, {size}, {given.frames} frames a round",
        "rounds": rounds,
        "median_ratio": statistics.median(entry["ratio"] for entry in rounds),
        "streammatte": {key: report[key] for key in ("runtime", "precision", "stages", "fallbacks", "peak_rss_mb")},
        "machine": describe(),
    }
    print(json.dumps(result, indent=1))
    keep(result, given.out)


def _shape(clip: Path) -> tuple[str, float]:
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        return f"{video.width}x{video.height}", float(video.average_rate or 25)


def _ours(clip: Path, bg: Path, folder: Path, seconds: float, precision: str) -> dict[str, Any]:
    """The command line's own report; its throughput counts from the first read to the finished file."""
    places = (str(clip), "--bg", str(bg), "-o", str(folder / "ours.mp4"))
    return report_of(*places, "--duration", str(seconds), "--force", "--precision", precision)


def _rembg_loop(clip: Path, bg: Path, folder: Path, frames: int) -> Callable[[], float]:
    """A function that runs the loop and returns its wall time in seconds, its session loaded and warm."""
    os.environ["U2NET_HOME"] = str(folder)
    (folder / "u2net.onnx").symlink_to(ensure(model_named("u2net")).path)
    from PIL import Image
    from rembg import new_session, remove

    pictures: Any = av.VideoFrame
    session = new_session("u2net")
    remove(Image.new("RGB", (320, 320)), session=session)

    def run() -> float:
        started = time.perf_counter()
        with av.open(str(clip)) as source, av.open(str(folder / "theirs.mp4"), "w") as target:
            video = source.streams.video[0]
            stream: Any = target.add_stream("libx264", rate=video.average_rate, options=_ENCODER)
            stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
            behind = Image.open(bg).convert("RGB").resize((video.width, video.height))
            for number, frame in enumerate(source.decode(video)):
                if number == frames:
                    break
                picture: Any = frame
                subject: Any = remove(picture.to_image(), session=session)
                composite = behind.copy()
                composite.paste(subject, mask=subject)
                target.mux(stream.encode(pictures.from_image(composite)))
            target.mux(stream.encode())
        return time.perf_counter() - started

    return run


if __name__ == "__main__":
    main()
