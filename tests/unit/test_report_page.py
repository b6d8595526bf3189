"""The page of a run report: well-formed, whole, readable without network, and written safely."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_inspector import SUBJECT, watched
from test_meter import REFINER, REPORT, STUDENT

import streammatte.report.folder
from streammatte.errors import SinkError
from streammatte.inspection import Sample
from streammatte.meter import RunReport
from streammatte.report.folder import check_folder, write_folder
from streammatte.report.page import page
from streammatte.report.plots import histogram, time_plot

INSPECTOR = watched([*[SUBJECT] * 25, *[SUBJECT * 0] * 10, *[SUBJECT] * 30, *[SUBJECT * 0.3] * 5], pictures=True)
FULL = replace(REPORT, inspection=INSPECTOR.findings(), duration_s=2.8)
PICTURES = INSPECTOR.pictures()
NAMES = [{what: f"{i}-{what}.jpg" for what in shown} for i, shown in enumerate(PICTURES)]


def read(html: str) -> ElementTree.Element:
    assert html.startswith("<!DOCTYPE html>\n")
    return ElementTree.fromstring(html)


def text_of(html: str) -> str:
    return " ".join("".join(read(html).itertext()).split())


def test_the_page_is_well_formed_and_stands_alone() -> None:
    html = page(FULL, NAMES)
    tree = read(html)
    assert [node.tag for node in tree] == ["head", "body"]
    assert {node.tag for node in tree.iter()} & {"script", "link", "iframe"} == set()
    assert "http" not in html
    assert "prefers-color-scheme: dark" in html
    assert next(node for node in tree.iter("meta") if node.get("name") == "viewport").get("content") is not None


def test_the_page_says_what_was_found() -> None:
    assert FULL.inspection is not None
    text = text_of(page(FULL, NAMES))
    for words in (FULL.inspection.summary(), "10 empty frames", "5 ghost frames", "subject lost at 0:01.0"):
        assert words in text
    for words in ("u2net (Apache-2.0)", "openvino 2026.4.1, f32, CPU", "runtime x passed over: y", "out.mp4 (h264"):
        assert words in text
    assert "infer1.02.03.0" in text
    for moment in FULL.inspection.moments:
        assert moment.reason in text


def test_the_page_names_the_networks_that_helped() -> None:
    text = text_of(page(replace(FULL, refiner=REFINER, student=STUDENT), NAMES))
    assert "refined byedges (MIT), f32" in text
    assert "studentanswered for 30 of 40 frames" in text


def test_marks_lead_to_moments_and_moments_to_pictures() -> None:
    tree = read(page(FULL, NAMES))
    assert FULL.inspection is not None
    moments = FULL.inspection.moments
    assert len(moments) >= 2
    ids = {node.get("id") for node in tree.iter() if node.get("id")}
    links = {str(node.get("href")).removeprefix("#") for node in tree.iter("a")}
    assert links == ids == {f"moment-{number}" for number in range(1, len(moments) + 1)}
    images = [node.get("src") for node in tree.iter("img")]
    assert images == [name for names in NAMES for name in names.values()]
    assert all(node.get("alt") for node in tree.iter("img"))
    marks = {node.text: node.get("style") for node in tree.iter("a")}
    assert marks["1"] == f"left:{100 * moments[0].time_s / 2.8:.2f}%"


def test_names_are_not_markup() -> None:
    nasty = '/a/<b onload="x">&\'</b>'
    html = page(replace(FULL, input=nasty, fallbacks=(nasty,), model=nasty), NAMES)
    assert "<b onload" not in html
    assert f"note{nasty}" in text_of(html)


@pytest.mark.parametrize(
    "report",
    [
        REPORT,
        replace(REPORT, inspection=watched([SUBJECT]).findings(), duration_s=0.0),
        replace(REPORT, inspection=watched([SUBJECT * 0] * 3).findings(), interrupted=True),
    ],
    ids=["uninspected", "one frame", "never anything"],
)
def test_a_run_with_little_to_tell(report: RunReport) -> None:
    html = page(report, [])
    read(html)
    assert "nan" not in html
    assert "inf," not in html


def test_a_plot_draws_what_it_is_given() -> None:
    samples = [Sample(0.0, 0.1, 0.1, 0.1), Sample(5.0, 0.3, 0.2, 0.4), Sample(10.0, 0.0, 0.0, 0.0)]
    tree = ElementTree.fromstring(time_plot(samples, 10.0, label="a <label>", percent=True))
    line = next(node for node in tree.iter("polyline"))
    assert line.get("points") == "0.0,75.00 500.0,25.00 1000.0,100.00"
    band = next(node for node in tree.iter("polygon"))
    assert band.get("points") == "0.0,75.00 500.0,0.00 1000.0,100.00 1000.0,100.00 500.0,50.00 0.0,75.00"
    labels = [node.text for node in tree.iter("span")]
    assert labels == ["0", "20 %", "40 %", "0:00", "0:02", "0:04", "0:06", "0:08", "0:10"]


@pytest.mark.parametrize("end_s", [0.04, 0.9, 3.0, 59.0, 754.0, 7000.0, 100_000.0])
def test_the_time_axis_has_a_few_labels(end_s: float) -> None:
    tree = ElementTree.fromstring(time_plot([Sample(0.0, 1.0, 1.0, 1.0)], end_s, label="x"))
    assert 1 <= sum(node.get("class") == "x" for node in tree.iter("span")) <= 8


def test_a_histogram_has_a_bar_a_bin() -> None:
    tree = ElementTree.fromstring(histogram((0.25, 0.0, 0.75), label="x"))
    heights = [float(str(node.get("height"))) for node in tree.iter("rect")]
    assert heights[0] * 3 == pytest.approx(heights[2], abs=0.1)
    assert heights[1] == 0
    assert [node.text for node in tree.iter("span")][:3] == ["25", "0", "75"]


# the folder


def test_the_folder_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    check_folder(folder, force=False)
    write_folder(folder, FULL, PICTURES)
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(FULL.to_json()))
    tree = read((folder / "index.html").read_text(encoding="utf-8"))
    images = {str(node.get("src")) for node in tree.iter("img")}
    assert images == {path.name for path in folder.glob("*.jpg")}
    assert len(images) == sum(map(len, PICTURES))
    assert all((folder / name).read_bytes()[:3] == b"\xff\xd8\xff" for name in images)


def test_an_earlier_page_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    write_folder(folder, FULL, PICTURES)
    (folder / "notes.txt").write_text("mine")
    check_folder(folder, force=False)
    short = replace(REPORT, inspection=watched([SUBJECT]).findings())
    write_folder(folder, short, [])
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "notes.txt", "report.json"]
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["inspection"]["frames"] == 1


def test_anothers_folder_is_not_written_into_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>mine</p>")
    (tmp_path / "moment-01.txt").write_text("mine")
    with pytest.raises(SinkError, match=r"exists already and is no report; choose another name or use --force"):
        check_folder(tmp_path, force=False)
    check_folder(tmp_path, force=True)
    write_folder(tmp_path, FULL, PICTURES)
    assert (tmp_path / "moment-01.txt").read_text() == "mine"
    check_folder(tmp_path, force=False)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    check_folder(tmp_path, force=False)
    write_folder(tmp_path, REPORT, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "report.json"]


def test_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, words in ((tmp_path / "file", "is a file"), (tmp_path / "gone" / "page", "does not exist")):
        with pytest.raises(SinkError, match=words):
            check_folder(path, force=True)
    with pytest.raises(SinkError, match=r"file.page: cannot write the report"):
        write_folder(tmp_path / "file" / "page", REPORT, [])


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(streammatte.report.folder, "page", full)
    with pytest.raises(SinkError, match="No space left on device"):
        write_folder(tmp_path / "page", FULL, PICTURES)
    assert list(tmp_path.iterdir()) == []
