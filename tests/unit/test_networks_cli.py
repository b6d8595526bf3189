"""`streammatte engines export`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tiny import SIDE, calibrated_tiny

from streammatte.catalog import Model
from streammatte.cli.engines import engines
from streammatte.errors import ConfigError, ModelError, SinkError


def run(*args: str) -> list[str]:
    result = CliRunner().invoke(engines, ["export", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


@pytest.mark.export
def test_random_weights_of_u2netp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'streammatte[onnxruntime]'")
    from streammatte.networks import build

    monkeypatch.chdir(tmp_path)
    (line,) = run("u2netp", "--random", "--size", "96x64")
    path = tmp_path / "u2netp-96x64-f32.onnx"
    assert line.startswith("wrote    u2netp-96x64-f32.onnx  (4.")
    assert line.endswith(f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()})")
    torch.manual_seed(0)
    rgb = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = build("u2netp")(rgb).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert np.abs(session.run(["alpha"], {"rgb": rgb.numpy()})[0] - wanted).max() <= 1e-4


def test_what_is_exported_and_where_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")
    from streammatte.networks import build

    def written(network: Any, *, width: int, height: int, precision: str) -> bytes:
        same = all(torch.equal(network.state_dict()[name], each) for name, each in state.items())
        return f"{width} {height} {precision} {same}".encode()

    monkeypatch.setattr("streammatte.networks.export.to_onnx", written)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(7)
    state = build("u2netp").state_dict()
    torch.save(state, "u2netp.pth")
    assert run("u2netp", "--weights", "u2netp.pth", "-q") == []
    assert Path("u2netp-320x320-f32.onnx").read_text(encoding="utf-8") == "320 320 f32 True"
    asked = ("u2netp", "--random", "--size", "96x64", "--precision", "fp16", "-o", "out.onnx")
    (line,) = run(*asked)
    assert line == f"wrote    out.onnx  (0.0 MiB, sha256 {hashlib.sha256(b'96 64 fp16 False').hexdigest()})"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.onnx", "u2netp-320x320-f32.onnx", "u2netp.pth"]
    with pytest.raises(SinkError, match="exists already"):
        run(*asked)
    run(*asked, "--force")


def test_weights_that_do_not_fit_leave_nothing(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=r"a\.pth: weights of another network: stage1\..* is missing"):
        run("u2net", "--weights", str(tmp_path / "a.pth"), "-o", str(tmp_path / "out" / "u2net.onnx"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("birefnet:swin_v1_t",), "give --weights FILE, or --random"),
        (("u2net", "--random", "--weights", "a.pth"), "give --weights FILE, or --random"),
        (("u2net", "--random", "--precision", "int8"), "--precision: int8 is for models"),
        (("u2net", "--patches", "planes"), "--patches: is about weights of your own"),
        (("u2net", "--precision", "int8", "--size", "320x320"), "--precision int8: a calibration is of one size"),
        (("selfie", "--precision", "int8"), "--precision int8: selfie has no calibration"),
        (("u2net", "--random", "--size", "320"), "--size: '320': expected WIDTHxHEIGHT"),
        (("u2net", "--random", "--size", "320x300"), "--size: 320x300: width and height must be multiples of 32"),
        (("u2net", "--random", "--size", "0x320"), "--size: 0x320"),
        (("u2net", "--random", "--patches", "planes"), "--patches: is about birefnet, not u2net"),
        (("birefnet:swin_v1_t", "--weights", "a.pth"), "--patches: say which order"),
    ],
)
def test_flags_that_make_no_sense(args: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(*args)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def tiny(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The only model there is."""
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    made = calibrated_tiny(tiny_folder, tmp_path / "tiny.int8.json")
    for module in ("streammatte.catalog", "streammatte.cli.export"):
        monkeypatch.setattr(f"{module}.catalog", lambda: {"tiny": made})
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return made


@pytest.mark.parametrize(
    ("args", "name", "content"),
    [
        ((), f"tiny-{SIDE}x{SIDE}-f32.onnx", f"tiny.onnx {SIDE} {SIDE} f32"),
        (("--precision", "fp16", "--size", "96x64"), "tiny-96x64-fp16.onnx", "tiny.onnx 96 64 fp16"),
        (("-o", "out.onnx"), "out.onnx", f"tiny.onnx {SIDE} {SIDE} f32"),
    ],
)
def test_a_model(args: tuple[str, ...], name: str, content: str, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")

    def written(network: str, *, width: int, height: int, precision: str) -> bytes:
        return f"{network} {width} {height} {precision}".encode()

    monkeypatch.setattr("streammatte.networks.onnx_weights.from_onnx", lambda path: path.name)
    monkeypatch.setattr("streammatte.networks.export.to_onnx", written)
    (line,) = run("tiny", *args)
    assert line.startswith(f"wrote    {name}  (0.0 MiB, sha256 ")
    assert [(each.name, each.read_text(encoding="utf-8")) for each in Path.cwd().iterdir()] == [(name, content)]
    with pytest.raises(SinkError, match="exists already"):
        run("tiny", *args)
    run("tiny", *args, "--force")


def test_a_model_in_int8(tiny: Model) -> None:
    """The very file that `engines build --output` writes."""
    run("tiny", "--precision", "int8", "-q")
    built = CliRunner().invoke(engines, ["build", "tiny", "--output", "built.onnx"], catch_exceptions=False)
    assert built.exit_code == 0, built.output
    assert Path(f"tiny-{SIDE}x{SIDE}-int8.onnx").read_bytes() == Path("built.onnx").read_bytes()


def test_a_model_that_torch_does_not_know(tiny: Model) -> None:
    pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")
    with pytest.raises(ModelError, match=r"tiny\.onnx: not a network streammatte knows in torch"):
        run("tiny")
    assert list(Path.cwd().iterdir()) == []


def test_a_model_that_nobody_knows(tiny: Model) -> None:
    with pytest.raises(ModelError, match="unknown model 'tinny': did you mean tiny"):
        run("tinny")


def test_an_unknown_network() -> None:
    with pytest.raises(ModelError, match="isnet: no such network; one of u2net, u2netp, birefnet:swin_v1_t, "):
        run("isnet", "--random")


@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_without_torch(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "onnxscript":  # the second that is looked for
        pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    monkeypatch.setitem(sys.modules, missing, None)
    remedy = rf"needs {missing}, which is not installed: pip install 'streammatte\[torch\]'"
    with pytest.raises(ConfigError, match=remedy):
        run("u2net", "--random", "-o", str(tmp_path / "u2net.onnx"))
    assert list(tmp_path.iterdir()) == []
