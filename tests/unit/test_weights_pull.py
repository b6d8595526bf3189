"""The cache and the pull: hits, checksums, every source in order, offline words, two at once."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from weights_server import Server, serving

import streammatte.weights.cache as cache
import streammatte.weights.fetch as fetch_module
import streammatte.weights.pull as subject
from streammatte.catalog import Model, WeightSource, model
from streammatte.errors import ModelError
from streammatte.weights.cache import locate, onnx_path, verify, weights_dir
from streammatte.weights.pull import ensure, pull

CONTENT = random.Random(4).randbytes(500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STREAMMATTE_OFFLINE", raising=False)
    monkeypatch.setattr(fetch_module.time, "sleep", lambda seconds: None)


def made_of(*sources: WeightSource) -> Model:
    """U2-Net's facts with other bytes from other places."""
    return dataclasses.replace(model("u2net"), sha256=SHA256, size_bytes=len(CONTENT), sources=sources)


def at(url: str) -> WeightSource:
    return WeightSource("url", url=url)


@pytest.fixture
def local(tmp_path: Path) -> Model:
    (tmp_path / "w.onnx").write_bytes(CONTENT)
    return made_of(WeightSource("path", path=str(tmp_path / "w.onnx")))


def leftovers() -> list[str]:
    return sorted(file.name for file in weights_dir().iterdir())


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("STREAMMATTE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert "streammatte" in cache.cache_dir().parts
    if sys.platform == "linux":
        assert cache.cache_dir() == tmp_path / "xdg" / "streammatte"


def test_pull_stores_with_a_sidecar(local: Model) -> None:
    weights = ensure(local)
    assert weights.path == onnx_path(local)
    assert weights.path.read_bytes() == CONTENT
    assert weights.sha256 == SHA256
    sidecar = json.loads(onnx_path(local).with_suffix(".json").read_text(encoding="utf-8"))
    assert (sidecar["sha256"], sidecar["source_sha256"]) == (SHA256, SHA256)
    assert sidecar["source"] == local.sources[0].path
    assert sidecar["date"].endswith("+00:00")
    assert leftovers() == ["u2net.json", "u2net.lock", "u2net.onnx"]


def test_a_hit_is_not_hashed(local: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure(local)
    monkeypatch.setattr(cache, "sha256_of", lambda path: pytest.fail("hashed again"))
    assert ensure(local, offline=True) == first
    assert pull(local) == first


def test_a_copied_cache_is_hashed_once(local: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure(local)
    os.utime(first.path, ns=(1, 1))
    assert ensure(local) == first
    monkeypatch.setattr(cache, "sha256_of", lambda path: pytest.fail("hashed again"))
    assert ensure(local) == first


def test_changed_bytes_are_pulled_anew(local: Model) -> None:
    path = ensure(local).path
    path.write_bytes(CONTENT[:-1] + b"x")
    os.utime(path, ns=(1, 1))
    assert locate(local) is None
    assert ensure(local).path.read_bytes() == CONTENT


def test_a_new_release_under_the_same_name_is_pulled(local: Model) -> None:
    ensure(local)
    assert locate(dataclasses.replace(local, sha256="0" * 64)) is None


def test_a_broken_sidecar_is_no_sidecar(local: Model) -> None:
    ensure(local)
    for text in ("", "[]", "{}", '{"size_bytes": "x"}', "null"):
        onnx_path(local).with_suffix(".json").write_text(text, encoding="utf-8")
        assert locate(local) is not None


def test_put_there_by_hand(local: Model) -> None:
    weights_dir().mkdir(parents=True)
    onnx_path(local).write_bytes(CONTENT)
    assert ensure(made_of(), offline=True).sha256 == SHA256


def test_verify(local: Model) -> None:
    with pytest.raises(ModelError, match=r"not in the cache.*streammatte models pull u2net"):
        verify(local)
    weights = ensure(local)
    assert verify(local) == weights
    stat = weights.path.stat()
    weights.path.write_bytes(b"x" + CONTENT[1:])
    os.utime(weights.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert locate(local) is not None, "size and time are trusted"
    with pytest.raises(ModelError, match=f"expected sha256 {SHA256}, got [0-9a-f]{{64}}"):
        verify(local)
    assert locate(local) is None
    assert not weights.path.exists()


def test_sources_are_tried_in_order_and_all_are_named() -> None:
    with serving(Server({"/w": b"other bytes"})) as server:
        absent, wrong = f"{server.url}/absent", f"{server.url}/w"
        gone = WeightSource("path", path="/nowhere/w.onnx")
        with pytest.raises(ModelError) as caught:
            ensure(made_of(at(absent), at(wrong), gone))
    words = str(caught.value)
    assert "\n" not in words
    assert words.index(f"{absent}: HTTP 404") < words.index(f"{wrong}: wrong file, deleted")
    assert f"expected sha256 {SHA256}, got {hashlib.sha256(b'other bytes').hexdigest()}" in words
    assert "/nowhere/w.onnx: No such file" in words
    assert str(onnx_path(made_of())) in words
    assert "STREAMMATTE_CACHE" in words
    assert "streammatte models pull u2net" in words
    assert leftovers() == ["u2net.lock"]


def test_the_second_source_where_the_first_fails() -> None:
    with serving(Server({"/w": CONTENT})) as server:
        found = ensure(made_of(at(f"{server.url}/absent"), at(f"{server.url}/w")))
    assert found.source == f"{server.url}/w"


def test_a_partial_of_other_bytes_is_started_anew() -> None:
    with serving(Server({"/w": CONTENT})) as server:
        weights_dir().mkdir(parents=True)
        (weights_dir() / f"u2net.0.{SHA256[:8]}.partial").write_bytes(b"x" * 1000)
        assert ensure(made_of(at(f"{server.url}/w"))).sha256 == SHA256


def test_an_interrupted_pull_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with serving(Server({"/w": CONTENT})) as server:
        with pytest.raises(KeyboardInterrupt):
            ensure(made_of(at(f"{server.url}/w")), progress=interrupt)
        assert ensure(made_of(at(f"{server.url}/w"))).sha256 == SHA256
        assert server.requests[1][1]["Range"].startswith("bytes=")


def test_force_pulls_anew_and_keeps_the_old_until_then(local: Model) -> None:
    first = ensure(local)
    os.utime(first.path, ns=(1, 1))
    pull(local, force=True)
    assert first.path.stat().st_mtime_ns > 1
    Path(local.sources[0].path).unlink()
    with pytest.raises(ModelError):
        pull(local, force=True)
    assert locate(local) is not None


@pytest.mark.parametrize("by_variable", [True, False])
def test_offline(local: Model, monkeypatch: pytest.MonkeyPatch, by_variable: bool) -> None:
    monkeypatch.setattr(subject, "fetch", lambda *a, **k: pytest.fail("went online"))
    monkeypatch.setattr(subject, "fetch_member", lambda *a, **k: pytest.fail("went online"))
    if by_variable:
        monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"offline.*network is forbidden.*Put the file") as caught:
        ensure(model("u2net"), offline=not by_variable)
    assert str(caught.value).count("the network is forbidden") == 2
    assert ensure(local, offline=not by_variable).sha256 == SHA256, "a local path needs no network"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full(local: Model, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(subject, "_write", full)
    with pytest.raises(ModelError, match=r"u2net: the disk of .* is full .*: free space") as caught:
        ensure(local)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_made(local: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot write to .*set STREAMMATTE_CACHE"):
        ensure(local)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_disk_is_not_taken_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server({"/w": CONTENT})) as server, pytest.raises(OSError, match="No space left"):
        fetch_module.fetch(f"{server.url}/w", Path("/dev/full"))


PULLER = """
import dataclasses, sys
from streammatte.catalog import WeightSource, model
from streammatte.weights.pull import ensure
source = WeightSource("url", url=sys.argv[1])
facts = dict(sha256=sys.argv[2], size_bytes=int(sys.argv[3]), sources=(source,))
print(ensure(dataclasses.replace(model("u2net"), **facts)).sha256)
"""


def test_two_processes_at_once() -> None:
    with serving(Server({"/w": CONTENT}, drop_after=60_000)) as server:
        command = [sys.executable, "-c", PULLER, f"{server.url}/w", SHA256, str(len(CONTENT))]
        root = Path(subject.__file__).parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
        said = [process.communicate(timeout=60)[0].strip() for process in running]
        assert server.sent == len(CONTENT), "one pulls, the others wait and find"
    assert said == [SHA256] * 3
    assert leftovers() == ["u2net.json", "u2net.lock", "u2net.onnx"]
