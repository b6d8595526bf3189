"""Runs the command line in this process, where that tells as much as a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from streammatte.cli.main import main


@pytest.fixture
def reported(own_settings: object, capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """`reported("in.mp4", "--bg", "red", ...)` runs it and gives the run report; it must succeed."""

    def run(*args: object) -> dict[str, Any]:
        with pytest.raises(SystemExit) as left:
            main([*map(str, args), "--json"])
        out, err = capfd.readouterr()
        assert (left.value.code, err) == (0, "")
        report: dict[str, Any] = json.loads(out)
        return report

    return run
