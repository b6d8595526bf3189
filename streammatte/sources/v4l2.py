"""What Linux says of its cameras: Video4Linux2's queries (linux/videodev2.h), read with ioctl."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from streammatte.sources.modes import Camera, Mode

__all__ = ["Query", "capture_devices", "output_devices", "read_camera"]

Query = Callable[[int, int, bytearray], object]
"""`fcntl.ioctl`: (descriptor, request, buffer) fills the buffer, or raises OSError."""

_QUERYCAP, _ENUM_FMT, _ENUM_SIZES, _ENUM_INTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
_CAPTURE, _OUTPUT = 1, 2
_HAS_DEVICE_CAPS = 0x80000000
_DISCRETE = 1
_FORMATS = {
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "YU12": "yuv420p",
    "NV12": "nv12",
    "MJPG": "mjpeg",
    "JPEG": "mjpeg",
    "H264": "h264",
    "RGB3": "rgb24",
    "BGR3": "bgr24",
    "GREY": "gray",
    "422P": "yuv422p",
}
"""V4L2's four characters, and what FFmpeg calls the same."""
_USUAL_SIZES = ((320, 240), (640, 360), (640, 480), (960, 540), (1280, 720), (1920, 1080), (3840, 2160))
_USUAL_RATES = (15, 24, 25, 30, 50, 60)
"""Picked where a driver takes any size or rate between two bounds."""
_MOST = 256


def capture_devices(folder: Path = Path("/dev"), query: Query | None = None) -> tuple[Camera, ...]:
    """Devices that give pictures now, by number; those that this user may not open say so."""
    return tuple(camera for place in _places(folder) if (camera := read_camera(place, _CAPTURE, query)))


def output_devices(folder: Path = Path("/dev"), query: Query | None = None) -> tuple[Camera, ...]:
    """Devices that take pictures: virtual cameras that nobody writes to yet."""
    return tuple(camera for place in _places(folder) if (camera := read_camera(place, _OUTPUT, query)))


def _places(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("video*") if path.name[5:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[5:]))


def read_camera(place: Path, wanted: int, query: Query | None = None) -> Camera | None:
    """What the device says of itself; None where it does not do what is wanted (1 capture, 2 output)."""
    name = _sys_name(place)
    try:
        with _opened(place) as descriptor:
            return _told(place, descriptor, wanted, query or _ioctl)
    except PermissionError:
        remedy = "may not be opened by you; add yourself to the video group: sudo usermod -aG video $USER, log in again"
        return Camera(name, str(place), problem=remedy)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return Camera(name, str(place), problem="is in use; close the program that has it")
        return None  # ENOTTY, ENODEV: no camera, or one just pulled out


def _sys_name(place: Path) -> str:
    try:
        return Path("/sys/class/video4linux", place.name, "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return place.name


@contextmanager
def _opened(place: Path) -> Iterator[int]:
    descriptor = os.open(place, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _ioctl(descriptor: int, request: int, buffer: bytearray) -> object:
    import fcntl

    return fcntl.ioctl(descriptor, request, buffer)


def _told(place: Path, descriptor: int, wanted: int, query: Query) -> Camera | None:
    buffer = bytearray(104)
    query(descriptor, _QUERYCAP, buffer)
    _, card, _, _, capabilities, device = struct.unpack_from("16s32s32sIII", buffer)
    can = device if capabilities & _HAS_DEVICE_CAPS else capabilities
    if not can & wanted:
        return None
    modes = tuple(_modes(descriptor, query)) if wanted == _CAPTURE else ()
    return Camera(_text(card), str(place), modes)


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace")


def _modes(descriptor: int, query: Query) -> Iterator[Mode]:
    for code in _formats(descriptor, query):
        name = _FORMATS.get(struct.pack("<I", code).decode("ascii", "replace"))
        if name is None:
            continue
        for width, height in _sizes(descriptor, query, code):
            rates = sorted(set(_rates(descriptor, query, code, width, height)), reverse=True)
            yield Mode(name, width, height, tuple(rates))


def _each(descriptor: int, query: Query, request: int, size: int, *head: int) -> Iterator[bytearray]:
    """Answers number 0, 1, 2, ... until the driver has no more."""
    for index in range(_MOST):
        buffer = bytearray(size)
        struct.pack_into(f"<{1 + len(head)}I", buffer, 0, index, *head)
        try:
            query(descriptor, request, buffer)
        except OSError:
            return
        yield buffer


def _formats(descriptor: int, query: Query) -> Iterator[int]:
    for buffer in _each(descriptor, query, _ENUM_FMT, 64, 1):
        yield struct.unpack_from("<I", buffer, 44)[0]


def _sizes(descriptor: int, query: Query, code: int) -> Iterator[tuple[int, int]]:
    for buffer in _each(descriptor, query, _ENUM_SIZES, 44, code):
        kind, *values = struct.unpack_from("<7I", buffer, 8)
        if kind == _DISCRETE:
            yield values[0], values[1]
            continue
        low_w, high_w, step_w, low_h, high_h, step_h = values
        for wide, high in _USUAL_SIZES:
            fits = low_w <= wide <= high_w and low_h <= high <= high_h
            if fits and (wide - low_w) % max(1, step_w) == 0 and (high - low_h) % max(1, step_h) == 0:
                yield wide, high
        return


def _rates(descriptor: int, query: Query, code: int, width: int, height: int) -> Iterator[Fraction]:
    for buffer in _each(descriptor, query, _ENUM_INTERVALS, 52, code, width, height):
        kind, *values = struct.unpack_from("<7I", buffer, 16)
        if kind == _DISCRETE:
            if values[0] and values[1]:
                yield Fraction(values[1], values[0])
            continue
        shortest, longest = Fraction(values[0], values[1] or 1), Fraction(values[2], values[3] or 1)
        yield from (Fraction(rate) for rate in _USUAL_RATES if shortest <= Fraction(1, rate) <= longest)
        return
