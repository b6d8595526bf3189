"""Where `--report` goes: JSON where a file's name ends so, else a folder with a page."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from streammatte.errors import SinkError
from streammatte.inspector import Inspector
from streammatte.meter import RunReport
from streammatte.report.folder import check_folder, write_folder

__all__ = ["check_report_path", "is_page", "write_report"]


def is_page(path: Path | None) -> bool:
    """Whether a page is asked for."""
    return path is not None and path.suffix.lower() != ".json"


def check_report_path(path: Path, force: bool) -> None:
    """Raise SinkError where a report cannot be written, before the work that it would report."""
    if path.suffix.lower() in (".html", ".htm"):
        raise SinkError(f"{path}: a page comes with pictures; name a folder for it, or FILE.json")
    if is_page(path):
        check_folder(path, force)
    elif not path.parent.is_dir():
        raise SinkError(f"{path}: the folder {path.parent} does not exist; make it first")


def write_report(report: RunReport, path: Path, inspector: Inspector) -> None:
    """The run report as JSON or as a page with the inspector's pictures, whole or not at all. Raises SinkError."""
    if is_page(path):
        write_folder(path, report, inspector.pictures())
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise SinkError(f"{path}: cannot write the report: {error.strerror or error}; choose another path") from error
