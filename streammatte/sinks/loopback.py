"""The v4l2loopback devices of a Linux machine: finding one, and saying why one cannot be written to."""

from __future__ import annotations

import os
from pathlib import Path

from streammatte.errors import SinkError
from streammatte.holders import Holder, holders

__all__ = ["find_device", "refusal"]

_SYSFS = Path("/sys/class/video4linux")
_MODPROBE = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=streammatte"
_GROUP = "sudo usermod -aG video $USER, then log in again"


def find_device(place: str, sysfs: Path = _SYSFS) -> str:
    """The device path that `place` means: a path as it is, a number, or a device's label; "" for "".

    Raises SinkError where no loopback device has that label.
    """
    if not place or place.startswith("/"):
        return place
    if place.isdigit():
        return f"/dev/video{place}"
    labels = _labels(sysfs)
    found = [path for path, label in labels.items() if place in (label, Path(path).name)]
    if found:
        return found[0]
    if not labels:
        raise SinkError(f"vcam:{place}: there is no v4l2loopback device; make one: {_MODPROBE}")
    known = ", ".join(f"{label!r} ({path})" for path, label in labels.items())
    raise SinkError(f"vcam:{place}: no v4l2loopback device has that name; there is {known}")


def refusal(device: str, said: str, sysfs: Path = _SYSFS) -> SinkError:
    """Why `device`, or any device for "", cannot be written to: the first known reason, else what was `said`."""
    if device:
        reason = _reason(device) or f"{device} cannot be written to: {said.rstrip('.')}; is it v4l2loopback?"
        return SinkError(f"vcam: {reason}")
    devices = list(_labels(sysfs))
    if not devices:
        return SinkError(f"vcam: there is no v4l2loopback device; make one: {_MODPROBE}")
    reasons = "; ".join(_reason(each) or f"{each} refused" for each in devices)
    return SinkError(f"vcam: no v4l2loopback device is free: {reasons}")


def _reason(device: str) -> str | None:
    if not Path(device).exists():
        return f"{device} does not exist; make it: {_MODPROBE} video_nr={_number(device)}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be written to by you: {_GROUP}"
    if others := holders(device):
        return f"{device} is busy, held by {_listed(others)}; end that, or use another device"
    return None


def _number(device: str) -> str:
    return Path(device).name.removeprefix("video") or "10"


def _listed(others: tuple[Holder, ...]) -> str:
    return ", ".join(map(str, others))


def _labels(sysfs: Path) -> dict[str, str]:
    """Path to label of each loopback device. They alone are virtual: webcams hang on a bus."""
    devices = sorted(sysfs.glob("video*")) if sysfs.is_dir() else []
    return {
        f"/dev/{each.name}": (each / "name").read_text(encoding="utf-8", errors="replace").strip()
        for each in devices
        if "virtual" in each.resolve().parts
    }
