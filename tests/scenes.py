"""Frames, mattes and layers with known content, a source held in memory, and a tiny network, for tests to share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from streammatte.catalog import InputSpec, Model, OutputSpec, WeightSource, model
from streammatte.color import ColorSpec
from streammatte.frame import Frame, Layer, Look, Matte, Packet, PixelFormat, Plane, StreamInfo
from streammatte.kernels import host
from streammatte.sources.pattern import PatternSource
from streammatte.weights.cache import sha256_of

FORMATS = (
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv440p",
    "yuv411p",
    "yuv410p",
    "gbrp",
    "gray",
    "yuv420p10le",
    "yuv422p12le",
    "yuv444p16le",
    "gbrp10le",
    "gray12le",
)
"""One of every layout, at 8 bits and more."""
BT709 = ColorSpec(1, 1, 1, False)
PQ = ColorSpec(9, 9, 16, False)
HLG = ColorSpec(9, 9, 18, False)
TICK = Fraction(1, 25)

Float = npt.NDArray[np.float32]


def make_frame(
    name: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    *,
    rgb: npt.ArrayLike | None = None,
    color: ColorSpec = BT709,
    seed: int = 0,
    **facts: Any,
) -> Frame:
    """A (width, height) frame: of one colour or of the picture `rgb` in [0, 1], or noise over every code value."""
    fmt = PixelFormat.named(name)
    values: dict[str, Any] = {"pts": 0, "time_base": TICK, "duration": 1, "seq": 0} | facts
    if rgb is None:
        dice = np.random.default_rng(seed)
        shapes = [fmt.plane_shape(i, *size) for i in range(fmt.plane_count)]
        noise: list[Any] = [dice.integers(0, fmt.peak, s, fmt.dtype, endpoint=True) for s in shapes]
        planes: tuple[Plane, ...] = tuple(noise)
    else:
        picture = np.broadcast_to(np.asarray(rgb, np.float32), (size[1], size[0], 3))
        planes = host.planes_from_rgb(np.ascontiguousarray(picture), fmt, color)
    return Frame(planes, fmt, color, **values).check()


def disc(width: int, height: int, soft_px: float = 6.0, radius: float = 0.3) -> Float:
    """Alpha (height, width) of a disc in the middle, with a linear edge `soft_px` wide; 0 means hard."""
    y, x = np.mgrid[0:height, 0:width]
    inward = radius * min(width, height) - np.hypot(x + 0.5 - width / 2, y + 0.5 - height / 2)
    alpha = np.clip(inward / soft_px + 0.5, 0, 1) if soft_px else inward > 0
    return np.asarray(alpha, np.float32)


def coded(alpha: Float, fmt: PixelFormat) -> Plane:
    """Alpha in [0, 1] as a plane of 0..peak."""
    plane: Plane = np.rint(alpha * np.float32(fmt.peak)).astype(fmt.dtype)
    return plane


def alphas_of(frame: Frame, pha: Plane) -> tuple[Plane, ...]:
    """Alpha (H, W) at the size of each of the frame's planes."""
    return host.chroma_alpha(pha, frame.format, frame.color)


def make_layer(frame: Frame, alpha: Float | None = None, fgr: tuple[Plane, ...] | None = None) -> Layer:
    """A layer of `frame`: a disc unless `alpha` is given, its colour the frame's own unless `fgr` is."""
    shape = disc(frame.width, frame.height) if alpha is None else alpha
    return Layer(frame.planes if fgr is None else fgr, alphas_of(frame, coded(shape, frame.format)), frame)


def over(fgr: tuple[Plane, ...], bg: tuple[Plane, ...], pha: Plane, frame: Frame) -> tuple[Plane, ...]:
    """alpha * F + (1 - alpha) * B on planes, in float64, rounded once."""
    alphas = alphas_of(frame, pha)
    mixed: list[Any] = []
    for front, back, plane in zip(fgr, bg, alphas, strict=True):
        share = plane.astype(np.float64) / frame.format.peak
        mixed.append(np.rint(share * front + (1 - share) * back).astype(frame.format.dtype))
    return tuple(mixed)


def make_matte(pha: Float, time_s: float = 0.0, *, seq: int = 0, discontinuity: bool = False) -> Matte:
    """A matte over a mid-gray picture."""
    src = np.full((*pha.shape, 3), 0.5, np.float32)
    return Matte(np.asarray(pha, np.float32), src, seq, time_s, discontinuity)


