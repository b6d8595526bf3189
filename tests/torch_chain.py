"""What the rooms do with pixel kernels, done with those of a device: for tests to hold against the host's stages.

On a device nothing is cut down to a box around the subject, since where that lies only the device knows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scenes import make_frame, textured
from torch import Tensor

from streammatte.foregrounds import blur_fusion
from streammatte.foregrounds.means import small_size
from streammatte.frame import Frame
from streammatte.kernels.boxes import Box
from streammatte.kernels.torch.growing import grow
from streammatte.kernels.torch.local_linear import Windows, fit, mix, solve
from streammatte.kernels.torch.means import LocalMean, box_mean, mirrored_mean, surely
from streammatte.kernels.torch.mixing import blend
from streammatte.kernels.torch.planes import planes_of, quantised, turn
from streammatte.kernels.torch.resizing import resize
from streammatte.kernels.torch.restoring import restore
from streammatte.kernels.torch.rgb import frame_rgb, lift_box, normalised
from streammatte.kernels.torch.shaping import dilate, erode, gaussian
from streammatte.kernels.torch.siting import chroma_alpha
from streammatte.kernels.torch.temporal import average
from streammatte.kernels.torch.warping import warp
from streammatte.refiners import closed_form, guided, local_color

torch.set_num_threads(1)  # pictures here are too small for more: threads would only wait for each other
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def sent(array: npt.NDArray[Any]) -> Tensor:
    """A copy of an array on the device; what is deeper than 8 bits as int32."""
    return torch.from_numpy(np.array(array, np.int32 if array.dtype == np.uint16 else array.dtype)).to(DEVICE)


def got(tensor: Tensor) -> npt.NDArray[Any]:
    return np.asarray(tensor.cpu().numpy())


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


# refiners/local_color.py


def guided_alpha(pha: Tensor, frame: Frame, steps: int = 0) -> Tensor:
    """What `--refine guided` makes of a matte, or with `steps` what `--refine closed-form` makes of its first."""
    lines = min(local_color._LINES if steps else guided._LINES, frame.width, frame.height)
    scale, unit = lines / min(frame.width, frame.height), lines / local_color._UNIT_LINES
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    pha = resize(pha, width, height).clamp(0, 1)
    band = soft_band(pha, unit)
    weights = [float(local_color._weight(frame, i)) if i < len(frame.planes) else 0.0 for i in range(3)]
    middle = frame.format.peak / 2
    planes = [(resize(plane, width, height) - middle) * w for plane, w in zip(planes_of(frame), weights, strict=False)]
    guide = torch.stack(planes + [torch.zeros_like(pha)] * (3 - len(planes)))
    windows = Windows(guide, max(1, round(local_color._RADIUS_PX * unit)), local_color._EPSILON)
    found = solution(windows, pha, band, steps) if steps else None
    slopes, smooth = fit(windows, pha if found is None else found)
    doubt = mirrored_mean((smooth - pha).square(), windows.radius_px) * local_color._DOUBT**2
    return grow(mix(slopes, guide, pha, smooth if found is None else found, band, doubt, weights, middle), frame)


def soft_band(pha: Tensor, unit: float) -> Tensor:
    near, wide, far = (
        max(1, round(r * unit)) for r in (local_color._NEAR_PX, local_color._WIDE_PX, local_color._FAR_PX)
    )
    soft = ((pha >= local_color._SOFT) & (pha <= 1 - local_color._SOFT)).to(torch.float32)
    grown = torch.maximum(dilate(soft, near), dilate(dilate(erode(soft, wide), wide), far))
    return gaussian(grown, local_color._FADE_PX * unit)


def solution(windows: Windows, pha: Tensor, band: Tensor, steps: int) -> Tensor:
    prior = float(closed_form._PRIOR) * (float(closed_form._LEAST_PRIOR) + (2 * pha - 1).square())
    weight = band * prior + closed_form._OUTSIDE * (1 - band)
    found = solve(windows, pha, weight, pha, steps).clamp(0, 1)
    return pha + band * (found - pha)


# foregrounds/blur_fusion.py


def fused(frame: Frame, alphas: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Planes of F."""
    target = frame.format
    (width, height), lines = small_size(Box(0, 0, frame.width, frame.height), frame.height)
    share = resize(alphas[0], width, height) / target.peak
    half_size = (-(-width // 2), -(-height // 2))
    half = resize(share, *half_size)
    fronts, backs = LocalMean(surely(half), lines / 2), LocalMean(surely(1 - half), lines / 2)
    radius = lines * blur_fusion._NARROW
    near_share = box_mean(share, radius) + blur_fusion._EPSILON
    planes = []
    for plane, alpha in zip(planes_of(frame), alphas, strict=True):
        picture = resize(plane, width, height).to(torch.float32)
        small = resize(picture, *half_size)
        front, back = (resize(means.of(small)[0], width, height) for means in (fronts, backs))
        product = share * (front + share * (picture - share * front - (1 - share) * back))
        near = (box_mean(product, radius) + blur_fusion._EPSILON * front) / near_share
        out = quantised(resize(near, plane.shape[1], plane.shape[0]), target)
        restore(plane, alpha, back, target.peak * blur_fusion._FAINT, target.peak, out)
        planes.append(out)
    return tuple(planes)


# all of it


def one_frame(frame: Frame, pha: Tensor, last: Tensor, flow: Tensor, background: tuple[Tensor, ...]) -> dict[str, Any]:
    """One frame from the network's input to the composite, with `pha` in place of what the network would say of it.

    `pha` and `last`, the average so far, are (h, w); `flow` is (h, w, 2).
    """
    height, width = pha.shape
    rgb = turn(lift_box(frame_rgb(frame, width, height)), frame.rotation)
    batch = normalised(rgb, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    steady = average(pha, warp(last, flow), torch.ones_like(pha), 0.8, float(Fraction(1, 25)))
    alphas = chroma_alpha(guided_alpha(steady, frame), frame.format, frame.color)
    fgr = fused(frame, alphas)
    parts = zip(fgr, background, alphas, strict=True)
    return {
        "batch": batch,
        "steady": steady,
        "alphas": alphas,
        "fgr": fgr,
        "planes": tuple(blend(front, back, alpha, frame.format.peak) for front, back, alpha in parts),
    }
