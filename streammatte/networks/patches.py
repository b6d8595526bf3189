"""How BiRefNet's decoder cuts the picture into patches; known without torch."""

from __future__ import annotations

from typing import Literal

__all__ = ["STRIDE_PX", "PatchOrder"]

STRIDE_PX = 32
"""Widths and heights are multiples of it: the coarsest features are so many times smaller."""

PatchOrder = Literal["columns", "planes"]
"""How patches are stacked; weights know one order, and their names do not say which. columns: cells column by column,
each with its R, G and B (the authors' code until November 2024: general, lite, portrait, ...). planes: all of R, then
G, then B, each row by row (since then: HR, dynamic, ...)."""
