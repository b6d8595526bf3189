"""Its presence puts this folder on the import path, for the clip makers that the tests share; and fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # a busy machine is no failure
settings.load_profile("house")

_ALONE = ("guest", "obs", "pipewire", "export")
"""Markers of tests that use what a machine has one of, or take all of it: never two of them at once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests run in several processes (pytest-xdist); those that cannot, in the same one."""
    for item in items:
        if any(item.get_closest_marker(name) for name in _ALONE):
            item.add_marker(pytest.mark.xdist_group("alone"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of tiny.py, and a cache of its own in `cache`."""
    from tiny import make_tiny

    folder = tmp_path_factory.mktemp("tiny")
    make_tiny(folder)
    return folder


@pytest.fixture
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder without a file, in place of the user's."""
    folder = tmp_path_factory.mktemp("settings")
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *names, **how: str(folder))
    return folder


@pytest.fixture
def tiny(tiny_folder: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes the model of tiny.py the only one there is, for this process; its name."""
    from tiny import tiny_model

    only = {"tiny": tiny_model(tiny_folder)}
    for module in ("streammatte.catalog", "streammatte.cli.doctor", "streammatte.cli.models"):
        monkeypatch.setattr(f"{module}.catalog", lambda: only)
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tiny_folder / "cache"))
    monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")
    return "tiny"
