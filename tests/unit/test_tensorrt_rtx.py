"""The real TensorRT-RTX, which parses and builds where there is no GPU: all up to the plan is production code."""

from __future__ import annotations

import ctypes
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scenes import write_network
from tiny import SIDE, make_tiny, tiny_model

pytest.importorskip("tensorrt_rtx", reason="pip install 'streammatte[tensorrt-rtx]'")
torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")

from tiny_networks import sample_network, tiny_birefnet, unsettle  # noqa: E402

import streammatte.runtimes.tensorrt as subject  # noqa: E402
from streammatte.errors import RuntimeUnavailable  # noqa: E402
from streammatte.networks import build  # noqa: E402
from streammatte.networks.export import to_onnx  # noqa: E402
from streammatte.ports import Precision  # noqa: E402
from streammatte.quantization.calibration import Calibration, unsigned_up_to  # noqa: E402
from streammatte.quantization.qdq import quantize  # noqa: E402
from streammatte.runtimes import trt_session  # noqa: E402
from streammatte.runtimes.trt_building import Blueprint, build_plan, target_of  # noqa: E402
from streammatte.runtimes.trt_library import Library, opened  # noqa: E402
from streammatte.runtimes.trt_plans import Plans  # noqa: E402
from streammatte.runtimes.trt_session import engine_of  # noqa: E402
from streammatte.weights.cache import sha256_of  # noqa: E402

pytestmark = pytest.mark.rtx
TARGETS = ("", "SM86", "SM120")
LEAST_BYTES = 100_000


@pytest.fixture(scope="module")
def library() -> Library:
    return opened("tensorrt_rtx")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, Path]:
    """One of each part that the big networks repeat, exported as users export them."""
    folder = tmp_path_factory.mktemp("sample")
    files: dict[Precision, Path] = {"f32": folder / "f32.onnx", "fp16": folder / "fp16.onnx"}
    files["f32"].write_bytes(to_onnx(sample_network(), width=96, height=64, precision="f32"))
    files["fp16"].write_bytes(to_onnx(sample_network(), width=96, height=64, precision="fp16"))
    return files


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> Path:
    make_tiny(tmp_path)
    return tmp_path / "tiny.source"


def plan(library: Library, onnx_file: Path, precision: Precision = "f32", target: str = "", **more: Any) -> bytes:
    return bytes(build_plan(library, Blueprint(onnx_file, 0, precision, target), **more))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", ["f32", "fp16"])
def test_exported_networks_become_plans(
    library: Library, sample: dict[Precision, Path], precision: Precision, target: str
) -> None:
    assert len(plan(library, sample[precision], precision, target)) > LEAST_BYTES


def test_float16_weighs_half(library: Library, sample: dict[Precision, Path]) -> None:
    sizes = {precision: len(plan(library, sample[precision], precision, "SM86")) for precision in ("f32", "fp16")}
    assert sizes["fp16"] < sizes["f32"] - sample["f32"].stat().st_size / 3, sizes


def test_the_same_plan_each_time_and_another_for_another_gpu(library: Library, tiny_onnx: Path) -> None:
    assert plan(library, tiny_onnx) == plan(library, tiny_onnx)
    assert plan(library, tiny_onnx, target="SM86") != plan(library, tiny_onnx, target="SM120")


def test_int8_networks_become_plans(library: Library, tiny_onnx: Path, tmp_path: Path) -> None:
    model = tiny_model(tiny_onnx.parent)
    activations = {"rgb": unsigned_up_to(1.0)}
    facts = Calibration(model.sha256, frozenset(), activations, {}, "nothing", "the tests")
    onnx.save(quantize(onnx.load(tiny_onnx), facts), tmp_path / "int8.onnx")
    assert len(plan(library, tmp_path / "int8.onnx", "int8", "SM86")) > LEAST_BYTES


def test_each_output_is_a_plan_of_its_own(library: Library, tmp_path: Path) -> None:
    network = write_network(tmp_path / "tiny.onnx")
    plans = [bytes(build_plan(library, Blueprint(network, output, "f32", "SM86"))) for output in (0, 1)]
    assert b"red" in plans[0]
    assert b"green" not in plans[0], "the other one is not computed"
    assert b"green" in plans[1]


