"""A child is given whole pictures, the newest first, and does not outlive its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from streammatte.sinks.feed import FrameFeed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
SIZE = 3_000_000


@contextmanager
def fed(script: str, size: int = SIZE) -> Iterator[FrameFeed]:
    feed = FrameFeed(["sh", "-c", script], size)
    try:
        yield feed
    finally:
        feed.close()


def picture(value: int, size: int = SIZE) -> np.ndarray:
    return np.full(size, value, np.uint8)


def await_true(what: Callable[[], object], patience_s: float = 10.0) -> bool:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_pictures_arrive_whole_and_in_order(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with fed(f"exec cat > {out}") as feed:
        for value in range(3):
            feed.put(picture(value))
            assert await_true(lambda: size_of(out) == (value + 1) * SIZE)  # noqa: B023
        assert feed.dropped == 0
    expected = np.concatenate([picture(value) for value in range(3)])
    np.testing.assert_array_equal(np.fromfile(out, np.uint8), expected)


def test_a_slow_child_gets_whole_pictures_and_the_newest(tmp_path: Path) -> None:
    out, go = tmp_path / "out", tmp_path / "go"
    os.mkfifo(go)
    with fed(f"read line < {go}; exec cat > {out}") as feed:
        start = time.monotonic()
        feed.put(picture(0))
        time.sleep(0.1)  # so that the first is begun
        for value in range(1, 20):
            feed.put(picture(value))
        assert time.monotonic() - start < 1, "putting never waits"
        assert feed.dropped == 18
        go.write_text("go\n")
        assert await_true(lambda: size_of(out) == 2 * SIZE)
    np.testing.assert_array_equal(np.fromfile(out, np.uint8), np.concatenate([picture(0), picture(19)]))


def test_closing_ends_a_child_that_reads_nothing() -> None:
    feed = FrameFeed(["sleep", "60"], SIZE)
    feed.put(picture(0))
    time.sleep(0.05)
    start = time.monotonic()
    feed.close()
    assert time.monotonic() - start < 1
    assert not Path(f"/proc/{feed.pid}").exists()
    feed.put(picture(1))  # goes nowhere
    assert feed.ended() is None, "it did not end by itself"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo last >&2", "last"),
        ("echo ERROR: from element x: bad >&2; echo Additional debug info: >&2", "ERROR: from element x: bad"),
        ("exit 3", "it said nothing"),
    ],
)
def test_what_a_child_said_last_is_kept(script: str, said: str) -> None:
    with fed(script) as feed:
        assert feed.wait_ended(5) == said


def test_a_child_that_stops_reading_is_noticed() -> None:
    with fed("head -c 10 >&2") as feed:
        feed.put(picture(ord("a")))
        assert feed.wait_ended(5) == "a" * 10


def test_a_running_child_has_not_ended() -> None:
    with fed("exec sleep 60") as feed:
        assert feed.wait_ended(0.05) is None


def test_a_program_that_is_absent_is_an_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(FileNotFoundError):
        FrameFeed(["no-such-program"], SIZE)


PARENT = """
import sys, time
import numpy as np
from streammatte.sinks import feed
if sys.argv[1] == "without": feed.shutil.which = lambda name: None
child = feed.FrameFeed(sys.argv[2:], 1000)
child.put(np.zeros(1000, np.uint8))
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
@pytest.mark.parametrize(
    ("setpriv", "command"),
    [
        ("with", ["sleep", "60"]),  # never reads: only the kernel can end it
        ("with", ["cat"]),
        ("without", ["cat"]),  # its input ends
    ],
)
def test_sigkill_of_the_parent_ends_the_child(setpriv: str, command: list[str]) -> None:
    arguments = [sys.executable, "-c", PARENT, setpriv, *command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert running(child)
        parent.send_signal(signal.SIGKILL)
        parent.stdout.close()
    assert await_true(lambda: not running(child), 2)


def running(pid: int) -> bool:
    """It is there, and not only as an entry that nobody has waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
