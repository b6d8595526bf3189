"""Times streammatte beside rembg, beside its own network alone and beside transcoding alone: all in one run.

    pip install 'rembg[cpu]'
    python tools/bench.py 1920x1080 [--seconds 10] [--rounds 3] [--variant "NAME: OPTIONS"] ... [--out JSON]

The clip is a path, or a size to make one of (make_clip.py). Each round runs, each in a process of its own, streammatte
in every variant, a loop of rembg's `remove()`, the network alone, and decoding and encoding alone (contestants.py says
how each is timed, and that loading is in no figure); every other round runs them backwards, so that a machine whose
speed drifts treats them alike. Figures are worked out in each round, from its own runs, and their medians reported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import av
from command import BEACH, QUALITIES, add_variants, keep, printed_by, table
from machine import describe
from make_clip import make_clip

Run: TypeAlias = dict[str, Any]

_JOBS = str(Path(__file__).with_name("contestants.py"))
_TITLES = {
    "fps": "fps",
    "times_rembg": "× rembg",
    "inferences_per_frame": "inferences a frame",
    "cpu_ms": "CPU ms a frame",
    "own_cpu_ms": "of that outside network and codec",
    "cpu_over_parts": "CPU / (network + transcode)",
}
_ROUNDED = {"fps": 2, "times_rembg": 2, "inferences_per_frame": 3, "cpu_ms": 1, "own_cpu_ms": 1, "cpu_over_parts": 3}


def main() -> None:
    """Run the rounds, print the medians as markdown, keep everything as JSON."""
    given = _arguments()
    variants = dict(given.variants or QUALITIES)
    with tempfile.TemporaryDirectory() as place:
        clip = _clip(given, Path(place))
        contest = _Contest(clip, given, variants)
        rounds = [contest.round(backwards=number % 2 == 1) for number in range(given.rounds)]
        facts = _facts(clip, given)
    found = [{name: figures(runs, name) for name in runs} for runs in rounds]
    medians = {name: _medians([each[name] for each in found]) for name in found[0]}
    print("", markdown(medians), "", *(_stages(name, rounds) for name in variants), sep="\n")
    result = {"what": "medians over rounds, each figure from the runs of one round", **facts, "variants": variants}
    keep(result | {"medians": medians, "rounds": rounds, "machine": describe()}, given.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", metavar="CLIP|WxH")
    parser.add_argument("--bg", type=Path, default=BEACH)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rembg-frames", type=int, help="fewer than the clip has, for it is slow; 0: not at all")
    parser.add_argument("--out", type=Path)
    add_variants(parser)
    given = parser.parse_args()
    if given.rembg_frames != 0 and find_spec("rembg") is None:
        parser.error("rembg is not installed: pip install 'rembg[cpu]', or --rembg-frames 0 to leave it out")
    return given


def _clip(given: argparse.Namespace, folder: Path) -> Path:
    if Path(given.clip).exists():
        return Path(given.clip)
    made = folder / f"webcam-{given.clip}.mp4"
    make_clip(given.clip, made, given.seconds)
    return made


def _facts(clip: Path, given: argparse.Namespace) -> dict[str, Any]:
    with av.open(str(clip)) as container:
        video: Any = container.streams.video[0]
        sound = ", with sound" if container.streams.audio else ""
        shape = f"{video.width}x{video.height}, {float(video.average_rate or 0):g} frames a second{sound}"
    return {"clip": f"{clip.name}, {shape}", "seconds": given.seconds, "background": given.bg.name}


class _Contest:
    """Runs the contestants. What the network alone must be is known once streammatte has run."""

    def __init__(self, clip: Path, given: argparse.Namespace, variants: dict[str, list[str]]) -> None:
        self._shared = {"clip": str(clip), "bg": str(given.bg)}
        self._seconds, self._rembg_frames, self._variants = given.seconds, given.rembg_frames, variants
        self._seen: dict[str, Run] = {}

    def round(self, *, backwards: bool) -> dict[str, Run]:
        """One run of each, under its name."""
        runs: dict[str, Run] = {}
        variants, others = list(self._variants), ["rembg", "transcode", "network"]
        for name in [*reversed(others), *reversed(variants)] if backwards else [*variants, *others]:
            for key, run in self._run(name).items():
                runs[key] = run
                print(f"{key}: {run['frames'] / run['wall_s']:.2f} a second", flush=True)
        return runs

    def _run(self, name: str) -> dict[str, Run]:
        if name in self._variants:
            more = {"seconds": self._seconds, "options": self._variants[name]}
            self._seen[name] = _job("streammatte", **self._shared, **more)
            return {name: self._seen[name]}
        frames = max(run["frames"] for run in self._seen.values())
        if name == "transcode":
            return {name: _job(name, clip=self._shared["clip"], frames=frames)}
        if name == "rembg":
            wanted = frames if self._rembg_frames is None else self._rembg_frames
            return {name: _job(name, **self._shared, frames=wanted)} if wanted else {}
        engines = {network_name(run): run for run in self._seen.values()}
        return {key: _network(run, frames) for key, run in engines.items()}


def _job(job: str, **arguments: Any) -> Run:
    return printed_by(_JOBS, job, json.dumps(arguments))


def _network(run: Run, frames: int) -> Run:
    return _job(
        "network",
        model=run["model"],
        runtime=_library(run),
        precision=run["precision"],
        frames=frames,
    )


def network_name(run: Run) -> str:
    """Under what the network of a variant's run stands in a round when it runs alone."""
    return f"network alone, {run['model']} {run['precision']} {_library(run)}"


