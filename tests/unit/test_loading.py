"""Which session is loaded, and that an int8 engine is trusted only near f32."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tiny import calibrated_tiny

from streammatte import registry
from streammatte.catalog import Model
from streammatte.errors import RuntimeUnavailable
from streammatte.int8 import own_calibration
from streammatte.loading import load_session
from streammatte.ports import BuildProgress, Precision, SessionInfo
from streammatte.quantization.calibration import read_calibration, unsigned_up_to, write_calibration
from streammatte.registry import Entry
from streammatte.weights.cache import Weights

Floats = npt.NDArray[np.float32]


@dataclass
class FakeSession:
    info: SessionInfo
    shift: float

    def run(self, batch: Floats) -> Floats:
        return batch[:, :1] + np.float32(self.shift)

    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeRuntime:
    """Computes all precisions fast; int8 is off by `shift`."""

    name: str = "fake"
    loads: list[tuple[str, str, bool]] = field(default_factory=list)
    sessions: list[FakeSession] = field(default_factory=list)
    shift: float = 0.0
    device: str = "none"
    trusted: bool = True
    strongly_typed: bool = False
    why: str | None = None
    """Why auto should go on."""
    phases: int = 0
    """What building takes."""
    offered: tuple[Precision, ...] = ("int8", "bf16", "f32")

    def unavailable(self) -> str | None:
        return None

    def declined(self) -> str | None:
        return self.why

    def precisions(self) -> tuple[Precision, ...]:
        return self.offered

    def identity(self) -> tuple[str, str]:
        return "fake 1", self.device

    def load(
        self,
        onnx: Path,
        sha256: str,
        *,
        output: int,
        precision: Precision,
        cache: Path | None,
        streams: int = 1,
        building: BuildProgress | None = None,
    ) -> FakeSession:
        for phase in range(self.phases):
            assert building is not None
            building("phase", phase, self.phases)
        self.loads.append((precision, onnx.name, cache is not None))
        info = SessionInfo(*self.identity(), precision)
        self.sessions.append(FakeSession(info, self.shift if precision == "int8" else 0.0))
        return self.sessions[-1]


FAKE = FakeRuntime()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeRuntime:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "RUNTIMES", {"fake": Entry("test_loading:FAKE")})
    monkeypatch.setattr(FakeRuntime, "__call__", lambda self: self, raising=False)
    for item in fields(FakeRuntime):
        setattr(FAKE, item.name, getattr(FakeRuntime(), item.name))
    return FAKE


@pytest.fixture
def calibrated(tiny_folder: Path, tmp_path: Path) -> tuple[Model, Weights]:
    model = calibrated_tiny(tiny_folder, tmp_path / "tiny.int8.json")
    return model, Weights(Path(model.sources[0].path), model.sha256, "here")


def load(given: tuple[Model, Weights], precision: str = "auto", **how: Any) -> Any:
    return load_session(*given, **({"runtime": "auto", "precision": precision, "require": None} | how))


def test_int8_where_it_agrees_and_parity_is_measured_once(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    loaded = load(calibrated)
    assert (loaded.session.info.precision, loaded.fallbacks) == ("int8", ())
    assert [(precision, kept) for precision, _, kept in fake.loads] == [("int8", True), ("f32", False)]
    assert load(calibrated).session.info.precision == "int8"
    assert [precision for precision, _, _ in fake.loads] == ["int8", "f32", "int8"]


def test_too_far_off_falls_to_bf16_and_says_so(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    fake.shift = 0.02
    loaded = load(calibrated)
    assert loaded.session.info.precision == "bf16"
    (note,) = loaded.fallbacks
    assert note.startswith("fake int8 passed over: too far from f32: mean 0.0200")
    assert [session.closed for session in fake.sessions] == [True, True, False], "int8, its reference, and what runs"
    assert load(calibrated).session.info.precision == "bf16", "the verdict is remembered"
    with pytest.raises(RuntimeUnavailable, match="too far from f32"):
        load(calibrated, "int8")
    assert [precision for precision, _, _ in fake.loads] == ["int8", "f32", "bf16", "bf16"], "it is not loaded again"


def test_the_parity_of_an_int8_session_is_told(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    fake.shift = 0.004
    for _ in ("measured", "remembered"):
        assert load(calibrated).parity.mean == pytest.approx(0.004, abs=1e-6)
    assert load(calibrated, "bf16").parity is None


def test_another_device_gets_its_own_verdict(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    fake.shift = 0.02
    load(calibrated)
    fake.device, fake.shift = "a newer one", 0.0
    assert load(calibrated).session.info.precision == "int8"


def test_what_is_not_trusted_is_compared_in_every_precision(
    fake: FakeRuntime, calibrated: tuple[Model, Weights]
) -> None:
    """Here with OpenVINO's f32, from which the fake is far off: it answers with its input."""
    fake.trusted = False
    registry.RUNTIMES["openvino"] = Entry("streammatte.runtimes.openvino:OpenVinoRuntime")
    loaded = load(calibrated)
    assert loaded.session.info.runtime.startswith("openvino")
    words = [note.partition(": mean")[0] for note in loaded.fallbacks[:3]]
    assert words == [f"fake {precision} passed over: too far from f32" for precision in ("int8", "bf16", "f32")]
    with pytest.raises(RuntimeUnavailable, match="too far from f32"):
        load(calibrated, "f32", runtime="fake")
    assert [precision for precision, _, _ in fake.loads] == ["int8", "bf16", "f32"], "the verdicts are remembered"


