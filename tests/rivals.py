"""Models to compare: `tiny`, and `stern`, which is the same network with a higher threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from tiny import make_tiny, tiny_model

from streammatte.catalog import Model, read_model
from streammatte.weights.cache import sha256_of

STERN_BIAS = -3.0


def stern_alpha(rgb: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """What `stern` says of R'G'B' in [0, 1]: 0 up to a mean of 0.6, 1 from 0.8 on."""
    return np.clip((rgb.mean(axis=-1) - 0.6) * 5, 0, 1)


def make_stern(folder: Path) -> Model:
    """Write it into `folder`, alone there."""
    toml = make_tiny(folder)
    source = folder / "tiny.source"
    network = onnx.load(source)
    bias = next(each for each in network.graph.initializer if each.name == "bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([STERN_BIAS], np.float32), "bias"))
    before = sha256_of(source)
    source.write_bytes(network.SerializeToString())
    words = toml.read_text(encoding="utf-8").replace(before, sha256_of(source))
    stern = folder / "stern.toml"
    stern.write_text(words.replace('name = "tiny"', 'name = "stern"\naliases = ["severe"]'), encoding="utf-8")
    return read_model(stern)


def only_rivals(tiny_folder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the two the only models there are, for this process, beside the fixture `tiny`."""
    both = {"stern": make_stern(folder), "tiny": tiny_model(tiny_folder)}
    monkeypatch.setattr("streammatte.catalog.catalog", lambda: both)
