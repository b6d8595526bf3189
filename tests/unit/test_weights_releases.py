"""Every address in the catalogue, at a local server in its place: pulled, resumed, redirected, refused."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from weights_server import Server, serving

import streammatte.weights.fetch as fetch_module
from streammatte.catalog import Model, WeightSource, catalog
from streammatte.errors import ModelError
from streammatte.matter import Matter
from streammatte.weights.cache import locate, onnx_path, verify
from streammatte.weights.checking import first_pull, first_pull_path
from streammatte.weights.pull import ensure, pull

ADDRESSES = [
    (each, number)
    for model in catalog().values()
    for each in (model, *model.parts)
    for number, source in enumerate(each.sources)
    if source.kind == "url"
]
every = pytest.mark.parametrize(
    ("model", "number"), ADDRESSES, ids=[f"{each.name} {number}" for each, number in ADDRESSES]
)


def network(ballast: int = 30_000) -> bytes:
    """A network that says how bright a picture of any size is, as an ONNX file of some length."""
    picture = helper.make_tensor_value_info("rgb", TensorProto.FLOAT, ["n", 3, "h", "w"])
    alpha = helper.make_tensor_value_info("alpha", TensorProto.FLOAT, ["n", 1, "h", "w"])
    # As exporters leave it, of the picture they happened to trace.
    traced = helper.make_tensor_value_info("shared", TensorProto.FLOAT, [1, 3, 40, 40])
    held = {
        "third": np.array(1 / 3, np.float32),
        "axis": np.array([1], np.int64),
        "ballast": np.random.default_rng(5).integers(0, 99, ballast).astype(np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["rgb", "third"], ["shared"]),
        helper.make_node("ReduceSum", ["shared", "axis"], ["alpha"], keepdims=1),
    ]
    values = [numpy_helper.from_array(value, name) for name, value in held.items()]
    graph = helper.make_graph(nodes, "g", [picture], [alpha], values, value_info=[traced])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(made.SerializeToString())


published = pytest.mark.parametrize(
    ("model", "number"),
    [(each, number) for each, number in ADDRESSES if each.sha256 or each.md5],
    ids=lambda value: getattr(value, "name", str(value)),
)
"""What has no published checksum has tests of its own, of its first pull."""
CONTENT = network()
OTHER = network(30_001)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STREAMMATTE_OFFLINE", raising=False)
    monkeypatch.setattr(fetch_module.time, "sleep", lambda seconds: None)


def path_of(model: Model, number: int) -> str:
    """Where the file lies on its server."""
    return urlsplit(model.sources[number].url).path


def there(model: Model, number: int, server: Server) -> Model:
    """The model with its address at `server`, and the checksum, of the same kind, of what that has."""
    source = dataclasses.replace(model.sources[number], url=server.url + path_of(model, number))
    facts: dict[str, object] = {"sources": (source,), "size_bytes": model.size_bytes and len(CONTENT)}
    for kind in ("sha256", "md5"):
        if getattr(model, kind):
            facts[kind] = hashlib.new(kind, CONTENT).hexdigest()
    return dataclasses.replace(model, **facts)  # type: ignore[arg-type]


def check_content(model: Model) -> None:
    """The cache has what the server had, or what is made of it."""
    found = locate(model)
    assert found is not None
    assert (found.path.read_bytes() == CONTENT) != model.any_size


@every
def test_pulled_and_verified(model: Model, number: int) -> None:
    with serving(Server({path_of(model, number): CONTENT})) as server:
        here = there(model, number, server)
        weights = ensure(here)
        assert len(server.requests) == 1
    assert weights.source == here.sources[0].url
    assert ensure(here, offline=True) == verify(here) == weights
    check_content(here)


@every
def test_resumed_after_a_cut_at_a_random_byte(model: Model, number: int) -> None:
    cut = random.Random(model.name).randrange(1, len(CONTENT))
    with serving(Server({path_of(model, number): CONTENT}, drop_after=cut, once=True)) as server:
        ensure(there(model, number, server))
        assert [headers.get("Range") for _, headers in server.requests] == [None, f"bytes={cut}-"]
        assert server.sent == len(CONTENT)
        check_content(there(model, number, server))


@published
def test_a_wrong_checksum(model: Model, number: int) -> None:
    with serving(Server({path_of(model, number): OTHER})) as server:
        here = there(model, number, server)
        kind = "sha256" if model.sha256 else "md5"
        expected, got = (hashlib.new(kind, each).hexdigest() for each in (CONTENT, OTHER))
        with pytest.raises(ModelError, match=f"wrong file, deleted: expected {kind} {expected}, got {got}") as caught:
            ensure(here)
    assert "\n" not in str(caught.value)
    assert locate(here) is None
    assert not onnx_path(here).exists()


@every
def test_redirected(model: Model, number: int) -> None:
    path = path_of(model, number)
    with serving(Server({"/store?key=1": CONTENT}, redirects={path: "/store?key=1"})) as server:
        ensure(there(model, number, server))
        assert [asked for asked, _ in server.requests] == [path, "/store?key=1"]
        check_content(there(model, number, server))


@every
def test_not_found(model: Model, number: int) -> None:
    with serving(Server({})) as server:
        here = there(model, number, server)
        with pytest.raises(ModelError, match="HTTP 404") as caught:
            ensure(here)
        assert len(server.requests) == 1
    assert f"{here.sources[0].url}: HTTP 404" in str(caught.value)
    assert f"models pull {model.name}" in str(caught.value)


@every
def test_a_server_that_is_slow(model: Model, number: int) -> None:
    with serving(Server({path_of(model, number): CONTENT}, trickle=5_000)) as server:
        ensure(there(model, number, server))
        assert len(server.requests) == 1
        check_content(there(model, number, server))


def test_a_server_that_stalls_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "_TIMEOUT_S", 0.1)
    model, number = ADDRESSES[0]
    release = threading.Event()
    slow = Server({path_of(model, number): CONTENT}, drop_after=40_000, once=True, stall=release)
    with serving(slow) as server:
        try:
            ensure(there(model, number, server))
        finally:
            release.set()
        assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=40000-"]
        check_content(there(model, number, server))


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "_TIMEOUT_S", 0.1)
    model, number = ADDRESSES[0]
    release = threading.Event()
    with serving(Server({path_of(model, number): CONTENT}, drop_after=0, stall=release)) as server:
        here = there(model, number, server)
        try:
            with pytest.raises(ModelError, match="timed out, 3 times in a row"):
                ensure(here)
        finally:
            release.set()


# the first pull of what has no published checksum


@pytest.fixture
def unpublished(tmp_path: Path) -> Model:
    """sam, whose file is a local one."""
    (tmp_path / "w.onnx").write_bytes(CONTENT)
    (sam,) = [each for each, _ in ADDRESSES if each.name == "sam"]
    return dataclasses.replace(sam, sources=(WeightSource("path", path=str(tmp_path / "w.onnx")),))


def test_the_first_pull_decides(unpublished: Model, tmp_path: Path) -> None:
    weights = ensure(unpublished)
    first = first_pull(unpublished)
    assert first is not None
    assert (first.sha256, first.source) == (weights.sha256, str(tmp_path / "w.onnx"))
    assert first.date.endswith("+00:00")
    (tmp_path / "w.onnx").write_bytes(OTHER)
    with pytest.raises(ModelError, match=rf"expected sha256 {first.sha256}, as of the first pull \({first.date[:4]}"):
        pull(unpublished, force=True)
    assert ensure(unpublished) == weights, "the old one stays"
    onnx_path(unpublished).unlink()
    with pytest.raises(ModelError, match=f"delete {first_pull_path(unpublished)}"):
        ensure(unpublished)
    first_pull_path(unpublished).unlink()
    assert ensure(unpublished).path.read_bytes() == OTHER


def test_damage_shows_without_a_published_checksum(unpublished: Model) -> None:
    path = ensure(unpublished).path
    stat = path.stat()
    path.write_bytes(OTHER[: len(CONTENT)])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(ModelError, match="was damaged and is deleted: expected sha256"):
        verify(unpublished)
    assert first_pull(unpublished) is not None
    assert ensure(unpublished).path.read_bytes() == CONTENT


def test_a_page_is_no_first_pull(unpublished: Model, tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"<html>please log in</html>")
    with pytest.raises(ModelError, match="what came is no ONNX file"):
        ensure(unpublished)
    assert first_pull(unpublished) is None


def test_put_there_by_hand_it_is_the_first(unpublished: Model) -> None:
    onnx_path(unpublished).parent.mkdir(parents=True)
    onnx_path(unpublished).write_bytes(OTHER)
    assert ensure(unpublished).source == "put there by hand"
    first = first_pull(unpublished)
    assert first is not None
    assert first.sha256 == hashlib.sha256(OTHER).hexdigest()


# by md5


def test_by_hand_and_by_md5(tmp_path: Path) -> None:
    (silueta,) = [each for each, _ in ADDRESSES if each.name == "silueta"]
    for content, sound in ((OTHER, False), (CONTENT, True)):
        here = dataclasses.replace(
            silueta, md5=hashlib.md5(CONTENT).hexdigest(), size_bytes=None, sources=silueta.sources[:0]
        )
        onnx_path(here).parent.mkdir(parents=True, exist_ok=True)
        onnx_path(here).write_bytes(content)
        assert (locate(here) is not None) == sound
    assert verify(here).sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert locate(dataclasses.replace(here, md5="0" * 32)) is None


# a size that is left open


@pytest.mark.parametrize("name", ["bria-rmbg", "modnet"])
def test_the_size_is_fixed_when_pulled(name: str) -> None:
    (model, number), *_ = [each for each in ADDRESSES if each[0].name == name]
    with serving(Server({path_of(model, number): CONTENT})) as server:
        here = there(model, number, server)
        path = ensure(here).path
        held = onnx.load(path)
        dimensions = [each.dim_value for each in held.graph.input[0].type.tensor_type.shape.dim]
        assert dimensions == [1, 3, model.input.height, model.input.width]
        assert not held.graph.value_info, "what was said of the size it was traced at"
        wider = dataclasses.replace(here, input=dataclasses.replace(here.input, width=64))
        assert locate(wider) is None, "another size is another file"
        assert ensure(wider).sha256 != ensure(here).sha256


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_network_whose_size_was_open_runs(tmp_path: Path, runtime: str) -> None:
    (model, _), *_ = [each for each in ADDRESSES if each[0].name == "modnet"]
    (tmp_path / "w.onnx").write_bytes(CONTENT)
    source = WeightSource("path", path=str(tmp_path / "w.onnx"))
    here = dataclasses.replace(model, sha256=hashlib.sha256(CONTENT).hexdigest(), sources=(source,))
    matter = Matter(here, runtime=runtime, precision="f32")
    picture = np.zeros((48, 80, 3), np.uint8)
    picture[:, 40:] = 255
    alpha = matter(picture)
    matter.close()
    assert alpha[:, :36].max() == 0
    assert alpha[:, 44:].min() == 1


def test_a_file_of_another_size_is_refused(tmp_path: Path) -> None:
    (model, _), *_ = [each for each in ADDRESSES if each[0].name == "modnet"]
    other = onnx.load_from_string(CONTENT)
    other.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 77
    (tmp_path / "w.onnx").write_bytes(other.SerializeToString())
    sha256 = hashlib.sha256((tmp_path / "w.onnx").read_bytes()).hexdigest()
    source = WeightSource("path", path=str(tmp_path / "w.onnx"))
    here = dataclasses.replace(model, sha256=sha256, sources=(source,))
    with pytest.raises(
        ModelError, match=r"modnet: expected a network that takes \(1, 3, 512, 512\), got \(0, 3, 77, 0\)"
    ):
        ensure(here)


def test_by_hand_with_a_size_left_open() -> None:
    (model, _), *_ = [each for each in ADDRESSES if each[0].name == "modnet"]
    here = dataclasses.replace(model, sha256=hashlib.sha256(CONTENT).hexdigest(), sources=())
    place = onnx_path(here).with_name("modnet.source.onnx")
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    assert ensure(here, offline=True).source == f"{place}, put there by hand"
