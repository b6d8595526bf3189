"""A calibration measured anew on other pictures: with the float network alone, in one pass, without a quantiser.

What is measured is read off the network by outputs added to it, which it reduces itself: kept whole, the activations of
a U-Net-like network are hundreds of megabytes a picture.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.errors import ModelError
from streammatte.quantization.calibration import Activation, Calibration, unsigned_up_to
from streammatte.quantization.qdq import at_opset_13, rounded_weights

__all__ = ["Measurement"]

_NAME = "streammatte.measured"
Floats = npt.NDArray[np.float32]


class Measurement:
    """What to measure in the float network in the ONNX file `network` to calibrate it like `base`.

    Of each tensor that `base` rounds from 0 on, as what comes out of a ReLU, the highest value; of each convolution
    whose weights it rounds, the mean of each input channel. Raises ModelError where `base` is of another network.
    """

    def __init__(self, network: Path, base: Calibration) -> None:
        import onnx

        self._network = at_opset_13(onnx.load(network))
        self._base = base
        graph = self._network.graph
        self.output = len(graph.output)
        """Which output of the instrumented network holds what is measured."""
        found = base.activations.items()
        self._tensors = [name for name, each in found if (each.dtype, each.zero_point) == ("uint8", 0)]
        missing = set(self._tensors) - {name for node in graph.node for name in node.output}
        missing -= {entry.name for entry in graph.input}
        if missing:
            raise ModelError(f"calibration names {min(missing)}, which the network has not; reinstall streammatte")
        constants = {entry.name: entry for entry in graph.initializer}
        self._convolutions = [
            (node.name, node.input[0], _mean_error(onnx.numpy_helper.to_array(constants[node.input[1]]), _groups(node)))
            for node in graph.node
            if node.op_type == "Conv" and len(node.input) == 3 and node.name not in base.float_convolutions
        ]

    def write_instrumented(self, file: Path) -> None:
        """Write the network with one more output (1, 1, 1, n) float32: all that is measured of one picture."""
        import onnx

        graph = self._network.graph
        # Without axes ReduceMax reduces all; how axes are given differs between opsets.
        parts = [("ReduceMax", name, f"{_NAME}.highest.{name}", {"keepdims": 1}) for name in self._tensors]
        parts += [("GlobalAveragePool", tensor, f"{_NAME}.means.{name}", {}) for name, tensor, _ in self._convolutions]
        make, rows = onnx.helper.make_node, [f"{part}.row" for _, _, part, _ in parts]
        shape = onnx.numpy_helper.from_array(np.array([1, 1, 1, -1], np.int64), f"{_NAME}.shape")
        for (kind, tensor, part, how), row in zip(parts, rows, strict=True):
            graph.node.append(make(kind, [tensor], [part], name=part, **how))
            graph.node.append(make("Reshape", [part, shape.name], [row], name=row))
        graph.node.append(make("Concat", rows, [_NAME], name=_NAME, axis=3))
        graph.initializer.append(shape)
        size = len(self._tensors) + sum(error.shape[1] for _, _, error in self._convolutions)
        graph.output.append(onnx.helper.make_tensor_value_info(_NAME, onnx.TensorProto.FLOAT, [1, 1, 1, size]))
        onnx.save(self._network, file)

    def calibrations(self, measured: Floats, calibrated_on: str) -> tuple[Calibration, Calibration]:
        """What `measured` (pictures, n), the output of each picture, makes of `base`: with ranges anew, and without.

        Bias corrections are anew in both. Ranges as NNCF takes them: the mean over pictures of each one's highest.
        Which of the two comes nearer to the float network is seen only by trying: narrow ranges have fine steps, wide
        ones cut nothing off. What is rounded stays as it is.
        """
        means = measured.mean(axis=0)
        highest = dict(zip(self._tensors, means[: len(self._tensors)].tolist(), strict=True))
        biases = self._biases(means[len(self._tensors) :])
        kept = replace(self._base, biases=biases, calibrated_on=calibrated_on, quantizer="streammatte")
        return replace(kept, activations=self._ranged(highest)), kept

    def _ranged(self, highest: dict[str, float]) -> dict[str, Activation]:
        """Tensors that share a scale still do, the largest: they meet in a Concat, which is free only then.

        A range in which nothing was seen stays.
        """
        activations = self._base.activations
        together: dict[float, float] = defaultdict(float)
        for name, top in highest.items():
            together[activations[name].scale] = max(together[activations[name].scale], top)
        tops = {name: together[activations[name].scale] for name in highest}
        return activations | {name: unsigned_up_to(top) for name, top in tops.items() if top > 0}

    def _biases(self, means: Floats) -> dict[str, Floats]:
        """convolution -> what undoes the mean error of its rounded weights, E[(W' - W) x] = (W' - W) E[x].

        Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2;
        approximate along the border, where windows hang over.
        """
        found, start = {}, 0
        for name, _, error in self._convolutions:
            stop = start + error.shape[1]
            found[name] = np.asarray(-error @ means[start:stop], np.float32)
            start = stop
        return found


def _groups(node: Any) -> int:
    return next((int(each.i) for each in node.attribute if each.name == "group"), 1)


def _mean_error(weights: Floats, groups: int) -> Floats:
    """(out, in): the sum over the window of what rounding adds to the weights (out, in / groups, height, width)."""
    rounded, scale = rounded_weights(weights)
    error = (rounded.astype(np.float32) * scale.reshape(-1, 1, 1, 1) - weights).sum(axis=(2, 3))
    out, part = error.shape
    whole = np.zeros((groups, out // groups, groups, part), np.float32)
    each = np.arange(groups)
    whole[each, :, each] = error.reshape(groups, out // groups, part)
    return whole.reshape(out, groups * part)
