"""Cameras: which one, in which mode, what V4L2 says of them, and what happens when one is unplugged."""

from __future__ import annotations

import errno
import itertools
import struct
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from streammatte.errors import SourceError
from streammatte.frame import Frame
from streammatte.sources import camera as subject
from streammatte.sources import devices, v4l2
from streammatte.sources.camera import CameraSource
from streammatte.sources.modes import Camera, Mode, best_mode
from streammatte.sources.options import SourceOptions
from streammatte.sources.polled import Polled

THIRTY, TEN = (Fraction(30), Fraction(15)), (Fraction(10), Fraction(5))
WEBCAM = (
    Mode("yuyv422", 640, 360, THIRTY),
    Mode("yuyv422", 640, 480, THIRTY),
    Mode("yuyv422", 1280, 720, TEN),
    Mode("mjpeg", 640, 360, THIRTY),
    Mode("mjpeg", 1280, 720, THIRTY),
    Mode("mjpeg", 1920, 1080, THIRTY),
)
CAMERAS = (
    Camera("Integrated Camera", "/dev/video0", WEBCAM),
    Camera("Logitech BRIO", "/dev/video2", WEBCAM),
    Camera("Locked", "/dev/video4", problem="may not be opened by you; add yourself to the video group"),
)


# modes


@pytest.mark.parametrize(
    ("size", "rate", "found"),
    [
        (None, None, ("mjpeg", 1280, 720)),
        ((640, 360), None, ("yuyv422", 640, 360)),
        ((1280, 720), Fraction(10), ("yuyv422", 1280, 720)),
        ((1280, 720), Fraction(30), ("mjpeg", 1280, 720)),
        ((800, 450), None, ("mjpeg", 1280, 720)),
        ((600, 400), None, ("yuyv422", 640, 480)),
        ((3840, 2160), None, ("mjpeg", 1920, 1080)),
        ((640, 360), Fraction(60), ("yuyv422", 640, 360)),
    ],
)
def test_best_mode(size: Any, rate: Any, found: tuple[str, int, int]) -> None:
    mode = best_mode(WEBCAM, size, rate)
    assert mode is not None
    assert (mode.format, mode.width, mode.height) == found


def test_a_larger_picture_in_time_beats_the_right_size_too_slow() -> None:
    modes = (Mode("yuyv422", 1280, 720, TEN), Mode("mjpeg", 1920, 1080, THIRTY))
    assert best_mode(modes, (1280, 720), Fraction(30)) == modes[1]


def test_no_modes_no_mode() -> None:
    assert best_mode((), None, None) is None


def test_a_rate_that_is_there() -> None:
    assert Mode("mjpeg", 640, 360, (Fraction(60), Fraction(30000, 1001))).rate_for(Fraction(30)) == Fraction(
        30000, 1001
    )
    assert Mode("mjpeg", 640, 360, TEN).rate_for(Fraction(30)) == 10


# V4L2


class Driver:
    """Answers ioctl as a webcam with YUYV at two sizes and MJPEG at any."""

    def __init__(self, capabilities: int = 1, error: int = 0) -> None:
        self.capabilities, self.error = capabilities, error

    def __call__(self, descriptor: int, request: int, buffer: bytearray) -> int:
        if self.error:
            raise OSError(self.error, "on purpose")
        number = request & 0xFF
        {0: self._caps, 2: self._format, 74: self._size, 75: self._interval}[number](buffer)
        return 0

    def _caps(self, buffer: bytearray) -> None:
        struct.pack_into("16s32s32sIII", buffer, 0, b"fake", b"Fake Cam", b"usb-1", 0, 0x80000000, self.capabilities)

    def _format(self, buffer: bytearray) -> None:
        index = struct.unpack_from("<I", buffer)[0]
        if index > 2:
            raise OSError(errno.EINVAL, "no more")
        struct.pack_into("<4s", buffer, 44, [b"YUYV", b"MJPG", b"XXXX"][index])

    def _size(self, buffer: bytearray) -> None:
        index, code = struct.unpack_from("<I4s", buffer)
        if code == b"MJPG":
            struct.pack_into("<7I", buffer, 8, 3, 160, 1280, 16, 90, 720, 2)
        elif index < 2:
            struct.pack_into("<3I", buffer, 8, 1, *((640, 360), (800, 600))[index])
        else:
            raise OSError(errno.EINVAL, "no more")

    def _interval(self, buffer: bytearray) -> None:
        index, code = struct.unpack_from("<I4s", buffer)
        if code == b"MJPG":
            struct.pack_into("<7I", buffer, 16, 3, 1, 30, 1, 10, 0, 0)
        elif index < 2:
            struct.pack_into("<3I", buffer, 16, 1, 1, (30, 15)[index])
        else:
            raise OSError(errno.EINVAL, "no more")


