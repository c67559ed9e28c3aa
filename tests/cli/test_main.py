"""The entry point: what a user sees of a command line that is wrong, and how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click
import pytest

from bundler import __version__
from bundler.cli import main, output
from bundler.core.errors import (
    BundlerError,
    ClusterError,
    DocumentError,
    IntegrityError,
    PolicyError,
    SourceError,
    ToolError,
    TrustError,
    UsageError,
)

ROOT = Path(__file__).parents[2]


def fail_with(error: BaseException) -> click.Command:
    @click.command("inspect")
    @click.option("--allow-unsigned", is_flag=True)
    @output.json_option
    def command(allow_unsigned: bool, as_json: bool) -> None:
        raise error

    return command


@pytest.fixture
def inspect(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module in the place of `bundler.cli.inspect`, whose `command` a test sets."""
    module = ModuleType("bundler.cli.inspect")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.__dict__["command"] = fail_with(TrustError("unasked"))
    return module


def set_command(module: ModuleType, command: click.Command) -> None:
    module.__dict__["command"] = command


def airbundle(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bundler", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_in_the_order_of_the_work() -> None:
    done = airbundle("--help")
    lines = [line.split()[0] for line in done.stdout.split("Commands:\n")[1].splitlines()]
    assert lines == list(main.COMMANDS)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_imports_no_command_and_no_library_but_click() -> None:
    program = (
        "import sys; from bundler.cli import main; main.run(['--help']); "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    commands = {module for module, _ in main.COMMANDS.values()}
    assert "bundler.cli.main" in loaded
    assert not loaded & (commands | {"cryptography", "httpx", "yaml", "subprocess"})


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_help_page_says_what_the_command_says_of_itself(name: str) -> None:
    module, text = main.COMMANDS[name]
    command = import_module(module).command
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == text


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_json(name: str) -> None:
    command = import_module(main.COMMANDS[name][0]).command
    assert "--json" in [option for param in command.params for option in param.opts]


def test_a_command_of_another_name_gets_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["instal"]) == 2
    assert capfd.readouterr() == (
        "",
        "error: no such command 'instal'\nhint: did you mean install?\n",
    )


def test_an_option_of_another_name_gets_the_nearest(
    inspect: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["inspect", "--alow-unsigned"]) == 2
    assert "hint: did you mean --allow-unsigned?" in capfd.readouterr().err


def test_what_is_near_nothing_gets_the_help_page(
    inspect: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["inspect", "surplus"]) == 2
    assert "hint: see `airbundle inspect --help`" in capfd.readouterr().err


def test_a_usage_error_is_json_when_json_was_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["instal", "--json"]) == 2
    assert json.loads(capfd.readouterr().out) == {
        "error": {
            "type": "UsageError",
            "message": "no such command 'instal'",
            "hint": "did you mean install?",
            "exitCode": 2,
        }
    }


def test_no_arguments_show_the_help_and_are_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Commands:" in captured.err


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (IntegrityError, 3),
        (TrustError, 4),
        (PolicyError, 5),
        (ToolError, 6),
        (SourceError, 7),
        (ClusterError, 8),
    ],
)
def test_an_expected_error_is_a_message_a_hint_and_a_code(
    kind: type[BundlerError], code: int, inspect: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    set_command(inspect, fail_with(kind("thing: expected this, found that", "do so")))
    assert main.run(["inspect"]) == code
    assert capfd.readouterr() == ("", "error: thing: expected this, found that\nhint: do so\n")


def test_an_expected_error_is_the_one_document_of_json(
    inspect: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    set_command(inspect, fail_with(DocumentError("a.yaml:1:2", "spec.x", "is odd", "drop it")))
    assert main.run(["inspect", "--json"]) == 2
    assert json.loads(capfd.readouterr().out) == {
        "error": {
            "type": "DocumentError",
            "message": "a.yaml:1:2: spec.x: is odd",
            "hint": "drop it",
            "exitCode": 2,
            "where": "a.yaml:1:2",
            "field": "spec.x",
            "problem": "is odd",
        }
    }


def test_what_is_no_expected_error_goes_through(inspect: ModuleType) -> None:
    set_command(inspect, fail_with(KeyError("a bug")))
    with pytest.raises(KeyError, match="a bug"):
        main.run(["inspect"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_no_traceback(
    error: BaseException, inspect: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    set_command(inspect, fail_with(error))
    assert main.run(["inspect"]) == 130
    assert capfd.readouterr().err == "error: interrupted\n"


def test_a_lock_or_build_goes_on_where_an_interrupt_stopped_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    module = ModuleType("bundler.cli.lock")
    module.__dict__["command"] = fail_with(KeyboardInterrupt())
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert main.run(["lock"]) == 130
    assert "\nhint: run it again: downloads go on where they stopped\n" in capfd.readouterr().err


# `airbundle inspect`, as if it wrote a file and were sent SIGTERM meanwhile.
CANCELLED = """
import os, signal, sys
from pathlib import Path
from types import ModuleType
import click
from bundler.archive.newfile import new_file
from bundler.cli import main

@click.command("inspect")
@click.argument("file")
def command(file):
    with new_file(Path(file)) as made:
        made.clear(5)
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

sys.modules["bundler.cli.inspect"] = module = ModuleType("bundler.cli.inspect")
module.command = command
main.main()
"""


def test_a_job_that_is_cancelled_puts_its_output_away(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CANCELLED, "inspect", str(tmp_path / "bundle.tar")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "error: terminated\n")
    assert list(tmp_path.iterdir()) == []


def test_a_command_may_leave_with_a_code_of_its_own(inspect: ModuleType) -> None:
    @click.command()
    def command() -> None:
        click.get_current_context().exit(5)

    set_command(inspect, command)
    assert main.run(["inspect"]) == 5


def test_a_reader_that_leaves_early_is_no_bug() -> None:
    program = f"{sys.executable} -m bundler --help; echo code $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({program}) | true"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # `true` may be gone before or after the page was written: no traceback either way.
    assert done.stderr in ("code 141\n", "code 0\n")


def test_a_closed_standard_output_is_no_bug() -> None:
    program = (
        "import os; read, write = os.pipe(); os.close(read); os.dup2(write, 1); "
        "from bundler.cli import main; raise SystemExit(main.run(['--help']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("arguments", [["--help"], ["schema", "Bundle"], ["none", "--json"]])
def test_a_full_disk_under_standard_output_is_said(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bundler", *arguments],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    problem = "error: no space left where standard output, or a temporary copy, goes\n"
    assert (done.returncode, done.stderr.endswith(problem)) == (2, True)
    assert "Traceback" not in done.stderr


def test_the_version_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capfd.readouterr() == (f"airbundle {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "option", "hint"),
    [
        (["build", "-o", "x", "--key", "a", "--key", "b"], "--key", "`airbundle sign`"),
        (["build", "-o", "x", "--output=y"], "--output", "give --output once"),
        (["verify", "x", "--key", "a", "--key", "b"], "--key", "in a trust policy"),
        (["render", "x", "--target", "a", "--target", "b"], "--target", "give --target once"),
        (["lock", "--json", "--json"], "--json", "give --json once"),
    ],
)
def test_an_option_that_is_given_again_is_refused(
    arguments: list[str],
    option: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abx":
        (tmp_path / name).touch()
    assert main.run(arguments) == 2
    told = capfd.readouterr().err
    assert told.startswith(f"error: {option}: expected once, found 2 times\n")
    assert hint in told
