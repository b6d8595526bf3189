"""OpenVINO: the CPU runtime. bf16 where the processor has it, f32 elsewhere, always by explicit hint."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streammatte.engine_cache import EngineCache
from streammatte.errors import RuntimeUnavailable
from streammatte.ports import Session, SessionInfo

if TYPE_CHECKING:
    import openvino

__all__ = ["OpenVinoRuntime"]


class OpenVinoRuntime:
    """Runs ONNX networks on the CPU through OpenVINO, with compiled models kept in the engine cache."""

    name = "openvino"

    def unavailable(self) -> str | None:
        """Why not, with the remedy; None if it can be used."""
        if find_spec("openvino") is None:
            return "not installed: pip install openvino"
        return None

    def load(self, onnx: Path, sha256: str, *, output: int, precision: str, cache: Path | None) -> Session:
        """Compile `onnx` for one stream on the CPU, for latency."""
        import openvino

        core = openvino.Core()
        chosen = _precision(core, precision)
        device = str(core.get_property("CPU", "FULL_DEVICE_NAME"))
        library = f"openvino {version('openvino')}"
        key = {
            "onnx_sha256": sha256,
            "output": str(output),
            "runtime": library,
            "device": device,
            "precision": chosen,
            "hint": "LATENCY",
        }
        store = None if cache is None else EngineCache(cache / "engines", key)
        compiled = None if store is None else store.load(lambda path: _import(core, path, chosen))
        hit = compiled is not None
        if compiled is None:
            compiled = core.compile_model(_one_output(core, onnx, output), "CPU", _config(chosen))
            if store is not None:
                blob = compiled.export_model
                store.store(lambda path: _write(path, blob))
        notes = (store.note,) if store is not None and store.note else ()
        return _OpenVinoSession(compiled, SessionInfo(library, device, chosen, hit, notes))


def _precision(core: openvino.Core, asked: str) -> Any:
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if asked == "bf16" and not has_bf16:
        raise RuntimeUnavailable("precision bf16 cannot be had", {"openvino": "this CPU has no bf16 arithmetic"})
    if asked == "auto":
        return "bf16" if has_bf16 else "f32"
    return asked


def _config(precision: str) -> dict[str, str]:
    return {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}


def _import(core: openvino.Core, path: Path, precision: str) -> openvino.CompiledModel:
    return core.import_model(path.read_bytes(), "CPU", _config(precision))


def _write(path: Path, export: Any) -> None:
    path.write_bytes(export().getbuffer())


def _one_output(core: openvino.Core, onnx: Path, output: int) -> openvino.Model:
    """The network cut down to the output that is used: side outputs cost time and give nothing."""
    import openvino

    model = core.read_model(onnx)
    return openvino.Model([model.outputs[output].get_node()], model.get_parameters(), onnx.stem)


class _OpenVinoSession:
    """One infer request of a compiled model."""

    def __init__(self, compiled: openvino.CompiledModel, info: SessionInfo) -> None:
        self.info = info
        self._request = compiled.create_infer_request()

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See port `Session`."""
        self._request.infer([batch], share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, np.float32)

    def close(self) -> None:
        """Nothing is held beyond memory."""
