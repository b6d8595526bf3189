"""Measures what an int8 engine needs to know of a model and writes it down as facts: engines/MODEL.int8.json.

    pip install nncf
    python tools/calibrate.py u2net PICTURE_OR_VIDEO ...

Which activations are rounded, and their ranges, come from NNCF's post-training quantisation (mixed preset); bias
corrections are measured as for a user's own calibration. Weight scales are not written: they follow from the weights.
`streammatte.quantization` builds the Q/DQ network from these facts, so that users need neither NNCF nor minutes.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from streammatte.calibrating import measure
from streammatte.catalog import engines_dir
from streammatte.catalog import model as model_named
from streammatte.parity import normalized
from streammatte.quantization.calibration import Activation, Calibration, unsigned_up_to, write_calibration
from streammatte.quantization.qdq import at_opset_13
from streammatte.weights.cache import Weights
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
    on = f"{len(samples)} views of {', '.join(path.name for path in given.pictures)}"
    base = _rounded_by_nncf(weights, samples, on)
    found = replace(base, biases=measure(model, weights, base, samples, on).biases)
    out = engines_dir() / f"{model.name}.int8.json"
    write_calibration(out, found)
    print(f"{out}: {len(found.activations)} activations, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


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


def _rounded_by_nncf(weights: Weights, samples: list[npt.NDArray[np.float32]], on: str) -> Calibration:
    import nncf
    import onnx

    plain = at_opset_13(onnx.load(weights.path))
    name = plain.graph.input[0].name
    quantized = nncf.quantize(
        plain,
        nncf.Dataset(samples, lambda sample: {name: sample}),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(samples),
        advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
    )
    activations = _activations(quantized)
    floats = frozenset(_float_convolutions(plain, activations))
    return Calibration(weights.sha256, floats, activations, {}, on, _nncf_version())


def _constants(network: Any) -> dict[str, npt.NDArray[Any]]:
    from onnx import numpy_helper

    return {entry.name: numpy_helper.to_array(entry) for entry in network.graph.initializer}


def _activations(quantized: Any) -> dict[str, Activation]:
    """tensor -> how it is rounded, for each activation NNCF quantised, but for the picture and logits.

    What comes out of a convolution without a ReLU behind it is a logit of the matte: 256 steps of it are terraces
    in soft hair (seen, while MAD hardly changed). Those few channels stay float. So does the picture: three channels
    save no time, and 256 steps of what NNCF measured cut off the brightest parts (half of all error, measured).
    """
    constants, found = _constants(quantized), {}
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            if zero.dtype == np.uint8:
                found[node.input[0]] = unsigned_up_to(float(scale) * (255 - int(zero)))
    return found


def _float_convolutions(plain: Any, activations: Iterable[str]) -> list[str]:
    """Convolutions that read the picture or, through joins and resizing, logits: rounding them would gain nothing."""
    rounded, floats, found = set(activations), {plain.graph.input[0].name}, []
    for node in plain.graph.node:
        if node.op_type == "Conv":
            if node.input[0] in floats:
                found.append(node.name)
            readers = {other.op_type for other in plain.graph.node if node.output[0] in other.input}
            if "Relu" not in readers:
                floats.update(node.output)
        elif (
            node.op_type in ("Concat", "Resize")
            and floats.intersection(node.input)
            and not rounded.intersection(node.output)
        ):
            floats.update(node.output)
    return found


if __name__ == "__main__":
    main()
