"""The main job: real video, real weights, a composite that shows what it should; and the ways it may be stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from clips import noise_frame, write_clip
from sink_clips import decode, plane

import streammatte
from streammatte.catalog import model
from streammatte.weights.cache import onnx_path

WEBCAM = Path(streammatte.__file__).parent / "demo_clip" / "webcam.mp4"
TINY = Path(__file__).parents[1] / "tiny.py"
Reported = Callable[..., dict[str, Any]]


# with the real weights


def rgb(frame: Any) -> npt.NDArray[np.float64]:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.float64)


CENTRE = (slice(130, 260), slice(290, 390))  # the face
CORNERS = [(slice(0, 60), slice(0, 100)), (slice(0, 60), slice(560, 640)), (slice(230, 280), slice(0, 100))]


@pytest.mark.weights
def test_u2net_keeps_the_subject_and_replaces_the_room(tmp_path: Path, reported: Reported) -> None:
    out, matte = tmp_path / "out.mp4", tmp_path / "m.mkv"
    report = reported(WEBCAM, "--duration", "0.32", "--bg", "#00c040", "-o", out, "--matte", matte)
    assert (report["model"], report["model_licence"], report["frames_out"]) == ("u2net", "Apache-2.0", 8)
    assert report["weights_sha256"] == model("u2net").sha256
    assert report["runtime"].startswith("openvino")
    given = decode(WEBCAM)[:8]
    for source, composite, alpha in zip(given, decode(out), decode(matte), strict=True):
        assert composite.pts * composite.time_base == source.pts * source.time_base
        pha = plane(alpha, 0)
        assert (pha[CENTRE] > 250).mean() > 0.99
        assert np.abs(rgb(composite) - rgb(source))[CENTRE].mean() < 2
        for corner in CORNERS:
            assert pha[corner].max() < 5
            assert np.abs(rgb(composite)[corner] - (0, 0xC0, 0x40)).max() < 12
        assert 0.15 < (pha > 128).mean() < 0.5
        assert ((pha > 20) & (pha < 235)).mean() < 0.13, "an edge and hair, not a fog"


def rembg_alpha(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What rembg's U2-Net session makes of an RGB picture, written down anew from its description."""
    import onnxruntime
    from PIL import Image

    small = np.array(Image.fromarray(picture).resize((320, 320), Image.Resampling.LANCZOS))
    scaled = small / max(np.max(small), 1e-6)
    planes = [(scaled[..., i] - m) / s for i, (m, s) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225)))]
    session = onnxruntime.InferenceSession(str(onnx_path(model("u2net"))), providers=["CPUExecutionProvider"])
    out = session.run(None, {session.get_inputs()[0].name: np.stack(planes)[None].astype(np.float32)})[0][0, 0]
    stretched = ((out - out.min()) / (out.max() - out.min())).clip(0, 1) * 255
    coarse = Image.fromarray(stretched.astype(np.uint8))
    return np.array(coarse.resize((picture.shape[1], picture.shape[0]), Image.Resampling.LANCZOS))


@pytest.mark.weights
def test_compat_rembg_is_rembgs_arithmetic(tmp_path: Path, reported: Reported) -> None:
    picture = np.asarray(decode(WEBCAM)[40].to_ndarray(format="rgb24"), np.uint8)
    cv2.imwrite(str(tmp_path / "in.png"), picture[..., ::-1])
    args = ("--compat", "rembg", "--runtime", "onnxruntime", "--matte", tmp_path / "m.png")
    report = reported(tmp_path / "in.png", *args)
    assert (report["precision"], report["frames_out"], report["model"]) == ("f32", 1, "u2net")
    alpha = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_UNCHANGED)
    assert alpha is not None
    np.testing.assert_array_equal(alpha, rembg_alpha(picture))


