"""Writes the page, its pictures and the JSON as one folder, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from streammatte.errors import SinkError
from streammatte.meter import RunReport
from streammatte.report.page import GENERATOR, page

__all__ = ["check_folder", "write_folder"]

_INDEX, _JSON, _PICTURES = "index.html", "report.json", "moment-*.jpg"


def check_folder(folder: Path, force: bool) -> None:
    """Raise SinkError where `write_folder` could not or should not write.

    A folder that is there already must be empty or hold an earlier page; with `force`, it may hold anything.
    """
    if not folder.parent.is_dir():
        raise SinkError(f"{folder}: the folder {folder.parent} does not exist; make it first")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SinkError(f"{folder}: is a file; name a folder for the page, or FILE.json")
    if not force and any(folder.iterdir()) and not _is_ours(folder / _INDEX):
        raise SinkError(
            f"{folder}: exists already and is no report; choose another name or use --force to write into it"
        )


def _is_ours(index: Path) -> bool:
    return index.is_file() and GENERATOR in index.read_text(encoding="utf-8", errors="replace")


def write_folder(folder: Path, report: RunReport, pictures: Sequence[Mapping[str, bytes]]) -> None:
    """index.html, report.json and moment-*.jpg, in place of an earlier page's. Raises SinkError.

    `pictures` are the JPEG files of each of `report.inspection.moments`, by what they show.
    """
    home = folder if folder.is_dir() else folder.parent
    temporary = home / f".{folder.name}.partial-{os.getpid()}"
    try:
        temporary.mkdir()
        _fill(temporary, report, pictures)
        _promote(temporary, folder)
    except OSError as error:
        raise SinkError(f"{folder}: cannot write the report: {error.strerror or error}; choose another path") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(folder: Path, report: RunReport, pictures: Sequence[Mapping[str, bytes]]) -> None:
    names: list[dict[str, str]] = []
    for number, shown in enumerate(pictures, 1):
        names.append({what: f"moment-{number:02d}-{what}.jpg" for what in shown})
        for what, file in shown.items():
            (folder / names[-1][what]).write_bytes(file)
    (folder / _JSON).write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / _INDEX).write_text(page(report, names), encoding="utf-8")


def _promote(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.replace(folder)
        return
    for old in folder.glob(_PICTURES):
        old.unlink()
    for file in sorted(temporary.iterdir()):
        file.replace(folder / file.name)
