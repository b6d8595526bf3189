"""The engine cache saves time and never costs a run: whatever goes wrong with it is a note."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from streammatte.engine_cache import EngineCache

KEY = {"onnx_sha256": "ab" * 32, "runtime": "lib 1.0", "device": "CPU", "precision": "f32"}
BUILT = b"built engine"


def write(path: Path) -> None:
    path.write_bytes(BUILT)


def read(path: Path) -> bytes:
    held = path.read_bytes()
    if held != BUILT:
        raise RuntimeError("foreign blob\nat offset 0")
    return held


def blobs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.blob"))


def stored(folder: Path, key: dict[str, str] = KEY) -> Path:
    before = set(blobs(folder))
    EngineCache(folder, key).store(write)
    (made,) = set(blobs(folder)) - before
    return made


def test_miss_store_hit(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines", KEY)
    assert cache.load(read) is None
    cache.store(write)
    assert cache.load(read) == BUILT
    again = EngineCache(tmp_path / "engines", dict(reversed(KEY.items())))
    assert again.load(read) == BUILT, "the order of the key's parts does not matter"
    assert (cache.note, again.note) == (None, None)


def test_the_key_lies_beside_in_words(tmp_path: Path) -> None:
    blob = stored(tmp_path)
    assert json.loads(blob.with_suffix(".json").read_text(encoding="utf-8")) == KEY
    assert sorted(tmp_path.iterdir()) == [blob, blob.with_suffix(".json")]


@pytest.mark.parametrize("part", KEY)
def test_every_part_of_the_key_counts(tmp_path: Path, part: str) -> None:
    stored(tmp_path)
    other = EngineCache(tmp_path, KEY | {part: "other"})
    assert other.load(read) is None
    assert other.note is None


def test_a_corrupt_blob_is_deleted_and_rebuilt_once(tmp_path: Path) -> None:
    blob = stored(tmp_path)
    blob.write_bytes(BUILT[:-1])
    cache = EngineCache(tmp_path, KEY)
    assert cache.load(read) is None
    assert not blob.exists()
    assert cache.note == "cached engine could not be loaded and was rebuilt: foreign blob"
    cache.store(write)
    later = EngineCache(tmp_path, KEY)
    assert later.load(read) == BUILT
    assert later.note is None


def test_an_error_without_words_is_named(tmp_path: Path) -> None:
    stored(tmp_path)

    def fail(path: Path) -> bytes:
        raise MemoryError

    cache = EngineCache(tmp_path, KEY)
    cache.load(fail)
    assert (cache.note or "").endswith(": MemoryError")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fill_up(path: Path) -> None:
        path.write_bytes(BUILT[:4])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache = EngineCache(tmp_path, KEY)
    cache.store(fill_up)
    assert cache.note is not None
    assert "could not be kept: [Errno 28] No space left on device" in cache.note
    assert list(tmp_path.iterdir()) == []
    assert cache.load(read) is None


def test_a_failed_write_keeps_the_old_blob(tmp_path: Path) -> None:
    blob = stored(tmp_path)
    cache = EngineCache(tmp_path, KEY)
    cache.store(lambda path: write(path / "no" / "such" / "folder"))
    assert cache.note is not None
    assert read(blob) == BUILT


def test_a_folder_that_cannot_be_made_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = EngineCache(tmp_path / "file" / "engines", KEY)
    assert cache.load(read) is None
    cache.store(write)
    assert "built engine could not be kept" in (cache.note or "")


def test_a_folder_that_cannot_be_looked_into_is_a_note(tmp_path: Path) -> None:
    """A name too long stands for every error that Path.is_file does not swallow, such as a folder without x."""
    cache = EngineCache(tmp_path / ("x" * 300), KEY)
    assert cache.load(read) is None
    cache.store(write)
    assert "built engine could not be kept" in (cache.note or "")


def test_a_folder_where_nothing_can_be_deleted_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only disk even deleting what is not there fails."""
    stored(tmp_path).write_bytes(b"foreign")

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    cache = EngineCache(tmp_path, KEY)
    assert cache.load(read) is None
    assert "could not be loaded" in (cache.note or "")
    cache.store(write)
    assert "could not be kept: [Errno 30]" in (cache.note or "")
