"""Engines for GPUs where there is none: what is exported, how exact it is, what TensorRT-RTX builds.

    pip install torch onnxscript safetensors tensorrt-rtx-cu12
    python tools/gpu_builds.py [--networks u2net birefnet:swin_v1_t ...] [--size 256] [--out JSON]

Each network is exported in f32 and fp16 (BiRefNet at --size, with weights drawn at random: the graph is the same), run
by ONNX Runtime and OpenVINO on the CPU beside torch, and built by TensorRT-RTX; U²-Net's Q/DQ network too. Nothing of
this needs a GPU, and none of it says that an engine runs: tools/gpu_check.py does, where there is one.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

from command import keep, table
from gpu_networks import MEAN, STD, Subject, networks
from machine import describe

from streammatte import registry
from streammatte.catalog import InputSpec, OutputSpec
from streammatte.catalog import model as model_named
from streammatte.errors import StreammatteError, first_line
from streammatte.int8 import quantized
from streammatte.networks.onnx_weights import read_onnx
from streammatte.networks.session import open_session
from streammatte.parity import compare, parity_batches
from streammatte.ports import Precision, Runtime
from streammatte.runtimes.trt_building import Blueprint, build_plan
from streammatte.runtimes.trt_library import opened
from streammatte.weights.cache import cache_dir, sha256_of
from streammatte.weights.pull import ensure

_NETWORKS = ("u2net", "u2netp", "birefnet:swin_v1_t")
_CPU = ("onnxruntime", "openvino")


def main() -> None:
    """Print a row for each network and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(_NETWORKS), metavar="NETWORK")
    parser.add_argument("--size", type=int, default=256, help="of BiRefNet's input")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    model = model_named("u2net")
    weights = ensure(model)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        for name in given.networks:
            size = None if name.startswith("u2net") else given.size
            for subject in networks([name], Path(place), weights.path, size):
                rows += [_row(subject, precision) for precision in subject.files]
    if "u2net" in given.networks and model.int8 is not None:
        network = quantized(model.int8.calibration, weights, cache_dir())
        rows.append({"network": "u2net", "precision": "int8 (Q/DQ)", "plan": _plan(network, "int8")})
    titles = ["network", "MiB", *(f"{name}: max from torch" for name in _CPU), "TensorRT-RTX plan, MiB", "built s"]
    print(table(titles, [_cells(row) for row in rows]))
    keep({"rows": rows, "tensorrt_rtx": opened("tensorrt_rtx").version, "machine": describe()}, given.out)


def _row(subject: Subject, precision: Precision) -> dict[str, Any]:
    path = subject.files[precision]
    spec, plain = InputSpec(*subject.size, MEAN, STD), OutputSpec(0, "none")
    row: dict[str, Any] = {
        "network": subject.name,
        "precision": precision,
        "size": list(subject.size),
        "weights": subject.weights,
        "bytes": path.stat().st_size,
    }
    with closing(open_session(read_onnx(subject.files["f32"]).network, "cpu", "f32", ("torch", "CPU"))) as reference:
        for name in _CPU:
            runtime: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
            # What the graph says is what is computed: these have no say of their own.
            session = runtime.load(path, sha256_of(path), output=0, precision="f32", cache=None)
            with closing(session):
                apart = compare(reference, session, parity_batches(spec), plain)
                row[name] = {"max": apart.max, "p99": apart.p99, "mean": apart.mean}
    return row | {"plan": _plan(path, precision)}


def _plan(path: Path, precision: Precision) -> dict[str, Any]:
    """For every GPU since Ampere."""
    start = perf_counter()
    try:
        plan = build_plan(opened("tensorrt_rtx"), Blueprint(path, 0, precision, ""))
    except StreammatteError as error:
        return {"why_not": first_line(error)}
    return {"bytes": plan.nbytes, "built_s": round(perf_counter() - start, 1)}


def _cells(row: dict[str, Any]) -> list[str]:
    name = f"{row['network']} {row['precision']}"
    apart = [f"{row[each]['max']:.2g}" if each in row else "" for each in _CPU]
    file = f"{row['bytes'] / 2**20:.1f}" if "bytes" in row else ""
    plan = row["plan"]
    built = [f"{plan['bytes'] / 2**20:.1f}", f"{plan['built_s']:g}"] if "bytes" in plan else [plan["why_not"], ""]
    return [name, file, *apart, *built]


if __name__ == "__main__":
    main()