def test_what_a_driver_says(tmp_path: Path) -> None:
    for number in (10, 0, 2):
        (tmp_path / f"video{number}").touch()
    (tmp_path / "video-other").touch()
    found = v4l2.capture_devices(tmp_path, Driver())
    assert [Path(camera.place).name for camera in found] == ["video0", "video2", "video10"]
    assert found[0].name == "Fake Cam"
    assert found[0].modes[:2] == (Mode("yuyv422", 640, 360, THIRTY), Mode("yuyv422", 800, 600, THIRTY))
    stepped = [mode for mode in found[0].modes if mode.format == "mjpeg"]
    assert [(m.width, m.height) for m in stepped] == [(320, 240), (640, 360), (640, 480), (960, 540), (1280, 720)]
    assert stepped[0].rates == (30, 25, 24, 15)
    assert v4l2.output_devices(tmp_path, Driver()) == ()
    assert len(v4l2.output_devices(tmp_path, Driver(capabilities=2))) == 3


@pytest.mark.parametrize(
    ("error", "words"), [(errno.EACCES, "video group"), (errno.EBUSY, "in use"), (errno.ENODEV, None), (25, None)]
)
def test_what_cannot_be_asked(tmp_path: Path, error: int, words: str | None) -> None:
    (tmp_path / "video0").touch()
    found = v4l2.capture_devices(tmp_path, Driver(error=error))
    assert [words in camera.problem for camera in found] == ([True] if words else [])


# choosing


def picture(width: int = 64, height: int = 48, name: str = "yuv420p") -> av.VideoFrame:
    rgb = np.full((height, width, 3), 90, np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=name)


class Device:
    """Gives the frames of `script`; an exception in it is raised, None means that nothing has come yet."""

    def __init__(self, script: Iterator[Any]) -> None:
        self._script, self.closed = script, False
        context = SimpleNamespace(codec=SimpleNamespace(canonical_name="rawvideo"))
        self.streams = SimpleNamespace(video=[SimpleNamespace(codec_context=context, average_rate=Fraction(30))])

    def demux(self, stream: Any) -> Iterator[Any]:
        entry = next(self._script, None)
        if entry is None:
            raise av.BlockingIOError(11, "not yet")
        if isinstance(entry, Exception):
            raise entry
        yield SimpleNamespace(decode=lambda: [entry])

    def close(self) -> None:
        self.closed = True


def opened(*scripts: Any, spec: str = "camera", options: Any = None, **how: Any) -> tuple[CameraSource, list[Any]]:
    calls: list[Any] = []
    waiting = iter(scripts)

    def open_device(place: str, system: str, settings: dict[str, str]) -> Any:
        script = next(waiting)
        calls.append((place, system, settings))
        if isinstance(script, Exception):
            raise script
        return Device(iter(script))

    how.setdefault("find", lambda: CAMERAS)
    return CameraSource(spec, options or SourceOptions(), open_device=open_device, **how), calls


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("camera", "/dev/video0"),
        ("camera:1", "/dev/video2"),
        ("camera:logitech", "/dev/video2"),
        ('camera:"Logitech"', "/dev/video2"),
        ("camera:/dev/video2", "/dev/video2"),
    ],
)
def test_which_camera(spec: str, place: str) -> None:
    source, calls = opened([picture()], spec=spec)
    assert calls[0][0] == place
    assert source.info.live
    assert (source.info.width, source.info.height) == (64, 48)
    assert source.info.color.matrix == 6, "webcams send BT.601"


def test_the_mode_is_asked_for() -> None:
    _, calls = opened([picture()], options=SourceOptions(camera_size=(640, 360), camera_rate=Fraction(15)))
    assert calls[0][2]["video_size"] == "640x360"
    assert calls[0][2]["framerate"] == "15"


