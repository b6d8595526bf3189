"""What `ports.RecurrentRuntime` and `ports.RecurrentSession` promise, over every runtime that is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remembering import OUTPUT, STATE, Wanted, write_remembering
from scenes import NETWORK, Float

from streammatte import registry
from streammatte.errors import ModelError, RuntimeUnavailable
from streammatte.ports import RecurrentRuntime, RecurrentSession
from streammatte.weights.cache import sha256_of

RECURRENT = ("onnxruntime", "openvino")


@pytest.fixture(params=RECURRENT)
def runtime(request: pytest.FixtureRequest) -> RecurrentRuntime:
    made = registry.load(registry.RUNTIMES, request.param, "--runtime")()
    assert isinstance(made, RecurrentRuntime)
    why = made.unavailable()
    if why is not None:
        pytest.skip(why)
    return made


@pytest.fixture(params=["fixed", "open"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_remembering(tmp_path / "remembering.onnx", open_size=request.param == "open")


def opened(runtime: RecurrentRuntime, network: Path, **how: Any) -> RecurrentSession:
    facts: dict[str, Any] = {"output": OUTPUT, "state": STATE, "precision": "f32", "cache": None} | how
    return runtime.load_recurrent(network, sha256_of(network), **facts)


def batches(count: int = 4) -> list[Float]:
    dice = np.random.default_rng(7)
    return [dice.random((1, 3, *NETWORK[::-1]), np.float32) for _ in range(count)]


def test_those_that_can_say_so() -> None:
    made = {name: registry.load(registry.RUNTIMES, name, "--runtime")() for name in registry.RUNTIMES}
    assert {name for name, each in made.items() if isinstance(each, RecurrentRuntime)} == {*RECURRENT}


def test_the_state_is_handed_on(runtime: RecurrentRuntime, network: Path) -> None:
    session, wanted = opened(runtime, network), Wanted()
    assert isinstance(session, RecurrentSession)
    assert session.info.streams == 1
    assert (session.info.runtime, session.info.device) == runtime.identity()
    for batch in batches():
        kept = batch.copy()
        found = session.run(batch)
        assert (found.dtype, found.shape) == (np.dtype(np.float32), (1, 1, *NETWORK[::-1]))
        assert np.abs(found - wanted(batch)).max() < 1e-6
        assert np.array_equal(batch, kept), "the batch is left alone"


def test_the_subjects_colour_is_given_where_it_is_asked_for(runtime: RecurrentRuntime, network: Path) -> None:
    asked, not_asked = opened(runtime, network), opened(runtime, network, state=replace(STATE, fgr=None))
    assert (asked.fgr, not_asked.fgr) == (None, None)
    for batch in batches():
        assert np.array_equal(asked.run(batch), not_asked.run(batch))
        assert asked.fgr is not None
        assert np.abs(asked.fgr - batch / 2).max() < 1e-6
        assert asked.fgr.shape == batch.shape
    assert not_asked.fgr is None
    kept = asked.fgr.copy()
    asked.fgr[:] = 7
    asked.run(batch)
    assert np.abs(asked.fgr - kept).max() < 1e-6, "it is the caller's own"
    asked.reset()
    assert asked.fgr is None


def test_outputs_may_coincide(runtime: RecurrentRuntime, network: Path) -> None:
    """The alpha that is given may be what is handed on too, and the colour, oddly, the same."""
    session, wanted = opened(runtime, network, output=2, state=replace(STATE, fgr=2)), Wanted()
    for batch in batches():
        found = session.run(batch)
        assert np.abs(found * STATE.ratio - wanted(batch)).max() < 1e-6
        assert np.array_equal(session.fgr, found)


def test_reset_is_a_beginning(runtime: RecurrentRuntime, network: Path) -> None:
    session, (first, second, *_) = opened(runtime, network), batches()
    alone = session.run(second).copy()
    session.reset()
    session.run(first)
    assert np.abs(session.run(second) - alone).max() > 0.01
    for _ in range(2):
        session.reset()
    assert np.array_equal(session.run(second), alone)


def test_two_sessions_share_no_state(runtime: RecurrentRuntime, network: Path) -> None:
    one, other = opened(runtime, network), opened(runtime, network)
    ours, theirs = Wanted(), Wanted()
    for mine, yours in zip(batches(), batches(8)[4:], strict=True):
        assert np.abs(one.run(mine) - ours(mine)).max() < 1e-6
        assert np.abs(other.run(yours) - theirs(yours)).max() < 1e-6
    other.reset()
    other.close()
    assert np.abs(one.run(mine) - ours(mine)).max() < 1e-6


def test_a_result_is_the_callers_own(runtime: RecurrentRuntime, network: Path) -> None:
    session, wanted, (first, second, *_) = opened(runtime, network, output=2), Wanted(), batches()
    found = session.run(first)
    kept = found.copy()
    wanted(first)
    found[:] = 7  # the very output that is handed on
    assert np.abs(session.run(second) * STATE.ratio - wanted(second)).max() < 1e-6
    again = opened(runtime, network, output=2)
    first_answer = again.run(first)
    again.run(second)
    assert np.array_equal(first_answer, kept)


def test_a_call_that_fails_leaves_the_state(runtime: RecurrentRuntime, tmp_path: Path) -> None:
    session, wanted, (first, second, *_) = opened(runtime, write_remembering(tmp_path / "r.onnx")), Wanted(), batches()
    session.run(first)
    wanted(first)
    with pytest.raises(Exception, match=r"."):
        session.run(second[..., :-1])
    assert np.abs(session.run(second) - wanted(second)).max() < 1e-6


def test_without_a_ratio_it_is_an_input_too_many(runtime: RecurrentRuntime, network: Path) -> None:
    with pytest.raises(ModelError, match=r"\[state\] does not fit the network: expected one input for the picture"):
        opened(runtime, network, state=replace(STATE, ratio_input=""))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("inputs", "and ratio, then, got ratio, before, rgb"),
        ("outputs", "expected outputs then, got fgr, alpha, after"),
    ],
)
def test_names_that_are_not_the_networks(runtime: RecurrentRuntime, network: Path, key: str, words: str) -> None:
    with pytest.raises(ModelError, match=r"\[state\] does not fit the network: ") as caught:
        opened(runtime, network, state=replace(STATE, **{key: ("then",)}))
    assert words in str(caught.value)


def test_a_precision_that_cannot_be_had_is_refused(runtime: RecurrentRuntime, network: Path) -> None:
    if "fp16" in runtime.precisions():
        pytest.skip("fp16 can be had here")
    with pytest.raises(RuntimeUnavailable) as caught:
        opened(runtime, network, precision="fp16")
    assert runtime.name in caught.value.reasons


def test_an_engine_that_is_kept_is_that_of_the_state(runtime: RecurrentRuntime, tmp_path: Path) -> None:
    network, cache = write_remembering(tmp_path / "r.onnx"), tmp_path / "cache"
    first, second = opened(runtime, network, cache=cache), opened(runtime, network, cache=cache)
    kept = sorted(path.suffix for path in cache.rglob("*.*"))
    assert (second.info.cache_hit, kept) == ((True, [".blob", ".json"]) if kept else (False, []))
    other = opened(runtime, network, cache=cache, state=replace(STATE, outputs=("alpha",)))
    assert not other.info.cache_hit, "another state is another engine"
    wanted = Wanted()
    for batch in batches():
        assert np.abs(second.run(batch) - wanted(batch)).max() < 1e-6
    assert np.array_equal(first.run(batches()[0]), opened(runtime, network).run(batches()[0]))
