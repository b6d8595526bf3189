"""The command line: what is printed and where, what is written, and what the exit code says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest
from clips import film
from sink_clips import decode
from test_meter import REFINER, REPORT, STUDENT

import streammatte.cli.demo
import streammatte.cli.run
from streammatte.cli.main import cli, main
from streammatte.cli.screen import FrameProgress, frame_progress, preparing, show_report
from streammatte.errors import StreammatteError

PATTERN = "pattern:96x64?frames=5"
REPORTED = {
    *("frames_in", "frames_out", "frames_dropped", "duration_s", "wall_s", "throughput_fps", "model"),
    *("model_licence", "weights_sha256", "runtime", "precision", "device", "fallbacks", "stages", "av_drift_ms"),
    "peak_rss_mb",
}
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in an empty folder; (exit code, standard output, standard error)."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def run(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(args))
        assert isinstance(left.value.code, int)
        return left.value.code, *capfd.readouterr()

    return run


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# the main job


def test_the_default_command_is_run(call: Call) -> None:
    code, out, err = call(PATTERN, "--bg", "red", "-m", "tiny", "-o", "a.mp4")
    assert (code, err) == (0, "")
    assert re.match(r"5 frames of 5 in \d+\.\d s: \d+\.\d fps \(0\.2 s of video\)\n", out)
    for words in ("model    tiny (CC0-1.0), weights sha256 ", "ran on   openvino", "wrote    a.mp4  (h264, 5 frames)"):
        assert words in out
    assert here() == ["a.mp4"]
    assert call("run", PATTERN, "--bg", "red", "-m", "tiny", "-o", "b.mp4")[0] == 0
    assert call("--model", "tiny", PATTERN, "--bg", "red", "-o", "c.mp4")[0] == 0, "flags may come first"
    assert here() == ["a.mp4", "b.mp4", "c.mp4"]


def test_defaults_write_beside_the_input(call: Call) -> None:
    film(Path("in.mp4"), 3)
    code, out, _ = call("in.mp4", "-m", "tiny")
    assert (code, here()) == (0, ["in.matted.mov", "in.mp4"])
    assert "in.matted.mov  (prores, 3 frames)" in out
    before = Path("in.matted.mov").read_bytes()
    code, out, err = call("in.mp4", "-m", "tiny")
    assert (code, out) == (6, "")
    assert "exists already; choose another name or use --force" in err
    assert Path("in.matted.mov").read_bytes() == before
    assert call("in.mp4", "-m", "tiny", "--force")[0] == 0
    assert here() == ["in.matted.mov", "in.mp4"]


def test_several_outputs_at_once(call: Call) -> None:
    code, _, _ = call(PATTERN, "--bg", "red", "-m", "tiny", "-o", "a.mp4", "-o", "b.mkv", "-o", "c", "--matte", "m.mkv")
    assert (code, here()) == (0, ["a.mp4", "b.mkv", "c", "m.mkv"])
    assert [len(decode(Path(name))) for name in ("a.mp4", "b.mkv", "m.mkv")] == [5, 5, 5]
    assert len(list(Path("c").iterdir())) == 5


def test_json_is_all_that_is_printed(call: Call) -> None:
    code, out, err = call(PATTERN, "--bg", "red", "-m", "tiny", "-o", "a.mp4", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert json.loads(out)["frames_out"] == 5


def test_quiet_prints_nothing(call: Call) -> None:
    assert call(PATTERN, "--bg", "red", "-m", "tiny", "-o", "a.mp4", "--quiet") == (0, "", "")
    assert call(PATTERN, "--bg", "red", "-m", "tiny", "-o", "a.mp4", "-q", "--force") == (0, "", "")
    code, out, err = call(PATTERN, "--bg", "red", "-m", "tiny", "-o", "a.mp4", "-q")
    assert (code, out, err.count("\n")) == (6, "", 1), "unless something is wrong"


def test_the_report_holds_all_that_is_promised(call: Call) -> None:
    film(Path("in.mp4"), 10, audio_from_s=0.0)
    code, out, _ = call("in.mp4", "--bg", "red", "-m", "tiny", "-o", "a.mp4", "--report", "r.json")
    assert (code, here()) == (0, ["a.mp4", "in.mp4", "r.json"])
    report = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert set(report) >= REPORTED
    assert (report["frames_in"], report["frames_out"], report["frames_dropped"]) == (10, 10, 0)
    assert (report["duration_s"], report["av_drift_ms"]) == (0.4, 0.0)
    assert (report["model"], report["model_licence"], len(report["weights_sha256"])) == ("tiny", "CC0-1.0", 64)
    assert (report["fallbacks"], report["interrupted"], report["network_runs"]) == ([], False, 10)
    assert 0 < report["throughput_fps"] == pytest.approx(10 / report["wall_s"], rel=0.1)
    assert 20 < report["peak_rss_mb"] < 4000
    assert {
        "decode",
        "look",
        "motion",
        "infer",
        "stabilize",
        "refine",
        "inspect",
        "foreground",
        "background",
        "composite",
        "encode",
    } == set(report["stages"])
    for stage in report["stages"].values():
        assert set(stage) == {"p50_ms", "p95_ms", "p99_ms"}
        assert 0 < stage["p50_ms"] <= stage["p95_ms"] <= stage["p99_ms"]
    assert "sound within 0.0 ms" in out


def test_the_report_says_what_was_done_otherwise(call: Call) -> None:
    film(Path("in.mkv"), 3, size=(95, 63), codec="ffv1", options={})
    code, out, _ = call("in.mkv", "--bg", "red", "-m", "tiny", "-o", "a.mp4", "--report", "r.json")
    notes = json.loads(Path("r.json").read_text(encoding="utf-8"))["fallbacks"]
    assert code == 0
    assert any(note.startswith("a.mp4: 95x63 padded to 96x64") for note in notes)
    assert all(f"note     {note}" in out for note in notes)


@pytest.mark.parametrize("path", ["gone/r.json", "in.mp4/r.json", "folder.json", "gone/page", "in.mp4", "page.html"])
def test_a_report_that_cannot_be_written_is_one_line(call: Call, path: str) -> None:
    film(Path("in.mp4"), 2)
    Path("folder.json").mkdir()
    code, _, err = call("in.mp4", "--bg", "red", "-m", "tiny", "-o", "a.mp4", "--report", path)
    assert (code, err.count("\n")) == (6, 1)
    assert path in err
    assert [name for name in here() if name not in ("a.mp4", "folder.json", "in.mp4")] == []
    assert ("a.mp4" in here()) == (path == "folder.json"), "what is wrong with a path shows before the work"


def test_a_report_may_be_a_page(call: Call) -> None:
    args = (PATTERN, "--bg", "red", "-m", "tiny", "--report", "page", "-o")
    code, out, err = call(*args, "a.mp4")
    assert (code, err, here()) == (0, "", ["a.mp4", "page"])
    assert re.search(r"^mattes   flicker \d+\.\d · \d+ % of edge alphas collapsed", out, re.MULTILINE)
    report = json.loads(Path("page/report.json").read_text(encoding="utf-8"))
    assert report["inspection"]["frames"] == 5
    pictures = sorted(path.name for path in Path("page").glob("*.jpg"))
    html = Path("page/index.html").read_text(encoding="utf-8")
    assert re.findall(r'src="([^"]*)"', html) == sorted(pictures, key=html.index)
    assert len(pictures) == 4 * len(report["inspection"]["moments"]) > 0
    assert call(*args, "b.mp4")[0] == 0, "a page of ours is replaced"


def test_a_page_goes_into_no_other_folder(call: Call) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").touch()
    args = (PATTERN, "--bg", "red", "-m", "tiny", "-o", "a.mp4", "--report", "mine")
    code, _, err = call(*args)
    assert (code, err.count("\n"), here()) == (6, 1, ["mine"])
    assert "mine: exists already and is no report; choose another name or use --force" in err
    assert call(*args, "--force")[0] == 0
    assert {"index.html", "notes.txt"} <= {path.name for path in Path("mine").iterdir()}


def test_a_config_file(call: Call, own_settings: Path) -> None:
    Path("c.toml").write_text('model = "tiny"\nbg = "red"\noutput = ["a.mp4", "b.mkv"]\ncodec = "hevc"\n')
    code, out, _ = call(PATTERN, "--config", "c.toml", "--codec", "h264")
    assert (code, here()) == (0, ["a.mp4", "b.mkv", "c.toml"])
    assert "a.mp4  (h264, 5 frames)" in out
    (own_settings / "config.toml").write_text('model = "tiny"\nbg = "red"\n')
    assert call(PATTERN, "-o", "c.mp4")[0] == 0
    (own_settings / "config.toml").write_text("crt = 3\n")
    code, out, err = call(PATTERN, "-o", "d.mp4")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "crt" in err
    assert str(own_settings / "config.toml") in err


def test_start_and_duration(call: Call) -> None:
    args = ("--bg", "red", "-m", "tiny", "-o", "a.mp4", "--json")
    code, out, _ = call("pattern:96x64@25?frames=50", "--start", "0.4", "--duration", "0.2", *args)
    assert (code, json.loads(out)["frames_out"], json.loads(out)["duration_s"]) == (0, 5, 0.2)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--nosuch",), 2, "No such option"),
        (("pattern:", "--crf", "low"), 2, "'--crf'"),
        (("pattern:", "--crf", "99"), 2, "--crf: must be 0 to 63"),
        (("pattern:", "--fit", "most"), 2, "'--fit'"),
        (("pattern:", "--start", "inf"), 2, "--start: must be"),
        (("pattern:", "extra"), 2, "unexpected extra argument"),
        (("models", "gone"), 2, "No such command"),
        (("nosuch.mp4", "--bg", "red"), 3, "nosuch.mp4: no such file"),
        (("probe", "nosuch.mp4"), 3, "nosuch.mp4: no such file"),
        (("pattern:", "-m", "tinny"), 4, "unknown model 'tinny': did you mean tiny?"),
        (("pattern:", "-m", "tiny", "--require", "cuda"), 5, "--require cuda cannot be met"),
        (("pattern:", "-m", "tiny", "-o", "a.gif"), 6, "unknown extension '.gif'"),
        (("demo", "-m", "tiny", "-o", "file/demo"), 6, "file/demo: cannot be made"),
    ],
)
def test_what_is_wrong_is_one_line_on_standard_error(call: Call, args: tuple[str, ...], code: int, words: str) -> None:
    Path("file").touch()
    actual, out, err = call(*args)
    assert (actual, out, err.count("\n")) == (code, "", 1)
    assert err.startswith("streammatte: error: ")
    assert words in err
    assert here() == ["file"]


@pytest.mark.parametrize("where", ["before", "after"])
def test_debug_shows_the_traceback(call: Call, where: str) -> None:
    args = ["probe", "nosuch.mp4"]
    code, _, err = call(*(["--debug", *args] if where == "before" else [*args, "--debug"]))
    assert code == 3
    assert "Traceback (most recent call last)" in err
    assert err.endswith("streammatte: error: nosuch.mp4: no such file\n")


def test_a_bug_is_one_line_too(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **how: object) -> None:
        raise ZeroDivisionError("some\ntrouble")

    monkeypatch.setattr(streammatte.cli.run, "open_pipeline", broken)
    code, out, err = call(PATTERN)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "ZeroDivisionError: some trouble; this is a bug" in err
    assert "--debug" in err
    assert "Traceback" in call(PATTERN, "--debug")[2]


def test_ctrl_c_before_anything_is_written(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*args: object, **how: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(streammatte.cli.run, "open_pipeline", pressed)
    code, out, err = call(PATTERN)
    assert (code, out) == (130, "")
    assert err.endswith("streammatte: error: interrupted; nothing was written\n")


def test_exit_codes_tell_errors_apart() -> None:
    codes = [kind.exit_code for kind in StreammatteError.__subclasses__()]
    assert sorted(codes) == [1, 2, 3, 4, 5, 6, 7]
    assert StreammatteError.exit_code == 1


def test_the_report_names_the_networks_that_helped(capsys: pytest.CaptureFixture[str]) -> None:
    show_report(replace(REPORT, refiner=REFINER, student=STUDENT))
    out = capsys.readouterr().out
    assert "refined  by edges (MIT), openvino 2026.4.1, f32\n" in out
    assert (
        "student  answered for 30 of 40 frames; taught 21 by u2net (95 s), 0.003 from it on frames not taught\n" in out
    )
    show_report(replace(REPORT, student=replace(STUDENT, steps=0, frames_student=0)))
    assert "student  answered for 0 of 10 frames\n" in capsys.readouterr().out


# progress


def test_plain_progress_for_pipes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with frame_progress(quiet=False, stream=sys.stderr) as show:
        assert type(show) is FrameProgress, "no bar where there is no terminal"
        for done, at in ((0, 106.0), (50, 110.0), (60, 111.0), (100, 120.0)):
            now[0] = at
            show(done, 200)
        show(100, 200)
        now[0] = 130.0
        show(150, None)
        now[0] = 140.0
        show(150, 100)
    assert capsys.readouterr().err.splitlines() == [
        "50 frames of 200, 30 s left, 5.0 fps",
        "100 frames of 200, 20 s left, 5.0 fps",
        "150 frames, 5.0 fps",
        "150 frames, 3.8 fps",
    ]


def test_quiet_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with frame_progress(quiet=True) as show:
        now[0] = 200.0
        show(50, 100)
    with preparing(True, "u2net") as told:
        assert told == (None, None)
    assert capsys.readouterr() == ("", "")


def test_plain_progress_of_a_download(capsys: pytest.CaptureFixture[str]) -> None:
    with preparing(False, "u2net") as told:
        for done in range(0, 101):
            told.pulling(done << 20, 100 << 20)  # type: ignore[misc]
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (11, "pulling u2net: 0 of 100 MiB", "pulling u2net: 100 of 100 MiB")


def test_plain_progress_of_a_build(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with preparing(False, "u2net") as told:
        for done in range(10):
            told.building("tactics", done, 10)  # type: ignore[misc]
            now[0] += 2.0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"building the engine of u2net: tactics, {done} of 10" for done in (0, 3, 6, 9)]


class _Terminal:
    """Standard error as a terminal, for rich."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal: Any = _Terminal()
    with frame_progress(quiet=False, stream=terminal) as show:
        show(30, 120)
        show(60, 120)
        show._bar.refresh()  # type: ignore[attr-defined]
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.text)
    assert re.search(r"matting .*60/120 .*\d fps", plain)


