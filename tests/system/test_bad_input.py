"""What is wrong is one line and an exit code, and nothing is left behind: not a file, not half a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from clips import film
from tiny import make_tiny

TINY = Path(__file__).parents[1] / "tiny.py"
REAL = "from streammatte.cli.main import main; main()"
GOOD = "pattern:320x240?frames=60"


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every name below `folder`, hidden ones too, with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


class Shell:
    """Runs streammatte in a process of its own, in an empty folder, and demands that it refuses."""

    def __init__(self, home: Path, model: Path) -> None:
        self.home = home
        self._tiny = [str(TINY), str(model)]
        self._model = model
        self.environment = {"XDG_CONFIG_HOME": str(model), "STREAMMATTE_CACHE": str(model / "cache")}

    def refuses(self, code: int, words: str, *args: str, watch: Path | None = None, real: bool = False) -> None:
        """`real`: with the catalogue as it ships; else the model of tiny.py is the only one."""
        places = [self.home, *([watch] if watch else [])]
        before = [snapshot(place) for place in places]
        program = ["-c", REAL] if real else self._tiny
        done = subprocess.run(
            [sys.executable, *program, *args],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home,
            env=os.environ | self.environment,
        )
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        *progress, said = done.stderr.splitlines()
        assert all(" frames of " in line for line in progress), "on a slow machine"
        assert said.startswith("streammatte: error: ")
        assert words in said
        assert [snapshot(place) for place in places] == before


@pytest.fixture
def shell(tmp_path: Path, tiny_folder: Path) -> Shell:
    home = tmp_path / "home"
    home.mkdir()
    return Shell(home, tiny_folder)


OUT = ("--bg", "red", "-m", "tiny", "-o", "out.mp4", "--matte", "m.mkv", "--report", "r.json")


# the input


def test_missing_file(shell: Shell) -> None:
    shell.refuses(3, "nosuch.mp4: no such file", "nosuch.mp4", *OUT)


@pytest.mark.parametrize(
    ("name", "words"),
    [("text.mp4", "text.mp4: not a video or picture FFmpeg can read"), ("text.txt", "text.txt: is text, not a video")],
)
def test_text(shell: Shell, name: str, words: str) -> None:
    (shell.home / name).write_text("Dear diary,\n" * 40)
    shell.refuses(3, words, name, *OUT)


CUT: list[tuple[str, dict[str, str], float, str]] = [
    ("in.mp4", {"movflags": "+faststart"}, 0.7, "in.mp4: cut off"),
    ("in.mp4", {}, 0.7, "in.mp4: not a video or picture FFmpeg can read, or cut off before its index"),
    ("in.mp4", {"movflags": "frag_keyframe+empty_moov"}, 0.7, "in.mp4: "),
    ("in.mkv", {}, 0.7, "in.mkv: "),  # the cut shows only when most of it is encoded
]


@pytest.mark.parametrize(("name", "how", "share", "words"), CUT, ids=["index first", "index last", "fragments", "mkv"])
def test_truncated(shell: Shell, name: str, how: dict[str, str], share: float, words: str) -> None:
    path = film(shell.home / name, 100, container_options=how)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    shell.refuses(3, words, name, *OUT)


@pytest.mark.parametrize("name", ["none.mp4", "none.mkv"])
def test_zero_frames(shell: Shell, name: str) -> None:
    with av.open(str(shell.home / name), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    shell.refuses(3, name, name, *OUT)
    (shell.home / "empty.mp4").touch()
    shell.refuses(3, "empty.mp4: the file is empty", "empty.mp4", *OUT)


def test_nothing_after_start(shell: Shell) -> None:
    film(shell.home / "in.mp4", 10)
    shell.refuses(3, "in.mp4: ends before --start 5 s", "in.mp4", "--start", "5", *OUT)


# the model


def test_unknown_model(shell: Shell) -> None:
    shell.refuses(4, "unknown model 'u2nett': did you mean u2net?", GOOD, *OUT, "-m", "u2nett", real=True)


def test_wrong_checksum(shell: Shell, tmp_path: Path) -> None:
    """The source holds other bytes than the catalogue says, and so does what lies in the cache."""
    model = tmp_path / "model"
    model.mkdir()
    make_tiny(model)
    wrong = bytearray((model / "tiny.source").read_bytes())
    wrong[-1] ^= 1
    (model / "tiny.source").write_bytes(wrong)
    weights = model / "cache" / "weights"
    weights.mkdir(parents=True)
    (weights / "tiny.onnx").write_bytes(wrong)
    Shell(shell.home, model).refuses(4, "wrong file, deleted: expected sha256 ", GOOD, *OUT)
    assert not list(weights.glob("*.partial"))


def test_damaged_weights_in_the_cache_are_never_run(shell: Shell, tmp_path: Path) -> None:
    """They are pulled anew; where that cannot be, nothing is written."""
    cache = tmp_path / "cache"
    (cache / "weights").mkdir(parents=True)
    (cache / "weights" / "selfie.onnx").write_bytes(b"\x08\x07" * 5000)
    shell.environment |= {"STREAMMATTE_CACHE": str(cache), "STREAMMATTE_OFFLINE": "1"}
    shell.refuses(4, "selfie: cannot get the weights", GOOD, *OUT, "-m", "selfie", real=True)


def test_no_network_and_no_weights(shell: Shell, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shell.environment |= {"STREAMMATTE_CACHE": str(cache), "STREAMMATTE_OFFLINE": "1"}
    words = "u2net: cannot get the weights (offline: STREAMMATTE_OFFLINE is set)"
    shell.refuses(4, words, GOOD, *OUT, "-m", "u2net", real=True)
    assert {p.suffix for p in cache.rglob("*") if p.is_file()} <= {".lock"}
    shell.refuses(4, "streammatte models pull u2net", "demo", "-o", ".", real=True)


def test_require_cuda(shell: Shell) -> None:
    shell.refuses(5, "--require cuda cannot be met (cuda: ", GOOD, *OUT, "--require", "cuda")


# the background


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text.jpg", "--bg: text.jpg is not an image OpenCV can read"),
        ("text.txt", "--bg: not an image or a video: text.txt: is text"),
        ("text.mp4", "--bg: not an image or a video: text.mp4: not a video or picture"),
    ],
)
def test_a_background_that_is_no_picture(shell: Shell, name: str, words: str) -> None:
    (shell.home / name).write_text("Dear diary,\n" * 40)
    shell.refuses(2, words, GOOD, *OUT, "--bg", name)


def test_a_background_that_is_not_there(shell: Shell) -> None:
    shell.refuses(2, "--bg: beach.jpg is no file", GOOD, *OUT, "--bg", "beach.jpg")


# the output


@pytest.mark.parametrize(
    ("flag", "path"),
    [("-o", "gone/out.mp4"), ("-o", "gone/out_%04d.png"), ("-o", "gone/folder"), ("--matte", "gone/m.mkv")],
)
def test_output_folder_missing(shell: Shell, flag: str, path: str) -> None:
    shell.refuses(6, f"{path}: the folder gone does not exist; make it first", GOOD, *OUT, flag, path)


@pytest.mark.parametrize("path", ["file/out.mp4", "file/out_%d.png"])
def test_a_path_below_a_file(shell: Shell, path: str) -> None:
    (shell.home / "file").write_text("a file")
    shell.refuses(6, path, GOOD, *OUT, "-o", path)


def test_an_existing_output_is_kept(shell: Shell) -> None:
    (shell.home / "m.mkv").write_text("precious")
    shell.refuses(6, "m.mkv: exists already", GOOD, *OUT)


def _mounted(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs of 300 kB at `folder`."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting a tmpfs failed: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from _mounted(tmp_path / "disk", "size=300k")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    yield from _mounted(tmp_path / "disk", "size=300k,ro")


@pytest.mark.tmpfs
@pytest.mark.parametrize(
    "args",
    [
        ("-o", "{}/out.mp4", "--crf", "0"),
        ("-o", "{}/out.mkv", "--codec", "ffv1"),
        ("-o", "{}/frames"),
        ("-o", "{}/f_%04d.png"),
        ("-o", "kept.mp4", "--matte", "{}/m.mkv"),
    ],
)
def test_disk_full(shell: Shell, small_disk: Path, args: tuple[str, ...]) -> None:
    (small_disk / "ballast").write_bytes(bytes(250_000))
    filled = [arg.format(small_disk) for arg in args]
    words = "cannot be written: No space left on device; free some space"
    shell.refuses(6, words, GOOD, "--bg", "red", "-m", "tiny", *filled, watch=small_disk)


@pytest.mark.tmpfs
@pytest.mark.parametrize("name", ["out.mp4", "out_%d.png", "folder"])
def test_a_place_that_can_only_be_read(shell: Shell, read_only_disk: Path, name: str) -> None:
    words = "cannot be written: Read-only file system; choose a folder you may write to"
    shell.refuses(6, words, GOOD, *OUT, "-o", str(read_only_disk / name), watch=read_only_disk)


@pytest.mark.tmpfs
def test_a_report_that_can_only_be_read(shell: Shell, read_only_disk: Path) -> None:
    """The work is done by then and stays; only the report is missing."""
    report = str(read_only_disk / "r.json")
    args = [sys.executable, str(TINY), *shell._tiny[1:], GOOD, "--bg", "red", "-m", "tiny", "-o", "out.mp4", "-q"]
    done = subprocess.run(
        [*args, "--report", report], capture_output=True, text=True, cwd=shell.home, env=os.environ | shell.environment
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (6, "", 1)
    assert "cannot write the report: Read-only file system" in done.stderr
    assert os.listdir(shell.home) == ["out.mp4"]  # noqa: PTH208
