"""Real kernel devices: a webcam, streammatte, a virtual camera and who reads it, in a QEMU guest.

    pytest -m guest                     # eight minutes
    pytest -m guest -k virtual_camera   # under three: webcam to virtual camera

Needs a Debian or Ubuntu machine with apt-get as root: guest/camera_guest.sh installs qemu-system-x86, seabios,
busybox-static, kmod, cpio, gcc, make and kernel headers, and chromium has to be there for the browser's test. Not part
of the default run. The guest has the host's files, read-only, and emulates its processor: pure Python runs fourteen
times slower there and compiled loops far more, so the network is one of one layer (tiny.py) and the loops are compiled
beforehand, for the guest's processor.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "guest"
SCRIPT = HERE / "camera_guest.sh"
PROCESSOR = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""}
pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]


def _why_not() -> str:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "needs root on a Debian or Ubuntu machine, where apt-get gives QEMU and a kernel"
    try:
        import pyvirtualcam  # noqa: F401
    except ImportError:
        return "needs pyvirtualcam: pip install '.[vcam]'"
    return ""


@pytest.fixture(scope="module")
def machine(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The guest's environment: prepared, its loops compiled."""
    if reason := _why_not():
        pytest.skip(reason)
    subprocess.run(["bash", SCRIPT, "prepare"], check=True, timeout=300)
    cache = tmp_path_factory.mktemp("numba")
    where = {
        **os.environ,
        **PROCESSOR,
        "NUMBA_CACHE_DIR": str(cache),
        "STREAMMATTE_CACHE": str(tiny_folder / "cache"),
        "STREAMMATTE_OFFLINE": "1",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "VCAM_CACHE": os.environ.get("VCAM_CACHE", str(Path.home() / ".cache" / "streammatte-guest")),
    }
    words = ["lavfi:testsrc2=size=640x360:rate=30", "--duration", "1", "--bg", "#008000", "--to", "null"]
    words += ["-m", "tiny", "--runtime", "onnxruntime", "--fgr", "off", "--control", "off"]
    words += ["--refine", "none", "--stabilize", "none"]
    subprocess.run(
        [sys.executable, HERE.parent.parent / "tiny.py", tiny_folder, *words], env=where, check=True, timeout=200
    )
    return where


def watched(machine: dict[str, str], tiny_folder: Path, what: str) -> dict[str, Any]:
    """What `inside.py` saw."""
    command = ["bash", SCRIPT, "run", "--timeout", "170", "--", sys.executable, str(HERE / "inside.py")]
    done = subprocess.run([*command, str(tiny_folder), what], env=machine, capture_output=True, text=True, timeout=300)
    lines = [line for line in done.stdout.splitlines() if "FOUND " in line]
    assert lines, f"nothing came back ({done.returncode}):\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    found: dict[str, Any] = json.loads(lines[-1].partition("FOUND ")[2])
    print(json.dumps(found))
    assert found["room_samples"] == 0, "the room was seen"
    return found


def test_virtual_camera_keeps_the_webcams_pace(machine: dict[str, str], tiny_folder: Path) -> None:
    """Real devices and the live pipeline, with next to no arithmetic (guest/wire.py)."""
    found = watched(machine, tiny_folder, "wire")
    assert found["rate"] >= 25
    assert found["background"] == found["frames"] > 200
    assert found["subject"] >= 0.98 * found["frames"]
    assert found["backwards"] == 0
    assert found["exit"] == 0
    assert found["stopped_in_s"] < 10


def test_command_line_from_webcam_to_virtual_camera(machine: dict[str, str], tiny_folder: Path) -> None:
    """All of it, as a user runs it, as fast as the guest can."""
    found = watched(machine, tiny_folder, "steady")
    assert found["background"] == found["frames"] > 10, "the background stands where the room was"
    assert found["subject"] >= 0.8 * found["frames"]
    assert found["exit"] == 0, "SIGTERM is how it is asked to stop"
    assert found["stopped_in_s"] < 10


def test_a_webcam_that_is_unplugged_and_comes_back(machine: dict[str, str], tiny_folder: Path) -> None:
    found = watched(machine, tiny_folder, "unplug")
    assert found["background"] == found["frames"]
    assert found["subject"] < found["frames"], "the card stands alone meanwhile"
    assert found["exit"] == 0


@pytest.mark.parametrize(("what", "code"), [("kill", -9), ("term", 0)])
def test_ends(machine: dict[str, str], tiny_folder: Path, what: str, code: int) -> None:
    found = watched(machine, tiny_folder, what)
    assert found["background"] == found["frames"]
    assert found["exit"] == code


def test_a_browser_shows_the_composite(machine: dict[str, str], tiny_folder: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium")
    command = ["bash", SCRIPT, "run", "--timeout", "280", "--", sys.executable, str(HERE / "browser.py")]
    done = subprocess.run([*command, str(tiny_folder)], env=machine, capture_output=True, text=True, timeout=400)
    lines = [line for line in done.stdout.splitlines() if "FOUND " in line]
    assert lines, f"nothing came back ({done.returncode}):\n{done.stdout[-3000:]}"
    found = json.loads(lines[-1].partition("FOUND ")[2])
    print(json.dumps(found))
    assert "streammatte" in found["used"]
    red, green, blue, _ = found["corner"]
    assert max(red, abs(green - 128), blue) <= 16, "the background's green"
    assert found["middle"][1] > 150, "the bright subject"
    assert found["fps"] > 1, "a stream, however slow the guest"
