"""The entry point: finds the command, and turns every expected error into a message and a code.

`COMMANDS` stands for the help page and for the nearest name after a typing error; a command's
own module is imported only when that command runs. A module listed there has one
`command: click.Command`, whose short help is the text in the table (a test compares the two).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn, TextIO

import click

from bundler import __version__
from bundler.cli import output
from bundler.core.errors import BundlerError, UsageError

PROGRAM = "airbundle"
# Set by the script of `airbundle completion`, which asks for one answer and runs no command.
COMPLETION_VARIABLE = "_AIRBUNDLE_COMPLETE"

# name: (module, the one line that `airbundle --help` shows)
COMMANDS = {
    "init": ("bundler.cli.init", "Scaffold a bundle project that builds."),
    "lock": ("bundler.cli.lock", "Resolve every input and write bundle.lock."),
    "build": ("bundler.cli.build", "Lock if needed, check, pack and sign."),
    "audit": ("bundler.cli.audit", "Show what will run, and what the gate finds."),
    "keygen": ("bundler.cli.keygen", "Make a key pair for signing."),
    "sign": ("bundler.cli.sign", "Add one more signature to a bundle."),
    "verify": ("bundler.cli.verify", "Check the signers and every byte of a bundle."),
    "inspect": ("bundler.cli.inspect", "Show what is inside a bundle."),
    "render": ("bundler.cli.render", "Print the manifests as they will be applied."),
    "push": ("bundler.cli.push", "Copy images and models into a registry or a layout."),
    "doctor": ("bundler.cli.doctor", "Look whether an install would go through."),
    "install": ("bundler.cli.install", "Plan, push, apply and record a bundle."),
    "installer": ("bundler.cli.installer", "Make airbundle itself one file, for the far side."),
    "status": ("bundler.cli.status", "Show releases, their objects, and what drifted."),
    "rollback": ("bundler.cli.rollback", "Bring back what a release was before."),
    "uninstall": ("bundler.cli.uninstall", "Take a release from the cluster."),
    "prune": ("bundler.cli.prune", "Take from a registry what no release needs."),
    "nodes": ("bundler.cli.nodes", "Write settings for nodes to pull from a registry."),
    "load": ("bundler.cli.load", "Bring a model's files into a folder, checked."),
    "schema": ("bundler.cli.schema", "Print the JSON Schema of a kind of document."),
    "completion": ("bundler.cli.completion", "Print the shell's completion script."),
}

# What to do where somebody gave an option twice and meant it.
_INSTEAD = {
    ("build", "--key"): "build with one key, and add the other with `airbundle sign`",
    ("verify", "--key"): "name several keys in a trust policy, and give that with --trust",
}

_INTERRUPTED = 130
_TERMINATED = 143  # 128 + SIGTERM, as a shell shows it
_RESUMING = ("lock", "build")
_READER_GONE = 141  # 128 + SIGPIPE, what a shell shows for a program whose reader has left


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, which a CI system sends to a job that is cancelled: all is put away, as for ^C."""


class _LazyGroup(click.Group):
    """A group whose members are names and help lines, until one of them is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, stub, rest = super().resolve_command(ctx, args)
        if name is None or stub is None:
            return name, stub, rest
        command: click.Command = import_module(COMMANDS[name][0]).command
        if not ctx.resilient_parsing:  # half a line that is being completed may be wrong
            _refuse_repeated(ctx, name, command, rest)
        return name, command, rest


def _refuse_repeated(
    parent: click.Context, name: str, command: click.Command, arguments: Sequence[str]
) -> None:
    """UsageError for an option that is given again: click would drop all but the last."""
    context = click.Context(command, parent=parent, info_name=name)
    given = Counter(command.make_parser(context).parse_args(list(arguments))[2])
    for option, count in given.items():
        if isinstance(option, click.Option) and count > 1 and not option.multiple:
            flag = max(option.opts, key=len)
            raise UsageError(
                f"{flag}: expected once, found {count} times",
                _INSTEAD.get((name, flag), f"give {flag} once"),
            )


cli = _LazyGroup(
    PROGRAM,
    commands={name: click.Command(name, short_help=text) for name, (_, text) in COMMANDS.items()},
    help="Models, images and manifests in one signed file, for places connected to nothing.",
)
click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")(cli)


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    asked = os.environ.get(COMPLETION_VARIABLE)
    if asked is not None:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(cli, {}, PROGRAM, COMPLETION_VARIABLE, asked))
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one does not stop the putting away
    raise _TerminatedError


def run(arguments: Sequence[str]) -> int:
    """The exit code of `airbundle ARGUMENTS`, after its output and its errors were written.

    What is neither a BundlerError nor the user's doing is a bug and goes through.
    """
    try:
        return _run(arguments)
    except BrokenPipeError:
        _forget(sys.stdout, sys.stderr)
        return _READER_GONE
    except OSError as error:
        # Whoever writes a file says which; only the streams and temporary copies have no name.
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        _forget(sys.stdout)
        output.note("error: no space left where standard output, or a temporary copy, goes")
        return UsageError.exit_code


def _run(arguments: Sequence[str]) -> int:
    as_json = output.wants_json(arguments)
    try:
        return _invoke(arguments)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return output.report(_usage_error(error), as_json)
    except BundlerError as error:
        return output.report(error, as_json)
    except (KeyboardInterrupt, click.Abort) as error:
        terminated = isinstance(error, _TerminatedError)
        output.note("error: terminated" if terminated else "error: interrupted")
        if arguments[0] in _RESUMING:
            output.note("hint: run it again: downloads go on where they stopped")
        return _TERMINATED if terminated else _INTERRUPTED


def _invoke(arguments: Sequence[str]) -> int:
    try:
        with cli.make_context(PROGRAM, list(arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    finally:
        sys.stdout.flush()
    return 0


def _usage_error(error: click.ClickException) -> UsageError:
    """`error` in the form of all our errors: what is wrong, then what would be right."""
    if isinstance(error, click.NoSuchOption | click.exceptions.NoSuchCommand):
        message, nearest = error.message, error.possibilities
    else:
        message, nearest = error.format_message(), None
    if nearest:
        hint = f"did you mean {nearest[0]}?"
    else:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"see `{context.command_path if context else PROGRAM} --help`"
    message = message.rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint)


def _forget(*streams: TextIO) -> None:
    """Send what is still buffered nowhere, so that Python's own last flush stays quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