def test_targets_are_what_the_library_has(library: Library) -> None:
    assert [target_of(library, each) for each in ((7, 5), (8, 9), (12, 0), (9, 0), (6, 1))] == [
        "SM75",
        "SM89",
        "SM120",
        "",
        "",
    ]


def test_a_batch_of_any_size_is_built_for_1(library: Library, tiny_onnx: Path) -> None:
    fixed = plan(library, tiny_onnx)
    network = onnx.load(tiny_onnx)
    for end in (*network.graph.input, *network.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save(network, tiny_onnx)
    assert abs(len(plan(library, tiny_onnx)) - len(fixed)) < 1000


def test_progress_is_seen_and_goes_one_way(library: Library, sample: dict[Precision, Path]) -> None:
    told: list[tuple[str, int, int]] = []
    plan(library, sample["f32"], building=lambda *what: told.append(what))
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1000)
    assert len(set(done)) > 20
    assert {"optimizing graph"} < {phase for phase, _, _ in told}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_raising_ends_the_build(
    library: Library,
    sample: dict[Precision, Path],
    error: type[BaseException],
    capfd: pytest.CaptureFixture[str],
) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if done > 10:
            raise error("enough")

    with pytest.raises(error, match="enough"):
        plan(library, sample["f32"], building=stop)
    assert not any(thread.name == "engine build" for thread in threading.enumerate())
    assert capfd.readouterr() == ("", ""), "the library has seen no exception"


def test_others_run_while_it_builds(library: Library, sample: dict[Precision, Path]) -> None:
    """The library lets go of the interpreter: a live picture goes on, and Ctrl-C is heard."""
    moments: list[float] = []
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.002):
            moments.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    plan(library, sample["f32"])
    over.set()
    thread.join()
    assert len(moments) > 10


def test_failures_are_told_in_its_words(
    library: Library, sample: dict[Precision, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"cannot build the network: .* for Turing \(SM75\): FP32 GEMM"):
        plan(library, sample["f32"], target="SM75")
    (tmp_path / "not.onnx").write_bytes(b"not a network")
    with pytest.raises(RuntimeUnavailable, match=r"cannot read not.onnx: .*Failed to parse the ONNX model"):
        plan(library, tmp_path / "not.onnx")
    with pytest.raises(RuntimeUnavailable, match=r"cannot read absent.onnx: "):
        plan(library, tmp_path / "absent.onnx")
    assert capfd.readouterr() == ("", "")


def test_an_operator_it_does_not_have_is_named(library: Library, tmp_path: Path) -> None:
    sizes = {"rgb": [1, 3, 8, 8], "y": [1, 1, 8, 8]}
    source, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in sizes.items())
    constants = {"w": np.ones((1, 3, 1, 1)), "o": np.zeros((1, 2, 8, 8))}
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    node = helper.make_node("DeformConv", ["rgb", "w", "o"], ["y"], name="bends")
    graph = helper.make_graph([node], "g", [source], [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]), tmp_path / "deform.onnx")
    with pytest.raises(RuntimeUnavailable, match=r"\(node bends, a DeformConv\)"):
        plan(library, tmp_path / "deform.onnx")


def valid_until(library: Library, good: bytes) -> Any:
    """Reads a plan as far as that goes without a GPU: its first bytes must be those of a plan of this library."""
    header = library.module.Runtime(library.logger).engine_header_size

    def read(content: Any) -> bytes:
        if bytes(memoryview(content))[:16] != good[:16] or memoryview(content).nbytes <= header:
            raise ValueError("damaged")
        return bytes(memoryview(content))

    return read


