"""From an ONNX file to a plan, TensorRT's word for a built engine. TensorRT-RTX needs no GPU for that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streammatte.ports import BuildProgress, Precision
from streammatte.runtimes.trt_caches import TimingCache
from streammatte.runtimes.trt_library import Library, not_none
from streammatte.runtimes.trt_progress import STEPS, Watch, monitor, watched

__all__ = ["RECIPE", "Blueprint", "build_plan", "target_of"]

RECIPE = "1"
"""Changes whenever the same blueprint gives another plan."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What is to be built."""

    onnx: Path
    output: int
    """The number of the output that the plan computes; it has no other."""
    precision: Precision
    """The network is strongly typed: the file says what is computed in what. Only f32 adds to that: no TF32."""
    target: str
    """The GPU that TensorRT-RTX compiles for (SM86), "" for every one since Ampere. TensorRT takes the one here."""


def build_plan(
    library: Library,
    blueprint: Blueprint,
    *,
    building: BuildProgress | None = None,
    timing: TimingCache | None = None,
    on_device: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Any:
    """The plan's bytes, as an object of the library's that has a buffer.

    Built within `on_device`, on a thread of its own, while this one tells `building`; kernels that `timing` knows are
    not measured again. Raises RuntimeUnavailable in the library's words, and whatever `building` raises.
    """

    def work(watch: Watch) -> Any:
        with on_device():
            return _built(library, blueprint, timing, watch)

    if building is not None:
        building("reading the network", 0, STEPS)
    return watched(work, building)


def target_of(library: Library, capability: tuple[int, int]) -> str:
    """The `Blueprint.target` for a GPU of that compute capability."""
    name = f"SM{capability[0]}{capability[1]}"
    # One that the library has no name for may still run what is compiled for all.
    return name if library.rtx and hasattr(library.module.ComputeCapability, name) else ""


def _built(library: Library, blueprint: Blueprint, timing: TimingCache | None, watch: Watch) -> Any:
    trt = library.module
    told = monitor(trt, watch)  # must outlive what it is given to
    with library.telling("cannot read the network"):
        builder = trt.Builder(library.logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, library.logger)  # holds the weights until the plan is built
        if not parser.parse_from_file(str(blueprint.onnx)):
            raise library.refusal(f"cannot read {blueprint.onnx.name}: {_complaint(parser)}")
        _check_ends(library, network, blueprint.output)
        config = _config(library, builder, blueprint)
        config.progress_monitor = told
        if timing is not None:
            timing.lend(config)
    with library.telling("cannot build the network"):
        plan = not_none(builder.build_serialized_network(network, config))
    if timing is not None:
        timing.keep(config)
    return plan


def _config(library: Library, builder: Any, blueprint: Blueprint) -> Any:
    trt = library.module
    config = builder.create_builder_config()
    if blueprint.precision == "f32":
        config.clear_flag(trt.BuilderFlag.TF32)
    if blueprint.target:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, blueprint.target), 0)
    return config


def _complaint(parser: Any) -> str:
    if not parser.num_errors:
        return "it gives no reason"
    error = parser.get_error(0)
    where = f" (node {error.node_name()}, a {error.node_operator()})" if error.node_name() else ""
    return f"{str(error.desc()).strip().partition(chr(10))[0]}{where}"


def _check_ends(library: Library, network: Any, output: int) -> None:
    """One input of a fixed size, the output that is asked for and no other, both float32."""
    trt = library.module
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    if network.num_inputs != 1 or not output < len(outputs):
        has = f"it has {network.num_inputs} inputs and {len(outputs)} outputs"
        raise library.refusal(f"one input and an output number {output} are needed, but {has}")
    source = network.get_input(0)
    _fix_batch(library, source)
    for end in (source, outputs[output]):
        if end.dtype != trt.float32:
            raise library.refusal(f"{end.name} is {end.dtype}, and must be float32 at either end of the network")
    for index, other in enumerate(outputs):
        if index != output:
            network.unmark_output(other)


def _fix_batch(library: Library, source: Any) -> None:
    """A batch of any size becomes one of 1; no other side may be open."""
    shape = tuple(source.shape)
    if min(shape[1:], default=-1) < 1:
        raise library.refusal(f"input {source.name} has no fixed size, {shape}; export it with one")
    if shape[0] < 1:
        source.shape = (1, *shape[1:])
