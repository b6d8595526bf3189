"""Frames, mattes and layers there and back, and a frame's whole way on a device, to be held against the host's."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scenes import make_frame, textured
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from streammatte.compositors.on_device import device_composite
from streammatte.foregrounds.on_device import DeviceBlurFusionForeground
from streammatte.frame import Frame, Layer, Matte
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.planes import on_device, turn
from streammatte.kernels.torch.rgb import frame_rgb, lift_box, normalised
from streammatte.kernels.torch.siting import chroma_alpha
from streammatte.kernels.torch.temporal import average
from streammatte.kernels.torch.warping import warp
from streammatte.refiners.on_device import DeviceGuidedRefiner

torch.set_num_threads(1)  # pictures here are too small for more: threads would only wait for each other
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LANE = Lane(DEVICE)


def sent(array: npt.NDArray[Any]) -> Tensor:
    """A copy of an array on the device; what is deeper than 8 bits as int32."""
    return torch.from_numpy(np.array(array, np.int32 if array.dtype == np.uint16 else array.dtype)).to(DEVICE)


def got(tensor: Tensor) -> npt.NDArray[Any]:
    return np.asarray(tensor.cpu().numpy())


def sent_matte(matte: Matte) -> Matte:
    """A host's matte on the device."""
    flow, trust = (None if each is None else sent(each) for each in (matte.flow, matte.trust))
    there: dict[str, Any] = {
        "pha": sent(matte.pha),
        "src": sent(matte.src).permute(2, 0, 1),
        "flow": flow,
        "trust": trust,
    }
    return replace(matte, **there)


def sent_layer(layer: Layer) -> Layer:
    """A host's layer on the device."""
    fgr, alphas = (tuple(map(sent, planes)) for planes in (layer.fgr, layer.alphas))
    there: Any = fgr, alphas
    return Layer(*there, on_device(layer.frame, DEVICE))


def matte_of(pha: Tensor) -> Matte:
    """A matte on the device, of a picture that nobody looks at."""
    there: Any = pha
    return Matte(there, there, 0, 0.0)


def off(tensor: Any, plane: npt.NDArray[Any], peak: int) -> npt.NDArray[np.float64]:
    """How far samples on the device are from the host's, in code values of 8 bits."""
    assert tuple(tensor.shape) == plane.shape
    return np.asarray(np.abs(got(tensor).astype(np.float64) - plane) * 255 / peak, np.float64)


def apart(tensor: Tensor, array: npt.NDArray[Any]) -> float:
    """The largest difference, in the array's units."""
    assert tuple(tensor.shape) == array.shape
    return float(np.abs(got(tensor).astype(np.float64) - array).max())


def hair(width: int, height: int) -> npt.NDArray[np.float32]:
    """Alpha of a subject on the left whose edge is locks of hair."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    edge = width / 3 + 9 * np.sin(y / 5) + 5 * np.sin(y / 11 + 1)
    return np.asarray(np.clip((edge - x) / 2 + 0.5, 0, 1), np.float32)


def scene(name: str, size: tuple[int, int], seed: int) -> tuple[npt.NDArray[np.float32], Frame]:
    """What a network of 96 x 72 makes of hair, and the frame: a textured subject before a textured room."""
    alpha = hair(*size)[..., None]
    subject, room = (textured(seed + i, size, 4.0) for i in range(2))
    frame = make_frame(name, size, rgb=0.5 * alpha * subject + (1 - alpha) * (0.5 + 0.5 * room))
    return np.asarray(cv2.resize(alpha[..., 0], (96, 72), interpolation=cv2.INTER_AREA), np.float32), frame


# all of it


class Chain:
    """Frames from the network's input to the composite, with `pha` in place of what the network would say."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._refiner = lane, DeviceGuidedRefiner(lane)
        self._foreground, self._composite = DeviceBlurFusionForeground(lane), device_composite(lane)

    def __call__(
        self, frame: Frame, pha: Tensor, last: Tensor, flow: Tensor, background: tuple[Tensor, ...]
    ) -> dict[str, Any]:
        """One frame; `pha` and `last`, the average so far, are (h, w), `flow` is (h, w, 2)."""
        height, width = pha.shape
        behind: Any = background
        with self._lane:
            rgb = turn(lift_box(frame_rgb(frame, width, height)), frame.rotation)
            batch = normalised(rgb, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
            steady = average(pha, warp(last, flow), torch.ones_like(pha), 0.8, float(Fraction(1, 25)))
            alphas: Any = chroma_alpha(self._refiner.refine(matte_of(steady), frame), frame.format, frame.color)
            fgr = self._foreground.estimate(frame, alphas)
            planes = self._composite(Layer(fgr, alphas, frame), behind).planes
        return {"batch": batch, "steady": steady, "alphas": alphas, "fgr": fgr, "planes": planes}


class Watch(TorchDispatchMode):
    """Notes what would wait for a device, or bring something to it."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "unique", "equal", "lift_fresh")

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        moves = name == "_to_copy" and (kwargs or {}).get("device") is not None
        if moves or name in self.WAITS:
            self.noted.append(str(func))
        return func(*args, **(kwargs or {}))
