"""A calibration of the user's own: measured on what they give, kept where parity holds, else nothing is changed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import smooth_frame, write_clip
from tiny import SIDE, calibrated_tiny

import streammatte.calibrating as subject
from streammatte.calibrating import calibrate, evenly, measure
from streammatte.catalog import Model
from streammatte.catalog import model as model_named
from streammatte.errors import ConfigError, ModelError, RuntimeUnavailable, SourceError
from streammatte.int8 import own_calibration
from streammatte.loading import load_session
from streammatte.parity import parity_batches
from streammatte.quantization.calibration import read_calibration, unsigned_up_to, write_calibration
from streammatte.weights.cache import Weights, cache_dir
from streammatte.weights.pull import ensure


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    return calibrated_tiny(tiny_folder, tmp_path / "tiny.int8.json")


@pytest.fixture
def weights(model: Model) -> Weights:
    return Weights(Path(model.sources[0].path), model.sha256, "here")


@pytest.fixture
def room(tmp_path: Path) -> str:
    write_clip(tmp_path / "my_room.mp4", [smooth_frame("yuv420p", (96, 64), seed) for seed in range(12)])
    return str(tmp_path / "my_room.mp4")


def left_over() -> list[str]:
    return sorted(path.name for path in cache_dir().rglob("*") if path.is_file())


def test_it_is_kept_and_used_from_then_on(model: Model, weights: Weights, room: str) -> None:
    told: list[tuple[int, int]] = []
    found = calibrate(model, weights, [room], progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 10) for n in range(1, 11)], "of twelve frames two are compared on"
    assert found.calibrated_on == "10 views of my_room.mp4"
    assert found.shipped is not None
    assert max(found.own.mean, found.shipped.mean) < 0.01
    kept = read_calibration(own_calibration(model))
    assert (kept.calibrated_on, kept.onnx_sha256) == (found.calibrated_on, weights.sha256)
    assert kept.biases["Conv number 0"].shape == (1,)
    loaded = load_session(
        model, weights, runtime="auto", precision="int8", require=None, streams=subject.streams_for(live=False)
    )
    assert loaded.fallbacks == ("int8 calibrated on 10 views of my_room.mp4",)
    assert loaded.session.info.cache_hit, "built while it was tried"
    assert not list((cache_dir() / "engines").glob("calibrating-*"))


def test_pictures_and_videos_share_the_views(
    model: Model, weights: Weights, room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bright = np.full((SIDE, SIDE, 3), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "sky.png"), bright)
    monkeypatch.setattr(subject, "_VIEWS", 8)
    found = calibrate(model, weights, [room, str(tmp_path / "sky.png")])
    assert found.calibrated_on == "3 views of my_room.mp4, sky.png"


def test_one_picture_is_measured_and_compared_on(model: Model, weights: Weights, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "me.png"), np.full((SIDE, SIDE, 3), 130, np.uint8))
    assert calibrate(model, weights, [str(tmp_path / "me.png")]).calibrated_on == "1 view of me.png"


def grays(folder: Path, *levels: int) -> str:
    """A folder of pictures, each of one gray; the third is the one that is compared on."""
    folder.mkdir()
    for number, level in enumerate(levels):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((SIDE, SIDE, 3), level, np.uint8))
    return str(folder)


def ranged(model: Model, top: float) -> None:
    """Let the shipped calibration say so."""
    assert model.int8 is not None
    file = model.int8.calibration
    write_calibration(file, replace(read_calibration(file), activations={"rgb": unsigned_up_to(top)}))


def test_measured_ranges_are_kept_where_they_are_nearer(model: Model, weights: Weights, tmp_path: Path) -> None:
    ranged(model, 20.0)
    assert model.int8 is not None
    loose = replace(model, int8=replace(model.int8, max_mean=1.0, max_p99=1.0))
    found = calibrate(loose, weights, [grays(tmp_path / "room", 150, 140, 135, 145, 150)])
    assert found.shipped is not None
    assert found.own.mean < found.shipped.mean
    top = np.mean([150, 140, 145, 150]) / 255
    kept = read_calibration(own_calibration(model)).activations["rgb"]
    assert kept.scale == pytest.approx(top / 127, rel=0.02)


def test_measured_ranges_are_left_where_they_are_no_good(model: Model, weights: Weights, tmp_path: Path) -> None:
    """So dark that the parity pictures are cut off."""
    calibrate(model, weights, [grays(tmp_path / "night", 20, 20, 200, 20, 20)])
    assert read_calibration(own_calibration(model)).activations == {"rgb": unsigned_up_to(1.0)}


def test_too_far_from_f32_changes_nothing(model: Model, weights: Weights, room: str) -> None:
    calibrate(model, weights, [room])
    before, kept = left_over(), own_calibration(model).read_bytes()
    assert model.int8 is not None
    strict = replace(model, int8=replace(model.int8, max_mean=1e-9))
    with pytest.raises(RuntimeUnavailable, match=r"int8 calibrated on .*my_room\.mp4 is not used.*too far from f32"):
        calibrate(strict, weights, [room])
    assert (left_over(), own_calibration(model).read_bytes()) == (before, kept)


@pytest.mark.parametrize(("spec", "error"), [("nothere.mp4", SourceError), ("live", ConfigError)])
def test_inputs_that_are_none(
    model: Model, weights: Weights, spec: str, error: type[Exception], room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spec == "live":
        source = subject.open_source(room)
        source.info = replace(source.info, live=True)
        monkeypatch.setattr(subject, "open_source", lambda *how: source)
    with pytest.raises(error, match=spec):
        calibrate(model, weights, [spec])
    assert left_over() == []


def test_a_model_that_was_never_calibrated(model: Model, weights: Weights, room: str) -> None:
    with pytest.raises(ModelError, match="tiny: has no int8 calibration to start from; only u2net has one"):
        calibrate(replace(model, int8=None), weights, [room])


def test_a_disk_that_is_full(model: Model, weights: Weights, room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(subject, "write_calibration", full)
    with pytest.raises(ModelError, match="cache: the calibration cannot be kept: No space left on device"):
        calibrate(model, weights, [room])
    assert left_over() == []


@pytest.mark.parametrize(("count", "kept"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (5, [0, 2, 4]), (11, [0, 4, 8])])
def test_views_are_spread_evenly(count: int, kept: list[int]) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        yield from range(count)

    assert evenly(items(), 4, lambda item: taken.append(item) or item) == kept
    assert len(taken) <= 4 + 3 * 2, "what will not be kept is not made"


@pytest.mark.weights
def test_u2net_measured_on_one_picture_is_much_as_it_ships() -> None:
    u2net = model_named("u2net")
    assert u2net.int8 is not None
    shipped = read_calibration(u2net.int8.calibration)
    found = measure(u2net, ensure(u2net), replace(shipped, biases={}), parity_batches(u2net.input)[:1], "a picture")
    assert found.biases.keys() == shipped.biases.keys()
    both = [np.concatenate([each.biases[name] for name in shipped.biases]) for each in (found, shipped)]
    assert np.corrcoef(*both)[0, 1] > 0.9
