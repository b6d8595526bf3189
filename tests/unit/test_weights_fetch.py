"""Fetching: whole, in parts, resumed, refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from weights_server import Server, serving

import streammatte.weights.fetch as subject
from streammatte.catalog import WeightSource
from streammatte.errors import ModelError
from streammatte.weights.fetch import RangeIgnored, Span, fetch
from streammatte.weights.hub import fetch_hub_file

CONTENT = random.Random(1).randbytes(1_000_000)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject.time, "sleep", lambda seconds: None)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / "w.partial"


@pytest.mark.parametrize("ranges", [True, False])
def test_whole_with_progress(partial: Path, ranges: bool) -> None:
    seen: list[tuple[int, int | None]] = []
    with serving(Server({"/w": CONTENT}, ranges=ranges)) as server:
        fetch(f"{server.url}/w", partial, progress=lambda done, total: seen.append((done, total)))
    assert partial.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_file_address(partial: Path, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(CONTENT)
    fetch((tmp_path / "w").as_uri(), partial)
    assert partial.read_bytes() == CONTENT


def test_resume_asks_only_for_the_rest(partial: Path) -> None:
    partial.write_bytes(CONTENT[:600_000])
    with serving(Server({"/w": CONTENT})) as server:
        fetch(f"{server.url}/w", partial)
        assert server.requests[0][1]["Range"] == "bytes=600000-"
        assert server.sent == 400_000
    assert partial.read_bytes() == CONTENT


def test_resume_starts_anew_where_the_server_cannot(partial: Path) -> None:
    partial.write_bytes(b"x" * 600_000)
    with serving(Server({"/w": CONTENT}, ranges=False)) as server:
        fetch(f"{server.url}/w", partial)
    assert partial.read_bytes() == CONTENT


def test_a_dropped_connection_is_taken_up_again(partial: Path) -> None:
    with serving(Server({"/w": CONTENT}, drop_after=150_000)) as server:
        fetch(f"{server.url}/w", partial)
        assert len(server.requests) == 7
        assert server.sent == len(CONTENT)
    assert partial.read_bytes() == CONTENT


def test_dropping_without_range_is_given_up_and_kept(partial: Path) -> None:
    with (
        serving(Server({"/w": CONTENT}, ranges=False, drop_after=150_000)) as server,
        pytest.raises(ModelError, match="broke off at 150000 of 1000000 bytes, 3 times"),
    ):
        fetch(f"{server.url}/w", partial)
    assert partial.stat().st_size == 150_000


def test_a_whole_partial_is_left_alone(partial: Path) -> None:
    partial.write_bytes(CONTENT)
    with serving(Server({"/w": CONTENT})) as server:
        fetch(f"{server.url}/w", partial)
        assert server.sent <= 1
    assert partial.read_bytes() == CONTENT


def test_a_partial_longer_than_the_file_is_dropped(partial: Path) -> None:
    partial.write_bytes(CONTENT + b"more")
    with serving(Server({"/w": CONTENT})) as server:
        fetch(f"{server.url}/w", partial)
    assert partial.read_bytes() == CONTENT


def test_span_resumed(partial: Path) -> None:
    partial.write_bytes(CONTENT[1000:1500])
    with serving(Server({"/w": CONTENT}, drop_after=3000)) as server:
        fetch(f"{server.url}/w", partial, span=Span(1000, 8000))
        assert server.requests[0][1]["Range"] == "bytes=1500-8999"
    assert partial.read_bytes() == CONTENT[1000:9000]


def test_span_without_range(partial: Path) -> None:
    with serving(Server({"/w": CONTENT}, ranges=False)) as server, pytest.raises(RangeIgnored):
        fetch(f"{server.url}/w", partial, span=Span(1000, 8000))


def test_not_found_is_not_tried_twice(partial: Path) -> None:
    with serving(Server({})) as server:
        with pytest.raises(ModelError, match=r"^HTTP 404"):
            fetch(f"{server.url}/w", partial)
        assert len(server.requests) == 1


def test_a_busy_server_is_tried_again(partial: Path) -> None:
    with serving(Server({"/w": CONTENT}, status={"/w": 503})) as server:
        with pytest.raises(ModelError, match=r"HTTP 503.*3 times"):
            fetch(f"{server.url}/w", partial)
        assert len(server.requests) == 3


def test_no_server(partial: Path) -> None:
    with serving(Server({})) as server:
        gone = server.url
    with pytest.raises(ModelError, match="refused"):
        fetch(f"{gone}/w", partial)


def test_unsupported_address(partial: Path) -> None:
    with pytest.raises(ModelError, match="unsupported address"):
        fetch("ftp://127.0.0.1/w", partial)


def test_hub_file_and_its_token(partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = WeightSource("hub", repo="a/b", file="x/m.onnx", revision="0" * 40)
    path = f"/a/b/resolve/{'0' * 40}/x/m.onnx"
    with serving(Server({"/cdn": CONTENT}, redirects={path: "/cdn"})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
        monkeypatch.setenv("HF_TOKEN", "secret")
        fetch_hub_file(source, partial)
        first, second = server.requests
    assert first[1]["Authorization"] == "Bearer secret"
    assert "Authorization" not in second[1]
    assert partial.read_bytes() == CONTENT


def test_hub_refusal_says_what_to_do(partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = WeightSource("hub", repo="a/b", file="m.onnx", revision="0" * 40)
    path = f"/a/b/resolve/{'0' * 40}/m.onnx"
    with serving(Server({path: CONTENT}, status={path: 401})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        with pytest.raises(ModelError, match=r"HTTP 401.*set HF_TOKEN"):
            fetch_hub_file(source, partial)
