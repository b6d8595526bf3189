"""OpenVINO: the CPU runtime. int8 or bf16 where the processor has the instructions, f32 elsewhere, by explicit hint."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.catalog_facts import StateSpec
from streammatte.engine_cache import EngineCache
from streammatte.errors import RuntimeUnavailable
from streammatte.ports import BuildProgress, Precision, RecurrentSession, Session, SessionInfo
from streammatte.runtimes.recurrent import CarryingSession, check_outputs

if TYPE_CHECKING:
    import openvino

__all__ = ["OpenVinoRuntime"]


class OpenVinoRuntime:
    """Runs ONNX networks on the CPU through OpenVINO, with compiled models kept in the engine cache."""

    name = "openvino"
    trusted = True
    strongly_typed = False

    def unavailable(self) -> str | None:
        """Why not, with the remedy; None if it can be used."""
        if find_spec("openvino") is None:
            return "not installed: pip install openvino"
        return None

    def declined(self) -> str | None:
        """Never: it is the last to be tried."""
        return None

    def precisions(self) -> tuple[Precision, ...]:
        """int8 with AVX2 or more, bf16 with AVX512-BF16 or AMX, f32."""
        found: list[Precision] = ["int8"] if _has_fast_int8() else []
        if _has_bf16(_core()):
            found.append("bf16")
        return (*found, "f32")

    def identity(self) -> tuple[str, str]:
        """Library with version, and the processor's full name."""
        return f"openvino {version('openvino')}", str(_core().get_property("CPU", "FULL_DEVICE_NAME"))

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
        """Compile `onnx` for the CPU: one stream for latency, several that share the cores for throughput."""
        key = {"onnx_sha256": sha256, "output": str(output)}
        return _OpenVinoSession(
            *self._compiled(lambda: _cut_down(_core(), onnx, output), key, precision, cache, streams)
        )

    def load_recurrent(
        self, onnx: Path, sha256: str, *, output: int, state: StateSpec, precision: Precision, cache: Path | None
    ) -> RecurrentSession:
        """See port `RecurrentRuntime`."""
        key = {"onnx_sha256": sha256, "output": str(output), "state": " ".join(state.outputs)}
        key |= {} if state.fgr is None else {"fgr": str(state.fgr)}
        compiled, info = self._compiled(
            lambda: _cut_down(_core(), onnx, output, state), key, precision, cache, streams=1
        )
        request = compiled.create_infer_request()
        # Its outputs are those that the network was cut down to, in that order; one may serve twice.
        fgr = [] if state.fgr is None else [compiled.output(0 if state.fgr == output else 1)]
        wanted = [compiled.output(0), *fgr, *(compiled.output(name) for name in state.outputs)]

        def compute(given: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
            request.infer(given, share_inputs=True)
            return [np.array(request.get_tensor(each).data, np.float32) for each in wanted]

        inputs = {each.any_name: [_side(side) for side in each.partial_shape] for each in compiled.inputs}
        return CarryingSession(compute, inputs, state, info)

    def _compiled(
        self,
        network: Callable[[], openvino.Model],
        of: dict[str, str],
        precision: Precision,
        cache: Path | None,
        streams: int,
    ) -> tuple[openvino.CompiledModel, SessionInfo]:
        """`network()` for the CPU, from `cache` where it is there under a key that begins with `of`."""
        core = _core()
        if precision == "fp16":
            reason = "it runs on the CPU here, in int8, bf16 or f32"
            raise RuntimeUnavailable("precision fp16 cannot be had", {"openvino": reason})
        if precision == "bf16" and not _has_bf16(core):
            raise RuntimeUnavailable("precision bf16 cannot be had", {"openvino": "this CPU has no bf16 arithmetic"})
        config = _config(_float_hint(core, precision), streams)
        library, device = self.identity()
        key = of | {
            "runtime": library,
            "device": device,
            "precision": precision,
            "float": config["INFERENCE_PRECISION_HINT"],
            "streams": str(streams),
        }
        store = None if cache is None else EngineCache(cache / "engines", key)
        compiled = None if store is None else store.load(lambda path: _import(core, path, config))
        hit = compiled is not None
        if compiled is None:
            compiled = core.compile_model(network(), "CPU", config)
            if store is not None:
                blob = compiled.export_model
                store.store(lambda path: _write(path, blob))
        notes = (store.note,) if store is not None and store.note else ()
        return compiled, SessionInfo(library, device, precision, streams, hit, notes)


@functools.cache
def _core() -> openvino.Core:
    """OpenVINO itself, which stays until the process ends.

    Its CPU plugin gives the thread that first loads it a signal stack (for AMX) and unmaps that when the last user is
    gone, on whatever thread that is; the next Ctrl-C would then be delivered to nowhere and kill the process.
    """
    import openvino

    return openvino.Core()


def _has_bf16(core: openvino.Core) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _has_fast_int8() -> bool:
    """Whether int8 is faster than float here: eight times with AMX, four with VNNI, two with AVX2 alone.

    OpenVINO lists INT8 for every processor, also where it gains nothing.
    """
    flags = _cpu_flags()
    # Not Linux: OpenCV knows.
    return "avx2" in flags if flags else bool(cv2.checkHardwareSupport(_CV_AVX2))


def _cpu_flags() -> set[str]:
    """What Linux says the processor can do; empty elsewhere."""
    try:
        return set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").split())
    except OSError:
        return set()


_CV_AVX2 = 11  # cv::CpuFeatures CPU_AVX2, which the Python module does not name


def _float_hint(core: openvino.Core, precision: Precision) -> str:
    """What the network's float parts compute in; an int8 network has some, and bf16 is faster there too.

    Not with AMX: there OpenVINO 2026.4 has no kernel for a first convolution in int8 beside bf16, and refuses the
    network; float parts in f32 are as fast.
    """
    if precision == "int8":
        return "bf16" if _has_bf16(core) and "amx_int8" not in _cpu_flags() else "f32"
    return precision


def _config(hint: str, streams: int) -> dict[str, str]:
    goal = "LATENCY" if streams == 1 else "THROUGHPUT"
    return {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": goal, "NUM_STREAMS": str(streams)}


def _import(core: openvino.Core, path: Path, config: dict[str, str]) -> openvino.CompiledModel:
    return core.import_model(path.read_bytes(), "CPU", config)


def _write(path: Path, export: Any) -> None:
    path.write_bytes(export().getbuffer())


def _cut_down(core: openvino.Core, onnx: Path, output: int, state: StateSpec | None = None) -> openvino.Model:
    """The network cut down to the outputs that are used: side outputs cost time and give nothing.

    A batch of any size becomes one of 1 where that is all that is open.
    """
    import openvino

    model = core.read_model(onnx)
    used = [output]
    if state is not None:
        known = {name: number for number, each in enumerate(model.outputs) for name in each.get_names()}
        check_outputs(known, state)
        further = [*([] if state.fgr is None else [state.fgr]), *(known[name] for name in state.outputs)]
        used = list(dict.fromkeys([*used, *further]))
    cut = openvino.Model([model.outputs[number].get_node() for number in used], model.get_parameters(), onnx.stem)
    shape = cut.input(0).partial_shape
    if len(cut.inputs) == 1 and shape[0].is_dynamic and not any(side.is_dynamic for side in list(shape)[1:]):
        cut.reshape([1, *(side.get_length() for side in list(shape)[1:])])
    return cut


def _side(side: openvino.Dimension) -> int | None:
    return None if side.is_dynamic else int(side.get_length())


class _OpenVinoSession:
    """One infer request of a compiled model for each stream."""

    def __init__(self, compiled: openvino.CompiledModel, info: SessionInfo) -> None:
        self.info = info
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(info.streams):
            self._idle.put(compiled.create_infer_request())
        # The binding sets itself up on its first array, and two threads that do so at once wait for each other for
        # ever (a static's guard against the interpreter's lock, seen with 2026.4.1): once from here, then from many.
        self.run(np.zeros(tuple(compiled.input(0).shape), np.float32))

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See port `Session`."""
        request = self._idle.get()
        try:
            request.infer([batch], share_inputs=True)
            return np.array(request.get_output_tensor(0).data, np.float32)
        finally:
            self._idle.put(request)

    def close(self) -> None:
        """Nothing is held beyond memory."""
