"""`__all__`: sorted, true and whole in every module."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from test_layers import MODULES, tree_of

EXTRAS = {"torch": "torch", "transformers": "prompt"}
"""Libraries that modules may import when they are imported themselves, and what installs them."""


def needs(library: str, module: str, known: frozenset[str] = frozenset({"streammatte"})) -> bool:
    """It imports `library` when it is imported itself; or another module that does."""
    known |= {module}
    for node in tree_of(module).body:
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            if name.partition(".")[0] == library:
                return True
            if name in MODULES and name not in known and needs(library, name, known):
                return True
    return False


def with_names(module: str) -> Any:
    """The module as a test's parameter, skipped where what it needs is not there."""
    lacking = [extra for library, extra in EXTRAS.items() if find_spec(library) is None and needs(library, module)]
    reason = f"pip install 'streammatte[{','.join(lacking)}]'"
    return pytest.param(module, marks=pytest.mark.skipif(bool(lacking), reason=reason))


WITH_NAMES = [with_names(module) for module in MODULES if module != "streammatte.__main__"]


def sort_key(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions, each in alphabetical order."""
    return (0 if name.isupper() else 1 if name.lstrip("_")[:1].isupper() else 2), name


def is_command(node: ast.AST) -> bool:
    """A function that click took by `@group.command(...)`: reached through its group, not by import."""
    decorators = getattr(node, "decorator_list", [])
    calls = (each.func if isinstance(each, ast.Call) else each for each in decorators)
    return any(isinstance(call, ast.Attribute) and call.attr in ("command", "group") for call in calls)


def public_definitions(tree: ast.Module) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = (node for node in tree.body if isinstance(node, kinds) and not is_command(node))
    return {node.name for node in defined if not node.name.startswith("_")}


@pytest.mark.parametrize("module", WITH_NAMES)
def test_all_is_sorted_and_names_what_exists(module: str) -> None:
    names = getattr(import_module(module), "__all__", [])
    assert list(names) == sorted(set(names), key=sort_key)
    missing = [name for name in names if not hasattr(import_module(module), name)]
    assert missing == []


@pytest.mark.parametrize("module", WITH_NAMES)
def test_every_public_definition_is_in_all(module: str) -> None:
    names = set(getattr(import_module(module), "__all__", []))
    assert public_definitions(tree_of(module)) <= names
    assert not [name for name in names if name.startswith("_") and name != "__version__"]


@pytest.mark.parametrize("module", WITH_NAMES)
def test_private_names_stay_at_home(module: str) -> None:
    taken = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("streammatte")
        for alias in node.names
        if alias.name.startswith("_") and alias.name != "__version__"
    ]
    assert taken == []


def test_the_package_exports_what_its_readers_need() -> None:
    package = import_module("streammatte")
    assert {"Matter", "Pipeline", "Settings", "StreammatteError", "matte"} <= set(package.__all__)


def test_the_order_of_names() -> None:
    assert sorted(["load", "Entry", "RUNTIMES", "_x", "ARITHMETICS", "Any"], key=sort_key) == [
        "ARITHMETICS",
        "RUNTIMES",
        "Any",
        "Entry",
        "_x",
        "load",
    ]


def test_definitions_are_told_from_commands() -> None:
    source = (
        "@models.command('list')\ndef listing(): ...\n@click.group\ndef models(): ...\ndef _own(): ...\nclass A: ..."
    )
    assert public_definitions(ast.parse(source)) == {"A"}
    assert public_definitions(ast.parse("@contextmanager\ndef held(): ...")) == {"held"}
