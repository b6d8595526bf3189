"""The hub as a source: its offline mode, its cache, and files behind a form."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from weights_server import Server, serving

import streammatte.weights.fetch as fetch_module
import streammatte.weights.hub as subject
from streammatte.catalog import Model, WeightSource, catalog, model
from streammatte.errors import ModelError
from streammatte.weights.pull import ensure

CONTENT = random.Random(6).randbytes(80_000)
COMMIT = "0123456789" * 4
SOURCE = WeightSource("hub", repo="a/b", file="x/m.onnx", revision=COMMIT)
HUBS = [  # those of the transformers library are fetched by the hub's own client
    name
    for name, each in catalog().items()
    if each.format != "transformers" and any(source.kind == "hub" for source in each.sources)
]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STREAMMATTE_OFFLINE", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch_module.time, "sleep", lambda seconds: None)


@pytest.fixture
def of_the_hub() -> Model:
    """U2-Net's facts with other bytes, from the hub."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return dataclasses.replace(model("u2net"), sha256=sha256, size_bytes=len(CONTENT), sources=(SOURCE,))


def cached_by_others(source: WeightSource, hub: Path) -> Path:
    """The file where the hub's own tools would have put it."""
    path = hub / f"models--{source.repo.replace('/', '--')}" / "snapshots" / source.revision / source.file
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


def test_pulled_at_its_commit(of_the_hub: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server({f"/a/b/resolve/{COMMIT}/x/m.onnx": CONTENT}, drop_after=30_000)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        found = ensure(of_the_hub)
    assert found.source == f"x/m.onnx of hub repository a/b@{COMMIT[:12]}"
    assert found.path.read_bytes() == CONTENT


@pytest.mark.parametrize("value", ["1", "ON", "yes", "TRUE"])
@pytest.mark.parametrize("name", HUBS)
def test_offline_mode_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    monkeypatch.setattr(subject, "fetch", lambda *a, **k: pytest.fail("went online"))
    (source,) = [each for each in model(name).sources if each.kind == "hub"]
    words = f"HF_HUB_OFFLINE is set, and the hub's cache ({tmp_path / 'hf' / 'hub'}) does not have it"
    with pytest.raises(ModelError) as caught:
        ensure(dataclasses.replace(model(name), sources=(source,)))
    assert f"{source}: {words}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "0", "no", "off", "False"])
def test_offline_mode_switched_off(of_the_hub: Model, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    with serving(Server({f"/a/b/resolve/{COMMIT}/x/m.onnx": CONTENT})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert ensure(of_the_hub).path.read_bytes() == CONTENT


@pytest.mark.parametrize("offline", [None, "HF_HUB_OFFLINE", "STREAMMATTE_OFFLINE"])
def test_what_the_hubs_own_tools_have_is_not_fetched(
    of_the_hub: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: str | None
) -> None:
    monkeypatch.setattr(subject, "fetch", lambda *a, **k: pytest.fail("went online"))
    if offline:
        monkeypatch.setenv(offline, "1")
    theirs = cached_by_others(SOURCE, tmp_path / "hf" / "hub")
    ours = ensure(of_the_hub).path
    assert ours.read_bytes() == CONTENT
    ours.write_bytes(b"ours alone")
    assert theirs.read_bytes() == CONTENT


def test_where_the_hub_keeps_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert subject.in_hub_cache(SOURCE) is None
    moved = cached_by_others(SOURCE, tmp_path / "moved")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "moved"))
    assert subject.in_hub_cache(SOURCE) == moved
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    other = cached_by_others(SOURCE, tmp_path / "xdg" / "huggingface" / "hub")
    assert subject.in_hub_cache(SOURCE) == other


# its own library, which is no part of streammatte


HUBS_WAY = """
import sys
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
print(constants.HF_HUB_CACHE)
print(constants.HF_HUB_OFFLINE)
try:
    print(hf_hub_download("a/b", "x/m.onnx", revision=sys.argv[1]))
except LocalEntryNotFoundError:
    print("not there")
"""


def by_its_library(revision: str) -> list[str]:
    """What the hub's library calls its cache, whether it takes itself for offline, and the file that it gives."""
    pytest.importorskip("huggingface_hub", reason="pip install huggingface_hub")
    command = [sys.executable, "-c", HUBS_WAY, revision]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:3]


@pytest.mark.parametrize("value", ["1", "ON", "yes", "TRUE"])
def test_offline_is_what_its_library_takes_for_offline(
    of_the_hub: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    monkeypatch.setattr(subject, "fetch", lambda *a, **k: pytest.fail("went online"))
    hub = str(tmp_path / "hf" / "hub")
    assert by_its_library(COMMIT) == [hub, "True", "not there"]
    with pytest.raises(ModelError, match=f"HF_HUB_OFFLINE is set, and the hub's cache .{hub}. does not have it"):
        ensure(of_the_hub)
    theirs = cached_by_others(SOURCE, tmp_path / "hf" / "hub")
    assert by_its_library(COMMIT) == [hub, "True", str(theirs)]
    assert ensure(of_the_hub).path.read_bytes() == theirs.read_bytes()


def test_what_its_library_downloads_is_found_and_not_fetched_again(
    of_the_hub: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a server of its kind: then the cache is one that the library itself has written."""
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(CONTENT).hexdigest()}"'}
    with serving(Server({f"/a/b/resolve/{COMMIT}/x/m.onnx": CONTENT}, headers=headers)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        hub, offline, path = by_its_library(COMMIT)
    assert (hub, offline) == (str(tmp_path / "hf" / "hub"), "False")
    assert subject.in_hub_cache(SOURCE) == Path(path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(subject, "fetch", lambda *a, **k: pytest.fail("went online"))
    assert ensure(of_the_hub).path.read_bytes() == CONTENT


def test_a_branch_is_asked_for_anew(of_the_hub: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    branch = dataclasses.replace(SOURCE, revision="main")
    cached_by_others(branch, tmp_path / "hf" / "hub").write_bytes(b"of another day")
    with serving(Server({"/a/b/resolve/main/x/m.onnx": CONTENT})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        found = ensure(dataclasses.replace(of_the_hub, sources=(branch,)))
    assert found.path.read_bytes() == CONTENT
    assert found.source.endswith("a/b@main")


def test_behind_a_form(of_the_hub: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    gated = dataclasses.replace(of_the_hub, sources=(dataclasses.replace(SOURCE, gated=True),))
    path = f"/a/b/resolve/{COMMIT}/x/m.onnx"
    remedy = r"accept its licence at https://huggingface\.co/a/b and set HF_TOKEN"
    with serving(Server({path: CONTENT}, status={path: 403})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(ModelError, match=f"given to those alone who have accepted its licence there: {remedy}"):
            ensure(gated)
        assert server.requests == [], "nobody is asked in vain"
        monkeypatch.setenv("HF_TOKEN", "mine")
        with pytest.raises(ModelError, match=f"HTTP 403 .*: HF_TOKEN has no access to it; {remedy}"):
            ensure(gated)
        server.status.clear()
        assert ensure(gated).path.read_bytes() == CONTENT
        assert server.requests[-1][1]["Authorization"] == "Bearer mine"