@pytest.mark.parametrize(
    ("spec", "words"),
    [("camera:9", "camera:1 Logitech BRIO"), ("camera:Sony", "streammatte devices"), ("camera:2", "video group")],
)
def test_no_such_camera_is_one_line(spec: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        opened([picture()], spec=spec)
    assert "\n" not in str(caught.value)


def test_none_at_all() -> None:
    with pytest.raises(SourceError, match="there: none"):
        opened([picture()], find=lambda: ())


def test_a_busy_camera_is_one_line() -> None:
    with pytest.raises(SourceError, match="in use"):
        opened(OSError(errno.EBUSY, "Device or resource busy"), spec="camera")


def test_a_screen_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SourceError, match="DISPLAY"):
        opened([picture()], spec="screen")


# reading


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_AGAIN_S", 0.02)
    monkeypatch.setattr(subject, "_SILENT_S", 0.1)


def taken(source: CameraSource, count: int) -> list[Frame]:
    return [event for event in itertools.islice(source.events(), count) if isinstance(event, Frame)]


def test_frames_are_timed_by_the_clock() -> None:
    source, _ = opened([picture(), None, picture(), None, None, picture()])
    before = time.monotonic_ns()
    frames = taken(source, 3)
    assert [frame.seq for frame in frames] == [0, 1, 2]
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert all(before <= (frame.captured_ns or 0) <= time.monotonic_ns() for frame in frames)
    assert not any(frame.discontinuity for frame in frames)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("gone", [OSError(19, "No such device"), av.EOFError(0, "end"), None])
def test_a_camera_that_was_unplugged_comes_back(gone: Exception | None) -> None:
    source, calls = opened([picture(), picture(), gone], OSError(19, "no"), [picture(), picture()])
    frames = taken(source, 4)
    assert [frame.discontinuity for frame in frames] == [False, False, True, False]
    assert [frame.seq for frame in frames] == [0, 1, 2, 3]
    assert len(calls) == 3
    assert any("camera was away" in note for note in source.notes)


@pytest.mark.usefixtures("quick")
def test_it_is_found_again_by_its_name() -> None:
    found = [CAMERAS]
    source, calls = opened([picture(), OSError(19, "gone")], [picture()], find=lambda: found[0])
    found[0] = (Camera("Integrated Camera", "/dev/video7", WEBCAM),)
    assert len(taken(source, 2)) == 2
    assert [call[0] for call in calls] == ["/dev/video0", "/dev/video7"]


@pytest.mark.usefixtures("quick")
def test_other_pictures_than_before_are_converted() -> None:
    source, _ = opened([picture(), OSError(19, "gone")], [picture(32, 32, "yuv422p")])
    frames = taken(source, 2)
    assert [plane.shape for plane in frames[1].planes] == [plane.shape for plane in frames[0].planes]
    assert any("converted" in note for note in source.notes)


def test_duration() -> None:
    source, _ = opened(itertools.chain([picture()], [None] * 200, itertools.repeat(picture())))
    timed, _ = opened(itertools.repeat(picture()), options=SourceOptions(duration_s=0.05))
    assert len(taken(source, 20)) == 20
    assert all(frame.time < 0.05 for frame in taken(timed, 100_000))


def test_a_torn_picture_is_passed_over() -> None:
    source, _ = opened([picture(), av.InvalidDataError(1, "torn"), picture()])
    assert len(taken(source, 2)) == 2


@pytest.mark.usefixtures("quick")
def test_close_ends_the_wait_for_a_camera() -> None:
    source, _ = opened([picture(), OSError(19, "gone")], *([OSError(19, "no")] * 500))
    threading.Timer(0.2, source.close).start()
    started = time.monotonic()
    assert len(list(source.events())) == 1
    assert time.monotonic() - started < 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "now",
    [
        (Camera("Another", "/dev/video0", WEBCAM),),
        (Camera("Integrated Camera", "/dev/video6", WEBCAM),),
    ],
)
def test_another_camera_is_never_opened_in_its_place(now: tuple[Camera, ...]) -> None:
    twins = (CAMERAS[0], Camera("Integrated Camera", "/dev/video6", WEBCAM))
    found = [twins]
    source, calls = opened([picture(), OSError(19, "gone")], [picture()], find=lambda: found[0])
    found[0] = now
    threading.Timer(0.2, source.close).start()
    assert len(list(source.events())) == 1
    assert len(calls) == 1


