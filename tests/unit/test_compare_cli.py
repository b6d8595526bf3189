"""`streammatte compare`: what is printed and where, what is written, and what the exit code says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest
from clips import film
from rivals import only_rivals

import streammatte.cli.compare
from streammatte.assembly import matte
from streammatte.cli.main import main
from streammatte.config import Settings
from streammatte.matter import Matter
from streammatte.parts import facts_of
from streammatte.reporting import RunFacts

PATTERN = "pattern:96x64@25?frames=5"
BOTH = ("-m", "tiny", "-m", "stern")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    tiny: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """Runs `streammatte compare` in an empty folder; (exit code, standard output, standard error)."""
    home, models = tmp_path / "home", tmp_path / "models"
    home.mkdir()
    models.mkdir()
    only_rivals(tiny_folder, models, monkeypatch)
    monkeypatch.chdir(home)

    def run(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["compare", "--quality", "fast", *args])
        assert isinstance(left.value.code, int)
        return left.value.code, *capfd.readouterr()

    return run


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def size(path: str) -> tuple[int, int]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_a_table_and_a_video(call: Call) -> None:
    film(Path("in.mp4"), 5)
    code, out, err = call("in.mp4", *BOTH)
    assert (code, err, here()) == (0, "", ["in.compare.mp4", "in.mp4"])
    head, tiny, stern, gap, *rest = out.splitlines()
    assert cells(head) == ["model", "licence", "network ms", "fps", "flicker", "mid opacity", "collapsed", "coverage"]
    assert (cells(tiny)[:2], cells(stern)[:2]) == (["tiny", "CC0-1.0"], ["stern", "CC0-1.0"])
    for row in (tiny, stern):
        shown = r"\S+ +\S+ +\d+\.\d +\d+\.\d +\d+\.\d +\d+\.\d % +\d+\.\d % +\d+\.\d %"
        assert re.fullmatch(shown, row.strip())
        assert row[head.index("network ms") + 9].isdigit(), "numbers end where their title does"
    assert gap == ""
    assert re.fullmatch(r"5 frames of in\.mp4 in \d+\.\d s", rest[0])
    assert re.fullmatch(r"ran on   openvino .*: tiny, stern", rest[1])
    assert rest[-1] == "wrote    in.compare.mp4  (h264, 5 frames)"
    assert size("in.compare.mp4") == (3 * 96 + 8, 24 + 2 * 64)


def test_scores_where_there_is_a_truth(call: Call) -> None:
    film(Path("in.mp4"), 5)
    matte("in.mp4", model="tiny", matte=Path("truth.mkv"), quality="fast")
    code, out, _ = call("in.mp4", *BOTH, "--truth", "truth.mkv", "-o", "a.mp4")
    head, tiny, stern = (cells(line) for line in out.splitlines()[:3])
    assert code == 0
    assert head[-4:] == ["MAD", "MSE", "Grad", "dtSSD"]
    assert tiny[-4:] == ["0.0", "0.0", "0.00", "0.00"]
    assert all(float(score) > 0 for score in stern[-4:])


def test_one_frame_has_no_flicker(call: Call) -> None:
    matte("pattern:96x64?frames=1", model="tiny", matte=Path("truth.png"), quality="fast")
    code, out, _ = call("pattern:96x64?frames=1", *BOTH, "--truth", "truth.png", "-o", "a.png")
    assert code == 0
    row = cells(out.splitlines()[1])
    assert (row[4], row[-1]) == ("–", "–")


def test_json_is_all_that_is_printed(call: Call) -> None:
    code, out, err = call(PATTERN, *BOTH, "-o", "a.mp4", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    report = json.loads(out)
    assert (report["frames"], report["interrupted"], report["left_out"]) == (5, False, {})
    assert [model["facts"]["model"] for model in report["models"]] == ["tiny", "stern"]
    assert set(report["models"][0]) == {
        *("facts", "network_ms", "throughput_fps", "flicker", "mid_opacity", "edge_collapsed", "coverage", "scores"),
    }


def test_quiet_prints_nothing(call: Call) -> None:
    assert call(PATTERN, *BOTH, "-o", "a.mp4", "-q") == (0, "", "")
    assert here() == ["a.mp4"]


def test_alphas_may_be_left_out(call: Call) -> None:
    assert call(PATTERN, *BOTH, "-o", "a.mp4", "--no-alpha", "-q")[0] == 0
    assert size("a.mp4") == (3 * 96 + 8, 24 + 64)


def test_a_model_that_fails_is_named_in_one_line(call: Call) -> None:
    code, out, err = call(PATTERN, "-m", "gone", "-m", "stern", "-o", "a.mp4")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("left out gone: unknown model 'gone'")
    assert [cells(line)[0] for line in out.splitlines()[:2]] == ["model", "stern"]
    assert size("a.mp4")[0] == 2 * 96 + 4
    code, out, err = call(PATTERN, "-m", "gone", "-m", "stern", "-o", "b.mp4", "-q")
    assert (code, out, err.count("\n")) == (0, "", 1), "what is wrong is said to those who want quiet, too"


def test_notes_of_a_model_and_of_the_run(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fallen_back(matter: Matter) -> RunFacts:
        facts = facts_of(matter)
        return (
            replace(facts, runtime=f"{facts.model} 1.0", fallbacks=("fell back",)) if facts.model == "tiny" else facts
        )

    monkeypatch.setattr("streammatte.comparing.facts_of", fallen_back)
    film(Path("in.mp4"), 3)
    matte("in.mp4", model="tiny", matte=Path("truth.mkv"), duration_s=0.04)
    code, out, _ = call("in.mp4", *BOTH, "--truth", "truth.mkv")
    assert code == 0
    said = [line for line in out.splitlines() if line.startswith(("note ", "ran on "))]
    assert re.fullmatch(r"ran on   tiny 1\.0, .*: tiny", said[0])
    assert re.fullmatch(r"ran on   openvino .*: stern", said[1])
    assert said[2] == "note     tiny: fell back"
    assert said[3].startswith("note     truth.mkv: ends after 1 of 3 frames")


def test_other_settings_hold_for_all_and_may_stand_in_a_file(call: Call, own_settings: Path) -> None:
    (own_settings / "config.toml").write_text('model = "gone"\nbg = "red"\nmatte = "m.mkv"\nto = "vcam"\n')
    code, out, _ = call("pattern:96x64@25?frames=50", *BOTH, "-o", "a.mp4", "--start", "0.4", "--duration", "0.2")
    assert (code, here()) == (0, ["a.mp4"])
    assert "5 frames of pattern:" in out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((PATTERN,), 2, "Missing option '--model' / '-m'"),
        ((PATTERN, "-m", "tiny", "-m", "tiny"), 2, "--model: tiny is named twice; name each model once"),
        ((PATTERN, *BOTH, "--bg", "none"), 2, "--bg: none leaves nothing to see"),
        ((PATTERN, *BOTH, "--truth", "pattern:64x48"), 2, "--truth: pattern:"),
        ((PATTERN, *BOTH, "--truth", "gone.mkv"), 3, "gone.mkv: no such file"),
        ((PATTERN, *BOTH, "--to", "vcam"), 2, "No such option"),
        (("gone.mp4", *BOTH), 3, "gone.mp4: no such file"),
        ((PATTERN, *BOTH, "-o", "gone/a.mp4"), 6, "the folder gone does not exist"),
    ],
)
def test_what_is_wrong_is_one_line(call: Call, args: tuple[str, ...], code: int, words: str) -> None:
    actual, out, err = call(*args)
    assert (actual, out, err.count("\n")) == (code, "", 1)
    assert err.startswith("streammatte: error: ")
    assert words in err
    assert here() == []


def test_no_model_at_all_is_an_error(call: Call) -> None:
    code, out, err = call(PATTERN, "-m", "gone", "-m", "lost")
    assert (code, out) == (4, "")
    assert err.splitlines()[-1].startswith("streammatte: error: no model to compare: gone: unknown model 'gone'")


def test_ctrl_c_leaves_what_is_done(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    pressed: list[int] = []

    class Pressing(streammatte.cli.compare.Comparison):
        def _watch(self, worker: object, progress: object) -> None:
            def press(done: int, expected: int | None) -> None:
                if done >= 2 and not pressed:
                    pressed.append(done)
                    raise KeyboardInterrupt

            super()._watch(worker, press)  # type: ignore[arg-type]

    monkeypatch.setattr(streammatte.cli.compare, "Comparison", Pressing)
    code, out, err = call("pattern:96x64@25?frames=100000", *BOTH, "-o", "a.mp4")
    assert (code, err, here()) == (130, "", ["a.mp4"])
    assert out.splitlines()[-1] == "stopped  before the end of the input, as asked; the video is complete up to there"


def test_a_default_of_the_house_is_shared() -> None:
    """What is of one model or of live video has no flag here; all else has."""
    names = {parameter.name for parameter in streammatte.cli.compare.compare.params}
    left_out = set(Settings.__dataclass_fields__) - names
    assert left_out == {
        *("model", "matte", "to", "listen", "size", "fps", "mirror", "card"),
        *("governor", "target_latency_s", "target_fps", "control", "batch", "student", "seed"),
    }
