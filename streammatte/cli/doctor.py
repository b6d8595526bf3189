"""`streammatte doctor`: what is there, what is not, and what to do."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any

import click

from streammatte import registry
from streammatte.catalog import catalog
from streammatte.cli.screen import say
from streammatte.live.checks import Finding, findings
from streammatte.live.machine import Machine
from streammatte.weights.cache import cache_dir, locate

__all__ = ["doctor"]

_LIBRARIES = (
    *("av", "numpy", "opencv-python-headless", "openvino", "onnxruntime", "torch", "tensorrt", "tensorrt-rtx"),
    *("pillow", "onnx", "tflite"),
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this machine; exits with 1 if no runtime can run a network."""
    found = _examined()
    if as_json:
        say(json.dumps(found, ensure_ascii=False))
    else:
        _show(found)
    ctx.exit(0 if any(runtime["usable"] for runtime in found["runtimes"]) else 1)


def _examined() -> dict[str, Any]:
    folder = cache_dir()
    return {
        "streammatte": version("streammatte"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "runtimes": [_runtime(name) for name in registry.RUNTIMES],
        "cache": str(folder),
        "cache_free_bytes": shutil.disk_usage(folder).free if folder.exists() else None,
        "models": {name: str(found.path) for name, model in catalog().items() if (found := locate(model))},
        "live": [asdict(finding) for finding in findings(Machine())],
        "terminal": sys.stderr.isatty(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _runtime(name: str) -> dict[str, Any]:
    runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
    why = runtime.unavailable()
    return {
        "name": name,
        "usable": why is None,
        "why": why,
        "declined": None if why else runtime.declined(),
        "precisions": [] if why else list(runtime.precisions()),
    }


def _show(found: dict[str, Any]) -> None:
    say(f"streammatte {found['streammatte']}, Python {found['python']}, {found['platform']}")
    for name, installed in found["libraries"].items():
        _line(name, installed or "not installed")
    say("runtimes, in the order they are tried")
    for runtime in found["runtimes"]:
        usable = f"usable, best first: {', '.join(runtime['precisions'])}"
        usable += f"; not used unless asked for: {runtime['declined']}" if runtime["declined"] else ""
        _line(runtime["name"], runtime["why"] or usable)
    say(f"cache {found['cache']}")
    if found["cache_free_bytes"] is not None:
        _line("free space", f"{found['cache_free_bytes'] / 2**30:.1f} GiB")
    for name, path in found["models"].items():
        _line(name, path)
    if not found["models"]:
        _line("no model is here", "the first run pulls one; `streammatte models list` shows all")
    for topic, group in groupby((Finding(**finding) for finding in found["live"]), lambda finding: finding.topic):
        say(topic)
        for finding in group:
            _line(finding.name, finding.state + (f" -> {finding.remedy}" if finding.remedy else ""))
    say("terminal" if found["terminal"] else "no terminal: progress is printed as plain lines")


def _line(name: str, words: str) -> None:
    say(f"  {name:<24} {words}")
