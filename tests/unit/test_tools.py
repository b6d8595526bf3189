"""What the developers' tools work out of what they measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(autouse=True)
def tools_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))


def bench_round() -> dict[str, Any]:
    """40 ms of CPU an inference, every second frame; 10 ms a frame to transcode; 36 ms a frame in all."""
    engine = {"model": "net", "runtime": "lib 1.2", "precision": "int8"}
    return {
        "fast": {"frames": 100, "wall_s": 2.0, "cpu_s": 3.6, "inferences_per_frame": 0.5, **engine},
        "rembg": {"frames": 10, "wall_s": 2.0, "cpu_s": 4.0},
        "transcode": {"frames": 200, "wall_s": 1.5, "cpu_s": 2.0},
        "network alone, net int8 lib": {"frames": 50, "wall_s": 1.0, "cpu_s": 2.0},
    }


def test_own_cpu_is_what_network_and_codec_leave_whatever_lengths_they_ran() -> None:
    from bench import figures

    found = figures(bench_round(), "fast")
    assert found["own_cpu_ms"] == pytest.approx(36 - 0.5 * 40 - 10)
    assert found["cpu_over_parts"] == pytest.approx(36 / 30)
    assert (found["fps"], found["times_rembg"]) == pytest.approx((50, 10))


def test_without_rembg_and_for_the_others_only_what_is_known_is_told() -> None:
    from bench import figures, markdown

    runs = bench_round()
    del runs["rembg"]
    assert set(figures(runs, "transcode")) == {"fps", "cpu_ms"}
    assert "times_rembg" not in figures(runs, "fast")
    assert (
        markdown({"transcode": figures(runs, "transcode")}).splitlines()[-1]
        == "| transcode | 133.333 |  |  | 10 |  |  |"
    )


def test_mad_is_marked_only_where_more_than_a_tenth_worse_than_the_reference() -> None:
    from score_clips import mad_table

    reference = {"glass": {"mad": 50.0}, "fur": {"mad": 10.0}}
    fast = {"glass": {"mad": 54.9}, "fur": {"mad": 11.2}, "new": {"mad": 99.0}}
    lines = mad_table({"recipe": reference, "fast": fast}).splitlines()[2:]
    assert lines == ["| fur | 10.0 | 11.2 ▲ |", "| glass | 50.0 | 54.9 |", "| new | – | 99.0 |"]


def test_a_run_without_clips_has_no_means() -> None:
    from score_clips import means_table

    keys = ("mad", "mse", "grad", "dtssd", "mid_mad", "mid_pred_mid", "flicker_static")
    clips = {"a": dict.fromkeys(keys, 1.0), "b": dict.fromkeys(keys, 2.0)}
    lines = means_table({"recipe": {}, "fast": clips}).splitlines()[2:]
    assert lines == ["| fast | 1.5 | 1.5 | 1.50 | 1.50 | 2 | 1.50 | 1.5 |"]


def test_variants_are_names_with_options() -> None:
    from command import variant

    assert variant('fast: --quality fast --bg "a b.jpg"') == ("fast", ["--quality", "fast", "--bg", "a b.jpg"])
    assert variant("plain:") == ("plain", [])
    for text in ("--quality fast", ": --quality fast"):
        with pytest.raises(argparse.ArgumentTypeError, match="NAME: OPTIONS"):
            variant(text)


@pytest.mark.parametrize(
    ("licence", "may"),
    [
        ("foreground CC0-1.0; background LGPLv3 -> redistributable under that licence", True),
        ("no explicit licence -> internal evaluation only, do not redistribute", False),
        ("CC BY-NC, not redistributable", False),
    ],
)
def test_only_clips_said_to_be_redistributable_are_published(licence: str, may: bool) -> None:
    from contact_sheet import publishable

    assert publishable(licence) is may


def test_rembgs_fixtures_are_set_beside_what_its_test_expects(tmp_path: Path) -> None:
    from rembg_cutouts import _expected

    with pytest.raises(SystemExit, match=r"no tests/fixtures/\*.jpg there"):
        _expected(tmp_path, "u2net")
    fixtures, results = tmp_path / "tests" / "fixtures", tmp_path / "tests" / "results"
    for folder in (fixtures, results):
        folder.mkdir(parents=True)
    for path in (fixtures / "car-1.jpg", fixtures / "cloth-1.jpg", results / "car-1.u2net.png"):
        path.touch()
    with pytest.raises(SystemExit, match=r"not there: .*cloth-1.u2net.png$"):
        _expected(tmp_path, "u2net")
    (results / "cloth-1.u2net.png").touch()
    found = _expected(tmp_path, "u2net")
    assert found == {fixtures / f"{name}.jpg": results / f"{name}.u2net.png" for name in ("car-1", "cloth-1")}
