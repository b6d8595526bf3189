"""Every entry loads its class, or says which extra installs what it needs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from streammatte import registry
from streammatte.errors import ConfigError
from streammatte.registry import Entry, load

TABLES = {
    "ARITHMETICS": registry.ARITHMETICS,
    "FOREGROUNDS": registry.FOREGROUNDS,
    "LIVE_SINKS": registry.LIVE_SINKS,
    "PROMPTERS": registry.PROMPTERS,
    "REFINERS": registry.REFINERS,
    "RUNTIMES": registry.RUNTIMES,
    "STABILIZERS": registry.STABILIZERS,
}
ENTRIES = [(table, name) for table, entries in TABLES.items() for name in entries]
WITH_PIL = [(table, name) for table, name in ENTRIES if TABLES[table][name].extra == "compat"]


def test_every_table_is_covered() -> None:
    tables = {name: value for name, value in vars(registry).items() if isinstance(value, dict) and name.isupper()}
    assert tables == TABLES


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_every_entry_loads(table: str, name: str) -> None:
    entry = TABLES[table][name]
    if entry.extra == "prompt":
        pytest.importorskip("transformers", reason="pip install 'streammatte[prompt]'")
    found = load(TABLES[table], name, "--flag")
    assert isinstance(found, type)
    assert f"{found.__module__}:{found.__qualname__}" == entry.target


@pytest.mark.parametrize(("table", "name"), WITH_PIL)
def test_a_missing_library_names_the_extra(table: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = TABLES[table][name]
    monkeypatch.setitem(sys.modules, "PIL", None)  # import of PIL fails as where it is not installed
    monkeypatch.delitem(sys.modules, entry.target.partition(":")[0], raising=False)
    with pytest.raises(ConfigError, match=rf"--flag: {name} needs PIL.*'streammatte\[{entry.extra}\]'") as caught:
        load(TABLES[table], name, "--flag")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", TABLES)
def test_every_extra_is_one_that_pip_knows(table: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    known = {"", *project["project"]["optional-dependencies"]}
    assert {entry.extra for entry in TABLES[table].values()} <= known


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="--stabilize: unknown 'emma'; one of none, ema") as caught:
        load(registry.STABILIZERS, "emma", "--stabilize")
    assert caught.value.key == "--stabilize"


def test_a_missing_module_without_an_extra_is_a_fault_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        load({"x": Entry("streammatte.nowhere:X")}, "x", "--flag")


def test_listing_the_names_loads_nothing_behind_them() -> None:
    targets = {TABLES[table][name].target.partition(":")[0] for table, name in ENTRIES}
    targets |= {"PIL", "av", "onnxruntime", "openvino", "pyvirtualcam"}
    check = f"import sys, streammatte.registry; sys.exit(', '.join({targets} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
