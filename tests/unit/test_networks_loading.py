"""Files of weights: what is read, and what is said of those that do not fit."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from streammatte.errors import ModelError  # noqa: E402
from streammatte.networks import build  # noqa: E402
from streammatte.networks.loading import load_weights  # noqa: E402


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    torch.manual_seed(5)
    return dict(build("u2netp").state_dict())


def loaded(path: Path) -> dict[str, Any]:
    with torch.device("meta"):
        network = build("u2netp")
    load_weights(network, path)
    return dict(network.state_dict())


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], each) for name, each in wanted.items())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_a_pth_whatever_training_put_before_the_names(state: dict[str, Any], prefix: str, tmp_path: Path) -> None:
    torch.save({prefix + name: each for name, each in state.items()}, tmp_path / "u2netp.pth")
    assert same(loaded(tmp_path / "u2netp.pth"), state)


def test_safetensors(state: dict[str, Any], tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="pip install 'streammatte[torch]'")
    safetensors.save_file(state, tmp_path / "u2netp.safetensors")
    assert same(loaded(tmp_path / "u2netp.safetensors"), state)


def test_halves_become_floats(state: dict[str, Any], tmp_path: Path) -> None:
    halves = {name: each.half() if each.is_floating_point() else each for name, each in state.items()}
    torch.save(halves, tmp_path / "half.pth")
    found = loaded(tmp_path / "half.pth")
    assert {each.dtype for each in found.values()} == {torch.float32, torch.int64}
    assert same(found, {name: each.to(state[name].dtype) for name, each in halves.items()})


def test_weights_of_another_network(state: dict[str, Any], tmp_path: Path) -> None:
    first, *_ = state
    for changed, complaint in [
        ({name: each for name, each in state.items() if name != first}, f"{first} is missing"),
        (state | {first: torch.zeros(64, 3, 1, 1)}, f"{first} is 64x3x1x1 not 64x3x3x3"),
        (state | {"extra": torch.zeros(1)}, "extra is unexpected"),
    ]:
        torch.save(changed, tmp_path / "other.pth")
        with pytest.raises(ModelError, match=rf"other\.pth: weights of another network: {re.escape(complaint)}"):
            loaded(tmp_path / "other.pth")


class _Evil:
    def __reduce__(self) -> Any:
        return (print, ("run",))


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors", "cut.pth", "cut.safetensors", "evil.pth", "list.pth"])
def test_files_that_are_no_weights(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if name.startswith("cut"):
        path.write_bytes(b"PK\x03\x04 and no more")
    elif name == "evil.pth":
        path.write_bytes(pickle.dumps({"a": _Evil()}, protocol=2))
    elif name == "list.pth":
        torch.save([1, 2], path)
    with pytest.raises(ModelError, match=re.escape(str(path))) as caught:
        loaded(path)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == "", "no code of the file is run"


def test_safetensors_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ModelError, match=r"safetensors is not installed: pip install 'streammatte\[torch\]'"):
        loaded(tmp_path / "u2netp.safetensors")
