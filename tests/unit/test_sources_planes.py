"""av.VideoFrame -> planes: every sample as it was."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import noise_frame, planes_of

from streammatte.sources.layouts import PACKED, SEMIPLANAR, SUBSAMPLED
from streammatte.sources.planes import unpack

SIZE = (38, 22)
ODD = (39, 21)


def _same(picture_planes, views) -> None:  # type: ignore[no-untyped-def]
    assert len(picture_planes) == len(views)
    for got, wanted in zip(picture_planes, views, strict=True):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype.isnative


@pytest.mark.parametrize(
    "name",
    ["yuv420p", "yuv422p10le", "yuv444p12le", "yuv411p", "yuv440p", "gbrp", "gbrp16le", "gray", "gray12le"],
)
@pytest.mark.parametrize("size", [SIZE, ODD])
def test_planar_is_a_view(name: str, size: tuple[int, int]) -> None:
    frame = noise_frame(name, size)
    picture = unpack(frame)
    assert picture.format.name == name
    _same(picture.planes, planes_of(frame))
    planes_of(frame)[0][0, 0] ^= 1
    assert picture.planes[0][0, 0] == planes_of(frame)[0][0, 0]  # no copy
    assert not picture.planes[0].flags.writeable


def test_planes_outlive_the_frame() -> None:
    frame = noise_frame("yuv420p", SIZE)
    wanted = planes_of(frame)[1].copy()
    plane = unpack(frame).planes[1]
    del frame
    noise_frame("yuv420p", SIZE, 5)
    np.testing.assert_array_equal(plane, wanted)


@pytest.mark.parametrize("name", ["yuva420p", "yuva444p10le", "yuva422p16le", "gbrap", "gbrap12le", "yuva444p16be"])
def test_planar_alpha(name: str) -> None:
    frame = noise_frame(name, ODD)
    picture = unpack(frame)
    assert picture.format.name == name.replace("a4", "4").replace("gbra", "gbr").replace("be", "le")
    assert picture.alpha is not None
    _same((*picture.planes, picture.alpha), planes_of(frame))


@pytest.mark.parametrize("name", ["yuv420p10be", "gray16be", "gbrp14be"])
def test_big_endian_becomes_native(name: str) -> None:
    frame = noise_frame(name, SIZE)
    _same(unpack(frame).planes, planes_of(frame))


@pytest.mark.parametrize("name", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_yuvj_is_full_range_yuv(name: str) -> None:
    picture = unpack(noise_frame(name, SIZE))
    assert picture.format.name == name.replace("j", "")
    assert picture.full_range is True


def _packings() -> list[tuple[str, str]]:
    """(format, planar format) of all interleaved ones without alpha that this swscale can write."""
    table = {**SEMIPLANAR, **SUBSAMPLED, **{k: v for k, v in PACKED.items() if "a" not in v.order}}
    return [(name, layout.planar) for name, layout in sorted(table.items())]


@pytest.mark.parametrize(("name", "planar"), _packings())
def test_interleaved_is_taken_apart_exactly(name: str, planar: str) -> None:
    size = SIZE if name in SUBSAMPLED or "420" in planar or "422" in planar else ODD
    frame = noise_frame(planar, size)
    try:
        packed = frame.reformat(format=name, threads=1)
    except (av.FFmpegError, ValueError):
        pytest.skip(f"this FFmpeg cannot write {name}")
    picture = unpack(packed)
    assert (picture.format.name, picture.note) == (planar, "")
    _same(picture.planes, planes_of(frame))


@pytest.mark.parametrize("name", ["rgba", "bgra", "argb", "abgr"])
def test_packed_alpha_is_exact(name: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (21, 39, 4), dtype=np.uint8)
    picture = unpack(av.VideoFrame.from_ndarray(pixels, format=name))
    got = dict(zip("gbra", (*picture.planes, picture.alpha), strict=True))
    for i, channel in enumerate(name):
        np.testing.assert_array_equal(got[channel], pixels[..., i])


@pytest.mark.parametrize("name", ["rgba64le", "rgba64be", "bgra64le"])
def test_packed_16_bit_alpha_is_exact(name: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 65536, (21, 39, 4), dtype=np.uint16)
    picture = unpack(av.VideoFrame.from_ndarray(pixels, format=name))
    got = dict(zip("gbra", (*picture.planes, picture.alpha), strict=True))
    for i, channel in enumerate(name[:4]):
        np.testing.assert_array_equal(got[channel], pixels[..., i])


@pytest.mark.parametrize(("name", "dtype", "planar"), [("ya8", "u1", "gray"), ("ya16le", "<u2", "gray16le")])
def test_gray_with_alpha(name: str, dtype: str, planar: str) -> None:
    frame, size = av.VideoFrame(*ODD, name), np.dtype(dtype).itemsize
    strides = (frame.planes[0].line_size, 2 * size, size)
    line = np.ndarray((21, 39, 2), dtype, buffer=frame.planes[0], strides=strides)
    line[...] = np.random.default_rng(1).integers(0, 256, line.shape)
    picture = unpack(frame)
    assert (picture.format.name, picture.full_range) == (planar, True)
    np.testing.assert_array_equal(picture.planes[0], line[..., 0])
    np.testing.assert_array_equal(picture.alpha, line[..., 1])


@pytest.mark.parametrize("opaque", [True, False])
def test_palette(opaque: bool) -> None:
    frame = av.VideoFrame(*SIZE, "pal8")
    colors = np.ndarray(256, np.uint32, buffer=frame.planes[1])
    colors[:] = np.arange(256) * 0x010203 | (0xFF000000 if opaque else 0x80000000)
    index = np.ndarray((22, 38), np.uint8, buffer=frame.planes[0], strides=(frame.planes[0].line_size, 1))
    index[...] = np.random.default_rng(2).integers(0, 85, index.shape)
    picture = unpack(frame)
    for plane, factor in zip(picture.planes, (2, 3, 1), strict=True):
        np.testing.assert_array_equal(plane, index * factor)
    assert (picture.alpha is None) is opaque
    assert opaque or int(picture.alpha.max()) == 0x80  # type: ignore[union-attr]


def test_exotic_goes_through_swscale_and_says_so() -> None:
    picture = unpack(noise_frame("gbrp", SIZE).reformat(format="rgb565le", threads=1))
    assert picture.format.name == "gbrp"
    assert "rgb565le" in picture.note
    lost = noise_frame("gbrp10le", SIZE)
    exact = unpack(lost.reformat(format="x2rgb10le", threads=1))
    assert exact.format.name == "gbrp10le"
    _same(exact.planes, planes_of(lost))


def test_bottom_up_is_turned() -> None:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=38, height=22, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25))
    flip, sink = graph.add("vflip"), graph.add("buffersink")
    source.link_to(flip)
    flip.link_to(sink)
    graph.configure()
    frame = noise_frame("yuv420p", SIZE)
    source.push(frame)
    turned = sink.pull()
    assert turned.planes[0].line_size < 0  # what the test is about
    for got, wanted in zip(unpack(turned).planes, planes_of(frame), strict=True):
        np.testing.assert_array_equal(got, wanted[::-1])
        assert got.strides[0] > 0
