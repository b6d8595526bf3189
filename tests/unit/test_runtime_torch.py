"""Torch as a runtime: where it runs, in what, and what it refuses; what a session does to the process."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import write_network

import streammatte.networks.runtime as subject
from streammatte.errors import RuntimeUnavailable
from streammatte.networks.runtime import TorchRuntime
from streammatte.ports import DeviceSession, Precision

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from tiny_networks import pictures, sample_network  # noqa: E402

import streammatte.networks.onnx_weights  # noqa: E402
import streammatte.networks.session  # noqa: E402
from streammatte.networks.precision import for_inference  # noqa: E402
from streammatte.networks.session import TorchSession, open_session  # noqa: E402

NO_DRIVER = "no NVIDIA driver on this machine"
IDENTITY = ("torch 2", "CPU")


def on_machine(
    monkeypatch: pytest.MonkeyPatch, *, driver: bool = True, cuda: str | None = "13.0", usable: bool = True
) -> None:
    """With a GPU's driver, and a torch built with `cuda` that can use it or not."""
    monkeypatch.setattr(subject, "driver_missing", lambda: None if driver else NO_DRIVER)
    monkeypatch.setattr(subject, "gpu_in_words", lambda index: f"GPU {index}")
    subject._without_cuda.cache_clear()
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: driver and cuda is not None and usable)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))


@pytest.fixture(autouse=True)
def asked_anew() -> Any:
    yield
    subject._without_cuda.cache_clear()


# where, and in what


