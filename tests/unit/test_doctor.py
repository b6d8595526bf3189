"""What the doctor finds for live video, on machines built of folders and files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from streammatte.cli import doctor as module
from streammatte.cli.doctor import doctor
from streammatte.live.checks import Finding, findings
from streammatte.live.machine import Machine


@dataclass
class Built:
    """A machine to be furnished; bare at first."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    """Those on the path, and what they print."""
    modules: set[str] = field(default_factory=set)
    """Of Python."""
    forbidden: set[str] = field(default_factory=set)
    platform: str = "linux"

    def write(self, path: str, content: str | bytes = "") -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    def link(self, path: str, target: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def loopback(self, caps: str = "Y,N,N,N") -> None:
        self.write("proc/modules", "snd 1 0 - Live 0x0\nv4l2loopback 61440 0 - Live 0x0\n")
        self.write("sys/module/v4l2loopback/parameters/exclusive_caps", f"{caps}\n")

    def camera(self, number: int, label: str, where: str = "pci0000:00/usb1") -> None:
        self.write(f"dev/video{number}")
        self.write(f"sys/devices/{where}/video{number}/name", f"{label}\n")
        self.link(f"sys/class/video4linux/video{number}", f"../../devices/{where}/video{number}")

    def process(self, pid: int, name: str, *opened: str) -> None:
        self.write(f"proc/{pid}/comm", f"{name}\n")
        for number, target in enumerate(opened):
            self.link(f"proc/{pid}/fd/{number}", target)

    @property
    def machine(self) -> Machine:
        return Machine(
            root=self.root,
            environ=self.environ,
            platform=self.platform,
            which=lambda name: f"/usr/bin/{name}" if name in self.programs else None,
            output_of=lambda command: self.programs.get(command[0]),
            may_use=lambda path: path.name not in self.forbidden,
            installed=lambda name: name in self.modules,
        )

    def said(self, topic: str) -> dict[str, tuple[str, str]]:
        """name -> (state, remedy)"""
        found = [finding for finding in findings(self.machine) if finding.topic == topic]
        assert len({finding.name for finding in found}) == len(found)
        return {finding.name: (finding.state, finding.remedy) for finding in found}


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built(tmp_path)


def test_a_bare_machine_is_told_what_to_do(built: Built) -> None:
    found = findings(built.machine)
    assert {finding.topic for finding in found} == {"virtual camera", "cameras", "pipewire", "gpu"}
    remedies = {finding.name: finding.remedy for finding in found if finding.remedy}
    assert set(remedies) == {
        *("pyvirtualcam", "v4l2loopback", "/dev/video*", "daemon", "session manager", "gst-launch-1.0"),
        *("GStreamer plugin", "portal"),
    }
    assert all("\n" not in f"{finding.state}{finding.remedy}" and finding.state for finding in found)


def test_other_systems_have_no_such_files(built: Built) -> None:
    built.platform = "darwin"
    assert [finding.name for finding in findings(built.machine)] == ["pyvirtualcam"]


# the virtual camera


def test_pyvirtualcam(built: Built) -> None:
    state, remedy = built.said("virtual camera")["pyvirtualcam"]
    assert state == "not installed"
    assert "pip install 'streammatte[vcam]'" in remedy
    built.modules.add("pyvirtualcam")
    assert built.said("virtual camera")["pyvirtualcam"] == ("installed", "")


def test_the_module(built: Built) -> None:
    assert built.said("virtual camera")["v4l2loopback"][0] == "not installed for this kernel"
    built.write("proc/sys/kernel/osrelease", "6.1.0-1-amd64\n")
    built.write("lib/modules/6.2.0/updates/dkms/v4l2loopback.ko")
    assert built.said("virtual camera")["v4l2loopback"][0] == "not installed for this kernel", "but for another"
    built.write("lib/modules/6.1.0-1-amd64/updates/dkms/v4l2loopback.ko.xz")
    state, remedy = built.said("virtual camera")["v4l2loopback"]
    assert state == "installed, not loaded"
    assert remedy.endswith("sudo modprobe v4l2loopback devices=1 card_label=streammatte exclusive_caps=1")
    built.write("proc/modules", "v4l2loopback_not 1 0 - Live 0x0\n")
    assert built.said("virtual camera")["v4l2loopback"][0] == "installed, not loaded"
    built.loopback()
    assert built.said("virtual camera")["v4l2loopback"] == ("loaded", "")


@pytest.mark.parametrize(
    ("caps", "devices", "begins", "remedy"),
    [
        ("Y,N,N,N", 1, "1: a camera only while something writes to it", "exclusive_caps=0"),
        ("1", 1, "1: a camera only", "exclusive_caps=0"),
        ("N,N,N,N", 1, "0: a camera at all times, as Zoom wants it", "exclusive_caps=1"),
        ("Y,N,N,N", 0, "1: a camera only", "exclusive_caps=0"),
        ("Y,Y,N,N", 2, "1: a camera only", "exclusive_caps=0"),
        ("Y,N,N,N", 2, "1,0, device by device: Zoom wants 0, Meet and Chromium 1", ""),
        ("", 1, "not told by this version of the module", ""),
    ],
)
def test_exclusive_caps(built: Built, caps: str, devices: int, begins: str, remedy: str) -> None:
    built.loopback(caps)
    built.camera(0, "Webcam")
    for number in range(devices):
        built.camera(10 + number, "streammatte", "virtual/video4linux")
    state, what = built.said("virtual camera")["exclusive_caps"]
    assert state.startswith(begins)
    assert what.endswith(remedy)
    assert bool(what) == bool(remedy)


@pytest.mark.parametrize(
    ("variable", "loaded", "begins", "wants"),
    [
        (None, False, "not booted by UEFI", False),
        (b"\x06\0\0\0\0", False, "off", False),
        (b"\x06\0\0\0\1", True, "on; v4l2loopback is loaded all the same", False),
        (b"\x06\0\0\0\1", False, "on: only signed modules load", True),
        (b"", False, "off", False),
    ],
)
def test_secure_boot(built: Built, variable: bytes | None, loaded: bool, begins: str, wants: bool) -> None:
    if variable is not None:
        built.write("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", variable)
    if loaded:
        built.loopback()
    state, remedy = built.said("virtual camera")["secure boot"]
    assert state.startswith(begins)
    assert ("mokutil --import" in remedy) == wants


def test_uefi_without_the_variable_is_off(built: Built) -> None:
    (built.root / "sys/firmware/efi").mkdir(parents=True)
    assert built.machine.secure_boot() is False


# cameras


def test_cameras_by_number_with_who_holds_them(built: Built) -> None:
    built.loopback()
    built.camera(10, "streammatte", "virtual/video4linux")
    built.camera(0, "HD Webcam")
    built.camera(2, "Capture card")
    built.write("dev/video-not-a-number")
    built.process(200, "zoom", "/dev/null", "/dev/video0", "socket:[17]", "/dev/video10", "/dev/video0")
    built.process(30, "obs", "/dev/video10")
    built.process(31, "vi", "/dev/video01")
    assert built.said("cameras") == {
        "/dev/video0": (
            "HD Webcam, held by zoom (200)",
            "most cameras serve one program at a time: close zoom to use it here",
        ),
        "/dev/video2": ("Capture card", ""),
        "/dev/video10": ("streammatte, virtual (v4l2loopback), held by obs (30), held by zoom (200)", ""),
    }


def test_a_camera_without_permission(built: Built) -> None:
    built.camera(0, "Webcam")
    built.forbidden.add("video0")
    state, remedy = built.said("cameras")["/dev/video0"]
    assert state == "Webcam, not permitted"
    assert "usermod -aG video" in remedy


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may look everywhere")
def test_processes_that_may_not_be_looked_into(built: Built) -> None:
    built.camera(0, "Webcam")
    built.process(200, "zoom", "/dev/video0")
    (built.root / "proc/200/fd").chmod(0)
    assert built.said("cameras")["/dev/video0"] == ("Webcam", "")


def test_processes_that_end_meanwhile_are_nobody(built: Built) -> None:
    built.camera(0, "Webcam")
    (built.root / "proc/200").mkdir(parents=True)
    built.write("proc/201/fd/0")  # no link
    assert built.said("cameras")["/dev/video0"] == ("Webcam", "")


def test_this_machine_is_read_without_an_error() -> None:
    assert findings(Machine())


# pipewire


def test_a_session_with_pipewire(built: Built) -> None:
    built.environ["XDG_RUNTIME_DIR"] = "/run/user/1000"
    built.write("run/user/1000/pipewire-0")
    built.process(5, "wireplumber")
    built.process(6, "xdg-desktop-por")
    built.programs["gst-launch-1.0"] = ""
    built.write("usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstpipewire.so")
    assert built.said("pipewire") == {
        "daemon": ("listens on pipewire-0", ""),
        "session manager": ("wireplumber runs", ""),
        "gst-launch-1.0": ("there", ""),
        "GStreamer plugin": ("there", ""),
        "portal": ("running", ""),
    }


@pytest.mark.parametrize(
    ("environ", "socket"),
    [
        ({"PIPEWIRE_RUNTIME_DIR": "/run/pw", "XDG_RUNTIME_DIR": "/run/user/1000"}, "run/pw/pipewire-0"),
        ({"PIPEWIRE_REMOTE": "pipewire-1", "XDG_RUNTIME_DIR": "/run/user/1000"}, "run/user/1000/pipewire-1"),
    ],
)
def test_a_socket_elsewhere(built: Built, environ: dict[str, str], socket: str) -> None:
    built.environ |= environ
    assert built.machine.pipewire_socket() is None
    built.write(socket)
    assert built.machine.pipewire_socket() == built.root / socket


def test_plugins_elsewhere(built: Built) -> None:
    built.environ["GST_PLUGIN_PATH"] = f"{os.pathsep}{built.root / 'mine'}"
    assert not built.machine.gst_pipewire()
    built.write("mine/libgstpipewire.so")
    assert built.machine.gst_pipewire()


def test_a_portal_that_rests(built: Built) -> None:
    built.write("usr/libexec/xdg-desktop-portal")
    assert built.said("pipewire")["portal"] == ("starts when a program asks for it", "")


# gpus


def test_gpus(built: Built) -> None:
    assert built.said("gpu") == {"gpu": ("none found; none is needed", "")}
    for number, (vendor, driver) in enumerate((("0x8086", "i915"), ("0x10de", "nvidia"), ("0x1af4", None))):
        built.write(f"sys/class/drm/card{number}/device/vendor", f"{vendor}\n")
        if driver:
            (built.root / "drivers" / driver).mkdir(parents=True)
            built.link(f"sys/class/drm/card{number}/device/driver", str(built.root / "drivers" / driver))
    built.write("sys/class/drm/card0-HDMI-A-1/status")
    built.write("dev/dri/renderD128")
    assert [state for state, _ in built.said("gpu").values()] == [
        "Intel, driver i915",
        "NVIDIA, driver nvidia",
        "0x1af4, driver none",
        "renderD128",
    ]
    built.programs["nvidia-smi"] = "NVIDIA H100, 550.54\n"
    assert [state for state, _ in built.said("gpu").values()][:2] == [
        "NVIDIA H100, driver 550.54",
        "Intel, driver i915",
    ]


# the command


@pytest.fixture
def call(built: Built, tiny: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setattr(module, "Machine", lambda: built.machine)

    def run(*args: str) -> tuple[int, str]:
        result = CliRunner().invoke(doctor, args)
        return result.exit_code, result.output

    return run


def test_the_command_prints_what_was_found(built: Built, call: Callable[..., tuple[int, str]]) -> None:
    built.loopback("N")
    code, out = call()
    assert code == 0, "whoever has no camera can still matte files"
    lines = out.splitlines()
    at = lines.index("virtual camera")
    assert lines[at + 1].startswith("  pyvirtualcam             not installed -> for --to vcam: pip install")
    assert "  v4l2loopback             loaded" in lines[at:]
    assert lines.index("cameras") < lines.index("pipewire") < lines.index("gpu")


def test_the_command_as_json(built: Built, call: Callable[..., tuple[int, str]]) -> None:
    code, out = call("--json")
    found = json.loads(out)
    assert (code, out.count("\n")) == (0, 1)
    assert [Finding(**finding) for finding in found["live"]] == findings(built.machine)
    runtimes = {runtime["name"]: runtime for runtime in found["runtimes"]}
    assert list(runtimes) == ["tensorrt", "tensorrt_rtx", "torch", "onnxruntime", "openvino"]
    assert [name for name, found in runtimes.items() if found["usable"] and not found["declined"]][-1] == "openvino"
    assert found["models"].keys() <= {"tiny"}
    assert found["libraries"]["numpy"]
