"""What this machine has for live video, read from its files: modules, cameras, who holds them, sockets, GPUs.

Linux only; every path is below `Machine.root`, so that tests can build one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from streammatte.holders import Holder, holders

__all__ = ["Machine", "VideoDevice"]

_ASKING_S = 10.0
_LOOPBACK = "sys/module/v4l2loopback"
_EFI = "sys/firmware/efi"
_GST_FOLDERS = ("usr/lib/*/gstreamer-1.0", "usr/lib64/gstreamer-1.0", "usr/lib/gstreamer-1.0")
_PORTAL_FILES = ("usr/libexec/xdg-desktop-portal", "usr/lib/xdg-desktop-portal")
_GPU_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}


def _output_of(command: list[str]) -> str | None:
    """What `command` prints; None where it fails."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASKING_S, check=True)
        return done.stdout.strip()
    return None


def _may_use(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """One /dev/video*."""

    path: str
    """As on the machine itself: /dev/video0."""
    label: str
    """What applications show; empty where the kernel does not say."""
    loopback: bool
    """A virtual camera of v4l2loopback."""
    usable: bool
    """This user may read and write it."""
    holders: tuple[Holder, ...]
    """Of the processes that this user may look into."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine to look at: this one, or in tests a folder that looks like one."""

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    platform: str = sys.platform
    which: Callable[[str], str | None] = shutil.which
    output_of: Callable[[list[str]], str | None] = _output_of
    may_use: Callable[[Path], bool] = _may_use
    installed: Callable[[str], bool] = lambda module: find_spec(module) is not None

    def module_loaded(self, name: str) -> bool:
        """Whether this kernel module is loaded, or built in with settings of its own."""
        lines = (self._text("proc/modules") or "").splitlines()
        return any(line.split(maxsplit=1)[:1] == [name] for line in lines) or (self.root / "sys/module" / name).is_dir()

    def module_there(self, name: str) -> bool:
        """Whether this kernel module is installed for the running kernel."""
        release = (self._text("proc/sys/kernel/osrelease") or "?").strip()
        return any(True for _ in (self.root / "lib/modules" / release).glob(f"**/{name}.ko*"))

    def exclusive_caps(self) -> tuple[bool, ...]:
        """v4l2loopback's exclusive_caps, device by device in the order they were made; () where it does not say."""
        text = self._text(f"{_LOOPBACK}/parameters/exclusive_caps") or ""
        return tuple(word.strip() in ("Y", "1") for word in text.split(",") if word.strip())

    def secure_boot(self) -> bool | None:
        """Whether only signed kernel modules load; None where the machine was not booted by UEFI."""
        for path in (self.root / _EFI / "efivars").glob("SecureBoot-*"):
            with suppress(OSError):
                return path.read_bytes()[4:5] == b"\x01"  # after four bytes of attributes
        return False if (self.root / _EFI).is_dir() else None

    def video_devices(self) -> list[VideoDevice]:
        """Every /dev/video*, by number, with who has it open."""
        numbers = sorted(
            int(path.name.removeprefix("video"))
            for path in (self.root / "dev").glob("video*")
            if path.name.removeprefix("video").isdecimal()
        )
        return [self._video_device(number) for number in numbers]

    def _video_device(self, number: int) -> VideoDevice:
        kernel = self.root / f"sys/class/video4linux/video{number}"
        return VideoDevice(
            path=f"/dev/video{number}",
            label=(self._text(f"sys/class/video4linux/video{number}/name") or "").strip(),
            loopback="/virtual/" in str(kernel.resolve()) and (self.root / _LOOPBACK).is_dir(),
            usable=self.may_use(self.root / f"dev/video{number}"),
            holders=holders(f"/dev/video{number}", self.root / "proc"),
        )

    def _pids(self) -> Iterator[int]:
        names = (path.name for path in (self.root / "proc").glob("[0-9]*"))
        return iter(sorted(int(name) for name in names if name.isdecimal()))

    def runs(self, name: str) -> bool:
        """Whether a process of this name runs; the kernel keeps 15 characters of it."""
        return any((self._text(f"proc/{pid}/comm") or "").strip() == name[:15] for pid in self._pids())

    def pipewire_socket(self) -> Path | None:
        """The PipeWire daemon's socket; None where there is none in this session."""
        folder = self.environ.get("PIPEWIRE_RUNTIME_DIR") or self.environ.get("XDG_RUNTIME_DIR")
        if not folder:
            return None
        path = self.root / folder.lstrip("/") / (self.environ.get("PIPEWIRE_REMOTE") or "pipewire-0")
        return path if path.exists() else None

    def gst_pipewire(self) -> bool:
        """Whether GStreamer's PipeWire plugin is there."""
        given = [Path(folder) for folder in self.environ.get("GST_PLUGIN_PATH", "").split(os.pathsep) if folder]
        folders = [*given, *(folder for pattern in _GST_FOLDERS for folder in self.root.glob(pattern))]
        return any((folder / "libgstpipewire.so").is_file() for folder in folders)

    def portal_installed(self) -> bool:
        """Whether xdg-desktop-portal, which asks the user before a browser gets a camera, is there."""
        return any((self.root / path).is_file() for path in _PORTAL_FILES)

    def gpus(self) -> list[str]:
        """Each GPU with its driver, in words."""
        listed = None
        if self.which("nvidia-smi"):
            listed = self.output_of(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
        nvidia = [line.replace(", ", ", driver ") for line in (listed or "").splitlines() if line.strip()]
        found = list(nvidia)
        for card in sorted((self.root / "sys/class/drm").glob("card[0-9]")):
            vendor = (self._text(f"sys/class/drm/{card.name}/device/vendor") or "").strip()
            driver = card / "device/driver"
            if not (nvidia and vendor == "0x10de"):  # nvidia-smi has said more of those
                words = driver.resolve().name if driver.exists() else "none"
                found.append(f"{_GPU_VENDORS.get(vendor, vendor or 'unknown')}, driver {words}")
        return found

    def _text(self, path: str) -> str | None:
        with suppress(OSError):
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        return None
