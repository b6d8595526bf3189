"""ONNX Runtime where it has a GPU: what it is asked for, what it is given, and that it does not fall back unseen.

No GPU is needed: onnxruntime is a fake whose sessions double the first plane of what lies at the addresses it is given.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scenes import NETWORK, write_network

import streammatte.runtimes.onnxruntime as subject
from streammatte.errors import RuntimeUnavailable
from streammatte.ports import DeviceSession, Precision, Session, SessionInfo
from streammatte.runtimes.onnxruntime import OnnxRuntime

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
SIZE = (12, 8)


class Binding:
    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def bind_input(self, *given: Any) -> None:
        self.inputs.append(given)

    def bind_output(self, *given: Any) -> None:
        self.outputs.append(given)


class FakeSession:
    """onnxruntime.InferenceSession."""

    def __init__(self, library: FakeLibrary, path: str, options: Any, providers: list[Any], **more: Any) -> None:
        library.opened.append(SimpleNamespace(path=path, options=options, providers=providers, more=more))
        self._library = library
        names = [each if isinstance(each, str) else each[0] for each in providers]
        self._providers = [name for name in names if name == CPU or library.cuda_starts]

    def get_providers(self) -> list[str]:
        return self._providers

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="rgb", shape=[1, 3, 8, 8])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="first"), SimpleNamespace(name="second")]

    def run(self, names: list[str], given: dict[str, Any]) -> list[Any]:
        self._library.ran.append(names)
        return [given["rgb"][:, :1] * 2]

    def io_binding(self) -> Binding:
        return Binding()

    def run_with_iobinding(self, binding: Binding, options: Any) -> None:
        self._library.order.append("run")
        self._library.run_options.append(options.entries)
        ((name, device, index, kind, shape, address),) = binding.inputs
        ((result, *where, out_kind, out_shape, out_address),) = binding.outputs
        assert (name, device, index, kind, where, out_kind) == ("rgb", "cuda", 1, np.float32, ["cuda", 1], np.float32)
        self._library.ran.append([result])
        read = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), shape)
        written = np.ctypeslib.as_array(ctypes.cast(out_address, ctypes.POINTER(ctypes.c_float)), out_shape)
        written[:] = read[:, :1] * 2


class FakeLibrary:
    """The module onnxruntime."""

    __version__ = "1.99.0"

    def __init__(self, available: list[str]) -> None:
        self._available = available
        self.cuda_starts = True
        self.says = ""
        self.opened: list[Any] = []
        self.ran: list[list[str]] = []
        self.order: list[str] = []
        self.run_options: list[dict[str, str]] = []

    def get_available_providers(self) -> list[str]:
        return self._available

    def preload_dlls(self) -> None:
        print(self.says)

    def InferenceSession(self, path: str, options: Any, **how: Any) -> FakeSession:  # noqa: N802
        return FakeSession(self, path, options, **how)

    def SessionOptions(self) -> Any:  # noqa: N802
        return SimpleNamespace()

    def RunOptions(self) -> Any:  # noqa: N802
        entries: dict[str, str] = {}
        return SimpleNamespace(entries=entries, add_run_config_entry=entries.__setitem__)


class Stream:
    """One of torch's; says in `order` what waits for what."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name, self._order = name, order
        self.cuda_stream = 4711
        self.device = SimpleNamespace(type="cuda", index=1)

    def wait_stream(self, other: Stream) -> None:
        self._order.append(f"{self.name} waits for {other.name}")


def on_machine(
    monkeypatch: pytest.MonkeyPatch, *, gpu: bool = True, provider: bool = True, torch: bool = False
) -> FakeLibrary:
    """With a GPU, an onnxruntime that has its provider, and a torch with CUDA; or not."""
    library = FakeLibrary([CUDA, CPU] if provider else [CPU])
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    monkeypatch.setattr(subject, "driver_missing", lambda: None if gpu else "no NVIDIA driver on this machine")
    monkeypatch.setattr(subject, "gpu_in_words", lambda index: f"GPU {index}")
    monkeypatch.setattr(subject, "_torch_has_cuda", lambda: torch)
    found = {"onnxruntime": True, "torch": torch}
    monkeypatch.setattr(subject, "find_spec", lambda name: found.get(name) or None)
    return library


def with_torch(monkeypatch: pytest.MonkeyPatch, library: FakeLibrary) -> Any:
    torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: Stream("its own", library.order))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("current", library.order))
    return torch


def load(precision: Precision = "f32", output: int = 0) -> Session:
    return OnnxRuntime().load(Path("a.onnx"), "0", output=output, precision=precision, cache=None)


def batch() -> Any:
    return np.random.default_rng(1).random((1, 3, SIZE[1], SIZE[0]), np.float32)


