"""Docker's own credentials: its files, and helpers that are real programs on PATH."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from docker import auth, errors

from bundler.core.errors import SourceError
from bundler.tools.registry.credentials import Credentials, find_credentials
from tests.tools.registry.conftest import Login

HOST = "registry.example:5000"
PASSWORD = "hunter2"
Helper = Callable[[str, str], None]


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    """`helper(name, script)`: docker-credential-<name>, a shell script."""

    def install(name: str, script: str) -> None:
        program = tmp_path / "bin" / f"docker-credential-{name}"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    return install


def giving(user: str, secret: str) -> str:
    """A helper that writes what it was asked for beside itself, and answers."""
    answer = json.dumps({"ServerURL": "x", "Username": user, "Secret": secret})
    return f'test "$1" = get && cat > "$0.asked" && echo \'{answer}\''


def test_nobody_is_logged_in() -> None:
    assert find_credentials(HOST) is None


def test_a_user_and_a_password(logged_in: Login) -> None:
    logged_in(HOST, "me", "with:colons")
    assert find_credentials(HOST) == Credentials("me", "with:colons")


def test_the_login_of_another_host_is_not_taken(logged_in: Login) -> None:
    logged_in("registry.example", "me", PASSWORD)
    assert find_credentials(HOST) is None
    assert find_credentials("other.registry.example") is None
    assert find_credentials("docker.io") is None


def test_an_identity_token(logged_in: Login) -> None:
    logged_in(HOST, "", "", identitytoken="refresh")
    assert find_credentials(HOST) == Credentials("", "", "refresh")


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_has_a_key_of_its_own(logged_in: Login, key: str) -> None:
    logged_in(key, "me", PASSWORD)
    assert find_credentials("docker.io") == Credentials("me", PASSWORD)


def test_an_old_key_with_a_scheme(logged_in: Login) -> None:
    logged_in(f"https://{HOST}/v1/", "me", PASSWORD)
    assert find_credentials(HOST) == Credentials("me", PASSWORD)


def test_the_file_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    auth = base64.b64encode(b"me:hunter2").decode()
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {HOST: {"auth": auth}}}))
    assert find_credentials(HOST) == Credentials("me", PASSWORD)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert find_credentials(HOST) is None, "once set, it is the only place"


@pytest.mark.parametrize("names", [{"credsStore": "own"}, {"credHelpers": {HOST: "own"}}])
def test_a_helper_is_asked(
    docker_config: Path, helper: Helper, names: dict[str, object], tmp_path: Path
) -> None:
    helper("own", giving("me", PASSWORD))
    docker_config.write_text(json.dumps(names))
    assert find_credentials(HOST) == Credentials("me", PASSWORD)
    assert (tmp_path / "bin" / "docker-credential-own.asked").read_text() == HOST


def test_a_helper_s_identity_token(docker_config: Path, helper: Helper) -> None:
    helper("own", giving("<token>", "refresh"))
    docker_config.write_text(json.dumps({"credsStore": "own"}))
    assert find_credentials(HOST) == Credentials("", "", "refresh")


def test_a_helper_is_asked_for_docker_hub_by_its_old_name(
    docker_config: Path, helper: Helper, tmp_path: Path
) -> None:
    helper("own", giving("me", PASSWORD))
    docker_config.write_text(json.dumps({"credsStore": "own"}))
    assert find_credentials("docker.io") == Credentials("me", PASSWORD)
    asked = (tmp_path / "bin" / "docker-credential-own.asked").read_text()
    assert asked == "https://index.docker.io/v1/"


def test_a_helper_without_a_login_leaves_it_to_the_file(
    docker_config: Path, helper: Helper
) -> None:
    helper("own", "echo credentials not found in native keychain; exit 1")
    auth = base64.b64encode(b"me:hunter2").decode()
    docker_config.write_text(json.dumps({"credsStore": "own", "auths": {HOST: {"auth": auth}}}))
    assert find_credentials(HOST) == Credentials("me", PASSWORD)


def test_where_no_helper_is_asked_the_file_is_named(
    docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise errors.DockerException(PASSWORD)

    docker_config.write_text(json.dumps({"auths": {HOST: {}}}))
    monkeypatch.setattr(auth, "resolve_authconfig", refuse)
    with pytest.raises(SourceError, match="is not a configuration of Docker's") as caught:
        find_credentials(HOST)
    assert PASSWORD not in f"{caught.value.message} {caught.value.hint}"


def test_a_missing_helper_is_named(docker_config: Path) -> None:
    docker_config.write_text(json.dumps({"credsStore": "gone"}))
    with pytest.raises(SourceError, match="docker-credential-gone, which is not on PATH") as caught:
        find_credentials(HOST)
    assert str(docker_config) in caught.value.message


@pytest.mark.parametrize(
    "script",
    [
        f"echo {PASSWORD}; exit 3",
        f"echo {PASSWORD}",
        f"echo '[\"{PASSWORD}\"]'",
        f'echo \'{{"Secret": "{PASSWORD}"}}\'',
        f'echo \'{{"Username": 5, "Secret": ["{PASSWORD}"]}}\'; exit 1',
        "printf '\\377'",
        "kill -9 $$",
    ],
)
def test_a_helper_that_fails_is_named_and_its_words_are_not_shown(
    docker_config: Path, helper: Helper, script: str
) -> None:
    helper("odd", script)
    docker_config.write_text(json.dumps({"credHelpers": {HOST: "odd"}}))
    with pytest.raises(SourceError, match=f"docker-credential-odd does not give the.*{HOST}") as e:
        find_credentials(HOST)
    assert PASSWORD not in f"{e.value.message} {e.value.hint}"


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "5",
        "\xff",
        "[" * 100_000,
        '{"auths": []}',
        '{"auths": {"registry.example:5000": 5}}',
        '{"auths": {"registry.example:5000": {"auth": 5}}}',
        '{"auths": {"registry.example:5000": {"auth": "%%%"}}}',
        '{"auths": {"registry.example:5000": {"auth": "bm9jb2xvbg=="}}}',
        '{"credHelpers": ["x"]}',
        '{"credHelpers": {"registry.example:5000": 5}}',
        '{"credsStore": {"a": 5}}',
    ],
)
def test_a_damaged_file_is_named(docker_config: Path, content: str) -> None:
    docker_config.write_text(content, encoding="latin-1")
    with pytest.raises(SourceError, match="is not a configuration of Docker's") as caught:
        find_credentials(HOST)
    assert str(docker_config) in caught.value.message


@pytest.mark.parametrize(
    "content", ["{}", '{"auths": {}}', '{"auths": {"registry.example:5000": {}}}']
)
def test_an_empty_file_is_none(docker_config: Path, content: str) -> None:
    docker_config.write_text(content)
    assert find_credentials(HOST) is None


def test_a_file_that_can_not_be_read_is_named(docker_config: Path) -> None:
    docker_config.mkdir()
    with pytest.raises(SourceError, match=r"config\.json: Is a directory"):
        find_credentials(HOST)


def test_no_secret_is_in_what_is_printed() -> None:
    assert PASSWORD not in repr(Credentials("me", PASSWORD, PASSWORD))
