"""A picture in, its alpha out: with a network of one layer, so that the answer is known and nothing is pulled."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from PIL import Image
from scenes import NETWORK, make_frame, red_alpha, tiny_model

from streammatte import registry
from streammatte.catalog import Model
from streammatte.errors import ConfigError, ContractError, ModelError, RuntimeUnavailable
from streammatte.frame import Frame
from streammatte.matter import Matter
from streammatte.ports import Precision, Session, SessionInfo
from streammatte.registry import Entry

Picture = npt.NDArray[np.uint8]
SIZE = (80, 48)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return tiny_model(tmp_path)


def flat(red: int, green: int = 0, blue: int = 0) -> Picture:
    return np.full((*SIZE[::-1], 3), (red, green, blue), np.uint8)


def left_red() -> Picture:
    picture = flat(10, 200, 30)
    picture[:, : SIZE[0] // 2] = (250, 20, 90)
    return picture


# RGB in, alpha out


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_alpha_of_a_picture(model: Model, runtime: str) -> None:
    matter = Matter(model, runtime=runtime, precision="f32")
    for red in (0, 64, 128, 191, 255):
        alpha = matter(flat(red, 99, 200))
        assert (alpha.dtype, alpha.shape) == (np.dtype(np.float32), SIZE[::-1])
        assert alpha == pytest.approx(np.full(SIZE[::-1], red_alpha(np.array([red / 255, 0, 0]))), abs=0.5 / 255 + 1e-4)
    matter.close()


def test_alpha_lies_where_the_picture_does(model: Model) -> None:
    alpha = Matter(model, runtime="onnxruntime")(left_red())
    assert alpha[:, :36].min() > 0.9
    assert alpha[:, 44:].max() < 0.1
    upside = left_red().swapaxes(0, 1)
    assert not upside.flags.c_contiguous
    turned = Matter(model, runtime="onnxruntime")(upside)
    assert turned[:36].min() > 0.9
    assert turned[44:].max() < 0.1


def test_the_catalogue_says_which_output(tmp_path: Path) -> None:
    matter = Matter(tiny_model(tmp_path, index=1), runtime="onnxruntime")
    assert matter(flat(255, 51)) == pytest.approx(np.full(SIZE[::-1], 0.2), abs=1e-6)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrp", "yuv444p16le"])
def test_matte_of_a_frame(model: Model, name: str) -> None:
    frame = make_frame(name, SIZE, rgb=[0.8, 0.3, 0.3], pts=1001, time_base=Fraction(1, 24000), seq=7)
    matte = Matter(model, runtime="onnxruntime").matte(frame)
    assert (matte.pha.shape, matte.src.shape) == (NETWORK[::-1], (*NETWORK[::-1], 3))
    assert matte.pha == pytest.approx(np.full(NETWORK[::-1], red_alpha(np.array([0.8, 0.3, 0.3]))), abs=0.02)
    assert matte.src == pytest.approx(np.broadcast_to([0.8, 0.3, 0.3], matte.src.shape), abs=0.01)
    assert (matte.seq, matte.discontinuity) == (7, False)
    assert matte.time_s == pytest.approx(1001 / 24000)
    assert Matter(model, runtime="onnxruntime").matte(make_frame(discontinuity=True)).discontinuity


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("compat", [None, "rembg"])
def test_the_network_sees_upright_and_the_matte_is_stored_orientation(
    model: Model, rotation: int, compat: str | None
) -> None:
    upright = np.full((60, 60, 3), 0.1, np.float32)
    upright[:20] = (0.9, 0.1, 0.1)
    stored = np.ascontiguousarray(np.rot90(upright, -(rotation // 90)))
    matter = Matter(model, runtime="onnxruntime", compat=compat)
    matte = matter.matte(make_frame("yuv444p", (60, 60), rgb=stored, rotation=rotation))
    assert matte.pha.shape == (NETWORK if rotation % 180 else NETWORK[::-1])
    seen = np.rot90(matte.pha, rotation // 90)
    assert seen[:7].min() > 0.9
    assert seen[9:].max() < 0.1
    assert np.rot90(matte.src, rotation // 90)[2, 2] == pytest.approx([0.9, 0.1, 0.1], abs=0.02)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((4, 5), np.uint8), r"got uint8 \(4, 5\)"),
        (np.zeros((4, 5, 4), np.uint8), r"got uint8 \(4, 5, 4\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"got uint8 \(1, 4, 5, 3\)"),
        (np.zeros((4, 5, 3), np.float32), r"got float32 \(4, 5, 3\)"),
        (np.zeros((4, 5, 3), np.int8), r"got int8 \(4, 5, 3\)"),
        ([[[0, 0, 0]]], "got list"),
        (None, "got NoneType"),
    ],
)
def test_anything_but_an_rgb_array_is_refused(model: Model, given: Any, words: str) -> None:
    matter = Matter(model, runtime="onnxruntime")
    with pytest.raises(ContractError, match=rf"expected an RGB array \(H, W, 3\) uint8, {words}"):
        matter(given)


# compat


def test_compat_rembg_is_rembgs_mask_bit_for_bit(model: Model, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 200, (97, 131, 3), np.uint8)
    alpha = Matter(model, runtime="onnxruntime", compat="rembg")(picture)
    small = np.array(Image.fromarray(picture).resize(NETWORK, Image.Resampling.LANCZOS))
    batch = (small / max(np.max(small), 1e-6)).transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny-source.onnx"), providers=["CPUExecutionProvider"])
    raw = session.run(["red"], {"rgb": batch})[0][0, 0]
    stretched = (raw - np.min(raw)) / (np.max(raw) - np.min(raw))
    mask = Image.fromarray((stretched.clip(0, 1) * 255).astype("uint8")).resize((131, 97), Image.Resampling.LANCZOS)
    assert np.array_equal(np.rint(alpha * 255), np.asarray(mask))


def test_compat_computes_in_f32_unless_told(model: Model) -> None:
    assert Matter(model, compat="rembg").info.precision == "f32"


@pytest.mark.parametrize(
    ("arguments", "key"), [({"compat": "other"}, "--compat"), ({"runtime": "tensorflow"}, "--runtime")]
)
def test_unknown_names(model: Model, arguments: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: unknown"):
        Matter(model, **arguments)


def test_unknown_model() -> None:
    with pytest.raises(ModelError, match="unknown model 'u3net'"):
        Matter("u3net")


# shown mirrored too


class Partial:
    """A network that answers with red, and with `part` of where in its picture it looks: 0 at the left, 1 at the right.

    Each answer is thus off, one way as it is and the other way mirrored.
    """

    info = SessionInfo("partial 1", "here", "f32")
    part = 0.0
    batches: ClassVar[list[Picture]] = []

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert batch.flags.c_contiguous
        self.batches.append(np.asarray(batch))
        place = np.linspace(0, 1, batch.shape[3], dtype=np.float32)
        return np.asarray(batch[:, :1] + np.float32(self.part) * (place - np.float32(0.5)), np.float32)

    def close(self) -> None: ...


class PartialRuntime:
    name = "fake"
    trusted = True
    strongly_typed = False

    def unavailable(self) -> str | None:
        return None

    def declined(self) -> str | None:
        return None

    def precisions(self) -> tuple[Precision, ...]:
        return ("f32",)

    def load(self, onnx: Path, sha256: str, **how: Any) -> Session:
        return Partial()


def both_ways(
    model: Model, monkeypatch: pytest.MonkeyPatch, part: float, frame: Frame
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[Picture]]:
    """Alpha of `frame` without and with the mirror, and the batches that were shown with it."""
    monkeypatch.setattr(registry, "RUNTIMES", {"fake": Entry(f"{__name__}:PartialRuntime")})
    monkeypatch.setattr(Partial, "part", part)
    plain = Matter(model, precision="f32").matte(frame).pha
    monkeypatch.setattr(Partial, "batches", [])
    mirrored = Matter(model, precision="f32", tta=True).matte(frame).pha
    return plain, mirrored, Partial.batches


def test_two_answers_that_agree_are_averaged(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_frame("gbrp", NETWORK, rgb=(0.5, 0.2, 0.2))
    plain, mirrored, batches = both_ways(model, monkeypatch, 0.06, frame)
    assert len(batches) == 2
    assert np.array_equal(batches[1], batches[0][..., ::-1])
    assert np.abs(plain - 0.5).max() == pytest.approx(0.03, abs=0.003)
    assert np.abs(mirrored - 0.5).max() < 0.006, "off to both sides: the mean is not"


def test_of_two_answers_that_mean_different_things_the_first_stands(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network sees the subject on one side, and mirrored on the other: half of each would be a ghost."""
    frame = make_frame("gbrp", NETWORK, rgb=(0.5, 0.2, 0.2))
    plain, mirrored, _ = both_ways(model, monkeypatch, 40.0, frame)
    assert (plain.min(), plain.max()) == (0, 1)
    far = np.abs(np.arange(NETWORK[0]) - NETWORK[0] / 2) > 12
    assert np.abs(mirrored - plain)[:, far].max() < 0.01


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_mirrored_answer_is_turned_back(model: Model, rotation: int) -> None:
    """A network that is right either way says the same with the mirror as without it."""
    picture = np.full((60, 60, 3), 0.1, np.float32)
    picture[5:30, :20] = (0.9, 0.1, 0.1)
    frame = make_frame("yuv444p", (60, 60), rgb=picture, rotation=rotation)
    plain, mirrored = (Matter(model, runtime="onnxruntime", tta=on).matte(frame) for on in (False, True))
    assert np.abs(mirrored.pha - plain.pha).max() < 1e-6
    assert mirrored.seen


