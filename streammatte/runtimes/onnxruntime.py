"""ONNX Runtime: an extra. On a GPU where its CUDA provider is installed; on the CPU, in f32, a reference for others."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.catalog_facts import StateSpec
from streammatte.errors import RuntimeUnavailable
from streammatte.nvidia import driver_missing, gpu_in_words
from streammatte.ports import BuildProgress, Precision, RecurrentSession, Session, SessionInfo
from streammatte.runtimes.recurrent import CarryingSession, check_outputs

__all__ = ["OnnxRuntime"]

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ERRORS = 3
"""The least severe that onnxruntime logs: not its warnings about nodes it leaves to the CPU."""


class OnnxRuntime:
    """Runs the same ONNX files as every other runtime, through onnxruntime's CUDA or CPU provider."""

    name = "onnxruntime"

    @property
    def trusted(self) -> bool:
        """On the CPU."""
        return not _on_gpu()

    @property
    def strongly_typed(self) -> bool:
        """On a GPU; its CPU provider has no float16."""
        return _on_gpu()

    def unavailable(self) -> str | None:
        """Why not, with the remedy; None if it can be used."""
        if find_spec("onnxruntime") is None:
            extra = "onnxruntime" if driver_missing() else "onnxruntime-gpu"
            return f"not installed: pip install 'streammatte[{extra}]'"
        return None

    def declined(self) -> str | None:
        """On a CPU, for openvino."""
        return None if _on_gpu() else "runs on the CPU here, where openvino is faster"

    def precisions(self) -> tuple[Precision, ...]:
        """fp16 and f32 on a GPU, f32 on a CPU: Q/DQ networks run too, but seldom faster."""
        return ("fp16", "f32") if _on_gpu() else ("f32",)

    def identity(self) -> tuple[str, str]:
        """Library with version, and device: the GPU's name with its compute capability, or CPU."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}", gpu_in_words(_index()) if _on_gpu() else "CPU"

    def load(
        self,
        onnx: Path,
        sha256: str,
        *,
        output: int,
        precision: Precision,
        cache: Path | None,
        streams: int = 1,
        building: BuildProgress | None = None,
    ) -> Session:
        """Load `onnx`; nothing is kept in `cache`, since onnxruntime has no engine worth keeping.

        On a GPU the session takes tensors on the device too where torch, whose memory and streams they are, has CUDA.
        """
        info = self._info(precision)
        if not _on_gpu():
            return _OnnxSession(_on_cpu(onnx), output, info)
        if not _torch_has_cuda():
            return _OnnxSession(_on_cuda(onnx, {}), output, info)
        import torch

        stream = torch.cuda.Stream()
        loaded = _on_cuda(onnx, {"user_compute_stream": str(stream.cuda_stream)})
        return _OnnxDeviceSession(loaded, output, info, stream)

    def load_recurrent(
        self, onnx: Path, sha256: str, *, output: int, state: StateSpec, precision: Precision, cache: Path | None
    ) -> RecurrentSession:
        """See port `RecurrentRuntime`; pictures and state come from the host and go back to it."""
        info = self._info(precision)
        loaded = _on_cuda(onnx, {}) if _on_gpu() else _on_cpu(onnx)
        known = [each.name for each in loaded.get_outputs()]
        check_outputs(known, state)

        wanted = [known[output], *([] if state.fgr is None else [known[state.fgr]]), *state.outputs]

        def compute(given: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
            found: list[npt.NDArray[np.float32]] = loaded.run(wanted, given)
            return found

        inputs = {each.name: [_side(side) for side in each.shape] for each in loaded.get_inputs()}
        return CarryingSession(compute, inputs, state, info)

    def _info(self, precision: Precision) -> SessionInfo:
        """Raises RuntimeUnavailable for a precision that cannot be had."""
        if precision not in (*self.precisions(), "int8"):
            reason = f"its {'CUDA' if _on_gpu() else 'CPU'} provider has no {precision}"
            raise RuntimeUnavailable(f"precision {precision} cannot be had", {self.name: reason})
        return SessionInfo(*self.identity(), precision)


def _side(side: Any) -> int | None:
    return side if isinstance(side, int) else None


def _on_gpu() -> bool:
    if driver_missing() or find_spec("onnxruntime") is None:
        return False
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()


def _torch_has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def _index() -> int:
    """CUDA's number of the GPU: torch's current one, so that tensors need not move."""
    if not _torch_has_cuda():
        return 0
    import torch

    return int(torch.cuda.current_device())


def _on_cpu(onnx: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return onnxruntime.InferenceSession(str(onnx), options, providers=[_CPU])


def _on_cuda(onnx: Path, own: dict[str, str]) -> Any:
    """An InferenceSession whose first provider is CUDA's. Raises RuntimeUnavailable where that does not start."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    # f32 means f32: by default it rounds what goes into convolutions to TF32.
    provider = (_CUDA, {"device_id": str(_index()), "use_tf32": "0"} | own)
    said = io.StringIO()
    with redirect_stdout(said):
        # CUDA's libraries as pip installs them, where they are; what is missing it prints.
        onnxruntime.preload_dlls()
        # It goes on with the CPU alone unless told not to, and says so on the terminal.
        loaded = onnxruntime.InferenceSession(str(onnx), options, providers=[provider, _CPU], enable_fallback=0)
    if loaded.get_providers()[0] != _CUDA:
        missing = next((line for line in said.getvalue().splitlines() if line.startswith("Failed")), "")
        remedy = "it needs the CUDA and cuDNN it was built with: pip install 'streammatte[onnxruntime-gpu]'"
        why = f"its CUDA provider does not start; {remedy}{missing and f' ({missing})'}"
        raise RuntimeUnavailable("the GPU cannot be used", {OnnxRuntime.name: why})
    return loaded


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


class _OnnxDeviceSession(_OnnxSession):
    """One on a GPU, whose work is put on `stream`, which is torch's and the session's own."""

    capturable = False
    """The library puts work on a stream of its own, and allocates as it goes."""

    def __init__(self, loaded: Any, output: int, info: SessionInfo, stream: Any) -> None:
        import onnxruntime

        super().__init__(loaded, output, info)
        self.device = str(stream.device)
        first = loaded.get_inputs()[0].shape[0]
        self.batch: int | None = first if isinstance(first, int) else None
        self._stream = stream
        self._result: Any = None
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def run_on(self, batch: Any) -> Any:
        """See port `DeviceSession`: the work waits for torch's current stream, and that for the work."""
        import torch

        shape = (len(batch), 1, *batch.shape[2:])
        if self._result is None or self._result.shape != shape:
            self._result = torch.empty(shape, dtype=torch.float32, device=batch.device)
        current = torch.cuda.current_stream(batch.device)
        self._stream.wait_stream(current)
        self._loaded.run_with_iobinding(self._bound(batch), self._options)
        current.wait_stream(self._stream)
        return self._result

    def _bound(self, batch: Any) -> Any:
        """The addresses of what goes in and out."""
        binding, device = self._loaded.io_binding(), self._stream.device
        for bind, name, tensor in (
            (binding.bind_input, self._input, batch),
            (binding.bind_output, self._output, self._result),
        ):
            shape, address = tuple(tensor.shape), tensor.data_ptr()
            bind(name, device.type, device.index, np.float32, shape, address)
        return binding
