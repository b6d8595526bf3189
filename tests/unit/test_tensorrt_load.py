"""The TensorRT runtimes from file to session, over a library that stands in for theirs: versions 10, 11 and RTX."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from fake_trt import ALIGNMENT_BYTES, Seen, fake_trt, plan_of
from scenes import NETWORK, red_alpha, write_network

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

import streammatte.runtimes.tensorrt as subject  # noqa: E402
from streammatte.engine_cache import EngineCache  # noqa: E402
from streammatte.errors import ContractError, RuntimeUnavailable  # noqa: E402
from streammatte.ports import DeviceSession, Precision  # noqa: E402
from streammatte.runtimes import trt_session  # noqa: E402
from streammatte.runtimes.tensorrt import TensorRtRtxRuntime, TensorRtRuntime  # noqa: E402
from streammatte.runtimes.trt_library import Library  # noqa: E402
from streammatte.weights.cache import sha256_of  # noqa: E402

torch.set_num_threads(1)
LIBRARIES = {"10": "10.16.1.11", "11": "11.4.0.106", "rtx": "1.7.1.116"}
STREAM = 77


@dataclass
class Gpu:
    """A GPU whose memory is the CPU's."""

    words: str = "a GPU, compute capability 8.6"
    capability: tuple[int, int] = (8, 6)
    device: str = "cpu"
    current: Callable[[], Any] = nullcontext


@dataclass
class Here:
    """A runtime, the library it finds, the GPU, and where it keeps things."""

    runtime: Any
    library: Library
    seen: Seen
    gpu: Gpu
    network: Path
    cache: Path

    def load(self, output: int = 0, precision: Precision = "f32", cache: bool = True, **more: Any) -> Any:
        where = self.cache if cache else None
        sha256 = sha256_of(self.network)
        return self.runtime.load(self.network, sha256, output=output, precision=precision, cache=where, **more)

    def kept(self, suffix: str) -> list[Path]:
        return sorted((self.cache / "engines").glob(f"*{suffix}"))

    @property
    def rtx(self) -> bool:
        return self.runtime.name == "tensorrt_rtx"


