"""What OpenVINO must not do to the process it runs in, and what it is asked to compute in."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_model

import streammatte.runtimes.openvino as subject
from streammatte.ports import Precision
from streammatte.runtimes.openvino import OpenVinoRuntime

TESTS = Path(__file__).parents[1]


def _python(code: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    return subprocess.run(program, capture_output=True, text=True, env=environment, timeout=120)


_LOADED = """
    import gc, os, signal, sys, tempfile, threading
    from pathlib import Path
    import numpy as np
    from tiny import make_tiny, tiny_model
    from streammatte.runtimes.openvino import OpenVinoRuntime
    make_tiny(folder := Path(tempfile.mkdtemp()))
    onnx = Path(tiny_model(folder).sources[0].path)
    held = [OpenVinoRuntime().load(onnx, "0", output=0, precision="f32", cache=None, streams=2)]
    batch = np.zeros((1, 3, 64, 64), np.float32)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_arrives_after_the_last_session_ended_on_another_thread() -> None:
    done = _python(
        _LOADED
        + """
    def drop():
        held.clear()
        gc.collect()
    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        print("arrived")
    """
    )
    assert (done.returncode, done.stdout) == (0, "arrived\n"), done.stderr


def test_first_runs_from_several_threads_at_once_end() -> None:
    done = _python(
        _LOADED
        + """
    together = threading.Barrier(2)
    def run():
        together.wait()
        held[0].run(batch)
    threads = [threading.Thread(target=run, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    print([thread.is_alive() for thread in threads])
    sys.stdout.flush()
    os._exit(0)
    """
    )
    assert done.stdout == "[False, False]\n", done.stderr


class _Asked(Exception):
    """Ends a load once it is known what it asks for."""


class _Core:
    """OpenVINO on a processor that computes bf16, up to the point where a network would be compiled."""

    def __init__(self, core: Any, capabilities: list[str]) -> None:
        self._core, self._capabilities = core, capabilities
        self.config: dict[str, str] = {}

    def get_property(self, device: str, name: str) -> Any:
        return self._capabilities if name == "OPTIMIZATION_CAPABILITIES" else self._core.get_property(device, name)

    def read_model(self, onnx: Path) -> Any:
        return self._core.read_model(onnx)

    def compile_model(self, model: Any, device: str, config: dict[str, str]) -> Any:
        self.config = config
        raise _Asked


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"sse4_1", "avx"}, False), ({"avx2"}, True), ({"avx2", "avx512_vnni"}, True), (set(), None)],
)
def test_int8_is_preferred_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], expected: bool | None
) -> None:
    monkeypatch.setattr(subject, "_cpu_flags", lambda: flags)
    asked: list[int] = []
    monkeypatch.setattr(subject.cv2, "checkHardwareSupport", lambda feature: not asked.append(feature))
    found = "int8" in subject.OpenVinoRuntime().precisions()
    assert found is (True if expected is None else expected)
    assert asked == ([11] if expected is None else []), "OpenCV is asked where there is no /proc"


@pytest.mark.parametrize(
    ("flags", "capabilities", "precision", "hint"),
    [
        ({"avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"}, ["FP32", "BF16", "INT8"], "int8", "f32"),
        ({"avx512_vnni", "avx512_bf16"}, ["FP32", "BF16", "INT8"], "int8", "bf16"),
        ({"avx512_vnni"}, ["FP32", "INT8"], "int8", "f32"),
        ({"avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"}, ["FP32", "BF16", "INT8"], "bf16", "bf16"),
        ({"avx512_vnni", "avx512_bf16"}, ["FP32", "BF16", "INT8"], "f32", "f32"),
    ],
)
def test_what_the_float_parts_compute_in(
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: set[str],
    capabilities: list[str],
    precision: Precision,
    hint: str,
) -> None:
    """bf16 beside int8 where the processor has it, but not with AMX, for which OpenVINO has no such kernel."""
    core = _Core(subject._core(), capabilities)
    monkeypatch.setattr(subject, "_core", lambda: core)
    monkeypatch.setattr(subject, "_cpu_flags", lambda: flags)
    onnx = Path(str(tiny_model(tiny_folder).sources[0].path))
    with pytest.raises(_Asked):
        OpenVinoRuntime().load(onnx, "0", output=0, precision=precision, cache=None)
    assert core.config["INFERENCE_PRECISION_HINT"] == hint
