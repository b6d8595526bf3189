"""Measures what an int8 engine needs to know of a model and writes it down as facts: engines/MODEL.int8.json.

    pip install nncf
    python tools/calibrate.py u2net PICTURE_OR_VIDEO ...

Activation ranges and bias corrections come from NNCF's post-training quantisation (fast bias correction, mixed
preset). Weight scales are not written: they follow from the weights. `streammatte.quantization` builds the Q/DQ
network from these facts, so that users need neither NNCF nor minutes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from streammatte.catalog import engines_dir
from streammatte.catalog import model as model_named
from streammatte.parity import normalized
from streammatte.quantization.qdq import at_opset_13
from streammatte.weights.pull import ensure

_VIDEO_EVERY = 15
_CROPS = 2
_Picture = npt.NDArray[np.uint8]


def main() -> None:
    """Calibrate and write the facts beside the model's TOML."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pictures", nargs="+", type=Path, help="pictures and videos to calibrate on")
    given = parser.parse_args()
    model = model_named(given.model)
    weights = ensure(model)
    samples = [normalized(picture, model.input) for path in given.pictures for picture in _views(path)]
    facts = {
        "onnx_sha256": weights.sha256,
        "calibrated_on": f"{len(samples)} views of {', '.join(path.name for path in given.pictures)}",
        "quantizer": _nncf_version(),
        **_calibrate(weights.path, samples),
    }
    out = engines_dir() / f"{model.name}.int8.json"
    out.write_text(json.dumps(facts, indent=0) + "\n", encoding="utf-8")
    print(f"{out}: {len(facts['activations'])} activations, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


def _views(path: Path) -> Iterator[_Picture]:
    """Each picture whole, and crops of it in other light: networks meet more framings than a few files have."""
    dice = np.random.default_rng(0)
    for picture in _pictures(path):
        yield picture
        height, width = picture.shape[:2]
        for _ in range(_CROPS):
            part = dice.uniform(0.55, 0.95)
            top, left = (int(dice.uniform(0, side * (1 - part))) for side in (height, width))
            crop = picture[top : top + int(height * part), left : left + int(width * part)].astype(np.float32)
            lit = crop * dice.uniform(0.5, 1.3) * dice.uniform(0.85, 1.15, 3) + dice.uniform(-15, 15)
            yield np.clip(lit, 0, 255).astype(np.uint8)


def _pictures(path: Path) -> Iterator[_Picture]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is not None:
        yield np.asarray(picture, np.uint8)
        return
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % _VIDEO_EVERY == 0:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _nncf_version() -> str:
    from importlib.metadata import version

    return f"nncf {version('nncf')}"


def _calibrate(onnx_path: Path, samples: list[npt.NDArray[np.float32]]) -> dict[str, Any]:
    import nncf
    import onnx

    plain = at_opset_13(onnx.load(onnx_path))
    name = plain.graph.input[0].name
    dataset = nncf.Dataset(samples, lambda sample: {name: sample})
    quantized = nncf.quantize(plain, dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(samples))
    activations = _activations(quantized)
    return {
        "float_convolutions": _float_convolutions(plain, activations),
        "activations": activations,
        "biases": _biases(plain, quantized),
    }


def _constants(network: Any) -> dict[str, npt.NDArray[Any]]:
    from onnx import numpy_helper

    return {entry.name: numpy_helper.to_array(entry) for entry in network.graph.initializer}


def _activations(quantized: Any) -> dict[str, list[float | int | str]]:
    """tensor -> [scale, zero point, type] of each activation NNCF quantised, but for logits.

    What comes out of a convolution without a ReLU behind it is a logit of the matte: 256 steps of it are terraces
    in soft hair (seen, while MAD hardly changed). Those few channels stay float.
    """
    constants, entry = _constants(quantized), quantized.graph.input[0].name
    found: dict[str, list[float | int | str]] = {}
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            if zero.dtype == np.uint8 or node.input[0] == entry:
                found[node.input[0]] = [float(f"{float(scale):.6g}"), int(zero), str(zero.dtype)]
    return found


def _float_convolutions(plain: Any, activations: Iterable[str]) -> list[str]:
    """Convolutions that read logits, through joins and resizing: rounding their weights would gain nothing."""
    rounded, logits, found = set(activations), set[str](), []
    for node in plain.graph.node:
        if node.op_type == "Conv":
            if node.input[0] in logits:
                found.append(node.name)
            readers = {other.op_type for other in plain.graph.node if node.output[0] in other.input}
            if "Relu" not in readers:
                logits.update(node.output)
        elif (
            node.op_type in ("Concat", "Resize")
            and logits.intersection(node.input)
            and not rounded.intersection(node.output)
        ):
            logits.update(node.output)
    return found


def _biases(plain: Any, quantized: Any) -> dict[str, str]:
    """convolution -> what is added to its bias, base64 of little-endian float16; those that stay are left out."""
    before, after = _constants(plain), _constants(quantized)
    corrected = {node.name: after[node.input[2]] for node in quantized.graph.node if node.op_type == "Conv"}
    found = {}
    for node in plain.graph.node:
        if node.op_type == "Conv":
            delta = corrected[node.name] - before[node.input[2]]
            if np.any(delta):
                found[node.name] = base64.b64encode(delta.astype("<f2").tobytes()).decode()
    return found


if __name__ == "__main__":
    main()
