"""`the leftmost dog`: what a text asks a network for, and which of several it means."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["understood", "which"]

_ORDERS = {
    "left": ("leftmost", "left-most", "left", "on the left", "to the left"),
    "right": ("rightmost", "right-most", "right", "on the right", "to the right"),
    "top": ("topmost", "top", "uppermost", "upper", "highest", "at the top"),
    "bottom": ("bottommost", "bottom", "lowest", "lower", "at the bottom"),
    "middle": ("middle", "central", "centre", "center", "in the middle", "in the centre", "in the center"),
    "large": ("largest", "biggest"),
    "small": ("smallest",),
}
_ARTICLES = ("the", "a", "an")


def understood(text: str) -> tuple[str, str | None]:
    """What is to be found, and which of these: an order as `which` takes it, or None for all.

    Networks that find what a noun names know little of places; these words, before or after it, are taken from it.
    """
    noun, order = _without_article(text), None
    for name, phrases in _ORDERS.items():
        for phrase in sorted(phrases, key=len, reverse=True):
            before = re.fullmatch(rf"{phrase}\s+(\S.*)", noun, re.IGNORECASE)
            after = re.fullmatch(rf"(\S.*)\s+{phrase}", noun, re.IGNORECASE) if " " in phrase else None
            found = before or after
            if found and order is None:
                noun, order = _without_article(found[1]), name
    return noun, order


def _without_article(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest.strip() if rest and first.lower() in _ARTICLES else text


def which(order: str, masks: npt.NDArray[Any]) -> int:
    """The number of the mask that is meant, of masks (n, h, w) in [0, 1]; n is not 0."""
    areas = masks.sum(axis=(1, 2)) + 1e-9
    x = (masks.sum(axis=1) * np.arange(masks.shape[2])).sum(axis=1) / areas
    y = (masks.sum(axis=2) * np.arange(masks.shape[1])).sum(axis=1) / areas
    away = np.hypot(x / masks.shape[2] - 0.5, y / masks.shape[1] - 0.5)
    least = {"left": x, "right": -x, "top": y, "bottom": -y, "middle": away, "large": -areas, "small": areas}
    return int(least[order].argmin())
