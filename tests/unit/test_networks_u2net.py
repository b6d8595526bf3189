"""U²-Net against its authors' weights in their own ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'streammatte[onnxruntime]'")

from streammatte.catalog import model  # noqa: E402
from streammatte.networks import build  # noqa: E402
from streammatte.networks.precision import fold_batch_norms  # noqa: E402
from streammatte.parity import parity_batches  # noqa: E402
from streammatte.weights.pull import ensure  # noqa: E402


def load_in_order(network: torch.nn.Module, path: Path) -> None:
    """The file's convolutions, whose batch norms are folded, into ours: both in the order they run in."""
    graph = onnx.load(path).graph
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
    theirs = [[constants[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    ours: list[torch.nn.Conv2d] = []
    hooks = [
        each.register_forward_hook(lambda module, given, result: ours.append(module))
        for each in network.modules()
        if isinstance(each, torch.nn.Conv2d)
    ]
    network(torch.zeros(1, 3, 32, 32))
    assert len(ours) == len(theirs) == 119
    for convolution, (weight, bias) in zip(ours, theirs, strict=True):
        assert convolution.weight.shape == weight.shape
        convolution.weight.copy_(torch.tensor(weight))
        assert convolution.bias is not None
        convolution.bias.copy_(torch.tensor(bias))
    for hook in hooks:
        hook.remove()


@pytest.mark.weights
def test_it_says_of_a_picture_what_the_authors_file_says() -> None:
    u2net = model("u2net")
    path = ensure(u2net).path
    with torch.no_grad():
        network = build("u2net")
        fold_batch_norms(network)
        load_in_order(network, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        batch = parity_batches(u2net.input)[0]
        wanted = session.run([session.get_outputs()[0].name], {given.name: batch})[0]
        assert wanted.max() > 0.9, "somebody is in the picture"
        assert np.abs(network(torch.from_numpy(batch)).numpy() - wanted).max() <= 1e-4


@pytest.mark.parametrize("name", ["u2net", "u2netp"])
def test_any_size(name: str) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        alpha = build(name)(torch.randn(1, 3, 33, 70))
    assert alpha.shape == (1, 1, 33, 70)
    assert 0 <= alpha.min() < alpha.max() <= 1