def test_auto_goes_on_where_a_runtime_declines_and_says_so_once_a_reason(
    fake: FakeRuntime, calibrated: tuple[Model, Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.RUNTIMES, "second", Entry("test_loading:FAKE"))
    monkeypatch.setitem(registry.RUNTIMES, "openvino", Entry("streammatte.runtimes.openvino:OpenVinoRuntime"))
    fake.why = "slow here"
    loaded = load(calibrated, "f32")
    assert loaded.session.info.runtime.startswith("openvino")
    assert (loaded.passed_over, loaded.fallbacks) == (("fake, second passed over: slow here",), ())
    asked = load(calibrated, "f32", runtime="fake")
    assert (asked.session.info.runtime, asked.passed_over) == ("fake 1", ()), "asked for by name it is used"


def test_building_is_told_and_ended(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    fake.phases = 3
    told: list[tuple[str, int, int]] = []
    load(calibrated, "bf16", building=lambda *step: told.append(step))
    assert told == [("phase", 0, 3), ("phase", 1, 3), ("phase", 2, 3)]

    class Enough(Exception):
        pass

    def stop(phase: str, done: int, total: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        load(calibrated, building=stop)


def own(calibrated: tuple[Model, Weights], **changes: Any) -> Path:
    """Put a calibration of the user's in its place."""
    assert calibrated[0].int8 is not None
    file = own_calibration(calibrated[0])
    file.parent.mkdir(parents=True)
    shipped = read_calibration(calibrated[0].int8.calibration)
    write_calibration(file, replace(shipped, **({"calibrated_on": "9 views of my_room.mp4"} | changes)))
    return file


def test_the_users_own_calibration_is_used_and_named(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    load(calibrated)
    file = own(calibrated, activations={"rgb": unsigned_up_to(1.5)})
    assert load(calibrated).fallbacks == ("int8 calibrated on 9 views of my_room.mp4",)
    assert load(calibrated, "bf16").fallbacks == ()
    networks = {name for precision, name, _ in fake.loads if precision == "int8"}
    assert len(networks) == 2, "another calibration is another network"
    file.unlink()
    assert load(calibrated).fallbacks == ()


def test_an_own_calibration_that_is_no_use(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    file = own(calibrated, onnx_sha256="e" * 64)
    loaded = load(calibrated)
    assert loaded.session.info.precision == "int8"
    words = "was measured on other weights and is not used; `streammatte engines remove tiny` deletes it"
    assert loaded.fallbacks == (f"{file} {words}",)
    file.write_text("{")
    assert "cannot be read and is not used" in load(calibrated).fallbacks[0]


def test_a_calibration_can_be_tried_aside(fake: FakeRuntime, calibrated: tuple[Model, Weights], tmp_path: Path) -> None:
    own(calibrated)
    assert calibrated[0].int8 is not None
    loaded = load(calibrated, "int8", calibration=calibrated[0].int8.calibration, cache=tmp_path / "aside")
    assert loaded.fallbacks == ()
    assert sorted(path.suffix for path in (tmp_path / "aside" / "engines").iterdir()) == [
        ".json",
        ".json",
        ".onnx",
        ".parity",
    ]
    assert not (tmp_path / "cache" / "engines").exists()


def test_nan_is_too_far(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    fake.shift = float("nan")
    assert load(calibrated).session.info.precision == "bf16"


def test_a_model_without_calibration_is_not_rounded(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    plain = (replace(calibrated[0], int8=None), calibrated[1])
    loaded = load(plain)
    assert (loaded.session.info.precision, loaded.fallbacks) == ("bf16", ())
    with pytest.raises(RuntimeUnavailable, match="tiny has no int8 calibration"):
        load(plain, "int8")


def test_a_calibration_of_other_weights_is_passed_over(fake: FakeRuntime, calibrated: tuple[Model, Weights]) -> None:
    other = (calibrated[0], replace(calibrated[1], sha256="f" * 64))
    loaded = load(other)
    assert loaded.session.info.precision == "bf16"
    assert "measured on other weights" in loaded.fallbacks[0]


def test_a_cache_that_cannot_be_written_costs_int8_not_the_run(
    fake: FakeRuntime, calibrated: tuple[Model, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "file"))
    loaded = load(calibrated)
    assert loaded.session.info.precision == "bf16"
    assert "could not be kept" in loaded.fallbacks[0]


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_real_runtime_runs_the_rounded_network(
    calibrated: tuple[Model, Weights], runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    session = load(calibrated, "int8", runtime=runtime).session
    batch = np.random.default_rng(0).random((1, 3, 64, 64)).astype(np.float32)
    expected = np.clip((batch.mean(axis=1, keepdims=True) - 0.4) * 5, 0, 1)
    assert session.info.precision == "int8"
    assert session.run(batch) == pytest.approx(expected, abs=0.02)
