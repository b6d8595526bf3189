"""Who has a device open, and which loopback device is meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streammatte import holders as subject
from streammatte.errors import SinkError
from streammatte.holders import Holder, holders
from streammatte.sinks import loopback
from streammatte.sinks.loopback import find_device, refusal

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_known", {})


def process(proc: Path, pid: int, name: str, *targets: Path) -> None:
    """A folder as /proc has it."""
    folder = proc / str(pid) / "fd"
    folder.mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(name + "\n")
    for number, target in enumerate(targets):
        (folder / str(number)).symlink_to(target)


def test_those_who_hold_it_are_named(tmp_path: Path) -> None:
    device, proc = tmp_path / "video10", tmp_path / "proc"
    device.touch()
    process(proc, 41, "zoom", tmp_path / "other", device, device)
    process(proc, 7, "obs", device)
    process(proc, 8, "cat", tmp_path / "video1")
    process(proc, os.getpid(), "streammatte", device)
    (proc / "9" / "fd").parent.mkdir(parents=True)  # ended while it was looked at
    (proc / "self").mkdir()
    found = holders(str(device), proc)
    assert found == (Holder(7, "obs"), Holder(41, "zoom"))
    assert str(found[1]) == "zoom (pid 41)"


def test_an_answer_holds_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, proc = tmp_path / "video10", tmp_path / "proc"
    proc.mkdir()
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert holders(str(device), proc) == ()
    process(proc, 41, "zoom", device)
    now = 100.9
    assert holders(str(device), proc) == ()
    now = 101.0
    assert holders(str(device), proc) == (Holder(41, "zoom"),)


def test_a_link_to_the_device_is_the_device(tmp_path: Path) -> None:
    device, alias, proc = tmp_path / "video10", tmp_path / "camera", tmp_path / "proc"
    alias.symlink_to(device)
    process(proc, 41, "zoom", device)
    assert holders(str(alias), proc) == (Holder(41, "zoom"),)


def test_without_proc_nobody_is_seen(tmp_path: Path) -> None:
    assert holders(str(tmp_path / "video10"), tmp_path / "absent") == ()


@linux
def test_a_real_process_is_seen(tmp_path: Path) -> None:
    device = tmp_path / "video10"
    device.touch()
    with device.open() as held, subprocess.Popen(["sleep", "60"], stdin=held) as other:
        assert holders(str(device)) == (Holder(other.pid, "sleep"),)
        other.kill()


# loopback devices


def sysfs(folder: Path, **labels: str) -> Path:
    """As /sys/class/video4linux: loopback devices, and a webcam as video0."""
    root = folder / "class"
    for name, label in {"video0": "HD Webcam", **labels}.items():
        real = folder / "devices" / ("usb" if name == "video0" else "virtual") / name
        real.mkdir(parents=True)
        (real / "name").write_text(label + "\n")
        root.mkdir(exist_ok=True)
        (root / name).symlink_to(real)
    return root


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("", ""),
        ("/dev/video3", "/dev/video3"),
        ("3", "/dev/video3"),
        ("Background", "/dev/video11"),
        ("video10", "/dev/video10"),
    ],
)
def test_a_place_is_a_path_a_number_or_a_label(tmp_path: Path, place: str, path: str) -> None:
    assert find_device(place, sysfs(tmp_path, video10="streammatte", video11="Background")) == path


def test_an_unknown_label_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"vcam:HD Webcam: no v4l2loopback .* there is 'streammatte' \(/dev/video10\)"):
        find_device("HD Webcam", sysfs(tmp_path, video10="streammatte"))


MODPROBE = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=streammatte"


@pytest.mark.parametrize("place", ["", "mine"])
def test_without_a_device_the_module_is_named(tmp_path: Path, place: str) -> None:
    if place:
        with pytest.raises(SinkError, match=MODPROBE):
            find_device(place, sysfs(tmp_path))
    else:
        assert str(refusal("", "No device", sysfs(tmp_path))).endswith(
            f"there is no v4l2loopback device; make one: {MODPROBE}"
        )


def test_a_busy_device_says_by_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "video10"
    device.touch()
    monkeypatch.setattr(loopback, "holders", lambda path: (Holder(41, "zoom"), Holder(42, "obs")))
    said = str(refusal(str(device), "Device is not a video output device"))
    assert said == f"vcam: {device} is busy, held by zoom (pid 41), obs (pid 42); end that, or use another device"


def test_a_device_of_others_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "video10"
    device.touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "may not be written to by you: sudo usermod -aG video $USER" in str(
        refusal(str(device), "Permission denied")
    )


def test_an_absent_device_names_its_number(tmp_path: Path) -> None:
    said = str(refusal(f"{tmp_path}/video12", "No such file"))
    assert said.endswith(f"video12 does not exist; make it: {MODPROBE} video_nr=12")


def test_any_other_reason_is_the_librarys(tmp_path: Path) -> None:
    device = tmp_path / "video10"
    device.touch()
    said = str(refusal(str(device), "VIDIOC_S_FMT failed."))
    assert said == f"vcam: {device} cannot be written to: VIDIOC_S_FMT failed; is it v4l2loopback?"


def test_where_none_is_free_each_says_why(tmp_path: Path) -> None:
    said = str(refusal("", "none", sysfs(tmp_path, video97="a", video98="b")))
    assert said.startswith("vcam: no v4l2loopback device is free: /dev/video97 does not exist")
    assert "/dev/video98" in said
    assert "video0" not in said