# the other commands


def test_probe(call: Call) -> None:
    film(Path("in.mp4"), 5, audio_from_s=0.0, rotation=90)
    code, out, err = call("probe", "in.mp4", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert (facts["codec"], facts["size"], facts["frames"], facts["rotation"]) == ("h264", "96x64", 5, 90)
    assert (facts["rate"], facts["passing_streams"], facts["left_out"]) == ("25", [1], [])
    code, out, _ = call("probe", "in.mp4")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines == {name: str(value) for name, value in facts.items()}
    assert here() == ["in.mp4"]


def test_doctor(call: Call, tiny_folder: Path) -> None:
    code, out, err = call("doctor")
    assert (code, err) == (0, "")
    assert re.search(r"^ +openvino +usable, best first: .*f32$", out, re.MULTILINE)
    asked = "not used unless asked for: runs on the CPU here, where openvino is faster"
    assert re.search(rf"^ +onnxruntime +usable, best first: f32; {asked}$", out, re.MULTILINE)
    assert f"cache {tiny_folder / 'cache'}" in out
    assert re.search(r"^ +(tiny +\S+tiny\.onnx|no model is here +the first run pulls one; .*)$", out, re.MULTILINE)
    assert re.search(r"^ +numpy +\d", out, re.MULTILINE)


def test_doctor_where_nothing_can_run(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    others = ("runtimes.onnxruntime.OnnxRuntime", "networks.runtime.TorchRuntime")
    for name in ("runtimes.openvino.OpenVinoRuntime", *others):
        monkeypatch.setattr(f"streammatte.{name}.unavailable", lambda self: "not installed: pip install it")
    monkeypatch.setattr("streammatte.cli.doctor._LIBRARIES", ("numpy", "nosuch-library"))
    code, out, _ = call("doctor")
    assert code == 1
    assert out.count("not installed: pip install it") == 3
    assert re.search(r"^ +nosuch-library +not installed$", out, re.MULTILINE)


def test_demo(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command around a short clip of our own; the real clip is tests/system/test_main_job.py's."""
    assets = tmp_path / "package" / "demo_clip"
    assets.mkdir(parents=True)
    film(assets / "webcam.mp4", 3)
    cv2.imwrite(str(assets / "beach.jpg"), np.full((64, 96, 3), 90, np.uint8))
    monkeypatch.setattr(streammatte.cli.demo, "files", lambda name: assets.parent)
    code, out, err = call("demo", "-m", "tiny")
    assert (code, err) == (0, "")
    assert sorted(p.name for p in Path("streammatte-demo").iterdir()) == ["composite.mp4", "matte.mp4"]
    assert re.search(r"^Look at streammatte-demo.composite\.mp4 .* and streammatte-demo.matte\.mp4", out, re.MULTILINE)
    assert call("demo", "-m", "tiny", "-q") == (0, "", ""), "a second demo overwrites the first"
    assert call("demo", "-m", "tiny", "-q", "-o", "a/b") == (0, "", "")
    assert len(decode(Path("a/b/composite.mp4"))) == len(decode(Path("a/b/matte.mp4"))) == 3


def test_help(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    for name in ("run", "demo", "models", "probe", "doctor", "completion"):
        assert re.search(rf"^  {name} +\S", out, re.MULTILINE)
    code, out, _ = call("run", "--help")
    assert code == 0
    assert "--half-life SECONDS" in out
    assert call("-h")[0] == 0
    code, out, err = call()
    assert (code, err.count("Traceback")) == (2, 0)
    assert "streammatte INPUT [options]" in out + err


def test_version(call: Call) -> None:
    code, out, _ = call("--version")
    assert code == 0
    assert re.search(r"\d+\.\d+", out)


# completion


@pytest.mark.parametrize(
    ("shell", "registers"),
    [
        ("bash", "-F _streammatte_completion streammatte"),
        ("zsh", "compdef _streammatte_completion streammatte"),
        ("fish", "--command streammatte"),
    ],
)
def test_completion_script(call: Call, shell: str, registers: str) -> None:
    code, out, _ = call("completion", shell)
    assert code == 0
    assert f"_STREAMMATTE_COMPLETE={shell}_complete" in out
    assert registers in out


def test_completion_of_an_unknown_shell(call: Call) -> None:
    code, _, err = call("completion", "tcsh")
    assert (code, err.count("\n")) == (2, 1)
    assert "'bash', 'zsh', 'fish'" in err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("streammatte de", {"demo", "devices"}),
        ("streammatte models p", {"pull"}),
        ("streammatte in.mp4 --half", {"--half-life"}),
        ("streammatte in.mp4 --fit c", {"cover", "contain"}),
        ("streammatte run in.mp4 --bg red --in", {"--input-format", "--input-size", "--input-pix-fmt", "--input-rate"}),
    ],
)
def test_what_completion_offers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, offered: set[str]
) -> None:
    monkeypatch.setenv("_STREAMMATTE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    with pytest.raises(SystemExit):
        main([])
    assert {line.partition(",")[2] for line in capsys.readouterr().out.splitlines()} == offered


# the program itself


def test_the_program_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Nothing but our own lines reaches the terminal, and the exit code is the shell's."""
    environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "STREAMMATTE_CACHE": str(tmp_path)}
    whole = [sys.executable, "-c", "from streammatte.cli.main import main; main()"]

    def shell(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*whole, *args], capture_output=True, text=True, env=environment, cwd=tmp_path)

    done = shell("probe", "pattern:64x48", "--json")
    assert (done.returncode, done.stderr, json.loads(done.stdout)["size"]) == (0, "", "64x48")
    done = shell("nosuch.mp4")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "streammatte: error: nosuch.mp4: no such file\n"