@pytest.mark.parametrize(
    ("driver", "why"), [(True, "not installed: pip install 'streammatte[torch]'"), (False, NO_DRIVER)]
)
def test_without_torch(driver: bool, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, driver=driver)
    monkeypatch.setattr(subject, "find_spec", lambda name: None)
    assert TorchRuntime().unavailable() == why


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ({}, None),
        ({"driver": False}, NO_DRIVER),
        ({"cuda": None}, "this torch is built without CUDA: install one that has it, see https://pytorch.org/"),
        ({"usable": False}, f"torch {torch.__version__} cannot use this GPU: its driver is older than CUDA 13.0"),
    ],
)
def test_auto_takes_it_on_a_gpu_alone(
    machine: dict[str, Any], why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, **machine)
    found = TorchRuntime().declined()
    assert found is None if why is None else (found or "").startswith(why)
    assert TorchRuntime().unavailable() is None, "whoever asks for it by name gets it on the CPU"
    assert TorchRuntime().identity()[1] == ("GPU 1" if why is None else "CPU")
    assert ("fp16" in TorchRuntime().precisions()) == (why is None)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 5), ("fp16", "f32")), ((8, 0), ("fp16", "bf16", "f32")), ((12, 0), ("fp16", "bf16", "f32"))],
)
def test_what_a_gpu_computes(
    capability: tuple[int, int], expected: tuple[Precision, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert TorchRuntime().precisions() == expected


def load(path: Path, precision: Precision = "f32", output: int = 0) -> Any:
    return TorchRuntime().load(path, "0", output=output, precision=precision, cache=None)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"precision": "fp16"}, "it computes in f32 on CPU"),
        ({"precision": "int8"}, "it computes in f32 on CPU"),
        ({"output": 1}, "its networks compute the first output alone"),
        ({}, r".*tiny\.onnx: not a network streammatte knows in torch"),
    ],
)
def test_what_it_refuses(asked: dict[str, Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, driver=False)
    with pytest.raises(RuntimeUnavailable) as caught:
        load(write_network(tmp_path / "tiny.onnx"), **asked)
    assert re.fullmatch(why, caught.value.reasons["torch"])


@pytest.mark.parametrize(("driver", "device"), [(True, "cuda:1"), (False, "cpu")])
def test_which_device_a_network_goes_to(driver: bool, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, driver=driver)
    monkeypatch.setattr(streammatte.networks.onnx_weights, "from_onnx", lambda path: f"network of {path}")
    monkeypatch.setattr(streammatte.networks.session, "open_session", lambda *given: given)
    identity = TorchRuntime().identity()
    assert load(Path("a.onnx")) == ("network of a.onnx", device, "f32", identity)


# sessions


class Seen(torch.nn.Module):
    """Gives its input's first plane, and remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 1, 1)
        self.batches: list[Any] = []
        self.switches: list[tuple[str, str]] = []
        self.meanwhile: Any = lambda: None

    def forward(self, x: Any) -> Any:
        self.batches.append(x)
        self.switches.append(switches())
        self.meanwhile()
        self.switches.append(switches())
        return x[:, :1].float()


def switches() -> tuple[str, str]:
    return torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision


def seen(precision: Precision = "f32") -> tuple[TorchSession, Seen]:
    network = Seen()
    return open_session(network, "cpu", precision, IDENTITY), network


def batch(seed: int = 0) -> Any:
    return np.random.default_rng(seed).random((1, 3, 8, 12), np.float32)


@pytest.mark.parametrize(("precision", "dtype"), [("f32", "float32"), ("fp16", "float16"), ("bf16", "bfloat16")])
def test_what_a_network_is_given(precision: Precision, dtype: str) -> None:
    session, network = seen(precision)
    found = session.run(batch())
    (given,) = network.batches
    assert (given.dtype, network.layer.weight.dtype) == (getattr(torch, dtype),) * 2
    assert given.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(found[0, 0], torch.from_numpy(batch()).to(given.dtype).float().numpy()[0, 0])
    assert isinstance(session, DeviceSession)
    assert (session.device, session.info.precision) == ("cpu", precision)


@pytest.mark.parametrize(("precision", "apart"), [("f32", 1e-5), ("fp16", 2e-3), ("bf16", 2e-2)])
def test_networks_in_every_precision(precision: Precision, apart: float) -> None:
    wanted, network = sample_network(), sample_network()
    for_inference(network)
    session = open_session(network, "cpu", precision, IDENTITY)
    for picture in pictures(32, 64).values():
        found = session.run_on(picture)
        assert (found.dtype, found.requires_grad, found.is_contiguous()) == (torch.float32, False, True)
        difference = float((found - wanted(picture)).detach().abs().max())
        assert difference <= apart
        assert (difference > 2e-5) == (precision != "f32"), "it really is another arithmetic"


def test_a_batch_that_cannot_be_written_to() -> None:
    session, _ = seen()
    given = batch()
    given.flags.writeable = False
    assert np.array_equal(session.run(given)[0, 0], given[0, 0])


EXACT = ("ieee", "ieee")


@pytest.fixture(params=[("tf32", "none"), ("ieee", "tf32")])
def before(request: pytest.FixtureRequest) -> Any:
    """What others have set; the first is torch's own."""
    kept = switches()
    torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision = request.param
    yield request.param
    torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision = kept


def test_float32_is_float32_meanwhile(before: tuple[str, str]) -> None:
    session, network = seen()
    session.run(batch())
    session.run_on(torch.from_numpy(batch()))
    assert network.switches == [EXACT] * 4
    assert switches() == before


def test_it_is_as_it_was_after_a_failure(before: tuple[str, str]) -> None:
    session, network = seen()

    def fail() -> None:
        raise MemoryError

    network.meanwhile = fail
    with pytest.raises(MemoryError):
        session.run(batch())
    assert switches() == before


def test_two_sessions_that_overlap(before: tuple[str, str]) -> None:
    """The first to start is the first to end."""
    (first, one), (second, other) = seen(), seen()
    inside, go_on = threading.Event(), threading.Event()

    def until_told() -> None:
        inside.set()
        assert go_on.wait(30)

    one.meanwhile = until_told
    thread = threading.Thread(target=first.run, args=(batch(),))
    thread.start()
    assert inside.wait(30)

    def let_the_first_end() -> None:
        go_on.set()
        thread.join(30)

    other.meanwhile = let_the_first_end
    second.run(batch())
    assert not thread.is_alive()
    assert other.switches == [EXACT] * 2
    assert switches() == before