def textured(seed: int, size: tuple[int, int], scale_px: float = 2.0) -> Float:
    """A picture (height, width, 3) of soft blobs that look alike nowhere, in colours of its own."""
    dice = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(dice.random((size[1], size[0], 3), np.float32), (0, 0), scale_px)
    soft = (soft - soft.min()) / (soft.max() - soft.min())
    return np.asarray(soft * dice.uniform(0.1, 1, 3), np.float32)


def moved(matte: Matte, x_px: float = 0.0, y_px: float = 0.0, trust: float | Float = 1.0) -> Matte:
    """`matte`, all of which came this far since the frame before, as far as that can be trusted."""
    shape = matte.pha.shape
    flow = np.broadcast_to(np.array([-x_px, -y_px], np.float32), (*shape, 2))
    return dataclasses.replace(
        matte, flow=np.ascontiguousarray(flow), trust=np.ascontiguousarray(np.broadcast_to(np.float32(trust), shape))
    )


def make_look(frame: Frame, src: Float) -> Look:
    """A frame on its way to a network that is shown `src` (h, w, 3)."""
    unseen = Matte(
        np.zeros(src.shape[:2], np.float32), src, frame.seq, float(frame.time), frame.discontinuity, seen=False
    )
    return Look(unseen, np.zeros((1, 3, 1, 1), np.float32), frame.rotation)


class Truth:
    """In place of a Matter: the exact alpha of `pattern:`, hair and veil and all, at the frame's own size.

    What it is shown of the picture is flat, so that nothing moves.
    """

    def __init__(self, pattern: PatternSource) -> None:
        self._pattern = pattern

    def look(self, frame: Frame) -> Look:
        return make_look(frame, np.full((frame.height, frame.width, 3), 0.5, np.float32))

    def see(self, look: Look) -> Matte:
        return dataclasses.replace(look.matte, pha=self._pattern.truth(look.matte.seq), seen=True)


class MemorySource:
    """A source of given frames; `opened` counts how often one of this class was made since it was last set to 0."""

    opened = 0

    def __init__(self, frames: Sequence[Frame], rate: Fraction | None = None) -> None:
        type(self).opened += 1
        self._frames = frames
        self.notes: list[str] = []
        self.closed = False
        first = frames[0] if frames else make_frame()
        self.info = StreamInfo(
            "memory", first.width, first.height, first.format, first.color, first.time_base, rate, len(frames)
        )

    def events(self) -> Iterator[Frame | Packet]:
        yield Packet(1, None)  # sound, which whoever wants frames passes over
        for frame in self._frames:
            assert not self.closed
            yield frame

    def close(self) -> None:
        self.closed = True


RED_GAIN = 8.0
"""The tiny network's first output is sigmoid(RED_GAIN * (R - 0.5)); its second is G as it is."""
NETWORK = (40, 24)
"""Width and height of the tiny network's input."""


def write_network(path: Path) -> Path:
    """The tiny network, (1, 3, h, w) -> two outputs (1, 1, h, w)."""
    nodes = [
        helper.make_node("Conv", ["rgb", "red only", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["red"]),
        helper.make_node("Conv", ["rgb", "green only"], ["green"]),
    ]
    constants = {"red only": [[[RED_GAIN]], [[0]], [[0]]], "green only": [[[0]], [[1]], [[0]]]}
    weights = [onnx.numpy_helper.from_array(np.array([w], np.float32), name) for name, w in constants.items()]
    weights.append(onnx.numpy_helper.from_array(np.array([-RED_GAIN / 2], np.float32), "bias"))
    size = [NETWORK[1], NETWORK[0]]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, *size]) for name in ("red", "green")],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())
    return path


def red_alpha(rgb: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """What the tiny network's first output says of R'G'B' (..., 3) in [0, 1]."""
    return np.asarray(1 / (1 + np.exp(-RED_GAIN * (rgb[..., 0] - 0.5))))


def facts(
    size: tuple[int, int] = NETWORK,
    *,
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    std: tuple[float, float, float] = (1.0, 1.0, 1.0),
    sigmoid: bool = False,
) -> Model:
    """A catalogue entry with this input and output; its weights are nowhere."""
    return dataclasses.replace(
        model("u2net"),
        name="tiny",
        input=InputSpec(*size, mean, std),
        output=OutputSpec(0, "sigmoid" if sigmoid else "none"),
        int8=None,
    )


def tiny_model(folder: Path, index: int = 0) -> Model:
    """The tiny network as a catalogue entry whose weights are the file it writes into `folder`."""
    path = write_network(folder / "tiny-source.onnx")
    return dataclasses.replace(
        facts(),
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        output=OutputSpec(index, "none"),
        sources=(WeightSource("path", path=str(path)),),
    )
