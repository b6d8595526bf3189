"""A network that takes a trimap is loaded as any other: licence, weights, runtimes; and is given four planes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import textured
from trimap_networks import trimap_model

from streammatte.catalog import Model
from streammatte.config import Settings
from streammatte.errors import ConfigError, ModelError, RuntimeUnavailable
from streammatte.kernels.trimaps import BACKGROUND, FOREGROUND, UNKNOWN
from streammatte.loading import load_session
from streammatte.parts_device import host_only
from streammatte.quality import TRIMAP_REFINERS
from streammatte.runtimes.onnxruntime import OnnxRuntime
from streammatte.trimap_network import TrimapNetwork
from streammatte.weights.pull import ensure

WIDTH, HEIGHT = 96, 64
RGB = textured(1, (WIDTH, HEIGHT))
TRIMAP = np.full((HEIGHT, WIDTH), UNKNOWN, np.uint8)
TRIMAP[:, :30], TRIMAP[:, 60:] = BACKGROUND, FOREGROUND
Known = Callable[..., Model]


@pytest.fixture
def known(tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> Known:
    """Makes the model of `trimap_networks` one of a catalogue that is empty but for it, `edges`, as `plane` has it."""
    models: dict[str, Model] = {}
    for module in ("streammatte.catalog", "streammatte.trimap_network"):
        monkeypatch.setattr(f"{module}.catalog", lambda: models)
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))

    def add(plane: str = "trimap", **facts: Any) -> Model:
        made = trimap_model(tmp_path, plane, **facts)
        models[made.name] = made
        return made

    return add


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("plane", ["red", "green", "blue", "trimap"])
def test_each_plane_arrives(known: Known, runtime: str, plane: str) -> None:
    known(plane)
    network = TrimapNetwork("edges", runtime=runtime, precision="f32")
    assert (network.width, network.height) == (WIDTH, HEIGHT)
    planes = {"red": RGB[..., 0], "green": RGB[..., 1], "blue": RGB[..., 2], "trimap": TRIMAP / 255}
    wanted = np.where(TRIMAP == UNKNOWN, 0.5, planes["trimap"]) if plane == "trimap" else planes[plane]
    found = network.alpha(RGB, TRIMAP)
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() < 1e-6
    assert np.array_equal(network.alpha(RGB, TRIMAP), found)
    assert network.report.runtime.startswith(runtime)
    network.close()


def test_the_picture_is_normalised_and_the_trimap_is_not(known: Known) -> None:
    known("red", mean=0.25, std=0.5)
    found = TrimapNetwork("edges").alpha(RGB, TRIMAP)
    assert found == pytest.approx(np.clip((RGB[..., 0] - 0.25) / 0.5, 0, 1), abs=5e-3)
    known("trimap", mean=0.25, std=0.5)
    assert TrimapNetwork("edges").alpha(RGB, TRIMAP)[0, [0, 40, 90]].tolist() == [0, 0.5, 1]


def test_logits_become_probabilities(known: Known) -> None:
    known("trimap", activation="sigmoid")
    found = TrimapNetwork("edges", precision="f32").alpha(RGB, TRIMAP)
    assert found[0, [0, 90]] == pytest.approx([0.5, 1 / (1 + np.exp(-1))], abs=1e-6)


def test_a_report_says_what_ran(known: Known) -> None:
    model = known(licence="MIT")
    network = TrimapNetwork("edges", precision="f32")
    said = network.report
    assert (said.model, said.model_licence, said.weights_sha256) == ("edges", "MIT", model.sha256)
    assert (said.precision, network.fallbacks) == ("f32", ())


def test_int8_is_for_the_matting_network(known: Known) -> None:
    known()
    network = TrimapNetwork("edges", precision="int8")
    assert network.report.precision != "int8"
    assert network.fallbacks == (f"edges has no int8 calibration: it runs in {network.report.precision}",)


@pytest.mark.parametrize("commercial", ["no", "ask"])
def test_its_licence_must_be_accepted(known: Known, commercial: str) -> None:
    known(commercial=commercial)
    with pytest.raises(ModelError, match=r"edges: .*models accept edges"):
        TrimapNetwork("edges")
    with pytest.raises(ModelError, match="--commercial"):
        TrimapNetwork("edges", commercial=True, accept_licence=("edges",))
    TrimapNetwork("edges", accept_licence=("edges",))


def test_a_matting_model_takes_no_trimap() -> None:
    with pytest.raises(
        ModelError, match=r"u2net: takes no trimap; --refine-model takes one of vitmatte-base-comp.*646$"
    ):
        TrimapNetwork("u2net")
    with pytest.raises(ModelError, match="unknown model 'vitmat': did you mean vitmatte"):
        TrimapNetwork("vitmat")


def test_an_output_of_another_shape_is_named(known: Known) -> None:
    known(outputs=2)
    with pytest.raises(ModelError, match=r"edges: its output is \(1, 2, 64, 96\), expected an alpha \(1, 1, 64, 96\)"):
        TrimapNetwork("edges").alpha(RGB, TRIMAP)


def test_runtimes_are_chosen_as_for_any_network(known: Known) -> None:
    known()
    with pytest.raises(RuntimeUnavailable, match="--require nosuch"):
        TrimapNetwork("edges", require="nosuch")
    with pytest.raises((RuntimeUnavailable, ConfigError)):
        TrimapNetwork("edges", runtime="nosuch")


@pytest.mark.parametrize("strays", [False, True])
def test_an_engine_that_is_not_trusted_is_compared_on_four_planes(
    known: Known, monkeypatch: pytest.MonkeyPatch, strays: bool
) -> None:
    """As on a GPU: without a trimap beside the pictures no runtime there could be used."""
    model = known()
    monkeypatch.setattr(OnnxRuntime, "trusted", False)
    if strays:
        loads = OnnxRuntime.load
        other = trimap_model(
            model.file.parent if model.file else Path(model.sources[0].path).parent, "red", name="other"
        )
        path = Path(other.sources[0].path)
        monkeypatch.setattr(OnnxRuntime, "load", lambda self, onnx, sha256, **how: loads(self, path, sha256, **how))
        with pytest.raises(RuntimeUnavailable, match="too far from f32"):
            load_session(model, ensure(model), runtime="onnxruntime", precision="f32", require=None)
        return
    loaded = load_session(model, ensure(model), runtime="onnxruntime", precision="f32", require=None)
    assert loaded.parity is not None
    assert loaded.parity.max < 1e-6


@pytest.mark.parametrize("refine", TRIMAP_REFINERS)
def test_frames_come_to_the_host_for_it(refine: str) -> None:
    class Session:
        device, capturable, batch, info = "cuda:0", True, None, None
        run = run_on = close = print

    class Loaded:
        session = Session()

    assert host_only(Settings(refine=refine), Loaded()) == f"--refine {refine} is arithmetic of the host"  # type: ignore[arg-type]
