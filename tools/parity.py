"""How far each runtime and precision here is from ONNX Runtime in f32, on the pictures in engines/parity.

    python tools/parity.py u2net [--out docs/benchmarks/DATE-parity.json]

The int8 rows run one and the same ONNX file. TensorRT needs a GPU to run it; where its package tensorrt_rtx is
installed, its parser reads the file and its builder compiles it, which needs none. TensorRT takes uint8 for int8: the
row "as TensorRT reads it" runs the file so changed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from command import keep
from machine import describe

from streammatte import registry
from streammatte.catalog import Model
from streammatte.catalog import model as model_named
from streammatte.errors import RuntimeUnavailable, first_line
from streammatte.int8 import quantized
from streammatte.parity import compare, parity_batches
from streammatte.ports import Precision, Runtime, Session
from streammatte.weights.cache import Weights, cache_dir, sha256_of
from streammatte.weights.pull import ensure

_REFERENCE = "onnxruntime"


def main() -> None:
    """Print a row for each, and what TensorRT says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    model = model_named(given.model)
    weights = ensure(model)
    network = None if model.int8 is None else quantized(model.int8.calibration, weights, cache_dir())
    rows = []
    for row in _rows(model, weights, network):
        rows.append(row)
        print(_line(row), flush=True)
    result: dict[str, Any] = {"model": model.name, "weights_sha256": weights.sha256, "rows": rows}
    if network is not None:
        result |= {"int8_network_sha256": sha256_of(network), "tensorrt_rtx": _tensorrt(network)}
        print("tensorrt_rtx", *(f"{key} {value}" for key, value in result["tensorrt_rtx"].items()))
    keep(result | {"machine": describe()}, given.out)


def _line(row: dict[str, Any]) -> str:
    what = f"{row['runtime']:<22} {row['precision']:<24}"
    if "reason" in row:
        return f"{what} {row['reason']}"
    return f"{what} mean {row['mean']:.5f}  p99 {row['p99']:.4f}  max {row['max']:.3f}"


def _rows(model: Model, weights: Weights, network: Path | None) -> Iterator[dict[str, Any]]:
    reference = _open(_runtime(_REFERENCE), model, weights.path, "f32")
    for name in registry.RUNTIMES:
        runtime = _runtime(name)
        reason = runtime.unavailable()
        for precision in ("f32", *(each for each in get_args(Precision) if each != "f32")):
            onnx = network if precision == "int8" else weights.path
            if onnx is None:
                continue
            if reason is None:
                yield _row(runtime, model, onnx, precision, reference)
            else:
                yield {"runtime": name, "precision": precision, "reason": reason}
    if network is not None:
        with tempfile.TemporaryDirectory() as place:
            signed = _signed(network, Path(place) / "signed.onnx")
            row = _row(_runtime(_REFERENCE), model, signed, "int8", reference)
            yield row | {"precision": "int8 as TensorRT reads it"}


def _row(runtime: Runtime, model: Model, onnx: Path, precision: Precision, reference: Session) -> dict[str, Any]:
    row: dict[str, Any] = {"runtime": runtime.identity()[0], "precision": precision}
    try:
        session = _open(runtime, model, onnx, precision)
    except RuntimeUnavailable as error:
        return row | {"reason": error.reasons.get(runtime.name, str(error))}
    except Exception as error:
        return row | {"reason": first_line(error)}
    return row | asdict(compare(reference, session, parity_batches(model.input), model.output))


def _runtime(name: str) -> Runtime:
    found: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
    return found


def _open(runtime: Runtime, model: Model, onnx: Path, precision: Precision) -> Session:
    return runtime.load(onnx, sha256_of(onnx), output=model.output.index, precision=precision, cache=None)


def _signed(network: Path, path: Path) -> Path:
    """The network with every uint8 zero point, all 0, as int8: what TensorRT makes of it, with a warning."""
    import onnx

    changed = onnx.load(network)
    for entry in changed.graph.initializer:
        if entry.data_type == onnx.TensorProto.UINT8:
            zero = onnx.numpy_helper.to_array(entry).astype("int8")
            entry.CopyFrom(onnx.numpy_helper.from_array(zero, entry.name))
    onnx.save(changed, path)
    return path


def _tensorrt(network: Path) -> dict[str, Any]:
    """What TensorRT-RTX's parser and builder make of the file."""
    if find_spec("tensorrt_rtx") is None:
        return {"reason": "not installed"}
    trt: Any = import_module("tensorrt_rtx")
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    definition = builder.create_network(0)
    parser = trt.OnnxParser(definition, builder.logger)
    parsed = parser.parse_from_file(str(network))
    result = {"version": trt.__version__, "parsed": parsed, "layers": definition.num_layers}
    if not parsed:
        return result | {"errors": [parser.get_error(index).desc() for index in range(parser.num_errors)]}
    plan = builder.build_serialized_network(definition, builder.create_builder_config())
    return result | {"plan_bytes": None if plan is None else plan.nbytes}


if __name__ == "__main__":
    main()
