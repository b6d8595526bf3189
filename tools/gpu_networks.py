"""Networks on a GPU: built, compared with torch's f32, timed, and held against what the GPU could do at best."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from gpu_floor import median_ms
from torch.utils.flop_counter import FlopCounterMode

from streammatte import registry
from streammatte.catalog import InputSpec, OutputSpec
from streammatte.errors import StreammatteError, first_line
from streammatte.exporting import export, export_again
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.networks.onnx_weights import read_onnx
from streammatte.networks.session import open_session
from streammatte.parity import Difference, compare, parity_batches
from streammatte.ports import DeviceSession, Precision, Runtime
from streammatte.weights.cache import sha256_of

__all__ = ["MEAN", "STD", "Subject", "networks", "rows"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IN_A_ROW = 50
_FLOATS: tuple[Literal["f32", "fp16"], ...] = ("f32", "fp16")


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to be timed, in f32 and, where it could be exported so, in fp16."""

    name: str
    files: dict[Precision, Path]
    size: tuple[int, int]
    """Width and height."""
    weights: str
    """Whose they are, in words."""


def networks(names: list[str], place: Path, u2net: Path | None, size: int | None) -> Iterator[Subject]:
    """Each of `names` (architectures), exported into `place`; U²-Net with its own weights where `u2net` has them."""
    for name in names:
        sides = (size, size) if size else ((320, 320) if name.startswith("u2net") else (1024, 1024))
        files: dict[Precision, Path] = {}
        own = u2net if name == "u2net" else None
        for precision in _FLOATS:
            path = place / f"{name.replace(':', '-')}-{precision}.onnx"
            if own is not None:
                export_again(own, path, size=sides, precision=precision)
            else:
                export(name, path, weights=None, size=sides, precision=precision)
            files[precision] = path
        yield Subject(name, files, sides, "its authors'" if own else "drawn at random")


def rows(subject: Subject, place: Path, device: torch.device, best: dict[str, float]) -> list[dict[str, Any]]:
    """One row of figures a runtime and precision; what cannot be run says why."""
    spec = InputSpec(*subject.size, MEAN, STD)
    operations = _operations(read_onnx(subject.files["f32"]).network, subject.size)
    lane = Lane(str(device))
    found = [_eager(subject, precision, lane, best, operations) for precision in _FLOATS]
    with closing(open_session(read_onnx(subject.files["f32"]).network, str(device), "f32", ("", ""))) as reference:
        for name in registry.RUNTIMES:
            runtime: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
            why = runtime.unavailable() or (runtime.declined() if device.type == "cuda" else None)
            if why is not None:
                found.append({"network": subject.name, "runtime": name, "why_not": why})
                continue
            for precision in runtime.precisions():
                if precision != "int8":
                    found.append(_row(subject, runtime, precision, place, lane, reference, spec, best, operations))
    return found


def _operations(network: torch.nn.Module, size: tuple[int, int]) -> float:
    """Of one picture: additions and multiplications of convolutions and matrix products."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.to("meta")(torch.zeros(1, 3, size[1], size[0], device="meta"))
    return float(counter.get_total_flops())


def _eager(
    subject: Subject, precision: Precision, lane: Lane, best: dict[str, float], operations: float
) -> dict[str, Any]:
    """Torch as anyone would call it: kernel by kernel, no graph."""
    network = read_onnx(subject.files["f32"]).network
    with closing(open_session(network, str(lane.device), precision, ("torch", ""))) as session, lane:
        batch = torch.zeros(1, 3, subject.size[1], subject.size[0], device=lane.device)
        taken_ms = median_ms(lambda: session.run_on(batch), lane.device)
    return _figures(subject, "torch, eager", precision, taken_ms, taken_ms, best, operations)


def _row(
    subject: Subject,
    runtime: Runtime,
    precision: Precision,
    place: Path,
    lane: Lane,
    reference: Any,
    spec: InputSpec,
    best: dict[str, float],
    operations: float,
) -> dict[str, Any]:
    halved = precision == "fp16" and runtime.strongly_typed
    path = subject.files["fp16" if halved else "f32"]
    named = {"network": subject.name, "runtime": runtime.name, "precision": precision}
    try:
        start = perf_counter()
        session = runtime.load(path, sha256_of(path), output=0, precision=precision, cache=place / "cache")
        built_s = perf_counter() - start
        with closing(session):
            apart = compare(reference, session, parity_batches(spec), OutputSpec(0, "none"))
            one_ms, each_ms = _timed(session, spec, lane)
            figures = _figures(subject, runtime.name, precision, one_ms, each_ms, best, operations)
            return figures | {"built_s": round(built_s, 1), "device": session.info.device, **_parity(apart)}
    except (StreammatteError, RuntimeError, OSError) as error:
        return named | {"why_not": first_line(error)}


def _timed(session: Any, spec: InputSpec, lane: Lane) -> tuple[float, float]:
    """Milliseconds of one picture alone, and of each in a row; by a captured graph where the session is on a device."""
    if not isinstance(session, DeviceSession):
        batch = torch.zeros(1, 3, spec.height, spec.width).numpy()
        taken = median_ms(lambda: session.run(batch), torch.device("cpu"), 10)
        return taken, taken
    there = torch.zeros(1, 3, spec.height, spec.width, device=session.device)
    run = Captured(lambda batch: (session.run_on(batch),), lane)
    with lane:
        one = median_ms(lambda: run(there), lane.device)
        in_a_row = median_ms(lambda: [run(there) for _ in range(_IN_A_ROW)], lane.device, 3) / _IN_A_ROW
    return one, in_a_row


def _figures(
    subject: Subject,
    runtime: str,
    precision: Precision,
    one_ms: float,
    each_ms: float,
    best: dict[str, float],
    operations: float,
) -> dict[str, Any]:
    floor_ms = operations / (best[f"{precision}_tflops"] * 1e9)
    return {
        "network": subject.name,
        "size": list(subject.size),
        "weights": subject.weights,
        "runtime": runtime,
        "precision": precision,
        "latency_ms": round(one_ms, 3),
        "per_second": round(1e3 / each_ms, 1),
        "gflop": round(operations / 1e9, 1),
        "floor_ms": round(floor_ms, 3),
        "share_of_floor": round(floor_ms / each_ms, 3),
    }


def _parity(apart: Difference) -> dict[str, float]:
    return {"max": apart.max, "p99": apart.p99, "mean": apart.mean}
