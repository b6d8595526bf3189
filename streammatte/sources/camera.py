"""`camera`, `camera:1`, `camera:NAME`, `screen`: devices that give pictures as they happen, through PyAV."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet, StreamInfo
from streammatte.sources import devices, probe
from streammatte.sources.modes import DEFAULT_RATE, Camera, Mode, best_mode
from streammatte.sources.once import ReadOnce
from streammatte.sources.options import SourceOptions
from streammatte.sources.planes import Picture, unpack
from streammatte.sources.polled import Opened, open_polled, why_not

__all__ = ["CameraSource"]

_AGAIN_S = 0.5
_POLL_S = 0.002
_SILENT_S = 3.0
"""A device that says nothing for so long is taken for gone, and opened anew."""
_STALE_S = 0.1
"""Pictures that waited longer, while models were loaded, are not what the camera sees now."""
_MOST_QUEUED = 64
_MICROSECOND = Fraction(1, 1_000_000)
_SYSTEMS = {"linux": ("v4l2", "x11grab"), "darwin": ("avfoundation", "avfoundation"), "win32": ("dshow", "gdigrab")}


_Open = Callable[[str, str, dict[str, str]], Opened]


class CameraSource(ReadOnce):
    """Frames as they are captured, timed by the monotonic clock from the first one on, in microseconds.

    A camera that is unplugged is looked for twice a second, and opened again as it was; meanwhile nothing is given, and
    the first frame after it is a discontinuity. `close` ends that wait. One that comes back with other pictures has
    them converted to those of before, which `notes` say. `find` and `open_device` stand in for the system in tests.
    """

    info: StreamInfo

    def __init__(
        self,
        spec: str,
        options: SourceOptions = SourceOptions(),  # noqa: B008 (frozen)
        *,
        find: Callable[[], tuple[Camera, ...]] = devices.cameras,
        open_device: _Open | None = None,
    ) -> None:
        """Open `spec` and wait for its first picture. Raises SourceError."""
        super().__init__(spec)
        self._options, self._find, self._open = options, find, open_device or open_polled
        self._ended = threading.Event()
        self._using = threading.Lock()
        """Held while the device is read or closed: FFmpeg allows no two of these at once."""
        self._kept_notes: list[str] = []
        self._screen = spec == "screen" or spec.startswith("screen:")
        self._device: Opened | None = None
        there = () if self._screen else find()
        self._camera = Camera("screen", _screen(spec)) if self._screen else self._chosen(there)
        self._twins = sum(camera.name == self._camera.name for camera in there) > 1
        self._mode = best_mode(self._camera.modes, options.camera_size, options.camera_rate)
        try:
            self._reopen()
            self._first = self._next_decoded()
            self._first_s = self._seen_s = time.monotonic()
        except (av.FFmpegError, OSError, _Silent) as error:
            self.close()
            raise SourceError(f"{spec}: {self._camera.place} {why_not(error)}") from error
        self._start_ns: int | None = None
        self.info = self._described(self._first)

    @property
    def notes(self) -> list[str]:
        """How the device was opened, and when it was away."""
        return list(self._kept_notes)

    def close(self) -> None:
        """Stop; from any thread. The device is released once it is not being read."""
        self._closed = True
        self._ended.set()
        self._release()

    def _release(self) -> None:
        with self._using:
            if self._device is not None:
                self._device.close()
            self._device = None

    # which device, and how

    def _chosen(self, found: tuple[Camera, ...]) -> Camera:
        wanted = self._name.partition(":")[2].strip("\"'")
        matching = [camera for number, camera in enumerate(found) if _fits(camera, number, wanted)]
        if not matching:
            there = "; ".join(f"camera:{n} {camera.name}" for n, camera in enumerate(found)) or "none"
            raise SourceError(f"{self._name}: no such camera (there: {there}); plug it in, or see streammatte devices")
        if matching[0].problem:
            raise SourceError(f"{self._name}: {matching[0].place} ({matching[0].name}) {matching[0].problem}")
        return matching[0]

    def _reopen(self) -> None:
        system = _SYSTEMS.get("linux" if sys.platform.startswith("linux") else sys.platform, ("v4l2", "x11grab"))
        self._device = self._open(self._camera.place, system[self._screen], self._settings())
        if self._closed:  # meanwhile
            self._release()

    def _settings(self) -> dict[str, str]:
        wanted = self._options
        rate = wanted.camera_rate or DEFAULT_RATE
        if self._mode is not None:
            return _mode_settings(self._mode, rate)
        settings = {"framerate": f"{rate}"}
        if wanted.camera_size is not None:
            settings["video_size"] = "{}x{}".format(*wanted.camera_size)
        return settings

    def _described(self, decoded: Any) -> StreamInfo:
        picture = unpack(decoded)
        if picture.note:
            self._kept_notes.append(picture.note)
        height, width = picture.planes[0].shape
        codec = self._stream.codec_context.codec.canonical_name
        self._kept_notes.append(f"{self._camera.name}: {width}x{height} {codec} ({decoded.format.name})")
        return StreamInfo(
            name=self._name,
            width=width,
            height=height,
            format=picture.format,
            color=_color(decoded, picture),
            time_base=_MICROSECOND,
            rate=self._stream.average_rate or self._options.camera_rate,
            live=True,
            codec=codec,
            container=self._camera.name,
        )

    @property
    def _stream(self) -> Any:
        assert self._device is not None
        return self._device.streams.video[0]

    # reading

    def _given(self) -> Iterator[Frame | Packet]:
        seq, away = 0, False
        decoded: Any = self._first if time.monotonic() - self._first_s < _STALE_S else self._newest()
        while not self._closed:
            if decoded is not None:
                frame = replace(self._frame(decoded, seq), discontinuity=away)
                if self._options.end is not None and frame.time >= self._options.end:
                    return
                yield frame
                seq, away = seq + 1, False
            try:
                decoded = self._next_decoded()
            except (av.FFmpegError, OSError, _Silent) as error:
                if self._screen:
                    raise SourceError(f"{self._name}: {why_not(error)}") from error
                decoded, away = self._returned(why_not(error)), True

    def _newest(self) -> Any:
        """None, once what the driver has queued is read and let go: the next picture is of now."""
        with suppress(av.FFmpegError, OSError):  # a device that is gone says so again
            for _ in range(_MOST_QUEUED):
                self._read()
        return None

    def _next_decoded(self) -> Any:
        """The next picture, None once closed. The device is polled: one that has died must not hold this thread."""
        since_s = time.monotonic()
        while not self._closed:
            with suppress(av.BlockingIOError, av.InvalidDataError):  # none yet, or torn: the next one is whole
                return self._read()
            if time.monotonic() - since_s > _SILENT_S:
                raise _Silent
            self._ended.wait(_POLL_S)
        return None

    def _read(self) -> Any:
        with self._using:
            if self._device is None:
                return None
            for packet in self._device.demux(self._stream):
                for frame in packet.decode():
                    self._seen_s = time.monotonic()
                    return frame
        raise av.EOFError(0, "the device sends no more")

    def _returned(self, why: str) -> Any:
        """The first picture after the camera has come back; None once closed."""
        since_s, decoded = self._seen_s, None
        self._release()
        while decoded is None and not self._ended.wait(_AGAIN_S):
            with suppress(SourceError, av.FFmpegError, OSError, _Silent):
                camera = self._same_one()
                if camera is None:
                    continue
                self._camera = camera
                self._reopen()
                decoded = self._next_decoded()
            if decoded is None:
                self._release()
        until = "when the run ended" if decoded is None else "back again"
        self._kept_notes.append(f"camera was away for {time.monotonic() - since_s:.1f} s ({why}), {until}")
        return decoded

    def _same_one(self) -> Camera | None:
        """The camera of before, and no other: it may show what nobody wants seen.

        By name and place; by name alone, since plugging in changes the number, unless there was another of that name.
        """
        named = [camera for camera in self._find() if camera.name == self._camera.name and not camera.problem]
        same = [camera for camera in named if camera.place == self._camera.place]
        if not same and not self._twins and len(named) == 1:
            return named[0]
        return same[0] if same else None

    def _frame(self, decoded: Any, seq: int) -> Frame:
        now_ns = time.monotonic_ns()
        self._start_ns = self._start_ns if self._start_ns is not None else now_ns - 1000 * seq
        picture = unpack(self._as_before(decoded))
        return Frame(
            planes=picture.planes,
            format=picture.format,
            color=self.info.color,
            pts=(now_ns - self._start_ns) // 1000,
            time_base=_MICROSECOND,
            duration=0,
            seq=seq,
            captured_ns=now_ns,
        )

    def _as_before(self, decoded: Any) -> Any:
        was = self._first.width, self._first.height, self._first.format.name
        now = decoded.width, decoded.height, decoded.format.name
        if now == was:
            return decoded
        note = f"the camera came back with {now[0]}x{now[1]} {now[2]}; converted to {was[0]}x{was[1]} {was[2]}"
        if note not in self._kept_notes:
            self._kept_notes.append(note)
        return decoded.reformat(*was)


def _color(decoded: Any, picture: Picture) -> ColorSpec:
    """Webcams do not say: they send BT.601 at every size (USB Video Class 1.5, color matching), as JPEG does."""
    found = probe.color_spec(decoded, picture, ChromaLocation.UNSPECIFIED)
    return replace(found, matrix=6) if found.matrix == 2 and picture.format.model == "yuv" else found


class _Silent(Exception):
    """The device sends nothing."""

    def __str__(self) -> str:
        return f"sent nothing for {_SILENT_S:g} s"


def _fits(camera: Camera, number: int, wanted: str) -> bool:
    if not wanted:
        return not camera.problem or number == 0
    if wanted.isdecimal():
        return number == int(wanted)
    return wanted == camera.place or wanted.lower() in camera.name.lower()


def _screen(spec: str) -> str:
    which = spec.partition(":")[2]
    if sys.platform == "darwin":
        return f"Capture screen {which or 0}"
    if sys.platform == "win32":
        return "desktop"
    display = which or os.environ.get("DISPLAY", "")
    if not display:
        raise SourceError(f"{spec}: there is no X display; set DISPLAY, or give screen::0")
    return display


def _mode_settings(mode: Mode, rate: Fraction) -> dict[str, str]:
    compressed = mode.format in ("mjpeg", "h264")
    return {
        "video_size": f"{mode.width}x{mode.height}",
        "framerate": f"{mode.rate_for(rate)}",
        **({"input_format": mode.format} if compressed or sys.platform.startswith("linux") else {}),
    }
