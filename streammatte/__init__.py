"""streammatte: real-time video matting.

    import streammatte
    report = streammatte.matte("in.mp4", background="beach.jpg", output="out.mp4")

    alpha = streammatte.Matter("u2net")(rgb)      # (H, W, 3) uint8 -> (H, W) float32 in [0, 1]

`Pipeline` with `Stages` runs any source and sinks that keep the contracts in `streammatte.ports`.
"""

from __future__ import annotations

from streammatte.assembly import matte, open_pipeline
from streammatte.color import ColorSpec
from streammatte.composing import Stages
from streammatte.config import Settings
from streammatte.errors import (
    ConfigError,
    ContractError,
    ModelError,
    RuntimeUnavailable,
    SinkError,
    SourceError,
    StreammatteError,
)
from streammatte.frame import Frame, Layer, Matte, Packet, PixelFormat, StreamInfo
from streammatte.matter import Matter
from streammatte.meter import RunReport
from streammatte.pipeline import Pipeline
from streammatte.reporting import RunFacts

__all__ = [
    "ColorSpec",
    "ConfigError",
    "ContractError",
    "Frame",
    "Layer",
    "Matte",
    "Matter",
    "ModelError",
    "Packet",
    "Pipeline",
    "PixelFormat",
    "RunFacts",
    "RunReport",
    "RuntimeUnavailable",
    "Settings",
    "SinkError",
    "SourceError",
    "Stages",
    "StreamInfo",
    "StreammatteError",
    "matte",
    "open_pipeline",
]
