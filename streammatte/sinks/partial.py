"""Outputs appear whole or not at all: written under a temporary name beside the final one, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from streammatte.errors import SinkError

__all__ = ["Partial", "PartialFolder", "failure", "sink_errors"]


_HINTS = {
    errno.ENOSPC: "; free some space or write elsewhere",
    errno.EACCES: "; choose a folder you may write to",
    errno.EROFS: "; choose a folder you may write to",
}


def failure(path: Path, error: Exception) -> SinkError:
    """What went wrong in writing `path`, as one line."""
    code = getattr(error, "errno", None)
    hint = _HINTS.get(code or 0, "")
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return SinkError(f"{path}: cannot be written: {reason}{hint}")


@contextlib.contextmanager
def sink_errors(path: Path, *kinds: type[BaseException]) -> Iterator[None]:
    """Turn operating system errors, and `kinds`, into a SinkError about `path`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (OSError, *kinds)):
            raise failure(path, error) from error
        raise


class Partial:
    """One file on its way. It is made at once, so that a folder that cannot be written shows early."""

    def __init__(self, path: Path, force: bool) -> None:
        self.path = path
        self._force = force
        self.temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
        _check_parent(path)
        self._check_free()
        try:
            with sink_errors(path):
                self.temporary.open("xb").close()
        except SinkError as error:
            if self.temporary.exists():
                raise SinkError(f"{path}: is already being written here; name each output once") from error
            raise

    def _check_free(self) -> None:
        if self.path.is_dir():
            raise SinkError(f"{self.path}: is a folder; give a file name")
        if self.path.exists() and not self._force:
            raise SinkError(f"{self.path}: exists already; choose another name or use --force to replace it")

    def promote(self) -> None:
        """Give the file its final name, once its bytes are on the disk."""
        self._check_free()
        with sink_errors(self.path):
            with self.temporary.open("rb+") as file:
                os.fsync(file.fileno())  # a full disk may only show here
            self.temporary.replace(self.path)

    def discard(self) -> None:
        """Remove what was written so far."""
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


class PartialFolder:
    """Numbered files on their way into a folder.

    `pattern` is the file name pattern (`%06d.png`). Files are collected in a temporary folder; a folder
    that does not exist yet is made by renaming it, else the files move in one by one.
    """

    def __init__(self, folder: Path, pattern: str, force: bool) -> None:
        self.folder = folder
        self._glob = _glob(pattern)
        self._force = force
        home = folder if folder.is_dir() else folder.parent
        self._own = home != folder
        """The folder itself is ours to make."""
        _check_parent(folder)
        self._check_free()
        # Named by the pattern too: several sequences may go into one folder.
        self.temporary = home / f".{folder.name}.{pattern}.partial-{os.getpid()}"
        if self.temporary.exists():
            raise SinkError(f"{folder / pattern}: is already being written here; name each output once")
        with sink_errors(folder):
            self.temporary.mkdir()

    def _existing(self) -> list[Path]:
        return sorted(self.folder.glob(self._glob)) if self.folder.is_dir() else []

    def _check_free(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise SinkError(f"{self.folder}: is a file; name a folder for the images")
        found = self._existing()
        if found and not self._force:
            raise SinkError(f"{found[0]}: exists already; choose another name or use --force to replace them")

    def promote(self) -> None:
        """Move everything to its final name; older images of the same pattern go first."""
        self._check_free()
        with sink_errors(self.folder):
            if self._own and not self.folder.exists():
                self.temporary.replace(self.folder)
                return
            written = sorted(self.temporary.iterdir())
            for old in self._existing():
                old.unlink()
            for file in written:
                file.replace(self.folder / file.name)
            self.temporary.rmdir()

    def discard(self) -> None:
        """Remove what was written so far."""
        shutil.rmtree(self.temporary, ignore_errors=True)


def _glob(pattern: str) -> str:
    """A printf pattern with one %0Nd as a glob that matches its numbers."""
    head, _, tail = pattern.partition("%")
    return f"{head.translate(_LITERAL)}*[0-9]{tail.partition('d')[2].translate(_LITERAL)}"


_LITERAL = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise SinkError(f"{path}: the folder {path.parent} does not exist; make it first")
