"""TensorRT and TensorRT-RTX where there is no GPU: what the runtimes call of them, over memory of the CPU.

`fake_trt(version)` stands for the imported module; its `seen` tells what was asked of it and says what is to fail.
Networks are computed by onnx's reference, so that sessions give what the file says.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator

ALIGNMENT_BYTES = 16
PHASES = (("Building engine", None, 2), ("Timing graph nodes", "Building engine", 5), ("Writing", "Building engine", 3))


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class Flag(IntEnum):
    TF32 = 7


class Creation10(IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class Creation(IntEnum):
    STRONGLY_TYPED = 0


class Mode(IntEnum):
    INPUT = 1
    OUTPUT = 2


class Validity(IntEnum):
    VALID = 0
    INVALID = 2


class Diagnostics(IntEnum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    OLD_CUDA_RUNTIME = 8
    INSUFFICIENT_GPU_MEMORY = 16
    MALFORMED_ENGINE = 32
    CUDA_ERROR = 64


class Capability(IntEnum):
    SM75 = 75
    SM86 = 86
    SM120 = 120


@dataclass
class Seen:
    """What was asked, and what is to go wrong."""

    fails: str = ""
    """build, deserialize, context, address or run: that call fails, and says so in the log."""
    builds: list[dict[str, Any]] = field(default_factory=list)
    timings: list[bytes] = field(default_factory=list)
    """What each build was given of earlier measurements."""
    compiled: list[bytes] = field(default_factory=list)
    """What each context was given of earlier compilations."""
    streams: list[int] = field(default_factory=list)
    addresses: list[int] = field(default_factory=list)
    """Of the batch, at each run."""
    plugins: int = 0
    diagnostics: int = 0
    steps: int = 0
    contexts: int = 0
    """Alive."""


def fake_trt(version: str = "11.4.0.106", rtx: bool = False) -> Any:
    """The module."""
    seen = Seen()
    library = SimpleNamespace(__version__=version, seen=seen, float32="DataType.FLOAT", rtx=rtx)

    class ILogger:
        def log(self, severity: Severity, text: str) -> None:
            raise NotImplementedError

    class IProgressMonitor:
        pass

    def init_plugins(logger: Any, namespace: str) -> bool:
        seen.plugins += 1
        return not rtx

    ILogger.Severity = Severity  # type: ignore[attr-defined]
    library.ILogger, library.IProgressMonitor = ILogger, IProgressMonitor
    library.BuilderFlag = Flag
    library.NetworkDefinitionCreationFlag = Creation10 if version.startswith("10.") else Creation
    library.TensorIOMode, library.init_libnvinfer_plugins = Mode, init_plugins
    library.Builder = lambda logger: _Builder(library, logger)
    library.OnnxParser = lambda network, logger: _Parser(network, logger)
    library.Runtime = lambda logger: (_RtxRuntime if rtx else _Runtime)(library, logger)
    if rtx:
        library.ComputeCapability = Capability
        library.EngineValidity, library.EngineInvalidityDiagnostics = Validity, Diagnostics
    return library


class HostMemory(bytearray):
    """Has a buffer, as the library's has, and is no bytes."""


@dataclass
class _Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]


def _tensors(values: Any) -> list[_Tensor]:
    found = []
    for value in values:
        given = value.type.tensor_type
        dtype = {onnx.TensorProto.FLOAT: "DataType.FLOAT"}.get(given.elem_type, "DataType.HALF")
        found.append(_Tensor(value.name, dtype, tuple(dim.dim_value or -1 for dim in given.shape.dim)))
    return found


class _Network:
    def __init__(self, strongly_typed: bool) -> None:
        self.strongly_typed = strongly_typed
        self.inputs: list[_Tensor] = []
        self.outputs: list[_Tensor] = []

    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))

    def get_input(self, index: int) -> _Tensor:
        return self.inputs[index]

    def get_output(self, index: int) -> _Tensor:
        return self.outputs[index]

    def unmark_output(self, tensor: _Tensor) -> None:
        self.outputs.remove(tensor)


