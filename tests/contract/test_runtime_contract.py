"""What `ports.Runtime` and `ports.Session` promise, over every runtime in the registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scenes import NETWORK, red_alpha, write_network

from streammatte import registry
from streammatte.errors import RuntimeUnavailable
from streammatte.ports import Precision, Runtime, Session
from streammatte.weights.cache import sha256_of

FLOATS: tuple[Precision, ...] = ("f32", "bf16")
TOLERANCE: dict[Precision, float] = {"f32": 1e-5, "bf16": 0.02}


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
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


def opened(
    runtime: Runtime, network: Path, output: int = 0, precision: Precision = "f32", cache: Path | None = None
) -> Session:
    return runtime.load(network, sha256_of(network), output=output, precision=precision, cache=cache)


@pytest.fixture(params=_precisions(), ids="-".join)
def session(request: pytest.FixtureRequest, network: Path) -> Iterator[tuple[Session, Precision]]:
    name, precision = request.param
    made: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
    if made.unavailable() or precision not in made.precisions():
        pytest.skip(f"{name} has no {precision} here")
    session = opened(made, network, precision=precision)
    yield session, precision
    session.close()


def batch(seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((1, 3, NETWORK[1], NETWORK[0]), np.float32)


def test_it_goes_by_its_name(runtime: Runtime) -> None:
    assert registry.RUNTIMES[runtime.name].target.endswith(f":{type(runtime).__name__}")


def test_why_not_has_a_remedy(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    module = registry.RUNTIMES[runtime.name].target.partition(":")[0]
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    why = runtime.unavailable()
    assert why is not None
    assert "pip install" in why
    assert "\n" not in why


def test_f32_is_always_to_be_had(runtime: Runtime) -> None:
    found = runtime.precisions()
    assert "f32" in found
    assert len(set(found)) == len(found)


def test_a_precision_that_cannot_be_had_is_refused(runtime: Runtime, network: Path) -> None:
    for precision in set(FLOATS) - set(runtime.precisions()):
        with pytest.raises(RuntimeUnavailable) as caught:
            opened(runtime, network, precision=precision)
        assert runtime.name in caught.value.reasons
    assert opened(runtime, network).info.precision == "f32"


def test_info_tells_what_runs(runtime: Runtime, network: Path) -> None:
    info = opened(runtime, network).info
    assert info.runtime.split()[0] == runtime.name
    assert info.runtime.split()[1][0].isdigit(), "the library's version"
    assert info.device.strip()
    assert (info.cache_hit, info.notes) == (False, ())


def test_it_says_beforehand_what_its_sessions_are(runtime: Runtime, network: Path) -> None:
    info = opened(runtime, network).info
    assert runtime.identity() == (info.runtime, info.device)


def test_it_computes_the_network(session: tuple[Session, Precision]) -> None:
    opened_session, precision = session
    assert opened_session.info.precision == precision
    for seed in (1, 2):
        given = batch(seed)
        kept = given.copy()
        found = opened_session.run(given)
        assert (found.dtype, found.shape) == (np.dtype(np.float32), (1, 1, *NETWORK[::-1]))
        wanted = red_alpha(given[0].transpose(1, 2, 0).astype(np.float64))
        assert np.abs(found[0, 0] - wanted).max() < TOLERANCE[precision]
        assert np.array_equal(given, kept), "the batch is left alone"


def test_a_result_is_the_callers_own(session: tuple[Session, Precision]) -> None:
    opened_session, _ = session
    given = batch(1)
    first = opened_session.run(given)
    kept = first.copy()
    given[:] = 0
    opened_session.run(batch(2))
    assert np.array_equal(first, kept)
    first[:] = 7
    assert np.array_equal(opened_session.run(batch(1)), kept)


def test_any_layout_of_the_batch(session: tuple[Session, Precision]) -> None:
    opened_session, _ = session
    loose = np.asfortranarray(batch(1))
    assert not loose.flags.c_contiguous
    assert np.array_equal(opened_session.run(loose), opened_session.run(batch(1)))


def test_the_output_asked_for(runtime: Runtime, network: Path) -> None:
    given = batch(3)
    assert np.abs(opened(runtime, network, output=1).run(given)[0, 0] - given[0, 1]).max() < 1e-6


def test_two_sessions_do_not_know_each_other(runtime: Runtime, network: Path) -> None:
    red, green = opened(runtime, network, 0), opened(runtime, network, 1)
    before = red.run(batch(1))
    green.run(batch(2))
    green.close()
    assert np.array_equal(red.run(batch(1)), before)


def test_close_twice(runtime: Runtime, network: Path) -> None:
    session = opened(runtime, network)
    session.close()
    session.close()


def test_engines_are_kept_below_the_cache_and_nowhere_else(runtime: Runtime, network: Path, tmp_path: Path) -> None:
    beside = sorted(network.parent.iterdir())
    cache = tmp_path / "cache"
    first, second = opened(runtime, network, cache=cache), opened(runtime, network, cache=cache)
    assert not first.info.cache_hit
    assert second.info.cache_hit == any(cache.rglob("*.blob"))
    assert np.array_equal(first.run(batch(1)), second.run(batch(1)))
    assert sorted(network.parent.iterdir()) == beside
    other = opened(runtime, network, 1, cache=cache)
    assert not other.info.cache_hit, "another output is another engine"
    assert np.abs(other.run(batch(1))[0, 0] - batch(1)[0, 1]).max() < 1e-6


def test_a_cache_that_is_no_use_costs_nothing_but_time(runtime: Runtime, network: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    wanted = opened(runtime, network, cache=cache).run(batch(1))
    for blob in cache.rglob("*.blob"):
        blob.write_bytes(b"foreign")
    again = opened(runtime, network, cache=cache)
    assert np.array_equal(again.run(batch(1)), wanted)
    assert not again.info.cache_hit
    assert bool(again.info.notes) == any(cache.rglob("*.blob"))
    (tmp_path / "file").write_bytes(b"")
    assert np.array_equal(opened(runtime, network, cache=tmp_path / "file").run(batch(1)), wanted)


def test_what_is_no_network_is_an_error(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "not.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(Exception, match=r"."):
        opened(runtime, path)
