"""`airbundle completion SHELL`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from bundler.cli import output
from bundler.cli.main import COMPLETION_VARIABLE, PROGRAM, cli

_SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the shell's completion script.")
@click.argument("shell", type=click.Choice(_SHELLS))
@output.json_option
def command(shell: str, as_json: bool) -> None:
    """Print the script that completes commands, options and paths in SHELL.

    \b
    bash: eval "$(airbundle completion bash)"      in ~/.bashrc
    zsh:  eval "$(airbundle completion zsh)"       in ~/.zshrc, after compinit
    fish: airbundle completion fish > ~/.config/fish/completions/airbundle.fish
    """
    text = script(shell)
    output.emit({"shell": shell, "script": text}, text, as_json)


def script(shell: str) -> str:
    """The script for one of the shells that click knows."""
    kind = get_completion_class(shell)
    assert kind is not None, "click's own choice of shells"
    made = kind(cli, {}, PROGRAM, COMPLETION_VARIABLE)
    # Not `source()`, which starts a bash to ask for its version.
    return made.source_template % made.source_vars()
