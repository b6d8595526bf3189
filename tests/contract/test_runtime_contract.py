"""What `ports.Runtime` and `ports.Session` promise, over every runtime in the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scenes import NETWORK, red_alpha, write_network

from streammatte import registry
from streammatte.errors import RuntimeUnavailable
from streammatte.ports import DeviceSession, Precision, Runtime, Session
from streammatte.runtimes.openvino import OpenVinoRuntime
from streammatte.weights.cache import sha256_of

FLOATS: tuple[Precision, ...] = ("f32", "fp16", "bf16")
TOLERANCE: dict[Precision, float] = {"f32": 1e-5, "fp16": 5e-3, "bf16": 0.02}
ENGINES = (".blob", ".plan")

Batch = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A network that a runtime can run."""

    path: Path
    halved: Path
    """The same for strongly typed runtimes in fp16."""
    size: tuple[int, int]
    outputs: int
    wanted: Callable[[Batch], npt.NDArray[np.floating]]
    """The first output, (h, w), of a batch."""

    def batch(self, seed: int) -> Batch:
        return np.random.default_rng(seed).random((1, 3, self.size[1], self.size[0]), np.float32)


def _tiny(folder: Path) -> Case:
    path = write_network(folder / "tiny.onnx")
    halved = folder / "halved.onnx"
    halved.write_bytes(in_float16(path))
    return Case(path, halved, NETWORK, 2, lambda batch: red_alpha(batch[0].transpose(1, 2, 0).astype(np.float64)))


def in_float16(path: Path) -> bytes:
    """The tiny network's graph, float32 at both ends and float16 between them."""
    network = onnx.load(path)
    graph = network.graph
    for each in graph.initializer:
        each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float16), each.name))
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [f"{name}.half" if name in ("rgb", "red", "green") else name for name in names]
    graph.node.insert(0, helper.make_node("Cast", ["rgb"], ["rgb.half"], to=TensorProto.FLOAT16))
    for name in ("red", "green"):
        graph.node.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    onnx.checker.check_model(network, full_check=True)
    content: bytes = network.SerializeToString()
    return content


def _known_in_torch(folder: Path) -> Case:
    """A U²-Net-P with weights drawn at random, since torch runs what it knows alone; OpenVINO says what is right."""
    torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")
    from tiny_networks import unsettle

    from streammatte.networks import build
    from streammatte.networks.export import to_onnx

    torch.manual_seed(6)
    network = build("u2netp")
    unsettle(network)
    with torch.no_grad():
        network.outconv.weight *= 10  # what it says is more than gray
    path, size = folder / "u2netp.onnx", (64, 32)
    path.write_bytes(to_onnx(network, width=size[0], height=size[1], precision="f32"))
    reference = OpenVinoRuntime().load(path, sha256_of(path), output=0, precision="f32", cache=None)
    return Case(path, path, size, 1, lambda batch: reference.run(batch)[0, 0])


def _precisions() -> list[tuple[str, Precision]]:
    """Each runtime with each float precision; what this machine does not compute is skipped below."""
    return [(name, precision) for name in registry.RUNTIMES for precision in FLOATS]


