"""The command line: one group, `run` where no command is named, one line where something is wrong."""

from __future__ import annotations

import signal
import sys
import traceback

import click

from streammatte.cli.compare import compare
from streammatte.cli.completion import completion
from streammatte.cli.ctl import ctl
from streammatte.cli.demo import demo
from streammatte.cli.devices import devices
from streammatte.cli.doctor import doctor
from streammatte.cli.engines import engines
from streammatte.cli.memory import keep_large_blocks
from streammatte.cli.models import models
from streammatte.cli.obs import obs
from streammatte.cli.probe import probe
from streammatte.cli.run import run
from streammatte.cli.scenes import scenes
from streammatte.cli.tune import tune
from streammatte.errors import StreammatteError

__all__ = ["cli", "main"]

_UNFINISHED = 130
_DEBUG = "--debug"


class _DefaultToRun(click.Group):
    """`streammatte in.mp4 ...` is `streammatte run in.mp4 ...`; a file named like a command is ./demo."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` before anything that is neither a command nor the group's own flag."""
        own = {"--help", "--version", "-h"}
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DefaultToRun, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="streammatte")
def cli() -> None:
    """Real-time video matting: `streammatte INPUT [options]` runs; `streammatte run --help` lists the options."""


for _command in (run, compare, demo, tune, scenes, devices, ctl, obs, models, engines, probe, doctor, completion):
    cli.add_command(_command)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0, or what `StreammatteError.exit_code` says, or 130 after Ctrl-C.

    `--debug` may stand with any command.
    """
    keep_large_blocks()
    # `docker stop` and service managers ask so; what has been done until then is completed, as by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    whole = sys.argv[1:] if args is None else args
    given = [word for word in whole if word != _DEBUG]
    debug = given != whole
    try:
        code = cli.main(given, prog_name="streammatte", standalone_mode=False)
    except StreammatteError as error:
        code = _complain(str(error), error.exit_code, debug)
    except click.ClickException as error:
        code = _complain(error.format_message(), error.exit_code, debug)
    except (click.Abort, KeyboardInterrupt):
        code = _complain("interrupted; nothing was written", _UNFINISHED, debug)
    except Exception as error:
        words = f"{type(error).__name__}: {error}; this is a bug: please report it with what {_DEBUG} shows"
        code = _complain(words, 1, debug)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    line = " ".join(message.split())
    click.echo(f"streammatte: error: {line}", err=True)
    return code
