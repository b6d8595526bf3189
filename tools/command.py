"""Runs streammatte as its user would, in a process of its own, in several variants; keeps what a tool found out."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "BEACH",
    "QUALITIES",
    "add_variants",
    "keep",
    "printed_by",
    "report_of",
    "runs_per_frame",
    "stage_p50_ms",
    "table",
    "variant",
]

BEACH = Path(__file__).parent.parent / "streammatte" / "demo_clip" / "beach.jpg"
"""What subjects are put over."""
QUALITIES = [(name, ["--quality", name]) for name in ("fast", "balanced", "best")]
"""What tools compare where no --variant is given: names and options."""


def report_of(*arguments: str) -> dict[str, Any]:
    """The run report of `streammatte ARGUMENTS`. Raises subprocess.CalledProcessError where it fails."""
    return printed_by("-m", "streammatte", *arguments, "--json")


def printed_by(*arguments: str) -> dict[str, Any]:
    """The JSON object that `python ARGUMENTS` prints. Its errors go to the terminal; raises CalledProcessError then."""
    done = subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def runs_per_frame(report: dict[str, Any]) -> float:
    """The share of frames that the network saw; the mattes of the others were carried along the motion."""
    return float(report["network_runs"]) / float(report["frames_out"])


def stage_p50_ms(report: dict[str, Any]) -> dict[str, float]:
    """The median milliseconds a frame of each stage of a run report."""
    return {name: times["p50_ms"] for name, times in report["stages"].items()}


def add_variants(parser: argparse.ArgumentParser) -> None:
    """Give `parser` --variant; `variants` of what it parses is None or the list of (name, options) given."""
    names = ", ".join(name for name, _ in QUALITIES)
    parser.add_argument(
        "--variant",
        dest="variants",
        action="append",
        type=variant,
        metavar="'NAME: OPTIONS'",
        help=f"streammatte's options under a name; repeat for several. Default: --quality {names}",
    )


def variant(text: str) -> tuple[str, list[str]]:
    """The name and the options of "fast: --quality fast"; "plain:" has none. Raises ArgumentTypeError."""
    name, colon, options = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"expected 'NAME: OPTIONS', got {text!r}")
    return name.strip(), shlex.split(options)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table; all columns but the first are numbers and stand to the right."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keep(result: dict[str, Any], out: Path | None) -> None:
    """Write `result` as JSON to `out`, where one is given."""
    if out is not None:
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
