"""A network's run never asks for a sample's value and, after the first of a size, moves nothing to the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from tiny_networks import pictures, sample_network, tiny_birefnet  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from streammatte.networks import build  # noqa: E402
from streammatte.networks.export import Typed  # noqa: E402
from streammatte.networks.precision import for_inference, halve  # noqa: E402

NETWORKS: dict[str, Callable[[], Any]] = {"birefnet": tiny_birefnet, "u2netp": lambda: build("u2netp")}
H, W = 64, 96


def network(name: str, dtype: Any, device: str) -> Any:
    made = NETWORKS[name]()
    for_inference(made)
    if dtype is not torch.float32:
        halve(made, dtype)
    return Typed(made, dtype).eval().requires_grad_(False).to(device)


class _Moves(TorchDispatchMode):
    """Notes what brings something to a device."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ == "_to_copy" and (kwargs or {}).get("device") is not None:
            self.noted.append(str(func))
        return func(*args, **(kwargs or {}))


def test_moves_are_seen() -> None:
    with _Moves() as moves:
        torch.as_tensor(pictures(H, W)["disc"].numpy(), device="meta")
    assert len(moves.noted) == 1


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_it_runs_where_there_are_no_samples(name: str, precision: str) -> None:
    """On torch's meta device, which knows shapes alone: whatever asked for a value would raise."""
    there = network(name, getattr(torch, precision), "meta")
    picture = pictures(H, W)["disc"].to("meta")
    first = there(picture)
    assert (first.shape, first.dtype) == ((1, 1, H, W), torch.float32)
    with _Moves() as moves:
        there(picture)
    assert moves.noted == []


def test_constants_made_while_exporting_do_not_stay() -> None:
    """What is made then is no tensor that a run could use."""
    made, picture = sample_network(), pictures(32, 32)["disc"]
    with torch.no_grad():
        torch.export.export(made, (picture,), strict=False)
        assert torch.isfinite(made(picture)).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_captured_graph_does_what_the_calls_did(name: str, precision: str) -> None:
    there = network(name, getattr(torch, precision), "cuda")
    noise, disc = (picture.cuda() for picture in pictures(H, W).values())
    with torch.no_grad():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                there(noise)
        torch.cuda.current_stream().wait_stream(stream)
        expected = there(disc).clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = there(noise)
        noise.copy_(disc)
        graph.replay()
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
