"""What OpenVINO must not do to the process it runs in."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

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
