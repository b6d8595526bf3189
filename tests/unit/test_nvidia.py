"""What the NVIDIA driver is asked, and what is made of its answers."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest

import streammatte.nvidia as subject


class Driver:
    """libcuda of a machine with `gpus`; `broken` is what its first call gives."""

    def __init__(self, gpus: int, broken: int = 0) -> None:
        self._gpus, self._broken = gpus, broken
        self.started = 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        self.started += 1
        return self._broken

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._gpus
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = 100 + index
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:  # noqa: N802
        assert length == ctypes.sizeof(name)
        name.value = f"NVIDIA H{device.value}".encode()
        return 0

    def cuDeviceGetAttribute(self, number: Any, which: int, device: Any) -> int:  # noqa: N802
        number._obj.value = {75: 9, 76: 0}[which]
        return 0


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    subject.driver_missing.cache_clear()
    yield
    subject.driver_missing.cache_clear()


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        (None, "no NVIDIA driver on this machine"),
        (Driver(0), "no NVIDIA GPU on this machine"),
        (Driver(1, broken=100), "no NVIDIA GPU on this machine"),
        (Driver(2), None),
    ],
)
def test_what_is_missing(driver: Driver | None, why: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_driver", lambda: driver)
    assert subject.driver_missing() == why


def test_it_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(1)
    monkeypatch.setattr(subject, "_driver", lambda: driver)
    assert subject.driver_missing() is subject.driver_missing() is None
    assert driver.started == 1


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_LIBRARY", "libnowhere.so.1")
    assert subject.driver_missing() == "no NVIDIA driver on this machine"


def test_a_gpu_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_driver", lambda: Driver(2))
    assert subject.gpu_in_words(1) == "NVIDIA H101, compute capability 9.0"
