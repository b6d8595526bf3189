"""Names and what stands behind them: `name -> module:Class`, loaded when first asked for.

An entry that needs an extra says so; `load` turns its missing import into one line with the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from streammatte.errors import ConfigError

__all__ = [
    "ARITHMETICS",
    "FOREGROUNDS",
    "LIVE_SINKS",
    "PROMPTERS",
    "REFINERS",
    "RUNTIMES",
    "STABILIZERS",
    "Entry",
    "load",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a name's class lives, and the extra that installs what it needs ("" for none)."""

    target: str
    extra: str = ""


RUNTIMES = {
    "tensorrt": Entry("streammatte.runtimes.tensorrt:TensorRtRuntime"),
    "tensorrt_rtx": Entry("streammatte.runtimes.tensorrt:TensorRtRtxRuntime"),
    "torch": Entry("streammatte.networks.runtime:TorchRuntime"),
    "onnxruntime": Entry("streammatte.runtimes.onnxruntime:OnnxRuntime"),
    "openvino": Entry("streammatte.runtimes.openvino:OpenVinoRuntime"),
}
"""In the order `--runtime auto` tries them. These import their library only when asked whether they can run."""

ARITHMETICS = {
    "fixed": Entry("streammatte.arithmetics.fixed_gain:FixedGainArithmetic"),
    "rembg": Entry("streammatte.arithmetics.rembg:RembgArithmetic", extra="compat"),
}

STABILIZERS = {
    "none": Entry("streammatte.stabilizers.none:NoStabilizer"),
    "ema": Entry("streammatte.stabilizers.ema:EmaStabilizer"),
    "motion": Entry("streammatte.stabilizers.motion:MotionStabilizer"),
}

REFINERS = {
    "none": Entry("streammatte.refiners.resample:ResampleRefiner"),
    "guided": Entry("streammatte.refiners.guided:GuidedRefiner"),
    "closed-form": Entry("streammatte.refiners.closed_form:ClosedFormRefiner"),
    "rembg": Entry("streammatte.refiners.rembg:RembgRefiner", extra="compat"),
    "pymatting": Entry("streammatte.refiners.pymatting:PymattingRefiner", extra="trimap"),
    "vitmatte": Entry("streammatte.refiners.vitmatte:VitmatteRefiner"),
}

PROMPTERS = {
    "sam2": Entry("streammatte.prompts.sam2:Sam2Prompter", extra="prompt"),
    "sam3": Entry("streammatte.prompts.sam3:Sam3Prompter", extra="prompt"),
}

FOREGROUNDS = {
    "off": Entry("streammatte.foregrounds.off:OffForeground"),
    "fusion": Entry("streammatte.foregrounds.blur_fusion:BlurFusionForeground"),
    "model": Entry("streammatte.foregrounds.model:ModelForeground"),
    "rembg": Entry("streammatte.foregrounds.rembg:RembgForeground"),
}

LIVE_SINKS = {
    "vcam": Entry("streammatte.sinks.virtual_camera:VirtualCameraSink", extra="vcam"),
    "pipewire": Entry("streammatte.sinks.pipewire:PipeWireSink"),
    "preview": Entry("streammatte.sinks.preview:PreviewSink"),
    "window": Entry("streammatte.sinks.preview:WindowSink"),
    "obs": Entry("streammatte.sinks.obs:ObsSink"),
    "http": Entry("streammatte.sinks.preview:WebSink"),
    "srt": Entry("streammatte.sinks.network:NetworkSink"),
    "rtmp": Entry("streammatte.sinks.network:NetworkSink"),
    "rtmps": Entry("streammatte.sinks.network:NetworkSink"),
    "udp": Entry("streammatte.sinks.network:NetworkSink"),
    "null": Entry("streammatte.sinks.null:NullSink"),
}
"""What `--to` may name. They import their library only when opened."""


def load(table: dict[str, Entry], name: str, key: str) -> Any:
    """The class called `name` in `table`; ConfigError (about setting `key`) if unknown or its extra is missing."""
    entry = table.get(name)
    if entry is None:
        raise ConfigError(key, f"unknown {name!r}; one of {', '.join(table)}")
    module, _, attribute = entry.target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if not entry.extra:
            raise
        remedy = f"pip install 'streammatte[{entry.extra}]'"
        raise ConfigError(key, f"{name} needs {error.name}, which is not installed: {remedy}") from error