def test_every_command_explains_itself() -> None:
    def undocumented(command: click.Command, name: str) -> list[str]:
        found = [] if (command.help or "").strip() else [name]
        for option in command.params:
            if isinstance(option, click.Option) and not option.help:
                found.append(f"{name} {option.opts[0]}")
        for sub_name, sub in getattr(command, "commands", {}).items():
            found += undocumented(sub, f"{name} {sub_name}")
        return found

    assert undocumented(cli, "streammatte") == []


def test_what_is_shown_may_stand_in_the_configuration_file(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], own_settings: Path
) -> None:
    (own_settings / "config.toml").write_text(f'report = "{tmp_path.as_posix()}/r.json"\nquiet = true\n')
    args = ["pattern:64x48?frames=2", "-m", tiny, "--bg", "navy", "-o", str(tmp_path / "o.mp4")]
    with pytest.raises(SystemExit) as ended:
        main(args)
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out, shown.err) == (0, "", "")
    assert json.loads((tmp_path / "r.json").read_text())["frames_out"] == 2
    (own_settings / "config.toml").write_text('quiet = "yes"\n')
    with pytest.raises(SystemExit) as ended:
        main(args)
    assert ended.value.code == 2
    assert "quiet: expected bool, got 'yes'" in capsys.readouterr().err