def test_a_look_is_all_but_the_networks_answer(model: Model) -> None:
    matter = Matter(model, runtime="onnxruntime")
    frame = make_frame("yuv420p", SIZE, rgb=[0.8, 0.3, 0.3], pts=5, seq=5, rotation=90)
    look = matter.look(frame)
    assert (look.matte.seen, look.rotation, look.matte.seq, look.matte.pha.max()) == (False, 90, 5, 0)
    assert look.batch.shape == (1, 3, *NETWORK[::-1])
    matte, whole = matter.see(look), matter.matte(frame)
    assert (matte.seen, matte.seq, matte.time_s) == (True, 5, whole.time_s)
    assert np.array_equal(matte.pha, whole.pha)
    assert matte.src is look.matte.src


# which runtime, and what is said of those passed over


class FakeRuntime:
    """A runtime that cannot be used, or whose library fails."""

    name = "fake"
    trusted = True
    strongly_typed = False
    reason: ClassVar[str | None] = None
    failure: ClassVar[Exception | None] = None

    def unavailable(self) -> str | None:
        return self.reason

    def declined(self) -> str | None:
        return None

    def precisions(self) -> tuple[Precision, ...]:
        return ("f32",)

    def load(self, onnx: Path, sha256: str, **how: Any) -> Session:
        assert self.failure is not None
        raise self.failure


