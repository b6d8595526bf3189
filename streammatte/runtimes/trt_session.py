"""A plan at work: TensorRT's execution context over memory and streams of torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.errors import ContractError
from streammatte.ports import SessionInfo
from streammatte.runtimes.trt_caches import RuntimeCache
from streammatte.runtimes.trt_library import Library, not_none

__all__ = ["TensorRtSession", "engine_of"]

_ALIGNMENT_BYTES = 256
"""What TensorRT asks of addresses; what torch allocates has more, views into it may have less."""


def engine_of(library: Library, plan: Any) -> Any:
    """The library's ICudaEngine of a plan's bytes. Raises RuntimeUnavailable in the library's words."""
    trt = library.module
    with library.telling("cannot load the engine"):
        runtime = trt.Runtime(library.logger)
        if library.rtx:
            _check_valid(library, runtime, plan)
        return not_none(runtime.deserialize_cuda_engine(plan))


def _check_valid(library: Library, runtime: Any, plan: Any) -> None:
    """TensorRT-RTX says of a plan's first bytes why it would not run here."""
    trt = library.module
    validity, found = runtime.get_engine_validity(bytes(memoryview(plan)[: runtime.engine_header_size]))
    if validity != trt.EngineValidity.INVALID:
        return
    diagnostics = trt.EngineInvalidityDiagnostics
    words = {
        diagnostics.VERSION_MISMATCH: "it was built by another version of the library",
        diagnostics.UNSUPPORTED_CC: "it was built for other GPUs, or the library does not support this one",
        diagnostics.OLD_CUDA_DRIVER: "the NVIDIA driver is too old for the library; update it",
        diagnostics.OLD_CUDA_RUNTIME: "the CUDA runtime is too old for the library; update it",
        diagnostics.INSUFFICIENT_GPU_MEMORY: "the GPU has too little memory",
        diagnostics.MALFORMED_ENGINE: "the file is damaged",
        diagnostics.CUDA_ERROR: "CUDA or the NVIDIA driver is not installed as it should be",
    }
    reasons = [why for flag, why in words.items() if int(found) & int(flag)]
    raise library.refusal(f"cannot load the engine: {', and '.join(reasons) or 'it is not valid on this machine'}")


class TensorRtSession:
    """Port `DeviceSession` over an engine of one input and one output, both float32 and of fixed size.

    It has working memory for one batch: `run` has a stream of its own, and is not for while `run_on` is under way.
    `kept` is given where the library compiles when it runs (TensorRT-RTX), and is written down once that is done.
    """

    capturable = True

    def __init__(
        self, library: Library, engine: Any, info: SessionInfo, device: str, kept: RuntimeCache | None
    ) -> None:
        import torch

        from streammatte.kernels.torch.lane import Lane

        self.info = info
        self.device = device
        self._library, self._engine, self._kept = library, engine, kept
        self._lane = Lane(device)
        with library.telling("cannot start the engine"), self._lane:
            names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
            inputs = [n for n in names if engine.get_tensor_mode(n) == library.module.TensorIOMode.INPUT]
            self._input, self._output = inputs[0], next(name for name in names if name not in inputs)
            self._shape = tuple(engine.get_tensor_shape(self._input))
            self.batch: int | None = self._shape[0]
            self._result = torch.empty(tuple(engine.get_tensor_shape(self._output)), dtype=torch.float32, device=device)
            self._context = _context(engine, kept)
            self._point(self._output, self._result)
            # What is done at the first run (loading kernels, compiling them) cannot be captured, and is not for the
            # first frame to wait for.
            self.run_on(torch.zeros(self._shape, dtype=torch.float32, device=device))
            self._lane.wait()
        if kept is not None:
            kept.keep()

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See port `Session`."""
        import torch

        with self._lane:
            there = torch.tensor(np.ascontiguousarray(batch, np.float32), device=self.device)
            # An engine for more pictures at once is given the one so many times.
            full = there.expand(self._shape).contiguous() if len(batch) == 1 else there
            found: npt.NDArray[np.float32] = self.run_on(full)[: len(batch)].to("cpu", copy=True).numpy()
        return found

    def run_on(self, batch: Any) -> Any:
        """See port `DeviceSession`. Raises ContractError for a tensor that the engine would misread."""
        self._check(batch)
        if batch.data_ptr() % _ALIGNMENT_BYTES:
            batch = batch.clone()
        with self._library.telling("the engine failed"):
            self._point(self._input, batch)
            if not self._context.execute_async_v3(_stream_handle(batch.device)):
                raise RuntimeError("it gives no reason")
        return self._result

    def _check(self, batch: Any) -> None:
        import torch

        expected = (self._shape, torch.float32, True, self._lane.device.type)
        actual = (tuple(batch.shape), batch.dtype, batch.is_contiguous(), batch.device.type)
        if actual != expected:
            words = "(shape, type, contiguous, device) = "
            raise ContractError(f"a batch of {words}{expected}", f"{actual}")

    def _point(self, name: str, tensor: Any) -> None:
        if not self._context.set_tensor_address(name, tensor.data_ptr()):
            raise RuntimeError(f"it does not take the memory for {name}")

    def close(self) -> None:
        """Release the engine and its memory, once all work is done."""
        if self._context is None:
            return
        if self._lane.on_cuda:
            import torch

            torch.cuda.synchronize(self._lane.device)  # other lanes may have put work in
        if self._kept is not None:
            self._kept.keep()
        self._context = self._engine = self._result = None


def _context(engine: Any, kept: RuntimeCache | None) -> Any:
    if kept is None:
        return not_none(engine.create_execution_context())
    runtime_config = engine.create_runtime_config()
    kept.lend(runtime_config)
    return not_none(engine.create_execution_context(runtime_config))


def _stream_handle(device: Any) -> int:
    """Of torch's current stream."""
    import torch

    handle: int = torch.cuda.current_stream(device).cuda_stream
    return handle