def stand_in(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    runtime = TensorRtRtxRuntime() if kind == "rtx" else TensorRtRuntime()
    module = fake_trt(LIBRARIES[kind], kind == "rtx")
    library, gpu = Library(runtime.name, module), Gpu()
    monkeypatch.setattr(subject, "opened", lambda name: library)
    monkeypatch.setattr(subject, "_gpu", lambda: gpu)
    monkeypatch.setattr(trt_session, "_stream_handle", lambda device: STREAM)
    return Here(runtime, library, module.seen, gpu, write_network(folder / "tiny.onnx"), folder / "cache")


@pytest.fixture(params=LIBRARIES)
def here(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    return stand_in(request.param, tmp_path, monkeypatch)


@pytest.fixture
def rtx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    return stand_in("rtx", tmp_path, monkeypatch)


@pytest.fixture
def classic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    return stand_in("11", tmp_path, monkeypatch)


def batch(seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((1, 3, NETWORK[1], NETWORK[0]), np.float32)


# what is built


@pytest.mark.parametrize("precision", ["f32", "fp16", "int8"])
def test_what_the_builder_is_asked_for(here: Here, precision: Precision) -> None:
    here.load(precision=precision, cache=False)
    (built,) = here.seen.builds
    assert built["strongly_typed"], "what is computed in what is the graph's to say"
    assert built["flags"] == ([] if precision == "f32" else ["TF32"]), "f32 means f32"
    assert built["target"] == ("SM86" if here.rtx else "")
    assert built["output"] == "red", "the other output is not computed"
    assert here.seen.plugins == (0 if here.rtx else 1)


@pytest.mark.parametrize(("capability", "target"), [((7, 5), "SM75"), ((12, 0), "SM120"), ((9, 0), "")])
def test_a_gpu_that_rtx_has_no_name_for_gets_what_is_compiled_for_all(
    rtx: Here, capability: tuple[int, int], target: str
) -> None:
    rtx.gpu.capability = capability
    rtx.load(cache=False)
    assert rtx.seen.builds[0]["target"] == target


def test_info_and_identity(here: Here) -> None:
    info = here.load(cache=False, streams=4).info
    assert (info.runtime, info.device) == here.runtime.identity()
    assert info.runtime.split()[0] == here.runtime.name
    assert info.device == here.gpu.words
    assert (info.precision, info.streams, info.cache_hit, info.notes) == ("f32", 1, False, ())


def test_what_it_says_of_itself(here: Here) -> None:
    runtime = here.runtime
    assert runtime.precisions() == ("fp16", "f32")
    assert (runtime.trusted, runtime.strongly_typed, runtime.declined()) == (False, True, None)


def test_bf16_is_refused_before_anything_is_built(here: Here) -> None:
    with pytest.raises(RuntimeUnavailable, match="fp16, f32 and int8 can be had") as caught:
        here.load(precision="bf16")
    assert list(caught.value.reasons) == [here.runtime.name]
    assert not here.seen.builds


def changed(path: Path, change: Callable[[Any], None]) -> None:
    network = onnx.load(path)
    change(network.graph)
    onnx.save(network, path)


def test_a_batch_of_any_size_is_made_one_of_1(here: Here) -> None:
    def free(graph: Any) -> None:
        for end in (*graph.input, *graph.output):
            end.type.tensor_type.shape.dim[0].dim_param = "N"

    changed(here.network, free)
    session = here.load(cache=False)
    assert here.seen.builds[0]["input"] == ("rgb", (1, 3, *NETWORK[::-1]))
    assert session.run(batch(1)).shape == (1, 1, *NETWORK[::-1])


def no_size(graph: Any) -> None:
    graph.input[0].type.tensor_type.shape.dim[2].dim_param = "h"


def two_inputs(graph: Any) -> None:
    graph.input.append(graph.input[0])


def half_out(graph: Any) -> None:
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def half_in(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def plugin(graph: Any) -> None:
    graph.node[0].op_type, graph.node[0].name = "DeformConv", "seventh"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_size, r"input rgb has no fixed size, \(1, 3, -1, 40\); export it with one"),
        (two_inputs, "one input and an output number 0 are needed, but it has 2 inputs and 2 outputs"),
        (half_out, "red is DataType.HALF, and must be float32"),
        (half_in, "rgb is DataType.HALF, and must be float32"),
        (plugin, r"cannot read tiny.onnx: Plugin not found \(node seventh, a DeformConv\)"),
    ],
)
def test_networks_that_cannot_be_run_say_why(here: Here, change: Callable[[Any], None], words: str) -> None:
    changed(here.network, change)
    with pytest.raises(RuntimeUnavailable, match=words) as caught:
        here.load()
    assert list(caught.value.reasons) == [here.runtime.name]
    assert not here.kept("")


def test_an_output_that_is_not_there(here: Here) -> None:
    with pytest.raises(RuntimeUnavailable, match="output number 2 are needed, but it has 1 inputs and 2 outputs"):
        here.load(output=2)


def test_what_is_no_network(here: Here) -> None:
    here.network.write_bytes(b"not a network")
    with pytest.raises(RuntimeUnavailable) as caught:
        here.load()
    assert caught.value.reasons[here.runtime.name] == "cannot read tiny.onnx: Failed to parse the ONNX model."


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("build", "cannot build the network: Error Code 10: no implementation for node 7"),
        ("deserialize", "cannot load the engine: IRuntime::deserializeCudaEngine: incompatible serialization version"),
        ("context", "cannot start the engine: out of memory"),
        ("address", "cannot start the engine: rgb: address is not aligned"),
        ("run", "the engine failed: an illegal memory access was encountered"),
    ],
)
def test_a_failure_is_told_in_the_librarys_words(
    here: Here, fails: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    here.seen.fails = fails
    with pytest.raises(RuntimeUnavailable) as caught:
        here.load(cache=False)
    words = words.replace("rgb", "red")  # the output's memory is given first
    assert caught.value.reasons == {here.runtime.name: words}
    assert capfd.readouterr() == ("", "")
    here.seen.fails = ""
    assert here.load(cache=False).run(batch(1)).shape == (1, 1, *NETWORK[::-1])
    assert here.library._listeners == [], "nobody listens any more"


@pytest.mark.parametrize(
    ("diagnostics", "words"),
    [(4, "driver is too old"), (2, "other GPUs"), (1 | 16, "another version of the library, and the GPU has too")],
)
def test_rtx_says_beforehand_that_a_plan_would_not_run(rtx: Here, diagnostics: int, words: str) -> None:
    rtx.seen.diagnostics = diagnostics
    with pytest.raises(RuntimeUnavailable, match=words):
        rtx.load()
    assert not rtx.kept(".plan"), "it would not run next time either"


def test_it_is_built_and_loaded_on_the_gpu_it_is_for(here: Here) -> None:
    entered: list[int] = []

    @contextmanager
    def current() -> Iterator[None]:
        entered.append(threading.get_ident())
        yield

    here.gpu.current = current
    here.load(cache=False)
    assert len(entered) == 2
    assert entered[0] == threading.get_ident() != entered[1], "a thread's current device is its own"


def test_the_gpu_is_torchs_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU number {index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (8, 8 + index))
    gpu = subject._gpu()
    assert (gpu.device, gpu.words) == ("cuda:1", "GPU number 1, compute capability 8.9")
    assert (gpu.capability, gpu.current().idx) == ((8, 9), 1)  # type: ignore[attr-defined]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=int(device[5:]) + 5))
    assert trt_session._stream_handle("cuda:1") == 6


# progress


def test_progress_goes_one_way_and_ends(here: Here) -> None:
    told: list[tuple[str, int, int]] = []
    here.load(building=lambda *what: told.append(what))
    assert told[0] == ("reading the network", 0, 1000)
    assert told[-1] == ("built", 1000, 1000)
    assert {"timing graph nodes", "writing"} < {phase for phase, _, _ in told}
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert len(set(done)) > 5
    told.clear()
    here.load(building=lambda *what: told.append(what))
    assert told == [], "what comes from the cache is not built"


@pytest.mark.parametrize("at", ["reading the network", "timing graph nodes", "built"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_the_listener_raises_ends_the_build(here: Here, error: type[BaseException], at: str) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if phase == at:
            raise error("enough")

    with pytest.raises(error, match="enough"):
        here.load(building=stop)
    assert not here.kept(".plan")
    assert here.load().run(batch(1)).shape == (1, 1, *NETWORK[::-1])


# what is kept


def test_a_plan_is_kept_and_found(here: Here) -> None:
    first, second = here.load(), here.load()
    assert (first.info.cache_hit, second.info.cache_hit) == (False, True)
    assert len(here.seen.builds) == len(here.kept(".plan")) == 1
    assert np.array_equal(first.run(batch(1)), second.run(batch(1)))
    assert plan_of(here.kept(".plan")[0])["output"] == "red"


def test_each_thing_that_makes_another_plan_is_in_the_key(here: Here) -> None:
    here.load()
    here.load(output=1)
    here.load(precision="fp16")
    here.gpu.words = "another GPU"
    here.load()
    here.network.write_bytes(here.network.read_bytes() + b"\x0a\x00")
    here.load(streams=3)
    assert len(here.kept(".plan")) == len(here.seen.builds) == 5
    here.load(streams=1)
    assert len(here.seen.builds) == 5, "one takes one picture at a time, whatever is asked"


def test_another_version_builds_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("10", "11"):
        here = stand_in(kind, tmp_path, monkeypatch)
        assert not here.load().info.cache_hit
    assert len(here.kept(".plan")) == 2


def test_a_plan_that_cannot_be_read_is_built_anew_once(here: Here) -> None:
    wanted = here.load().run(batch(1))
    (plan,) = here.kept(".plan")
    good = plan.read_bytes()
    plan.write_bytes(b"foreign")
    again = here.load()
    assert not again.info.cache_hit
    (note,) = again.info.notes
    assert note.startswith("cached engine could not be loaded and was rebuilt")
    assert ("damaged" if here.rtx else "incompatible serialization version") in note
    assert np.array_equal(again.run(batch(1)), wanted)
    assert plan.read_bytes() == good
    assert here.load().info.notes == ()
    assert len(here.seen.builds) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(here: Here) -> None:
    here.cache.write_bytes(b"")
    session = here.load()
    assert session.info.notes[0].startswith("built engine could not be kept")
    assert np.abs(session.run(batch(1))[0, 0] - red_alpha(batch(1)[0].transpose(1, 2, 0))).max() < 1e-5


def test_what_was_measured_serves_the_next_network(classic: Here) -> None:
    classic.load()
    classic.load(output=1)
    classic.gpu.words = "another GPU"
    classic.load()
    assert classic.seen.timings == [b"", b"learnt by 11.4.0.106", b""]
    assert len(classic.kept(".timing")) == 2


@pytest.mark.parametrize("content", [b"garbage", b"learnt elsewhere"])
def test_measurements_that_are_no_use_are_made_anew(classic: Here, content: bytes) -> None:
    classic.load()
    (timing,) = classic.kept(".timing")
    timing.write_bytes(content)
    classic.load(output=1)
    assert classic.seen.timings[-1] == b""
    assert timing.read_bytes() == b"learnt by 11.4.0.106"


def test_rtx_measures_nothing(rtx: Here) -> None:
    rtx.load()
    assert not rtx.kept(".timing")


def test_what_rtx_compiled_is_kept_from_the_start(rtx: Here) -> None:
    first = rtx.load()
    (kept,) = rtx.kept(".runtime")
    assert kept.read_bytes().startswith(b"learnt")
    rtx.load()
    rtx.load(output=1)
    assert rtx.seen.compiled == [b"", kept.read_bytes(), b""]
    assert len(rtx.kept(".runtime")) == 2, "one for each plan"
    kept.unlink()
    first.close()
    assert not kept.is_file(), "what is written already is not written again"


def test_what_rtx_compiles_later_is_kept_on_close(rtx: Here) -> None:
    session = rtx.load()
    session._kept._lent.content = b"learnt more"
    session.close()
    assert rtx.kept(".runtime")[0].read_bytes() == b"learnt more"


def test_what_rtx_compiled_for_another_driver_is_compiled_anew(rtx: Here) -> None:
    rtx.load()
    (kept,) = rtx.kept(".runtime")
    good = kept.read_bytes()
    kept.write_bytes(b"by another driver")
    session = rtx.load()
    assert rtx.seen.compiled == [b"", b""]
    assert (session.info.cache_hit, session.info.notes) == (True, ())
    assert kept.read_bytes() == good


def test_what_is_kept_says_in_words_what_it_is(classic: Here) -> None:
    classic.load()
    for path in classic.kept(".plan") + classic.kept(".timing"):
        words = path.with_suffix(".json").read_text()
        assert "tensorrt 11.4.0.106" in words
        assert classic.gpu.words in words


# sessions


def test_it_computes_the_network(here: Here) -> None:
    session = here.load(cache=False)
    for seed in (1, 2):
        given = batch(seed)
        kept = given.copy()
        found = session.run(given)
        assert (found.dtype, found.shape) == (np.dtype(np.float32), (1, 1, *NETWORK[::-1]))
        assert np.abs(found[0, 0] - red_alpha(given[0].transpose(1, 2, 0))).max() < 1e-5
        assert np.array_equal(given, kept)
    assert np.abs(here.load(output=1, cache=False).run(batch(3))[0, 0] - batch(3)[0, 1]).max() < 1e-6


def test_results_are_the_callers_own_and_any_layout_will_do(here: Here) -> None:
    session = here.load(cache=False)
    first = session.run(batch(1))
    kept = first.copy()
    session.run(batch(2))
    assert np.array_equal(first, kept)
    loose = np.asfortranarray(batch(1))
    loose.flags.writeable = False
    assert np.array_equal(session.run(loose), kept)


def test_on_the_device_nothing_is_copied(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trt_session, "_ALIGNMENT_BYTES", ALIGNMENT_BYTES)  # torch's on a CPU
    session = here.load(cache=False)
    assert isinstance(session, DeviceSession)
    assert session.device == here.gpu.device
    there = torch.from_numpy(batch(1))
    found = session.run_on(there)
    assert here.seen.addresses[-1] == there.data_ptr()
    assert np.array_equal(found.numpy(), session.run(batch(1)))
    assert session.run_on(there).data_ptr() == found.data_ptr(), "the next call writes over it"
    assert set(here.seen.streams) == {STREAM}
    assert len(here.seen.streams) == 4, "and once while loading, so that it can be captured"


def test_a_view_that_begins_anywhere_is_aligned(here: Here) -> None:
    session = here.load(cache=False)
    room = torch.zeros(3 * NETWORK[0] * NETWORK[1] + 1)
    off = room[1:].view(1, 3, *NETWORK[::-1])
    off.copy_(torch.from_numpy(batch(1)))
    assert off.data_ptr() % ALIGNMENT_BYTES, "which the library refuses"
    assert np.array_equal(session.run_on(off).numpy(), session.run(batch(1)))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda good: good[:, :2],
        lambda good: good.double(),
        lambda good: good.transpose(2, 3).contiguous().transpose(2, 3),
        lambda good: good.to("meta"),
    ],
)
def test_what_it_would_misread_is_refused(here: Here, wrong: Callable[[Any], Any]) -> None:
    session = here.load(cache=False)
    with pytest.raises(ContractError, match=r"a batch of \(shape, type, contiguous, device\)"):
        session.run_on(wrong(torch.from_numpy(batch(1))))
    assert len(here.seen.streams) == 1


def test_close_releases_the_engine_and_may_be_called_twice(here: Here) -> None:
    first, second = here.load(), here.load()
    assert here.seen.contexts == 2
    first.close()
    first.close()
    assert here.seen.contexts == 1
    assert second.run(batch(1)).shape == (1, 1, *NETWORK[::-1])


# whether it can be used


@dataclass
class Machine:
    """What is found on it; all is well unless said otherwise."""

    driver: str | None = None
    missing: tuple[str, ...] = ()
    cuda: str | None = "13.0"
    reachable: bool = True
    broken: bool = False
    version: str = "11.4.0.106"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()

    def opened(name: str) -> Any:
        if found.broken:
            raise OSError("libnvinfer.so.11: cannot open shared object file\nNo such file")
        return SimpleNamespace(version=f"{name} {found.version}", module=SimpleNamespace(__version__=found.version))

    monkeypatch.setattr(subject, "driver_missing", lambda: found.driver)
    monkeypatch.setattr(subject, "find_spec", lambda name: None if name in found.missing else name)
    monkeypatch.setattr(subject, "opened", opened)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(version=found, cuda=found))
    monkeypatch.setattr(Machine, "is_available", lambda self: self.reachable, raising=False)
    return found


