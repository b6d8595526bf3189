"""The one way pixel loops are compiled: by Numba, for this processor, kept on disk, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """`function` as machine code, compiled on its first call on this machine and read from the cache after that.

    Sums may be reordered and fused (they are means of thousands of samples), but NaN and infinity keep their meaning.
    """
    flags = {"reassoc", "contract", "arcp"}
    found: Any = numba.njit(cache=True, nogil=True, fastmath=flags, error_model="numpy")(function)
    return cast(_F, found)
