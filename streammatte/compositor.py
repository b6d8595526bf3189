"""Over, on planes (Porter and Duff 1984): I = alpha * F + (1 - alpha) * B."""

from __future__ import annotations

from dataclasses import replace

from streammatte.frame import Frame, Layer, PixelFormat, Plane
from streammatte.kernels.mixing import blend

__all__ = ["alpha_frame", "composite", "subject_frame"]


def composite(layer: Layer, background: tuple[Plane, ...]) -> Frame:
    """The subject over `background`: the source's frame in everything but its pixels, and opaque.

    Exactly the background's samples where alpha is 0, exactly the foreground's where it is peak.
    """
    frame = layer.frame
    parts = zip(layer.fgr, background, layer.alphas, strict=True)
    planes = tuple(blend(fgr, bg, pha, frame.format.peak) for fgr, bg, pha in parts)
    return replace(frame, planes=planes, alpha=None)


def subject_frame(layer: Layer) -> Frame:
    """The subject's own colour with its straight alpha, for sinks that hold alpha."""
    return replace(layer.frame, planes=layer.fgr, alpha=layer.pha)


def alpha_frame(layer: Layer) -> Frame:
    """Alpha alone, as a full-range gray frame of the source's depth."""
    bits = layer.frame.format.bits
    gray = PixelFormat.named("gray" if bits == 8 else f"gray{bits}le")
    color = replace(layer.frame.color, full_range=True)
    return replace(layer.frame, planes=(layer.pha,), alpha=None, format=gray, color=color)