def _library(run: Run) -> str:
    """The runtime's name without its version."""
    return str(run["runtime"]).partition(" ")[0]


def figures(runs: dict[str, Run], name: str) -> dict[str, float]:
    """What is told of the run `name` of a round.

    `own_cpu_ms` and `cpu_over_parts` are streammatte's only. With c its CPU time a frame, n that of the network alone
    for as many inferences as it made a frame, t that of transcoding a frame alone: c - n - t, and c / (n + t). The
    transcoder encodes the clip's own pictures, the others the composite.
    """
    run = runs[name]
    fps, cpu_ms = run["frames"] / run["wall_s"], _cpu_ms(run)
    found = {"fps": fps, "cpu_ms": cpu_ms}
    if "rembg" in runs:
        found["times_rembg"] = fps * runs["rembg"]["wall_s"] / runs["rembg"]["frames"]
    if "inferences_per_frame" in run:
        network_ms = run["inferences_per_frame"] * _cpu_ms(runs[network_name(run)])
        parts_ms = network_ms + _cpu_ms(runs["transcode"])
        found |= {"inferences_per_frame": run["inferences_per_frame"], "own_cpu_ms": cpu_ms - parts_ms}
        found["cpu_over_parts"] = cpu_ms / parts_ms
    return found


def _cpu_ms(run: Run) -> float:
    return 1e3 * float(run["cpu_s"]) / float(run["frames"])


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(each[key] for each in rounds), _ROUNDED[key]) for key in rounds[0]}


def markdown(medians: dict[str, dict[str, float]]) -> str:
    """The medians as a table, a row for each contestant; "a frame" is an inference for the network alone."""
    rows = [[name, *(f"{row[key]:g}" if key in row else "" for key in _TITLES)] for name, row in medians.items()]
    return table(["", *_TITLES.values()], rows)


def _stages(name: str, rounds: list[dict[str, Run]]) -> str:
    """The stages of a variant, each by the median of the rounds' medians."""
    stages = [runs[name]["stage_p50_ms"] for runs in rounds]
    return f"{name}: " + ", ".join(
        f"{stage} {statistics.median(each[stage] for each in stages):.3g} ms" for stage in stages[0]
    )


if __name__ == "__main__":
    main()