class Absent(FakeRuntime):
    reason = "not installed: pip install it"


class Broken(FakeRuntime):
    failure = OSError("libfake.so.3: cannot open\nshared object file")


class Unable(FakeRuntime):
    failure = RuntimeUnavailable("precision f32 cannot be had", {"fake": "no such arithmetic"})


def runtimes(monkeypatch: pytest.MonkeyPatch, first: type[FakeRuntime] | None = None) -> None:
    """`--runtime auto` tries `first` before OpenVINO, and no other."""
    table = {} if first is None else {"fake": Entry(f"{__name__}:{first.__name__}")}
    table["openvino"] = registry.RUNTIMES["openvino"]
    monkeypatch.setattr(registry, "RUNTIMES", table)


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (Absent, "not installed: pip install it"),
        (Broken, "failed to load: libfake.so.3: cannot open"),
        (Unable, "no such arithmetic"),
    ],
)
def test_a_runtime_passed_over_is_recorded(
    model: Model, monkeypatch: pytest.MonkeyPatch, fake: type[FakeRuntime], words: str
) -> None:
    runtimes(monkeypatch, fake)
    matter = Matter(model)
    assert matter.info.runtime.startswith("openvino ")
    (fallback,) = (*matter.fallbacks, *matter.passed_over)
    assert "fake" in fallback
    assert fallback.endswith(f"passed over: {words}")


def test_nothing_passed_over_nothing_recorded(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    runtimes(monkeypatch)
    matter = Matter(model)
    assert (matter.fallbacks, matter.passed_over) == ((), ())


def test_a_note_of_the_runtime_is_recorded(model: Model) -> None:
    Matter(model, runtime="openvino", precision="f32")
    (blob,) = (Path(str(model.sources[0].path)).parent / "cache" / "engines").glob("*.blob")
    blob.write_bytes(b"foreign")
    (fallback,) = Matter(model, runtime="openvino", precision="f32").fallbacks
    assert "cached engine could not be loaded and was rebuilt" in fallback


@pytest.mark.parametrize("how", [{"runtime": "fake"}, {"require": "fake"}])
@pytest.mark.parametrize("fake", [Absent, Broken, Unable])
def test_no_other_runtime_where_one_is_asked_for(
    model: Model, monkeypatch: pytest.MonkeyPatch, fake: type[FakeRuntime], how: dict[str, str]
) -> None:
    runtimes(monkeypatch, fake)
    with pytest.raises(RuntimeUnavailable, match="no runtime can run tiny") as caught:
        Matter(model, **how)  # type: ignore[arg-type]
    assert len(caught.value.reasons) == 1
    assert "fake" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_runtimes_reason_is_told(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    runtimes(monkeypatch, Absent)
    with pytest.raises(RuntimeUnavailable) as caught:
        Matter(model, precision="fp16")
    words = str(caught.value)
    assert "not installed: pip install it" in words
    assert words.index("fake") < words.index("openvino")
    assert len(caught.value.reasons) == 2


def test_a_required_runtime_that_does_not_exist(model: Model) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"--require abacus cannot be met .*no such runtime") as caught:
        Matter(model, require="abacus")
    assert ", ".join(registry.RUNTIMES) in str(caught.value)


def test_the_weights_are_named(model: Model) -> None:
    matter = Matter(model, require="onnxruntime")
    assert (matter.model, matter.weights_sha256) == (model, model.sha256)
    assert matter.info.runtime.startswith("onnxruntime ")
