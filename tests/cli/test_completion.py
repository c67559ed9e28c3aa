"""Completion as people meet it: the script in a real shell, and what it asks `airbundle` for."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.cli import main
from bundler.cli.completion import script

ROOT = Path(__file__).parents[2]

# The function that the script registered, as bash calls it.
BASH = """\
compopt() { printf '%%s ' compopt "$@"; echo; }
COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ $(complete -p airbundle) =~ -F\\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" airbundle
printf '%%s\\n' "${COMPREPLY[@]}"
"""
# The widgets exist while a key is handled; these take down what they are given.
ZSH = """\
_describe() { print -l -- ${(P)3} }
compadd() { print -l -- ${(P)@[-1]} }
_path_files() { print -- "_path_files $*" }
words=(%s); CURRENT=$#words
_airbundle_completion
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `airbundle` is called, with a few files."""
    (tmp_path / "demo.tar").touch()
    (tmp_path / "demo.pub").touch()
    program = tmp_path / "bin" / "airbundle"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bundler "$@"\n')
    program.chmod(0o755)
    return tmp_path


def in_shell(folder: Path, argv: list[str]) -> list[str]:
    environment = {
        "HOME": str(folder),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def bash(folder: Path, *words: str) -> list[str]:
    quoted = " ".join(map(shlex.quote, ("airbundle", *words)))
    return in_shell(folder, ["bash", "--norc", "-c", script("bash") + BASH % quoted])


def zsh(folder: Path, *words: str) -> list[str]:
    quoted = " ".join(map(shlex.quote, ("airbundle", *words)))
    loaded = f"compdef() {{ }}\n{script('zsh')}"
    return in_shell(folder, ["zsh", "-f", "-c", loaded + ZSH % quoted])


def fish(folder: Path, line: str) -> list[str]:
    asked = f"{script('fish')}\ncomplete -C {shlex.quote(line)}"
    return in_shell(folder, ["fish", "--no-config", "-c", asked])


def test_bash_completes_commands(folder: Path) -> None:
    assert bash(folder, "in") == ["init", "inspect", "install", "installer"]
    assert set(main.COMMANDS) <= set(bash(folder, ""))


def test_bash_completes_options_of_the_command(folder: Path) -> None:
    assert bash(folder, "verify", "--al") == ["--allow-unsigned"]
    assert bash(folder, "verify", "demo.tar", "--tr") == ["--trust"]
    assert bash(folder, "completion", "") == ["bash", "zsh", "fish"]


def test_bash_completes_paths_itself(folder: Path) -> None:
    assert bash(folder, "verify", "de") == ["compopt -o default ", ""]
    assert bash(folder, "verify", "demo.tar", "--key", "") == ["compopt -o default ", ""]


def test_half_a_line_may_be_wrong(folder: Path) -> None:
    assert bash(folder, "build", "-o", "x", "-o", "y", "--loc") == ["--locked"]
    assert bash(folder, "render", "demo.tar", "--set", "wrong", "--tar") == ["--target"]
    assert "--version" in bash(folder, "nonsense", "--")


@pytest.mark.needs("zsh")
def test_zsh_completes_commands_options_and_paths(folder: Path) -> None:
    assert [line.split(":")[0] for line in zsh(folder, "in")] == [
        "init",
        "inspect",
        "install",
        "installer",
    ]
    assert [line.split(":")[0] for line in zsh(folder, "verify", "--al")] == ["--allow-unsigned"]
    assert zsh(folder, "verify", "de") == ["_path_files -f"]


@pytest.mark.needs("fish")
def test_fish_completes_commands_options_and_paths(folder: Path) -> None:
    assert [line.split("\t")[0] for line in fish(folder, "airbundle in")] == [
        "init",
        "inspect",
        "install",
        "installer",
    ]
    assert fish(folder, "airbundle verify --al") == [
        "--allow-unsigned\tAccept a bundle that nobody vouches for."
    ]
    assert [line.split("\t")[0] for line in fish(folder, "airbundle verify demo.t")] == ["demo.tar"]


def asked(line: str, program: str = "main.main()") -> subprocess.CompletedProcess[str]:
    """What the script's own call prints, in this tree."""
    words = line.split(" ")
    environment = {**os.environ, "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return subprocess.run(
        [sys.executable, "-c", f"import sys; from bundler.cli import main; {program}"],
        cwd=ROOT,
        env={**environment, main.COMPLETION_VARIABLE: "bash_complete"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_the_module_of_the_command_is_imported() -> None:
    program = (
        "import atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main.main()"
    )
    commands = {module for module, _ in main.COMMANDS.values()}
    libraries = {"cryptography", "httpx", "yaml"}
    first = asked("airbundle i", program)
    assert first.stdout == "plain,init\nplain,inspect\nplain,install\nplain,installer\n"
    assert not set(first.stderr.split()) & (commands | libraries)
    second = asked("airbundle keygen --", program)
    assert "plain,--no-passphrase\n" in second.stdout
    assert set(second.stderr.split()) & commands == {"bundler.cli.keygen"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_all_that_is_printed(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["completion", shell]) == 0
    assert capfd.readouterr() == (script(shell).removesuffix("\n") + "\n", "")
    assert main.run(["completion", shell, "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"shell": shell, "script": script(shell)}


def test_another_shell_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capfd.readouterr().err