@pytest.mark.parametrize("runtime", [TensorRtRuntime(), TensorRtRtxRuntime()], ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, None),
        (
            {"driver": "no NVIDIA GPU on this machine", "missing": ("tensorrt", "torch")},
            "no NVIDIA GPU on this machine",
        ),
        ({"missing": ("tensorrt", "tensorrt_rtx", "torch")}, "not installed: pip install 'streammatte[{extra}]'"),
        ({"missing": ("torch",)}, "needs torch for what lies on the GPU: pip install 'streammatte[torch]'"),
        ({"cuda": None}, "needs a torch built with CUDA: see https://pytorch.org/get-started/locally"),
        ({"reachable": False}, "torch, built with CUDA 13.0, cannot use the GPU: update the NVIDIA driver"),
        ({"broken": True}, "installed, but it cannot be loaded: libnvinfer.so.11: cannot open shared object file"),
        ({"version": "8.6.1"}, "tensorrt 8.6.1 is too old: pip install -U 'streammatte[tensorrt]'"),
    ],
)
def test_why_not(runtime: Any, found: dict[str, Any], words: str | None, machine: Machine) -> None:
    for name, value in found.items():
        setattr(machine, name, value)
    if "version" in found and runtime.name == "tensorrt_rtx":
        words = None  # its versions are its own
    extra = runtime.name.replace("_", "-")
    assert runtime.unavailable() == (None if words is None else words.format(extra=extra))


def test_the_cache_is_the_engines_own_folder(here: Here) -> None:
    here.load()
    assert {path.parent for path in here.cache.rglob("*") if path.is_file()} == {here.cache / "engines"}
    assert EngineCache(here.cache / "engines", {}, ".plan").load(lambda path: path) is None