@pytest.fixture(params=registry.RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    made: Runtime = registry.load(registry.RUNTIMES, request.param, "--runtime")()
    why = made.unavailable()
    if why is not None:
        pytest.skip(why)
    return made


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """The case of a runtime, by its name."""
    made: dict[Callable[[Path], Case], Case] = {}

    def case(runtime: str) -> Case:
        make = _known_in_torch if runtime == "torch" else _tiny
        if make not in made:
            made[make] = make(tmp_path_factory.mktemp("network"))
        return made[make]

    return case


@pytest.fixture
def network(runtime: Runtime, cases: Callable[[str], Case]) -> Case:
    return cases(runtime.name)


def opened(
    runtime: Runtime, network: Case, output: int = 0, precision: Precision = "f32", cache: Path | None = None
) -> Session:
    path = network.halved if precision == "fp16" and runtime.strongly_typed else network.path
    return runtime.load(path, sha256_of(path), output=output, precision=precision, cache=cache)


@pytest.fixture(params=_precisions(), ids="-".join)
def session(request: pytest.FixtureRequest, cases: Callable[[str], Case]) -> Iterator[tuple[Session, Precision, Case]]:
    name, precision = request.param
    made: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
    if made.unavailable() or precision not in made.precisions():
        pytest.skip(f"{name} has no {precision} here")
    session = opened(made, cases(name), precision=precision)
    yield session, precision, cases(name)
    session.close()


def engines(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.suffix in ENGINES]


def test_it_goes_by_its_name(runtime: Runtime) -> None:
    assert registry.RUNTIMES[runtime.name].target.endswith(f":{type(runtime).__name__}")


def test_why_not_has_a_remedy(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    module = registry.RUNTIMES[runtime.name].target.partition(":")[0]
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    monkeypatch.setattr(f"{module}.driver_missing", lambda: None, raising=False)
    why = runtime.unavailable()
    assert why is not None
    assert "pip install" in why
    assert "\n" not in why


def test_why_auto_goes_on_is_one_line(runtime: Runtime) -> None:
    why = runtime.declined()
    assert why is None or (why.strip() and "\n" not in why)


def test_f32_is_always_to_be_had(runtime: Runtime) -> None:
    found = runtime.precisions()
    assert "f32" in found
    assert len(set(found)) == len(found)


def test_a_precision_that_cannot_be_had_is_refused(runtime: Runtime, network: Case) -> None:
    for precision in set(FLOATS) - set(runtime.precisions()):
        with pytest.raises(RuntimeUnavailable) as caught:
            opened(runtime, network, precision=precision)
        assert runtime.name in caught.value.reasons
    assert opened(runtime, network).info.precision == "f32"


def test_info_tells_what_runs(runtime: Runtime, network: Case) -> None:
    info = opened(runtime, network).info
    assert info.runtime.split()[0] == runtime.name
    assert info.runtime.split()[1][0].isdigit(), "the library's version"
    assert info.device.strip()
    assert (info.cache_hit, info.notes) == (False, ())


def test_it_says_beforehand_what_its_sessions_are(runtime: Runtime, network: Case) -> None:
    info = opened(runtime, network).info
    assert runtime.identity() == (info.runtime, info.device)


def test_it_computes_the_network(session: tuple[Session, Precision, Case]) -> None:
    opened_session, precision, network = session
    assert opened_session.info.precision == precision
    for seed in (1, 2):
        given = network.batch(seed)
        kept = given.copy()
        found = opened_session.run(given)
        assert (found.dtype, found.shape) == (np.dtype(np.float32), (1, 1, *network.size[::-1]))
        wanted = network.wanted(given)
        assert wanted.std() > 0.01, "a network that says something"
        assert np.abs(found[0, 0] - wanted).max() < TOLERANCE[precision]
        assert np.array_equal(given, kept), "the batch is left alone"


def test_it_takes_what_is_on_its_device(session: tuple[Session, Precision, Case]) -> None:
    opened_session, _, network = session
    if not isinstance(opened_session, DeviceSession):
        pytest.skip("its sessions take arrays alone")
    import torch

    for seed in (1, 2):
        given = torch.from_numpy(network.batch(seed)).to(opened_session.device)
        found = opened_session.run_on(given)
        assert (found.dtype, found.device, found.is_contiguous()) == (torch.float32, given.device, True)
        assert not found.requires_grad
        assert np.array_equal(given.cpu().numpy(), network.batch(seed)), "the batch is left alone"
        assert np.abs(found.cpu().numpy() - opened_session.run(network.batch(seed))).max() < 1e-6


def test_a_result_is_the_callers_own(session: tuple[Session, Precision, Case]) -> None:
    opened_session, _, network = session
    given = network.batch(1)
    first = opened_session.run(given)
    kept = first.copy()
    given[:] = 0
    opened_session.run(network.batch(2))
    assert np.array_equal(first, kept)
    first[:] = 7
    assert np.array_equal(opened_session.run(network.batch(1)), kept)


def test_any_layout_of_the_batch(session: tuple[Session, Precision, Case]) -> None:
    opened_session, _, network = session
    loose = np.asfortranarray(network.batch(1))
    assert not loose.flags.c_contiguous
    assert np.array_equal(opened_session.run(loose), opened_session.run(network.batch(1)))


def test_the_output_asked_for(runtime: Runtime, network: Case) -> None:
    given = network.batch(3)
    if network.outputs == 1:
        with pytest.raises(RuntimeUnavailable, match="output 1"):
            opened(runtime, network, output=1)
    else:
        assert np.abs(opened(runtime, network, output=1).run(given)[0, 0] - given[0, 1]).max() < 1e-6


def test_two_sessions_do_not_know_each_other(runtime: Runtime, network: Case) -> None:
    red, green = opened(runtime, network, 0), opened(runtime, network, network.outputs - 1)
    before = red.run(network.batch(1))
    green.run(network.batch(2))
    green.close()
    assert np.array_equal(red.run(network.batch(1)), before)


def test_close_twice(runtime: Runtime, network: Case) -> None:
    session = opened(runtime, network)
    session.close()
    session.close()


def test_engines_are_kept_below_the_cache_and_nowhere_else(runtime: Runtime, network: Case, tmp_path: Path) -> None:
    beside = sorted(network.path.parent.iterdir())
    cache = tmp_path / "cache"
    first, second = opened(runtime, network, cache=cache), opened(runtime, network, cache=cache)
    assert not first.info.cache_hit
    assert second.info.cache_hit == bool(engines(cache))
    assert np.array_equal(first.run(network.batch(1)), second.run(network.batch(1)))
    assert sorted(network.path.parent.iterdir()) == beside
    if network.outputs > 1:
        other = opened(runtime, network, 1, cache=cache)
        assert not other.info.cache_hit, "another output is another engine"
        assert np.abs(other.run(network.batch(1))[0, 0] - network.batch(1)[0, 1]).max() < 1e-6


def test_a_cache_that_is_no_use_costs_nothing_but_time(runtime: Runtime, network: Case, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    wanted = opened(runtime, network, cache=cache).run(network.batch(1))
    for engine in engines(cache):
        engine.write_bytes(b"foreign")
    again = opened(runtime, network, cache=cache)
    assert np.array_equal(again.run(network.batch(1)), wanted)
    assert not again.info.cache_hit
    assert bool(again.info.notes) == bool(engines(cache))
    (tmp_path / "file").write_bytes(b"")
    assert np.array_equal(opened(runtime, network, cache=tmp_path / "file").run(network.batch(1)), wanted)


def test_what_is_no_network_is_an_error(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "not.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(Exception, match=r"."):
        runtime.load(path, sha256_of(path), output=0, precision="f32", cache=None)
