"""The options that commands share: one whom to trust, settings that are said once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import pytest

from bundler.cli import options
from bundler.core.errors import DocumentError, TrustError, UsageError
from bundler.sign.keys import Algorithm, PrivateKey, PublicKey


def call(decorator: Any, *arguments: str) -> dict[str, Any]:
    """What a command that has the options of `decorator` receives for `arguments`."""
    received: dict[str, Any] = {}

    def command(**values: Any) -> None:
        received.update(values)

    click.command()(decorator(command)).main(list(arguments), standalone_mode=False)
    return received


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "a.pub"
    path.write_bytes(PrivateKey.generate(Algorithm.P256).public.pem())
    return path


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ([], "none of them"),
        (["--key", "KEY", "--allow-unsigned"], "--key and --allow-unsigned"),
        (["--trust", "KEY", "--key", "KEY"], "--trust and --key"),
        (["--trust", "KEY", "--allow-unsigned"], "--trust and --allow-unsigned"),
    ],
)
def test_other_than_one_answer_to_whom_to_trust_is_refused(
    flags: list[str], found: str, key: Path
) -> None:
    arguments = [str(key) if flag == "KEY" else flag for flag in flags]
    with pytest.raises(TrustError, match=f"one of --trust, --key and --allow-unsigned.*{found}$"):
        call(options.trust_options, *arguments)


def test_a_key_is_read(key: Path) -> None:
    received = call(options.trust_options, "--key", str(key))
    assert received == {"trust": PublicKey.load(key)}


def test_a_policy_is_read(key: Path, tmp_path: Path) -> None:
    policy = tmp_path / "trust.yaml"
    pem = key.read_text().replace("\n", "\n          ")
    policy.write_text(
        "apiVersion: airbundle.dev/v1alpha1\nkind: TrustPolicy\nrules:\n"
        '  - names: ["*"]\n    threshold: 1\n    keys:\n'
        f"      - id: a\n        pem: |\n          {pem}\n"
    )
    received = call(options.trust_options, "--trust", str(policy))
    assert [rule.names for rule in received["trust"].rules] == [("*",)]


def test_nobody_is_trusted_only_when_asked_for() -> None:
    assert call(options.trust_options, "--allow-unsigned") == {"trust": None}


def test_a_file_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(click.BadParameter, match=r"no\.pub"):
        call(options.trust_options, "--key", "no.pub")


def test_settings_are_split_at_the_first_equals_sign() -> None:
    received = call(options.set_option, "--set", "a=1", "--set", "b=x=y", "--set", "c=")
    assert received == {"settings": {"a": "1", "b": "x=y", "c": ""}}


@pytest.mark.parametrize("text", ["a", "=1", ""])
def test_a_setting_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected NAME=VALUE"):
        call(options.set_option, "--set", text)


def test_a_setting_said_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="a is already set to '1'"):
        call(options.set_option, "--set", "a=1", "--set", "a=2")


def test_checks_to_ignore_are_known_by_name() -> None:
    option = "--ignore-preflight-errors"
    received = call(options.ignored_checks_option, option, "node disk", option, "registry")
    assert received == {"ignored_checks": ("node disk", "registry")}
    with pytest.raises(UsageError, match="'node-disk': there is no such check") as refused:
        call(options.ignored_checks_option, option, "node-disk", option, "gpu")
    assert str(refused.value.hint).startswith("did you mean node disk? valid here: clock, ")


def test_a_policy_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    policy = tmp_path / "trust.yaml"
    policy.write_bytes(b"kind: \xff")
    with pytest.raises(DocumentError, match=r"trust\.yaml: is not UTF-8 at byte 6"):
        call(options.trust_options, "--trust", str(policy))


def test_a_passphrase_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", "correct hörse")
    assert options.passphrase("a.key", new=False) == "correct hörse".encode()


def test_without_a_terminal_nobody_is_asked_for_a_passphrase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AIRBUNDLE_KEY_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("typed\n"))
    with pytest.raises(UsageError, match=r"a\.key: needs a passphrase") as refused:
        options.passphrase("a.key", new=False)
    assert refused.value.hint == "set AIRBUNDLE_KEY_PASSPHRASE"


@pytest.mark.parametrize(("new", "typed"), [(False, ["one"]), (True, ["one", "two", "one", "one"])])
def test_a_new_passphrase_is_asked_for_until_it_is_typed_twice(
    new: bool,
    typed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("AIRBUNDLE_KEY_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    answers = iter(typed)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda prompt: next(answers))
    assert options.passphrase("a.key", new=new) == b"one"
    assert list(answers) == []
    differs = "error: expected the same passphrase twice, found another one\n"
    assert capsys.readouterr().err.count(differs) == new