@pytest.mark.weights
def test_the_demo(tmp_path: Path, own_settings: Path) -> None:
    """As a stranger runs it, with the smaller model so that all 150 frames take seconds."""
    program = [sys.executable, "-c", "from streammatte.cli.main import main; main()"]
    environment = os.environ | {"XDG_CONFIG_HOME": str(own_settings)}
    done = subprocess.run(
        [*program, "demo", "-m", "selfie-landscape"], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    for words in ("150 frames of 150", "model    selfie-landscape (Apache-2.0)", "Look at streammatte-demo"):
        assert words in done.stdout
    assert sorted(p.name for p in (tmp_path / "streammatte-demo").iterdir()) == ["composite.mp4", "matte.mp4"]
    composite, source = decode(tmp_path / "streammatte-demo" / "composite.mp4"), decode(WEBCAM)
    assert len(composite) == len(source) == 150
    for n in (0, 75, 149):
        errors = np.abs(rgb(composite[n]) - rgb(source[n]))
        assert errors[CENTRE].mean() < 2
        assert min(errors[corner].mean() for corner in CORNERS) > 5, "the room is still there"


# stopping


class Running:
    """A streammatte in a process of its own, that writes out.mp4 into `folder`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder, self.out = process, folder, folder / "out.mp4"

    def has_begun(self) -> bool:
        """The first frames are in the unfinished file."""
        assert self.process.poll() is None, self.process.communicate()
        return any(path.stat().st_size > 20_000 for path in self.folder.glob(".out.mp4.partial-*"))

    def interrupt(self, how: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(how)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@contextmanager
def running(folder: Path, tiny_folder: Path, *args: str, feed: int | None = None) -> Iterator[Running]:
    environment = {"XDG_CONFIG_HOME": str(tiny_folder), "STREAMMATTE_CACHE": str(tiny_folder / "cache")}
    command = [sys.executable, str(TINY), str(tiny_folder), *args, "-m", "tiny", "-o", str(folder / "out.mp4")]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=feed, stdout=pipe, stderr=pipe, text=True, env=os.environ | environment)
    with process:
        try:
            program, deadline = Running(process, folder), time.monotonic() + 60
            while not program.has_begun():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield program
        finally:
            process.kill()


posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT to send to one process")


def _plays_to_the_end(path: Path, frames: int) -> None:
    read = decode(path)
    assert len(read) == frames > 0
    assert [frame.pts * frame.time_base for frame in read] == [Fraction(n, 25) for n in range(frames)]


@posix
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("json_too", [False, True])
def test_ctrl_c_finishes_the_file(tmp_path: Path, tiny_folder: Path, json_too: bool, how: signal.Signals) -> None:
    report_path = tmp_path / "r.json"
    args = ["lavfi:testsrc2=s=320x180:r=25", "--bg", "teal", "--report", str(report_path)]
    with running(tmp_path, tiny_folder, *args, *(["--json"] if json_too else [])) as program:
        program.interrupt(how)
        code, out, err = program.end()
    assert (code, "error" in err) == (130, False)
    report = json.loads(report_path.read_text())
    assert (report["interrupted"], report["frames_in"]) == (True, report["frames_out"])
    _plays_to_the_end(program.out, report["frames_out"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "r.json"]
    if json_too:
        assert json.loads(out) == report
    else:
        assert "stopped  before the end of the input, as asked; the files above are complete up to there" in out


@posix
def test_ctrl_c_twice_drops_the_file(tmp_path: Path, tiny_folder: Path) -> None:
    """Ten large frames are on their way and take longer than the pause between the two."""
    with running(tmp_path, tiny_folder, "lavfi:testsrc2=s=2560x1440:r=25", "--bg", "blur", "-q") as program:
        program.interrupt()
        time.sleep(0.1)
        program.interrupt()
        code, out, err = program.end()
    assert (code, out) == (130, "")
    assert err.strip() == "streammatte: error: interrupted; nothing was written"
    assert list(tmp_path.iterdir()) == []


@posix
def test_ctrl_c_does_not_wait_for_a_pipe_that_hangs(tmp_path: Path, tiny_folder: Path) -> None:
    """The feeding program stops writing and does not go away."""
    write_clip(tmp_path / "in.mkv", [noise_frame("yuv420p", (160, 120), i) for i in range(150)])
    content = (tmp_path / "in.mkv").read_bytes()
    (tmp_path / "in.mkv").unlink()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    enough = threading.Event()

    def feed() -> None:
        sent = 0
        while not enough.wait(0.002):
            with suppress(BlockingIOError):
                sent += os.write(writing, content[sent : sent + 8192])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        with running(tmp_path, tiny_folder, "-", "--bg", "teal", feed=reading) as program:
            enough.set()
            time.sleep(0.5)
            program.interrupt()
            code, out, err = program.end()
    finally:
        enough.set()
        feeder.join()
        os.close(reading)
        os.close(writing)
    assert (code, "error" in err) == (130, False)
    assert "stopped  before the end" in out
    _plays_to_the_end(program.out, int(out.split()[0]))
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