@pytest.mark.usefixtures("quick")
def test_a_long_silence_is_noted_once() -> None:
    source, calls = opened([picture(), OSError(19, "gone")], *[[None] * 1000] * 2, [picture()])
    assert [frame.discontinuity for frame in taken(source, 2)] == [False, True]
    assert len(calls) == 4
    assert sum("away" in note for note in source.notes) == 1


def test_pictures_that_waited_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_STALE_S", -1.0)
    shown = [picture() for _ in range(4)]
    for number, one in enumerate(shown):
        planes = np.ndarray((48, 64), np.uint8, buffer=one.planes[0], strides=(one.planes[0].line_size, 1))
        planes[...] = number
    source, _ = opened([*shown[:3], None, shown[3]])
    frame = taken(source, 1)[0]
    assert (int(frame.planes[0][0, 0]), frame.seq, frame.pts) == (3, 0, 0)


def test_close_waits_for_a_read_and_ends_it() -> None:
    """FFmpeg must not be asked to read and to close at once."""
    reading, go, closed_while_read = threading.Event(), threading.Event(), []
    source, _ = opened(itertools.repeat(picture()))
    device: Any = source._device

    def demux(stream: Any) -> Iterator[Any]:
        reading.set()
        go.wait(5)
        closed_while_read.append(device.closed)
        yield SimpleNamespace(decode=lambda: [picture()])

    device.demux = demux
    reader = threading.Thread(target=lambda: list(source.events()))
    reader.start()
    reading.wait(5)
    closer = threading.Thread(target=source.close)
    closer.start()
    time.sleep(0.05)
    go.set()
    closer.join(5)
    reader.join(5)
    assert not reader.is_alive()
    assert device.closed
    assert closed_while_read == [False]


def test_closed_while_it_is_opened_again() -> None:
    source, _ = opened([picture()])
    late_ones: list[Any] = []

    def late(place: str, system: str, settings: dict[str, str]) -> Any:
        source.close()
        late_ones.append(Device(iter([])))
        return late_ones[0]

    source._open = late
    source._reopen()
    assert late_ones[0].closed


# the device itself


class Container:
    """What av gives: packets whose memory is the device's, then the end."""

    def __init__(self, packets: list[Any]) -> None:
        self.packets, self.streams = packets, SimpleNamespace(video=[])

    def close(self) -> None:
        """Nothing to release."""

    def demux(self, stream: Any) -> Iterator[Any]:
        yield from self.packets


def raw_packet(payload: bytes, pts: int | None = 5) -> Any:
    packet: Any = av.Packet(payload) if payload else av.Packet(0)
    packet.pts = pts
    return packet


def raw_stream() -> Any:
    context: Any = av.CodecContext.create("rawvideo", "r")
    context.width, context.height, context.pix_fmt = 8, 2, "gray"
    return SimpleNamespace(codec_context=context)


def test_a_picture_is_not_in_the_devices_memory() -> None:
    packet, stream = raw_packet(bytes(range(16))), raw_stream()
    frame = next(iter(Polled(Container([packet])).demux(stream))).decode()[0]
    packet.update(bytes(16))
    assert bytes(frame.planes[0])[:8] == bytes(range(8))


def test_a_flagged_buffer_is_torn_and_not_the_end() -> None:
    stream = raw_stream()
    with pytest.raises(av.InvalidDataError, match="damaged"):
        next(Polled(Container([raw_packet(b"")])).demux(stream))
    assert list(Polled(Container([raw_packet(b"", pts=None)])).demux(stream)) == []
    assert len(next(Polled(Container([raw_packet(bytes(16))])).demux(stream)).decode()) == 1


def test_microphones_and_screens_are_no_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(system: str) -> list[Any]:
        told = [("0", "FaceTime HD", "video"), ("1", "Capture screen 0", "video"), ("0", "Microphone", "audio")]
        return [SimpleNamespace(name=name, description=words, media_types=[kind]) for name, words, kind in told]

    monkeypatch.setattr(av, "enumerate_input_devices", listed)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert devices.cameras() == (Camera("FaceTime HD", "0"),)
