"""What stands between this machine and a virtual camera, in words: what is, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streammatte.live.machine import Machine, VideoDevice

__all__ = ["Finding", "findings"]

_LOAD = "sudo modprobe v4l2loopback devices=1 card_label=streammatte exclusive_caps="
_RELOAD = f"sudo modprobe -r v4l2loopback && {_LOAD}"
_CAPS = {
    True: "1: a camera only while something writes to it, as Meet and Chromium want it; Zoom may not list it",
    False: "0: a camera at all times, as Zoom wants it; Meet and Chromium do not list it",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    """virtual camera, cameras, pipewire or gpu."""
    name: str
    state: str
    """What is."""
    remedy: str = ""
    """What to do; empty where nothing is wanting."""


def findings(machine: Machine) -> list[Finding]:
    """All there is to say, topic by topic. Takes a second at most; never raises for what is not there."""
    checks: tuple[Callable[[Machine], list[Finding]], ...] = (_pyvirtualcam,)
    if machine.platform == "linux":
        checks = (_pyvirtualcam, _loopback, _secure_boot, _cameras, _pipewire, _gpus)
    return [finding for check in checks for finding in check(machine)]


def _pyvirtualcam(machine: Machine) -> list[Finding]:
    if machine.installed("pyvirtualcam"):
        return [Finding("virtual camera", "pyvirtualcam", "installed")]
    remedy = "for --to vcam: pip install 'streammatte[vcam]' (GPL-2.0)"
    return [Finding("virtual camera", "pyvirtualcam", "not installed", remedy)]


def _loopback(machine: Machine) -> list[Finding]:
    topic, name = "virtual camera", "v4l2loopback"
    if not machine.module_loaded(name):
        if machine.module_there(name):
            return [Finding(topic, name, "installed, not loaded", f"for --to vcam: {_LOAD}1")]
        remedy = f"for --to vcam: install v4l2loopback-dkms, then {_LOAD}1; --to pipewire needs no module"
        return [Finding(topic, name, "not installed for this kernel", remedy)]
    loaded = Finding(topic, name, "loaded")
    caps = machine.exclusive_caps()[: max(sum(device.loopback for device in machine.video_devices()), 1)]
    if not caps:
        return [loaded, Finding(topic, "exclusive_caps", "not told by this version of the module")]
    if len(set(caps)) > 1:
        each = ",".join(str(int(cap)) for cap in caps)
        mixed = f"{each}, device by device: Zoom wants 0, Meet and Chromium 1"
        return [loaded, Finding(topic, "exclusive_caps", mixed)]
    other = f"for the others: {_RELOAD}{int(not caps[0])}"
    return [loaded, Finding(topic, "exclusive_caps", _CAPS[caps[0]], other)]


def _secure_boot(machine: Machine) -> list[Finding]:
    topic, name, on = "virtual camera", "secure boot", machine.secure_boot()
    if on is None:
        return [Finding(topic, name, "not booted by UEFI: any module loads")]
    if not on:
        return [Finding(topic, name, "off: any module loads")]
    if machine.module_loaded("v4l2loopback"):
        return [Finding(topic, name, "on; v4l2loopback is loaded all the same, so it is signed")]
    remedy = "sign v4l2loopback: `sudo mokutil --import` the key of your DKMS and restart; or use --to pipewire"
    return [Finding(topic, name, "on: only signed modules load", remedy)]


def _cameras(machine: Machine) -> list[Finding]:
    devices = machine.video_devices()
    if not devices:
        return [Finding("cameras", "/dev/video*", "none", "plug a camera in; in a container or VM, pass it on")]
    return [_camera(device) for device in devices]


def _camera(device: VideoDevice) -> Finding:
    words = [device.label or "no name", *(["virtual (v4l2loopback)"] if device.loopback else [])]
    words += [f"held by {holder.name} ({holder.pid})" for holder in device.holders]
    remedy = ""
    if not device.usable:
        words.append("not permitted")
        remedy = "sudo usermod -aG video $USER, then log in again"
    elif device.holders and not device.loopback:
        names = ", ".join(sorted({holder.name for holder in device.holders}))
        remedy = f"most cameras serve one program at a time: close {names} to use it here"
    return Finding("cameras", device.path, ", ".join(words), remedy)


def _pipewire(machine: Machine) -> list[Finding]:
    topic = "pipewire"
    socket, running = machine.pipewire_socket(), machine.runs("xdg-desktop-portal")
    portal = "running" if running else "starts when a program asks for it" if machine.portal_installed() else ""
    no_portal = "install xdg-desktop-portal and the one of your desktop: browsers see PipeWire cameras through it"
    return [
        Finding(topic, "daemon", f"listens on {socket.name}")
        if socket
        else Finding(topic, "daemon", "no socket in this session", "systemctl --user start pipewire wireplumber"),
        Finding(topic, "session manager", "wireplumber runs")
        if machine.runs("wireplumber")
        else Finding(topic, "session manager", "wireplumber does not run", "systemctl --user start wireplumber"),
        Finding(topic, "gst-launch-1.0", "there")
        if machine.which("gst-launch-1.0")
        else Finding(topic, "gst-launch-1.0", "not there", "for --to pipewire: install gstreamer1.0-tools"),
        Finding(topic, "GStreamer plugin", "there")
        if machine.gst_pipewire()
        else Finding(topic, "GStreamer plugin", "not there", "for --to pipewire: install gstreamer1.0-pipewire"),
        Finding(topic, "portal", portal) if portal else Finding(topic, "portal", "not installed", no_portal),
    ]


def _gpus(machine: Machine) -> list[Finding]:
    found = [Finding("gpu", f"gpu {number}", words) for number, words in enumerate(machine.gpus())]
    nodes = sorted(path.name for path in (machine.root / "dev/dri").glob("renderD*"))
    if nodes:
        found.append(Finding("gpu", "/dev/dri", ", ".join(nodes)))
    return found or [Finding("gpu", "gpu", "none found; none is needed")]
