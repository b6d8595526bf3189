"""Single keys in a live run's terminal: what each does, and that the terminal is left as it was."""

from __future__ import annotations

import io
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import pytest
from controls import Recorded

from streammatte.cli import keys as module
from streammatte.cli.keys import HELP, Keys, keys

termios = pytest.importorskip("termios")

PATIENCE_S = 10.0
"""Longest wait for what should come at once."""


@dataclass
class Terminal:
    """A terminal, and the person at it."""

    stream: TextIO
    person: int
    told: queue.Queue[str] = field(default_factory=queue.Queue)

    def type(self, text: str) -> None:
        os.write(self.person, text.encode())

    def line(self) -> str:
        return self.told.get(timeout=PATIENCE_S)

    def modes(self) -> list[Any]:
        modes: list[Any] = termios.tcgetattr(self.stream.fileno())
        return modes


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    person, inner = os.openpty()
    with os.fdopen(inner, "r", encoding="utf-8") as stream:
        yield Terminal(stream, person)
    os.close(person)


def listeners() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "keys"]


def test_each_key(terminal: Terminal) -> None:
    controls = Recorded()
    with keys(controls, terminal.stream, terminal.told.put):
        for key, line in (
            ("m", "mirror on, shown after 1 frame"),
            ("m", "mirror off, shown after 1 frame"),
            ("p", "paused on, shown after 1 frame"),
            ("p", "paused off, shown after 1 frame"),
            ("+", "half-life 0.2, shown after 1 frame"),
            ("-", "half-life 0.16, shown after 1 frame"),
            ("b", "bg blur, shown after 1 frame"),
            ("b", "bg beach.jpg, shown after 1 frame"),
            ("?", HELP),
        ):
            terminal.type(key)
            assert terminal.line() == line
        terminal.type("xyz\x1b[Aäq")
        assert controls.stopped.wait(PATIENCE_S)
    assert controls.changes == [
        ("mirror", "on"),
        ("mirror", "off"),
        ("paused", "on"),
        ("paused", "off"),
        ("half_life", "0.2"),
        ("half_life", "0.16"),
        ("bg", "blur"),
        ("bg", "beach.jpg"),
    ]
    assert terminal.told.empty()


def test_keys_typed_at_once_are_all_taken(terminal: Terminal) -> None:
    controls = Recorded()
    with keys(controls, terminal.stream, terminal.told.put):
        terminal.type("mp?")
        assert [terminal.line()[:6] for _ in range(3)] == ["mirror", "paused", "keys: "]


def test_a_refusal_is_told_and_the_next_key_works(terminal: Terminal) -> None:
    controls = Recorded()
    controls.held["half_life"] = "0"
    with keys(controls, terminal.stream, terminal.told.put):
        controls.broken = module.StreammatteError("no frames now; try again")
        terminal.type("m")
        assert terminal.line() == "no frames now; try again"
        controls.broken = None
        terminal.type("m")
        assert terminal.line() == "mirror on, shown after 1 frame"


# the backgrounds


def test_b_goes_round_those_given_so_far_and_never_to_the_bare_room() -> None:
    controls = Recorded()
    react = Keys(controls, lambda line: None)

    def pressed() -> str:
        react("b")
        return str(controls.held["bg"])

    assert [pressed() for _ in range(3)] == ["blur", "beach.jpg", "blur"]
    controls.held["bg"] = "office.png"  # by `streammatte ctl`
    assert [pressed() for _ in range(4)] == ["blur", "beach.jpg", "office.png", "blur"]
    for bare in ("none", None):
        controls.held["bg"] = bare
        assert [pressed() for _ in range(4)] == ["blur", "beach.jpg", "office.png", "blur"]


def test_smoothing_stays_within_what_is_of_use() -> None:
    controls = Recorded()
    react = Keys(controls, lambda line: None)
    for _ in range(40):
        react("+")
    assert controls.held["half_life"] == 2.0
    for _ in range(60):
        react("-")
    assert controls.held["half_life"] == 0.01


# the terminal


def test_the_terminal_is_as_before(terminal: Terminal) -> None:
    before = terminal.modes()
    with keys(Recorded(), terminal.stream, terminal.told.put):
        during = terminal.modes()
        assert not during[3] & (termios.ICANON | termios.ECHO)
        assert during[3] & termios.ISIG, "Ctrl-C keeps its meaning"
        assert len(listeners()) == 1
    assert terminal.modes() == before
    assert listeners() == []


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_the_terminal_is_as_before_after_an_error(terminal: Terminal, error: type[BaseException]) -> None:
    before = terminal.modes()
    with pytest.raises(error), keys(Recorded(), terminal.stream, terminal.told.put):
        raise error
    assert terminal.modes() == before
    assert listeners() == []


def test_the_end_of_the_run_waits_for_no_change(terminal: Terminal) -> None:
    """What the person typed last may still be on its way when the run ends."""
    controls, asked, go = Recorded(), threading.Event(), threading.Event()

    def slow(name: str, value: str) -> dict[str, object]:
        asked.set()
        assert go.wait(PATIENCE_S)
        return {}

    controls.change = slow  # type: ignore[method-assign]
    before = terminal.modes()
    with keys(controls, terminal.stream, terminal.told.put):
        terminal.type("m")
        assert asked.wait(PATIENCE_S)
    assert terminal.modes() == before
    (listener,) = listeners()
    go.set()
    listener.join(PATIENCE_S)
    assert not listener.is_alive()


def test_a_terminal_that_goes_ends_the_listening_alone() -> None:
    person, inner = os.openpty()
    with os.fdopen(inner, "r", encoding="utf-8") as stream, keys(Recorded(), stream, lambda line: None):
        (listener,) = listeners()
        os.close(person)
        listener.join(PATIENCE_S)
        assert not listener.is_alive()


def test_without_a_terminal_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    inner, outer = os.pipe()
    with os.fdopen(inner, "r", encoding="utf-8") as pipe, os.fdopen(outer, "w", encoding="utf-8") as writer:
        closed = io.TextIOWrapper(io.BytesIO())
        closed.close()
        for stream in (None, pipe, io.StringIO("m"), closed):
            controls = Recorded()
            writer.write("m")
            writer.flush()
            with keys(controls, stream):
                assert listeners() == []
            assert controls.changes == []


_SESSION = """
import os, signal, subprocess, sys

os.setsid()
os.close(os.open(os.ttyname(0), os.O_RDWR))  # becomes the terminal of this session
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], process_group=0)  # in the background
status = os.waitpid(job.pid, os.WUNTRACED)[1]
if os.WIFSTOPPED(status):
    os.kill(job.pid, signal.SIGKILL)
    os.waitpid(job.pid, 0)
    sys.exit("stopped")
os._exit(os.waitstatus_to_exitcode(status))
"""

_JOB = f"""
import sys, termios
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from controls import Recorded
from streammatte.cli.keys import keys

before = termios.tcgetattr(0)
with keys(Recorded(), sys.stdin):
    assert termios.tcgetattr(0) == before
"""


def test_in_the_background_the_terminal_is_left_alone(terminal: Terminal) -> None:
    """Whoever sets its modes from there is stopped by the kernel, and the call with it."""
    done = subprocess.run(
        [sys.executable, "-c", _SESSION, _JOB], stdin=terminal.stream, timeout=60, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