def test_plans_are_kept_healed_and_built_anew_for_another_key(
    library: Library, tiny_onnx: Path, tmp_path: Path
) -> None:
    blueprint = Blueprint(tiny_onnx, 0, "f32", "SM86")
    read = valid_until(library, plan(library, tiny_onnx, target="SM86"))
    told: list[int] = []

    def engine(key: str) -> tuple[bytes, bool, tuple[str, ...]]:
        plans: Plans[bytes] = Plans(tmp_path / "engines", {"key": key})
        found = plans.engine(read, lambda: build_plan(library, blueprint, building=lambda *what: told.append(what[1])))
        return found, plans.hit, plans.notes

    first, hit, notes = engine("one")
    assert (hit, notes) == (False, ())
    assert told
    told.clear()
    assert engine("one") == (first, True, ())
    assert told == []
    (kept,) = (tmp_path / "engines").glob("*.plan")
    assert kept.read_bytes() == first
    kept.write_bytes(first[:3])
    healed, hit, (note,) = engine("one")
    assert (healed, hit) == (first, False)
    assert "rebuilt: damaged" in note
    assert kept.read_bytes() == first
    assert engine("two")[1:] == (False, ())
    assert len(list((tmp_path / "engines").glob("*.plan"))) == 2


def test_a_plan_that_is_not_valid_here_says_why(library: Library, tiny_onnx: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="cannot load the engine: the file is damaged"):
        engine_of(library, b"foreign" * 40)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeUnavailable, match="cannot load the engine: it is not valid on this machine"):
            engine_of(library, build_plan(library, Blueprint(tiny_onnx, 0, "f32", "")))


class MeanEngine:
    """What would be deserialised: gives the mean of R'G'B'."""

    num_io_tensors = 2

    def __init__(self, library: Library) -> None:
        self._modes = library.module.TensorIOMode
        self._addresses: dict[str, int] = {}

    def get_tensor_name(self, index: int) -> str:
        return ("rgb", "alpha")[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self._modes.INPUT if name == "rgb" else self._modes.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (1, 3 if name == "rgb" else 1, SIDE, SIDE)

    def create_execution_context(self) -> MeanEngine:
        return self

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        rgb, alpha = (
            np.frombuffer((ctypes.c_float * (sides * SIDE * SIDE)).from_address(self._addresses[name]), np.float32)
            for name, sides in (("rgb", 3), ("alpha", 1))
        )
        alpha[...] = rgb.reshape(3, -1).mean(0)
        return True


def test_all_of_a_load_but_what_needs_a_gpu(
    library: Library, tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def engine_here(library: Library, plan: Any) -> MeanEngine:
        read.append(memoryview(plan).nbytes)
        return MeanEngine(library)

    here = SimpleNamespace(words="a GPU", capability=(8, 6), device="cpu", current=nullcontext)
    monkeypatch.setattr(subject, "engine_of", engine_here)
    monkeypatch.setattr(subject, "_gpu", lambda: here)
    monkeypatch.setattr(subject, "_runtime_cache", lambda *where: None)  # an engine of theirs makes it
    monkeypatch.setattr(trt_session, "_stream_handle", lambda device: 0)
    runtime = subject.TensorRtRtxRuntime()
    rgb = np.random.default_rng(1).random((1, 3, SIDE, SIDE), np.float32)
    for hit in (False, True):
        session = runtime.load(tiny_onnx, sha256_of(tiny_onnx), output=0, precision="f32", cache=tmp_path)
        assert (session.info.cache_hit, session.info.runtime) == (hit, library.version)
        assert np.allclose(session.run(rgb)[0, 0], rgb[0].mean(0), atol=1e-6)
    (kept,) = (tmp_path / "engines").glob("*.plan")
    assert read == [kept.stat().st_size] * 2


@pytest.mark.export
@pytest.mark.parametrize(
    ("name", "side", "precision"),
    [
        ("tiny", 96, "fp16"),
        ("u2netp", 320, "f32"),
        ("u2net", 320, "fp16"),
        ("birefnet:swin_v1_t", 256, "f32"),
        ("birefnet:swin_v1_t", 256, "fp16"),
    ],
)
def test_whole_networks_become_plans(library: Library, name: str, side: int, precision: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind, _, backbone = name.partition(":")
    network = tiny_birefnet() if name == "tiny" else build(kind, backbone=backbone)
    unsettle(network)
    path = tmp_path / "network.onnx"
    path.write_bytes(to_onnx(network, width=side, height=side, precision=precision))
    told: list[int] = []
    made = plan(library, path, precision, building=lambda phase, done, total: told.append(done))
    assert len(made) > path.stat().st_size / 2
    assert told == sorted(told)
