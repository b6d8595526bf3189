"""Runs streammatte as its user would, in a process of its own, and keeps what a tool found out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["keep", "report_of"]


def report_of(*arguments: str) -> dict[str, Any]:
    """The run report of `streammatte ARGUMENTS`. Raises subprocess.CalledProcessError where it fails."""
    command = [sys.executable, "-m", "streammatte", *arguments, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def keep(result: dict[str, Any], out: Path | None) -> None:
    """Write `result` as JSON to `out`, where one is given."""
    if out is not None:
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