@pytest.mark.parametrize(
    ("machine", "on_gpu"),
    [({}, True), ({"gpu": False}, False), ({"provider": False}, False), ({"torch": True}, True)],
)
def test_where_it_runs(machine: dict[str, bool], on_gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    library = on_machine(monkeypatch, **machine)
    if machine.get("torch"):
        with_torch(monkeypatch, library)
    runtime = OnnxRuntime()
    assert runtime.unavailable() is None
    assert (runtime.trusted, runtime.strongly_typed) == (not on_gpu, on_gpu)
    assert runtime.declined() == (None if on_gpu else "runs on the CPU here, where openvino is faster")
    assert runtime.precisions() == (("fp16", "f32") if on_gpu else ("f32",))
    gpu = "GPU 1" if machine.get("torch") else "GPU 0"
    assert runtime.identity() == ("onnxruntime 1.99.0", gpu if on_gpu else "CPU")


@pytest.mark.parametrize(("gpu", "extra"), [(True, "onnxruntime-gpu"), (False, "onnxruntime")])
def test_where_it_is_not_installed(gpu: bool, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, gpu=gpu)
    monkeypatch.setattr(subject, "find_spec", lambda name: None)
    assert OnnxRuntime().unavailable() == f"not installed: pip install 'streammatte[{extra}]'"
    assert OnnxRuntime().trusted, "whoever asks learns something, and no error"


@pytest.mark.parametrize(
    ("gpu", "precision", "why"),
    [
        (True, "bf16", "its CUDA provider has no bf16"),
        (False, "bf16", "its CPU provider has no bf16"),
        (False, "fp16", "its CPU provider has no fp16"),
    ],
)
def test_precisions_it_refuses(gpu: bool, precision: Precision, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = on_machine(monkeypatch, gpu=gpu)
    with pytest.raises(RuntimeUnavailable) as caught:
        load(precision)
    assert caught.value.reasons == {"onnxruntime": why}
    assert library.opened == []


def test_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    library = on_machine(monkeypatch, gpu=False)
    session = load(output=1)
    assert [each.providers for each in library.opened] == [[CPU]]
    assert not isinstance(session, DeviceSession)
    assert np.array_equal(session.run(batch()), batch()[:, :1] * 2)
    assert library.ran == [["second"]]


@pytest.mark.parametrize("precision", ["f32", "fp16"])
def test_on_a_gpu_without_torch(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    library = on_machine(monkeypatch)
    session = load(precision)
    ((opened),) = library.opened
    ((name, how), last) = opened.providers
    assert (name, last) == (CUDA, CPU)
    assert how == {"device_id": "0", "use_tf32": "0"}
    assert opened.more == {"enable_fallback": 0}, "it would go on without a GPU, and print"
    assert opened.options.log_severity_level == 3
    assert not isinstance(session, DeviceSession)
    assert (session.info.device, session.info.precision) == ("GPU 0", precision)
    assert np.array_equal(session.run(batch()), batch()[:, :1] * 2)


def test_on_a_gpu_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    library = on_machine(monkeypatch, torch=True)
    torch = with_torch(monkeypatch, library)
    session = load("fp16", output=1)
    how = library.opened[0].providers[0][1]
    assert how == {"device_id": "1", "use_tf32": "0", "user_compute_stream": "4711"}
    assert isinstance(session, DeviceSession)
    given = torch.from_numpy(batch())
    found = session.run_on(given)
    assert (tuple(found.shape), found.dtype, found.device) == ((1, 1, *SIZE[::-1]), torch.float32, given.device)
    assert torch.equal(found, given[:, :1] * 2)
    assert library.order == ["its own waits for current", "run", "current waits for its own"]
    assert library.run_options == [{"disable_synchronize_execution_providers": "1"}]
    assert library.ran == [["second"]]
    given += 1
    assert session.run_on(given).data_ptr() == found.data_ptr(), "a captured graph reads it there"
    assert torch.equal(found, given[:, :1] * 2)
    assert np.array_equal(session.run(batch()), batch()[:, :1] * 2)


def test_the_real_library_takes_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, as far as calls and addresses go."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'streammatte[onnxruntime]'")
    order: list[str] = []
    stream = Stream("its own", order)
    stream.device = SimpleNamespace(type="cpu", index=0)
    torch = with_torch(monkeypatch, FakeLibrary([]))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("current", order))
    loaded = onnxruntime.InferenceSession(str(write_network(tmp_path / "tiny.onnx")), providers=[CPU])
    session = subject._OnnxDeviceSession(loaded, 1, SessionInfo("onnxruntime", "CPU", "f32"), stream)
    given = torch.rand(1, 3, NETWORK[1], NETWORK[0])
    for _ in range(2):
        torch.testing.assert_close(session.run_on(given), given[:, 1:2])
        given += 1
    assert order == ["its own waits for current", "current waits for its own"] * 2


@pytest.mark.parametrize("says", ["", "Failed to load libcublasLt.so.12: no such file"])
def test_a_cuda_that_does_not_start(
    says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = on_machine(monkeypatch)
    library.cuda_starts, library.says = False, says
    with pytest.raises(RuntimeUnavailable) as caught:
        load()
    why = caught.value.reasons["onnxruntime"]
    assert why.startswith(
        "its CUDA provider does not start; it needs the CUDA and cuDNN it was built with: pip install "
    )
    assert why.endswith(f" ({says})" if says else "'streammatte[onnxruntime-gpu]'")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("installed", "usable"), [(True, True), (True, False), (False, True)])
def test_whether_torch_has_cuda(installed: bool, usable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    monkeypatch.setattr(subject, "find_spec", lambda name: find_spec(name) if installed else None)
    assert subject._torch_has_cuda() == (installed and usable)
