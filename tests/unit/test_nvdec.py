"""Files decoded on a GPU: what is asked of it, that planes come out as they went in, and the CPU where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import film, noise_frame, write_clip

from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet
from streammatte.sources import SourceOptions, open_source
from streammatte.sources.file import FileSource
from streammatte.sources.opening import can_reopen
from streammatte.sources.planes import Picture, unpack

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from fake_cuda import FakeCuda  # noqa: E402

from streammatte.kernels.torch.lane import Lane  # noqa: E402
from streammatte.sources import nvdec  # noqa: E402
from streammatte.sources.nvdec import Nvdec, nvdec_refusal  # noqa: E402

torch.set_num_threads(1)


class Gpu(Nvdec):
    """NVDEC, but for the decoding itself: FFmpeg decodes on the CPU, and frames become NV12 or P010 then."""

    layout = "nv12"

    def __init__(self) -> None:
        super().__init__(Lane("cpu"))
        self.opened = 0

    def _unopened(self, codec: av.Codec) -> str | None:
        return None

    def hwaccel(self) -> Any:
        self.opened += 1

    def unpack(self, frame: av.VideoFrame) -> Picture:
        return super().unpack(frame.reformat(format=self.layout))


def read(path: Path | str, decoder: Any = None, **options: Any) -> tuple[list[Frame], list[Packet], FileSource]:
    source = open_source(str(path), SourceOptions(decoder=decoder, **options))
    assert isinstance(source, FileSource)
    events = list(source.events())
    source.close()
    frames = [event for event in events if isinstance(event, Frame)]
    return frames, [event for event in events if isinstance(event, Packet)], source


def assert_same(got: list[Frame], wanted: list[Frame]) -> None:
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        for plane, samples in zip(one.planes, other.planes, strict=True):
            np.testing.assert_array_equal(np.asarray(plane), samples)
        for field in ("format", "color", "pts", "time_base", "duration", "seq", "rotation", "sar", "discontinuity"):
            assert getattr(one, field) == getattr(other, field), field


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size", "alpha", "why"),
    [
        ("h264", "yuv420p", (1920, 1080), False, None),
        ("h264", "yuvj420p", (1920, 1080), False, None),
        ("hevc", "yuv420p10le", (3840, 2160), False, None),
        ("vp9", "yuv420p10le", (1920, 1080), False, None),
        ("av1", "yuv420p", (1920, 1080), False, None),
        ("h264", "yuv420p10le", (1920, 1080), False, "h264 of pixel format yuv420p10le is not decoded on the GPU"),
        ("hevc", "yuv422p10le", (1920, 1080), False, "hevc of pixel format yuv422p10le is not decoded on the GPU"),
        ("hevc", "yuv420p12le", (1920, 1080), False, "hevc of pixel format yuv420p12le is not decoded on the GPU"),
        ("h264", None, (1920, 1080), False, "h264 of pixel format None is not decoded on the GPU"),
        ("prores", "yuv422p10le", (1920, 1080), False, "prores is not decoded on the GPU"),
        ("mjpeg", "yuvj420p", (1920, 1080), False, "mjpeg is not decoded on the GPU"),
        ("vp9", "yuv420p", (1920, 1080), True, "the GPU's decoder drops alpha"),
        ("vp9", "yuv420p", (1919, 1080), False, "1919x1080 is odd, and the last colour would be lost"),
        ("vp9", "yuv420p", (1920, 1079), False, "1920x1079 is odd, and the last colour would be lost"),
    ],
)
def test_what_is_asked_of_the_gpu(codec: str, pix_fmt: str, size: tuple[int, int], alpha: bool, why: str) -> None:
    assert nvdec_refusal(codec, pix_fmt, *size, alpha=alpha) == why


# frames


@pytest.mark.parametrize("name", ["nv12", "p010le", "p016le"])
@pytest.mark.parametrize("size", [(38, 22), (64, 32)])
def test_planes_are_the_frames_own_samples(name: str, size: tuple[int, int]) -> None:
    frame = noise_frame("yuv420p" if name == "nv12" else "yuv420p16le", size).reformat(format=name)
    picture, wanted = Nvdec(Lane("cpu")).unpack(frame), unpack(frame)
    assert picture.format == wanted.format
    assert picture.alpha is None
    for plane, samples in zip(picture.planes, wanted.planes, strict=True):
        there: Any = plane
        assert there.dtype == (torch.uint8 if name == "nv12" else torch.int32)
        np.testing.assert_array_equal(there.numpy(), samples)


@pytest.mark.parametrize("name", ["nv12", "p010le"])
def test_planes_do_not_hold_the_decoders_surface(name: str) -> None:
    frame: Any = noise_frame("yuv420p", (64, 32)).reformat(format=name)  # rows without padding: a view would do
    wanted = [plane.copy() for plane in unpack(frame).planes]
    picture = Nvdec(Lane("cpu")).unpack(frame)
    for surface in frame.planes:
        torch.from_dlpack(surface.__dlpack__()).view(torch.uint8).fill_(0)
    for plane, samples in zip(picture.planes, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(plane), samples)


@pytest.mark.parametrize("fails", [False, True])
def test_the_copy_stands_between_two_decodings(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    frame = noise_frame("yuv420p", (64, 32)).reformat(format="nv12")
    cuda = FakeCuda(monkeypatch)
    if fails:
        monkeypatch.setattr(nvdec, "planar", None)
        with pytest.raises(TypeError):
            Nvdec(cuda.lane).unpack(frame)
    else:
        Nvdec(cuda.lane).unpack(frame)
    copies = [] if fails else [("clone", "lane")] * 3
    assert cuda.log == [("waits", "lane", "default"), *copies, ("waits", "default", "lane")]


# files


@pytest.mark.parametrize("options", [{}, {"start_s": 0.5}, {"start_s": 0.3, "duration_s": 0.4}])
def test_a_file_is_as_if_the_cpu_decoded_it(tmp_path: Path, options: dict[str, float]) -> None:
    clip = film(tmp_path / "a.mp4", count=30, audio_from_s=0, rotation=90)
    gpu = Gpu()
    frames, packets, source = read(clip, gpu, **options)
    wanted, sound, plain = read(clip, **options)
    assert gpu.opened == 1
    assert source._decoder.thread_count == 1  # type: ignore[attr-defined]
    assert all(isinstance(plane, torch.Tensor) for frame in frames for plane in frame.planes)
    assert_same(frames, wanted)
    assert [(p.payload.pts, p.start_s) for p in packets] == [(p.payload.pts, p.start_s) for p in sound]
    unlike = ("passthrough",)  # streams of two openings
    for field in (name for name in source.info.__slots__ if name not in unlike):
        assert getattr(source.info, field) == getattr(plain.info, field), field
    assert source.notes == plain.notes == []


def test_ffmpeg_is_told_of_the_gpu_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Telling(Gpu):
        def hwaccel(self) -> Any:
            return "this GPU"

    told = []

    def opened(*given: Any, hwaccel: Any = None, opens: Any = av.open, **how: Any) -> Any:
        told.extend([hwaccel] if given[1] == "r" else [])
        return opens(*given, **how)

    clip = film(tmp_path / "a.mp4", count=2)
    monkeypatch.setattr(av, "open", opened)
    open_source(str(clip), SourceOptions(decoder=Telling())).close()
    assert told == [None, "this GPU"]


def test_ten_bits_stay_ten_bits(tmp_path: Path) -> None:
    frames = [noise_frame("yuv420p10le", (64, 48), seed) for seed in range(3)]
    clip = write_clip(tmp_path / "a.mkv", frames, "libx265", options={"x265-params": "log-level=none"})
    gpu = Gpu()
    gpu.layout = "p010le"
    got, _, source = read(clip, gpu)
    assert gpu.opened == 1
    assert source.info.format.name == "yuv420p10le"
    assert_same(got, read(clip)[0])


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "size", "why"),
    [
        ("yuv444p", "libx264", (64, 48), "h264 of pixel format yuv444p is not decoded on the GPU"),
        ("yuv420p", "ffv1", (64, 48), "ffv1 is not decoded on the GPU"),
        ("yuva420p", "libvpx-vp9", (64, 48), "the GPU's decoder drops alpha"),
        ("yuv420p", "libvpx-vp9", (63, 47), "63x47 is odd, and the last colour would be lost"),
    ],
)
def test_what_the_gpu_is_not_asked_is_decoded_as_ever(
    tmp_path: Path, pix_fmt: str, codec: str, size: tuple[int, int], why: str
) -> None:
    clip = write_clip(tmp_path / "a.mkv", [noise_frame(pix_fmt, size, seed) for seed in range(3)], codec)
    gpu = Gpu()
    frames, _, source = read(clip, gpu)
    assert gpu.opened == 0
    assert source.notes == [f"decoded on the CPU: {why}"]
    assert_same(frames, read(clip)[0])


def test_without_a_gpu_the_cpu_decodes_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def __init__(self, *given: Any, **how: Any) -> None: ...

        def create(self, codec: av.Codec) -> None:
            raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(nvdec, "HWAccel", Absent)
    clip = film(tmp_path / "a.mp4", count=5)
    frames, _, source = read(clip, Nvdec(Lane("cpu")))
    assert source.notes == ["decoded on the CPU: the GPU's decoder cannot be opened (operation not permitted)"]
    assert_same(frames, read(clip)[0])


def test_a_decoder_that_knows_no_gpu_is_left_alone(tmp_path: Path) -> None:
    frames = [noise_frame("yuv420p", (64, 48), seed) for seed in range(2)]
    clip = write_clip(tmp_path / "a.mkv", frames, "libsvtav1", options={"preset": "12"})
    got, _, source = read(clip, Nvdec(Lane("cpu")))
    assert source.notes == ["decoded on the CPU: FFmpeg's decoder libdav1d knows no GPU"]
    assert len(got) == 2


def test_ffmpeg_is_told_of_torchs_own_context_on_the_lanes_gpu() -> None:
    lane = Lane("cpu")
    hwaccel = Nvdec(lane).hwaccel()
    assert hwaccel.options == {"primary_ctx": "0", "current_ctx": "1"}
    assert hwaccel.is_hw_owned
    assert not hwaccel.allow_software_fallback


class Failing(Gpu):
    """Fails when asked for the picture of that number."""

    def __init__(self, at: int, error: Exception) -> None:
        super().__init__()
        self._at, self._error, self._asked = at, error, 0

    def unpack(self, frame: av.VideoFrame) -> Picture:
        self._asked += 1
        if self._asked > self._at:
            raise self._error
        return super().unpack(frame)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NotImplementedError("unsupported sw_format for DLPack export"), "unsupported sw_format for dlpack export"),
        (av.error.ExternalError(1, "Generic error in an external library"), "generic error in an external library"),
    ],
)
def test_a_gpu_that_fails_at_first_is_left_for_the_cpu(tmp_path: Path, error: Exception, why: str) -> None:
    clip = film(tmp_path / "a.mp4", count=10, audio_from_s=0)
    frames, packets, source = read(clip, Failing(0, error), start_s=0.1)
    assert source.notes == [f"decoded on the CPU: the GPU's decoder failed ({why})"]
    wanted, sound, _ = read(clip, start_s=0.1)
    assert_same(frames, wanted)
    assert len(packets) == len(sound)


def test_a_gpu_without_a_picture_is_left_for_the_cpu(tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", count=10)
    frames, _, source = read(clip, Failing(0, SourceError("a.mp4: a frame cannot be decoded")))
    assert source.notes == ["decoded on the CPU: no picture came of it on the GPU"]
    assert_same(frames, read(clip)[0])


def test_what_ffmpeg_crops_wrongly_on_a_gpu_is_left_for_the_cpu(tmp_path: Path) -> None:
    class Uncropped(Gpu):
        def unpack(self, frame: av.VideoFrame) -> Picture:
            return super().unpack(frame.reformat(width=frame.width + 8))

    clip = film(tmp_path / "a.mp4", count=4)
    frames, _, source = read(clip, Uncropped())
    why = "the GPU's decoder failed (the picture is cropped on its left or above)"
    assert source.notes == [f"decoded on the CPU: {why}"]
    assert_same(frames, read(clip)[0])


def test_a_gpu_that_fails_later_is_an_error(tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", count=10)
    source = open_source(str(clip), SourceOptions(decoder=Failing(3, RuntimeError("lost the GPU"))))
    events = source.events()
    assert [next(events).seq for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="lost the GPU"):
        next(events)
    source.close()


def test_a_broken_file_is_the_error_it_ever_was(tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mkv", count=50)
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError) as plain:
        read(clip)
    with pytest.raises(SourceError) as on_gpu:
        read(clip, Gpu())
    assert str(on_gpu.value) == str(plain.value)


def test_the_gpu_is_not_asked_for_what_cannot_be_read_twice() -> None:
    gpu = Gpu()
    frames, _, source = read("lavfi:testsrc2=size=64x48:duration=0.2", gpu)
    assert gpu.opened == 0
    assert source.notes == ["decoded on the CPU: only files are decoded on the GPU"]
    assert len(frames) == 5


@pytest.mark.parametrize(
    ("spec", "can"),
    [
        ("{}/a b.mp4", True),
        ("file://{}/a%20b.mp4", True),
        ("{}", False),
        ("-", False),
        ("lavfi:" + "a" * 5000, False),
        ("http://127.0.0.1/a%20b.mp4", False),
        ("rtsp://127.0.0.1/" + "a" * 5000, False),
    ],
)
def test_what_can_be_read_twice(tmp_path: Path, spec: str, can: bool) -> None:
    (tmp_path / "a b.mp4").touch()
    assert can_reopen(spec.format(tmp_path)) is can
