"""What `pattern:` is drawn with: the subject's alpha and colours, and the texture behind it."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["backdrop", "subject_alpha", "subject_color"]

_Image: TypeAlias = npt.NDArray[np.float32]
_WAVES = ((1, 2), (3, -5), (7, 4), (13, 9))  # whole periods across and down
_VEIL = 0.45  # alpha of the half-clear part


def _grid(width: int, height: int) -> tuple[_Image, _Image]:
    """Pixel centres with the picture's height as unit, x = 0 in the middle."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return ((x + 0.5) - width / 2) / height, (y + 0.5) / height


def _inside(distance: _Image, softness: float) -> _Image:
    """1 where `distance` is well below 0, 0 well above; a smoothstep of +-`softness` between."""
    t = np.clip(0.5 - distance / (2 * softness), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def subject_alpha(width: int, height: int, seed: int) -> _Image:
    """(H, W) float32: exactly 1 inside, 0 outside, soft at edges, `_VEIL` in the veil, thin in the hair."""
    x, y = _grid(width, height)
    pixel = 1.0 / height
    head = np.hypot(x / 0.75, y - 0.38) - 0.17
    body = np.maximum(np.hypot(x / 1.25, y - 1.02) - 0.42, 0.55 - y)
    neck = np.maximum(np.abs(x) - 0.06, np.abs(y - 0.55) - 0.09)
    solid = np.maximum.reduce([_inside(d, 1.5 * pixel) for d in (head, body, neck)])
    veil = _VEIL * _inside(np.hypot(x - 0.36, (y - 0.62) / 1.4) - 0.13, 3 * pixel)
    hair = _strands(width, height, seed)
    # each layer covers its share of what the others left open
    return np.asarray(1 - (1 - solid) * (1 - veil) * (1 - hair), np.float32)


def _strands(width: int, height: int, seed: int) -> _Image:
    """Loose hairs, drawn at four times the size and averaged down, so that each is a thin, partial cover."""
    scale, dice = 4, np.random.default_rng(seed)
    canvas = np.zeros((height * scale, width * scale), np.uint8)
    unit = height * scale
    for angle in dice.uniform(-1.25 * np.pi, 0.25 * np.pi, 160):
        reach = np.linspace(0.14, 0.21 + 0.05 * dice.random(), 9)
        bend = angle + dice.normal(0, 0.25) * (reach - 0.14) / 0.12
        points = np.stack([0.75 * reach * np.cos(bend), 0.38 + reach * np.sin(bend)], axis=1) * unit
        points[:, 0] += width * scale / 2
        cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 255, max(1, round(unit / 700)))
    small = cv2.resize(canvas.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small / 255, np.float32)


def subject_color(width: int, height: int, seed: int) -> _Image:
    """(H, W, 3) R'G'B': skin, dark hair, a striped jumper; smooth enough to stand for F at every edge."""
    x, y = _grid(width, height)
    stripes = 0.5 + 0.5 * np.sin(60 * y + 8 * x + seed)
    skin, hair = np.array([0.85, 0.62, 0.5]), np.array([0.22, 0.13, 0.08])
    jumper = np.stack([0.15 + 0.25 * stripes, 0.2 + 0.1 * stripes, 0.65 - 0.2 * stripes], axis=-1)
    face = _inside(np.hypot(x / 0.7, y - 0.42) - 0.13, 0.02)[..., None]
    clothes = _inside(0.57 - y, 0.02)[..., None]
    return np.asarray((face * skin + (1 - face) * hair) * (1 - clothes) + clothes * jumper, np.float32)


def backdrop(width: int, height: int, seed: int) -> _Image:
    """(2H, 2W, 3) R'G'B' that repeats after (H, W), so that any window of (H, W) is a moved view of it."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = 2 * np.pi * x / width, 2 * np.pi * y / height
    dice = np.random.default_rng(seed + 1)
    channels = []
    for _ in range(3):
        phases = dice.uniform(0, 6, len(_WAVES))
        waves = [np.sin(i * u + j * v + phase) for (i, j), phase in zip(_WAVES, phases, strict=True)]
        channels.append(0.5 + 0.07 * np.sum(waves, axis=0))
    tile = np.stack(channels, axis=-1).astype(np.float32)
    return np.tile(tile, (2, 2, 1))
