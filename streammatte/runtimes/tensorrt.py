"""TensorRT and TensorRT-RTX: engines for NVIDIA GPUs, built on first use and kept.

Both run the network in what its graph says (strongly typed): fp16 takes a graph with float16 in it, int8 a Q/DQ
graph. TensorRT measures kernels while it builds, minutes for a large network; TensorRT-RTX, for GeForce and RTX GPUs,
builds in seconds and compiles for the GPU when it loads.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from streammatte.errors import RuntimeUnavailable, first_line
from streammatte.nvidia import driver_missing
from streammatte.ports import BuildProgress, Precision, Session, SessionInfo
from streammatte.runtimes.trt_building import RECIPE, Blueprint, build_plan, target_of
from streammatte.runtimes.trt_caches import RuntimeCache, TimingCache
from streammatte.runtimes.trt_library import Library, opened
from streammatte.runtimes.trt_plans import Plans
from streammatte.runtimes.trt_session import TensorRtSession, engine_of

__all__ = ["TensorRtRtxRuntime", "TensorRtRuntime"]

_OLDEST_MAJOR = {"tensorrt": 10, "tensorrt_rtx": 1}


class _TensorRt:
    """What the two have in common."""

    name: str
    trusted = False
    strongly_typed = True
    _extra: str

    def unavailable(self) -> str | None:
        """Why not, with the remedy; None if it can be used. The GPU first: without one nothing else is of use."""
        return driver_missing() or self._not_installed() or _torch_missing() or self._broken()

    def declined(self) -> str | None:
        """Never: nothing here is faster."""
        return None

    def precisions(self) -> tuple[Precision, ...]:
        """fp16, f32. int8 can be asked for: on a GPU it gains little over fp16, and is off by more."""
        return ("fp16", "f32")

    def identity(self) -> tuple[str, str]:
        """Library with version, and the GPU's name with its compute capability."""
        return opened(self.name).version, _gpu().words

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
        """Load the plan from `cache`, or build and keep it; one picture at a time, whatever `streams` asks."""
        if precision == "bf16":
            had = "fp16, f32 and int8 can be had"
            raise RuntimeUnavailable("precision bf16 cannot be had", {self.name: f"it has no bf16; {had}"})
        library, gpu = opened(self.name), _gpu()
        blueprint = Blueprint(onnx, output, precision, target_of(library, gpu.capability))
        key = {
            "onnx_sha256": sha256,
            "output": str(output),
            "runtime": library.version,
            "device": gpu.words,
            "target": blueprint.target,
            "precision": precision,
            "recipe": RECIPE,
            "streams": "1",
        }
        folder = None if cache is None else cache / "engines"
        plans: Plans[Any] = Plans(folder, key)
        with gpu.current():
            engine = plans.engine(
                lambda plan: engine_of(library, plan),
                lambda: build_plan(
                    library,
                    blueprint,
                    building=building,
                    timing=_timing(library, folder, gpu),
                    on_device=gpu.current,
                ),
            )
            info = SessionInfo(library.version, gpu.words, precision, 1, plans.hit, plans.notes)
            return TensorRtSession(library, engine, info, gpu.device, _runtime_cache(library, folder, key))

    def _not_installed(self) -> str | None:
        return None if find_spec(self.name) else f"not installed: pip install 'streammatte[{self._extra}]'"

    def _broken(self) -> str | None:
        try:
            library = opened(self.name)
        except Exception as error:  # its own libraries may be missing, or CUDA's
            return f"installed, but it cannot be loaded: {first_line(error)}"
        if int(library.module.__version__.partition(".")[0]) < _OLDEST_MAJOR[self.name]:
            return f"{library.version} is too old: pip install -U 'streammatte[{self._extra}]'"
        return None


class TensorRtRuntime(_TensorRt):
    """TensorRT 10 and 11, for every NVIDIA GPU these support."""

    name = "tensorrt"
    _extra = "tensorrt"


class TensorRtRtxRuntime(_TensorRt):
    """TensorRT for RTX, from Turing on: a small library of its own, with the same interface."""

    name = "tensorrt_rtx"
    _extra = "tensorrt-rtx"


@dataclass(frozen=True, slots=True)
class _Gpu:
    """Where an engine is built and run: torch's current device."""

    index: int
    name: str
    capability: tuple[int, int]

    @property
    def device(self) -> str:
        """Torch's name of it."""
        return f"cuda:{self.index}"

    @property
    def words(self) -> str:
        """What a plan is built for; another GPU of this name runs it too."""
        return f"{self.name}, compute capability {self.capability[0]}.{self.capability[1]}"

    def current(self) -> AbstractContextManager[Any]:
        """Makes it the thread's current device, within."""
        import torch

        made: AbstractContextManager[Any] = torch.cuda.device(self.index)
        return made


def _gpu() -> _Gpu:
    import torch

    index = torch.cuda.current_device()
    return _Gpu(index, torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index))


def _torch_missing() -> str | None:
    """Memory and streams on the GPU are torch's."""
    if find_spec("torch") is None:
        return "needs torch for what lies on the GPU: pip install 'streammatte[torch]'"
    import torch

    if torch.version.cuda is None:
        return "needs a torch built with CUDA: see https://pytorch.org/get-started/locally"
    if not torch.cuda.is_available():
        return f"torch, built with CUDA {torch.version.cuda}, cannot use the GPU: update the NVIDIA driver"
    return None


def _timing(library: Library, folder: Path | None, gpu: _Gpu) -> TimingCache | None:
    """TensorRT-RTX measures nothing."""
    return None if folder is None or library.rtx else TimingCache(folder, library.version, gpu.words)


def _runtime_cache(library: Library, folder: Path | None, key: dict[str, str]) -> RuntimeCache | None:
    return RuntimeCache(folder, key) if folder is not None and library.rtx else None
