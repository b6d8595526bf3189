"""Over, on planes (Porter and Duff 1984): I = alpha * F + (1 - alpha) * B."""

from __future__ import annotations

from dataclasses import replace

from streammatte.frame import Frame, Layer, Plane
from streammatte.kernels.mixing import blend

__all__ = ["composite"]


def composite(layer: Layer, background: tuple[Plane, ...]) -> Frame:
    """The subject over `background`: the source's frame in everything but its pixels, and opaque.

    Exactly the background's samples where alpha is 0, exactly the foreground's where it is peak.
    """
    frame = layer.frame
    parts = zip(layer.fgr, background, layer.alphas, strict=True)
    planes = tuple(blend(fgr, bg, pha, frame.format.peak) for fgr, bg, pha in parts)
    return replace(frame, planes=planes, alpha=None)
