"""Single keys that control a live run from its own terminal.

They work where standard input is a terminal this process owns: not in a pipe, not under a service manager, not in the
background, and not on Windows, whose terminals know no cbreak; `streammatte ctl` works everywhere.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click

from streammatte.cli.ctl import said, toggled
from streammatte.errors import StreammatteError
from streammatte.live.control import Controls

if sys.platform != "win32":
    import termios
    import tty

__all__ = ["HELP", "Keys", "keys"]

HELP = "keys: m mirror, p pause, b next background, + - smoothing, ? this line, q stop"
_STEP = 1.25
_SHORTEST_S, _LONGEST_S = 0.01, 2.0
_LOOK_AGAIN_S = 0.5


def _tell(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def keys(controls: Controls, stream: TextIO | None, tell: Callable[[str], None] = _tell) -> Iterator[None]:
    """Listen for keys on `stream` while the block runs; `tell` gets a line for each. Silent where it is no terminal.

    The terminal is as before once the block is left, however that happens. Ctrl-C and Ctrl-Z keep their meaning.
    """
    terminal = _terminal(stream)
    if terminal is None:
        yield
        return
    before = termios.tcgetattr(terminal)
    wake, waker = os.pipe()
    listener = threading.Thread(target=_listen, args=(terminal, wake, Keys(controls, tell)), name="keys", daemon=True)
    listener.start()
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        os.close(waker)  # what `wake` is read for
        listener.join(_LOOK_AGAIN_S)  # one that waits for a change to show goes when it has
        if _in_front(terminal):  # else it is the shell's by now, and set as the shell wants it
            with suppress(termios.error):  # hung up
                termios.tcsetattr(terminal, termios.TCSANOW, before)


def _terminal(stream: TextIO | None) -> int | None:
    """The descriptor, where keys can be had from it."""
    if sys.platform == "win32" or stream is None:
        return None
    try:
        terminal = stream.fileno()
    except (OSError, ValueError):
        return None
    return terminal if os.isatty(terminal) and _in_front(terminal) else None


def _in_front(terminal: int) -> bool:
    """Whether this process may use the terminal: one in the background is stopped where it tries."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return True  # not the terminal of this session: no job control


def _listen(terminal: int, wake: int, react: Callable[[str], None]) -> None:
    """Read keys until `wake` is closed at its other end, or the terminal is."""
    try:
        while not select.select([wake], [], [], 0 if _in_front(terminal) else _LOOK_AGAIN_S)[0]:
            if not _in_front(terminal):
                continue
            ready = select.select([terminal, wake], [], [])[0]
            if wake in ready or not _in_front(terminal):
                continue
            typed = os.read(terminal, 64)
            if not typed:
                return
            for key in typed.decode("ascii", "ignore"):
                react(key)
    except OSError:
        return  # hung up
    finally:
        os.close(wake)


class Keys:
    """What each key does. Called with one character; keys without a meaning do nothing."""

    def __init__(self, controls: Controls, tell: Callable[[str], None]) -> None:
        self._controls = controls
        self._tell = tell
        self._backgrounds = ["blur"]
        self._remember(controls.state())

    def __call__(self, key: str) -> None:
        """Do what `key` says, and tell of it in one line."""
        actions: dict[str, Callable[[], None]] = {
            "m": lambda: self._change("mirror", toggled(self._controls, "mirror")),
            "p": lambda: self._change("paused", toggled(self._controls, "paused")),
            "b": self._next_background,
            "+": lambda: self._smooth(_STEP),
            "-": lambda: self._smooth(1 / _STEP),
            "?": lambda: self._tell(HELP),
            "q": self._controls.stop,
        }
        try:
            actions.get(key, lambda: None)()
        except StreammatteError as error:
            self._tell(str(error))

    def _change(self, name: str, value: str) -> None:
        self._tell(said(name, value, self._controls.change(name, value)))

    def _remember(self, state: dict[str, object]) -> str:
        now = str(state.get("bg"))
        # One key must not show the room as it is.
        if now not in (*self._backgrounds, "none", "None"):
            self._backgrounds.append(now)
        return now

    def _next_background(self) -> None:
        now = self._remember(self._controls.state())
        at = self._backgrounds.index(now) if now in self._backgrounds else -1
        self._change("bg", self._backgrounds[(at + 1) % len(self._backgrounds)])

    def _smooth(self, factor: float) -> None:
        now = float(str(self._controls.state()["half_life"]))
        self._change("half_life", f"{min(max(now * factor, _SHORTEST_S), _LONGEST_S):.3g}")
