"""`streammatte completion SHELL`: the script a shell reads to complete commands and flags."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from streammatte.cli.screen import say

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script, e.g. for ~/.bashrc: eval "$(streammatte completion bash)"."""
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root()
    say(found(root.command, {}, "streammatte", "_STREAMMATTE_COMPLETE").source())