class _Parser:
    def __init__(self, network: _Network, logger: Any) -> None:
        self._network, self._logger = network, logger
        self._errors: list[tuple[str, str, str]] = []

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index: int) -> Any:
        desc, name, operator = self._errors[index]
        return SimpleNamespace(desc=lambda: desc, node_name=lambda: name, node_operator=lambda: operator)

    def parse_from_file(self, path: str) -> bool:
        try:
            content = onnx.load(path)
        except Exception:
            self._errors.append(("Failed to parse the ONNX model.\nat line 7", "", ""))
            return False
        for node in content.graph.node:
            if node.op_type == "DeformConv":
                self._errors.append(("Plugin not found", node.name, node.op_type))
                return False
        self._network.onnx = content.SerializeToString()  # type: ignore[attr-defined]
        self._network.inputs = _tensors(content.graph.input)
        self._network.outputs = _tensors(content.graph.output)
        return True


class _Cache:
    """A timing or runtime cache."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    def serialize(self) -> HostMemory:
        return HostMemory(self.content)

    def deserialize(self, content: bytes) -> bool:
        good = content.startswith(b"learnt")
        self.content = content if good else b""
        return good


class _Config:
    def __init__(self, library: Any) -> None:
        self._library = library
        self.progress_monitor: Any = None
        self.num_compute_capabilities = 0
        self.target = ""
        self.flags = {"TF32"}
        self._timing: _Cache | None = None

    def clear_flag(self, flag: Flag) -> None:
        self.flags.remove(flag.name)

    def set_compute_capability(self, capability: Capability, index: int) -> bool:
        assert self._library.rtx
        assert index < self.num_compute_capabilities
        self.target = capability.name
        return True

    def create_timing_cache(self, content: bytes) -> _Cache | None:
        assert not self._library.rtx, "deprecated there"
        return _Cache(content) if not content or content.startswith(b"learnt") else None

    def set_timing_cache(self, cache: _Cache, ignore_mismatch: bool) -> bool:
        self._timing = cache
        self._library.seen.timings.append(cache.content)
        return cache.content != b"learnt elsewhere"

    def get_timing_cache(self) -> _Cache | None:
        return self._timing


class _Builder:
    def __init__(self, library: Any, logger: Any) -> None:
        self._library, self._logger = library, logger

    def create_network(self, flags: int) -> _Network:
        bit = self._library.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return _Network(flags == 1 << bit)

    def create_builder_config(self) -> _Config:
        return _Config(self._library)

    def build_serialized_network(self, network: _Network, config: _Config) -> HostMemory | None:
        seen = self._library.seen
        self._logger.log(Severity.WARNING, "nothing to worry about")
        if seen.fails == "build":
            self._logger.log(Severity.ERROR, "Error Code 10: no implementation for node 7\nIn optimizer.cpp")
            self._logger.log(Severity.ERROR, "and what follows from that")
            return None
        if not self._tell(config.progress_monitor):
            self._logger.log(Severity.ERROR, "Error Code 7: canceled by user")
            return None
        (source,), (output,) = network.inputs, network.outputs
        if config.get_timing_cache() is not None:
            config.get_timing_cache().content = b"learnt by " + self._library.__version__.encode()
        plan = {
            "version": self._library.__version__,
            "strongly_typed": network.strongly_typed,
            "flags": sorted(config.flags),
            "target": config.target,
            "input": (source.name, source.shape),
            "output": output.name,
        }
        seen.builds.append(plan)
        network_bytes: bytes = network.onnx  # type: ignore[attr-defined]
        return HostMemory(json.dumps(plan).encode() + b"\n" + network_bytes)

    def _tell(self, monitor: Any) -> bool:
        going = True
        parents: list[tuple[str, int]] = []
        for name, parent, steps in PHASES:
            monitor.phase_start(name, parent, steps)
            for step in range(steps if parent else 0):
                self._library.seen.steps += 1
                going = going and monitor.step_complete(name, step)
            if parent:
                monitor.phase_finish(name)
                going = going and monitor.step_complete(parent, len(parents))
                parents.append((parent, steps))
        monitor.phase_finish(PHASES[0][0])
        return going


class _Runtime:
    engine_header_size = 64

    def __init__(self, library: Any, logger: Any) -> None:
        self._library, self._logger = library, logger

    def deserialize_cuda_engine(self, content: Any) -> _Engine | None:
        words, _, network = bytes(content).partition(b"\n")
        version = self._library.__version__
        if version.encode() not in words or self._library.seen.fails == "deserialize":
            text = "IRuntime::deserializeCudaEngine: incompatible serialization version"
            self._logger.log(Severity.ERROR, text)
            return None
        return _Engine(self._library, self._logger, json.loads(words), network)


class _RtxRuntime(_Runtime):
    def get_engine_validity(self, header: bytes) -> tuple[Validity, int]:
        assert len(header) <= self.engine_header_size
        found = self._library.seen.diagnostics or (0 if header.startswith(b"{") else Diagnostics.MALFORMED_ENGINE)
        return (Validity.INVALID, found) if found else (Validity.VALID, 0)


class _Engine:
    def __init__(self, library: Any, logger: Any, plan: dict[str, Any], network: bytes) -> None:
        self.library, self.logger, self.network = library, logger, network
        self._output = plan["output"]
        name, shape = plan["input"]
        self._shapes = {name: tuple(shape), self._output: (1, 1, *shape[2:])}
        self.num_io_tensors = 2

    def get_tensor_name(self, index: int) -> str:
        return sorted(self._shapes)[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.OUTPUT if name == self._output else Mode.INPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def create_runtime_config(self) -> _RuntimeConfig:
        assert self.library.rtx
        return _RuntimeConfig(self.library)

    def create_execution_context(self, config: _RuntimeConfig | None = None) -> _Context | None:
        if self.library.seen.fails == "context":
            self.logger.log(Severity.ERROR, "out of memory")
            return None
        return _Context(self, config)


class _RuntimeConfig:
    def __init__(self, library: Any) -> None:
        self._library = library
        self.cache: _Cache | None = None

    def create_runtime_cache(self) -> _Cache:
        return _Cache()

    def set_runtime_cache(self, cache: _Cache) -> bool:
        self.cache = cache
        self._library.seen.compiled.append(cache.content)
        return True


class _Context:
    """Reads and writes raw addresses, as the library does."""

    def __init__(self, engine: _Engine, config: _RuntimeConfig | None) -> None:
        self._engine, self._config = engine, config
        self._addresses: dict[str, int] = {}
        self._runs = ReferenceEvaluator(onnx.load_from_string(engine.network))
        engine.library.seen.contexts += 1

    def __del__(self) -> None:
        self._engine.library.seen.contexts -= 1

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert name in self._engine._shapes
        if self._engine.library.seen.fails == "address" or address % ALIGNMENT_BYTES:
            self._engine.logger.log(Severity.ERROR, f"{name}: address is not aligned")
            return False
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        seen = self._engine.library.seen
        if seen.fails == "run":
            self._engine.logger.log(Severity.ERROR, "an illegal memory access was encountered")
            return False
        seen.streams.append(stream)
        seen.addresses += [
            at for name, at in self._addresses.items() if self._engine.get_tensor_mode(name) == Mode.INPUT
        ]
        arrays = {name: self._array(name) for name in self._addresses}
        (source,) = (name for name in arrays if self._engine.get_tensor_mode(name) == Mode.INPUT)
        (output,) = set(arrays) - {source}
        arrays[output][...] = self._runs.run([output], {source: arrays[source]})[0]
        if self._config is not None and self._config.cache is not None:
            kernels = hashlib.sha256(self._engine.network).hexdigest()[:8]
            self._config.cache.content = f"learnt {kernels}".encode()
        return True

    def _array(self, name: str) -> npt.NDArray[np.float32]:
        shape = self._engine.get_tensor_shape(name)
        memory = (ctypes.c_float * int(np.prod(shape))).from_address(self._addresses[name])
        return np.frombuffer(memory, np.float32).reshape(shape)


def plan_of(path: Path) -> dict[str, Any]:
    """What a kept plan says of itself."""
    found: dict[str, Any] = json.loads(path.read_bytes().partition(b"\n")[0])
    return found
