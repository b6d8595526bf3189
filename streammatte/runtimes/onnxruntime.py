"""ONNX Runtime on the CPU, f32: an extra, and the reference others are compared with."""

from __future__ import annotations

import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.errors import RuntimeUnavailable
from streammatte.ports import Precision, Session, SessionInfo

__all__ = ["OnnxRuntime"]


class OnnxRuntime:
    """Runs the same ONNX files as every other runtime, through onnxruntime's CPU provider."""

    name = "onnxruntime"

    def unavailable(self) -> str | None:
        """Why not, with the remedy; None if it can be used."""
        if find_spec("onnxruntime") is None:
            return "not installed: pip install 'streammatte[onnxruntime]'"
        return None

    def precisions(self) -> tuple[Precision, ...]:
        """f32: its CPU provider runs Q/DQ networks too, but seldom faster."""
        return ("f32",)

    def identity(self) -> tuple[str, str]:
        """Library with version, and device."""
        return f"onnxruntime {version('onnxruntime')}", "CPU"

    def load(
        self, onnx: Path, sha256: str, *, output: int, precision: Precision, cache: Path | None, streams: int = 1
    ) -> Session:
        """Load `onnx`; nothing is kept in `cache`, since onnxruntime has no engine worth keeping on a CPU."""
        import onnxruntime

        if precision == "bf16":
            reason = "its CPU provider has no bf16"
            raise RuntimeUnavailable(f"precision {precision} cannot be had", {"onnxruntime": reason})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        loaded = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        info = SessionInfo(*self.identity(), precision)
        return _OnnxSession(loaded, output, info)


class _OnnxSession:
    """An InferenceSession that computes one output."""

    def __init__(self, loaded: Any, output: int, info: SessionInfo) -> None:
        self.info = info
        self._loaded = loaded
        self._input = loaded.get_inputs()[0].name
        self._output = loaded.get_outputs()[output].name

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See port `Session`."""
        return np.asarray(self._loaded.run([self._output], {self._input: batch})[0], np.float32)

    def close(self) -> None:
        """Nothing is held beyond memory."""
