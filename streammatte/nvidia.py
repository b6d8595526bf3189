"""What the NVIDIA driver says of the machine's GPUs, asked without any other library."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

__all__ = ["driver_missing", "gpu_in_words"]

_NO_DRIVER = "no NVIDIA driver on this machine"
_NO_GPU = "no NVIDIA GPU on this machine"
_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""
_LONGEST_NAME = 256


@functools.cache
def driver_missing() -> str | None:
    """Why no GPU can be used here, in words; None if one can. Found out once in a process."""
    driver = _driver()
    if driver is None:
        return _NO_DRIVER
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return _NO_GPU
    return None


def gpu_in_words(index: int) -> str:
    """Name and compute capability of a GPU by CUDA's number of it; only where no driver is missing."""
    driver = _driver()
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_LONGEST_NAME)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, _LONGEST_NAME, device)
    capability = [ctypes.c_int(), ctypes.c_int()]
    for number, which in zip(capability, (_MAJOR, _MINOR), strict=True):
        driver.cuDeviceGetAttribute(ctypes.byref(number), which, device)
    major, minor = (number.value for number in capability)
    return f"{name.value.decode()}, compute capability {major}.{minor}"


def _driver() -> Any:
    """The driver's own library, None where it is not installed."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
