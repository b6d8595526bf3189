"""`streammatte doctor`: what is there, what is not, and what to do."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from streammatte import registry
from streammatte.catalog import catalog
from streammatte.cli.screen import say
from streammatte.weights.cache import cache_dir, locate

__all__ = ["doctor"]

_LIBRARIES = ("av", "numpy", "opencv-python-headless", "openvino", "onnxruntime", "pillow", "onnx", "tflite")


@click.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check this machine; exits with 1 if no runtime can run a network."""
    say(f"streammatte {version('streammatte')}, Python {platform.python_version()}, {platform.platform()}")
    for name in _LIBRARIES:
        say(f"  {name:<24} {_version(name)}")
    usable = _runtimes()
    folder = cache_dir()
    say(f"cache {folder}")
    if folder.exists():
        say(f"  free space               {shutil.disk_usage(folder).free / 2**30:.1f} GiB")
    for name, model in catalog().items():
        found = locate(model)
        state = str(found.path) if found else f"not pulled: streammatte models pull {name}"
        say(f"  {name:<24} {state}")
    say("terminal" if sys.stderr.isatty() else "no terminal: progress is printed as plain lines")
    ctx.exit(0 if usable else 1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _runtimes() -> bool:
    usable = False
    say("runtimes, in the order they are tried")
    for name in registry.RUNTIMES:
        runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
        why = runtime.unavailable()
        fast = "" if why else f"usable, best first: {', '.join(runtime.precisions())}"
        say(f"  {name:<24} {why or fast}")
        usable = usable or why is None
    return usable
