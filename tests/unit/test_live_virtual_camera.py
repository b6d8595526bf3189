"""What pyvirtualcam is given, and what is said where it refuses."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from live_fakes import FakeCamera, fake_camera
from sink_clips import make_frames, make_info

from streammatte.color import ColorSpec
from streammatte.errors import ConfigError, SinkError
from streammatte.holders import Holder
from streammatte.sinks import virtual_camera
from streammatte.sinks.virtual_camera import VirtualCameraSink

BT601 = ColorSpec(6, 1, 1, False)


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCamera:
    monkeypatch.setattr(virtual_camera, "_LINUX", True)
    return fake_camera(tmp_path, monkeypatch)


def test_planes_go_out_as_packed_i420(camera: FakeCamera) -> None:
    info = make_info(color=BT601)
    frame = make_frames(info, "com")[0]
    sink = VirtualCameraSink("", info)
    assert camera.sent == [], "opening sends no picture"
    sink.write(frame)
    report = sink.finish()
    (sent,) = camera.sent
    assert sent.shape == (72, 64)
    np.testing.assert_array_equal(sent.ravel(), np.concatenate([plane.ravel() for plane in frame.planes]))
    assert report.notes == ("shown as I420, limited-range BT.601, as it came",)
    assert camera.closed == 1


@pytest.mark.parametrize(("rate", "asked"), [(Fraction(24000, 1001), 24000 / 1001), (None, 30.0)])
def test_the_camera_is_opened_at_the_sources_size_and_rate(
    camera: FakeCamera, rate: Fraction | None, asked: float
) -> None:
    sink = VirtualCameraSink("", make_info(width=63, height=47, rate=rate))
    assert camera.opened == [{"width": 64, "height": 48, "fps": asked, "fmt": "I420", "device": None}]
    assert (sink.name, sink.device) == (f"vcam:{camera.place}", str(camera.place))
    sink.abort()


def test_a_place_is_the_device(camera: FakeCamera) -> None:
    VirtualCameraSink(str(camera.place), make_info()).abort()
    VirtualCameraSink("7", make_info()).abort()
    assert [each["device"] for each in camera.opened] == [str(camera.place), "/dev/video7"]


def test_it_is_watched_while_others_hold_the_device(camera: FakeCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Holder] = []
    monkeypatch.setattr(virtual_camera, "holders", lambda path: tuple(held) if path == str(camera.place) else None)
    sink = VirtualCameraSink("", make_info())
    assert not sink.watched()
    held.append(Holder(41, "zoom"))
    assert sink.watched()
    monkeypatch.setattr(virtual_camera, "_LINUX", False)
    held.clear()
    assert sink.watched(), "elsewhere it cannot be told"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(ConfigError, match=r"--to: vcam needs pyvirtualcam.*pip install 'streammatte\[vcam\]'"):
        VirtualCameraSink("", make_info())


def test_a_refusal_says_what_to_do(camera: FakeCamera) -> None:
    camera.refusal = RuntimeError("'v4l2loopback' backend: no\nmore")
    with pytest.raises(SinkError, match="'v4l2loopback' backend: no; is it v4l2loopback") as caught:
        VirtualCameraSink(str(camera.place), make_info())
    assert "\n" not in str(caught.value)


def test_a_refusal_elsewhere_names_obs(camera: FakeCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_camera, "_LINUX", False)
    camera.refusal = RuntimeError("'obs' backend: not found\n'unitycapture' backend: not found")
    with pytest.raises(SinkError, match=r"'obs' .*'unitycapture' .*; install OBS Studio") as caught:
        VirtualCameraSink("", make_info())
    assert "\n" not in str(caught.value)


def test_a_device_that_goes_is_noticed(camera: FakeCamera) -> None:
    info = make_info()
    sink = VirtualCameraSink("", info)
    first, second, *_ = make_frames(info, "com")
    sink.write(first)
    camera.place.unlink()
    with pytest.raises(SinkError, match="the device is gone"):
        sink.write(second)
    assert len(camera.sent) == 1
    sink.abort()
    assert camera.closed == 1


def test_a_device_that_fails_is_a_sink_error(camera: FakeCamera) -> None:
    info = make_info()
    sink = VirtualCameraSink("", info)
    camera.failure = RuntimeError("write failed")
    with pytest.raises(SinkError, match="does not take frames any more: write failed; start again"):
        sink.write(make_frames(info, "com")[0])
