"""U²-Net against its authors' weights in their own ONNX file."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'streammatte[onnxruntime]'")

from streammatte.catalog import model  # noqa: E402
from streammatte.networks import build  # noqa: E402
from streammatte.networks.onnx_weights import from_onnx  # noqa: E402
from streammatte.parity import parity_batches  # noqa: E402
from streammatte.weights.pull import ensure  # noqa: E402


@pytest.mark.weights
def test_it_says_of_a_picture_what_the_authors_file_says() -> None:
    u2net = model("u2net")
    path = ensure(u2net).path
    network = from_onnx(path)
    assert network.facts == {"architecture": "u2net"}
    with torch.no_grad():
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
