"""What `docker login` left: config.json and credential helpers, read by Docker's own SDK."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundler.core.errors import SourceError

_HELPER = "docker-credential-"


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or an identity token (OAuth2's refresh token) instead of both."""

    user: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)


def find_credentials(host: str) -> Credentials | None:
    """The login for the registry `host` (``HOST[:PORT]``), or None.

    From DOCKER_CONFIG/config.json, else ~/.docker/config.json, else ~/.dockercfg; helpers named
    there come first. SourceError for a file that can't be read, a helper that is missing or fails.
    """
    # The SDK takes 0.2 s to load, and most registries ask for no login.
    from docker import auth, errors

    path = _config_file()
    if path is None:
        return None
    try:
        config = auth.load_config(str(path), _content(path))
    except (errors.DockerException, AttributeError, ValueError, TypeError) as error:
        raise _damaged(path) from error
    helper = config.get_credential_store(host)
    if helper is not None and shutil.which(f"{_HELPER}{helper}") is None:
        raise SourceError(
            f"{path}: the login for {host} is kept by {_HELPER}{helper}, which is not on PATH",
            "install it, or take its name out of credsStore and credHelpers",
        )
    try:
        found = auth.resolve_authconfig(config, host)
        return _credentials(found or {})
    except (errors.DockerException, OSError, ValueError, KeyError, TypeError) as error:
        if helper is None:
            raise _damaged(path) from error
        # Its words may be the helper's output, and so the password.
        raise SourceError(
            f"{path}: {_HELPER}{helper} does not give the login for {host}",
            f"see what is wrong: echo {host} | {_HELPER}{helper} get",
        ) from error


def _config_file() -> Path | None:
    """As Docker looks for it: DOCKER_CONFIG, once set, is the only place."""
    from docker.utils import config

    folder = os.environ.get("DOCKER_CONFIG")
    found = os.path.join(folder, "config.json") if folder else config.find_config_file()
    return Path(found) if found and os.path.exists(found) else None


def _content(path: Path) -> Any:
    """The file as JSON, or ValueError; None for the old ~/.dockercfg, which the SDK itself reads.

    The SDK takes a file that it can't read for an empty one.
    """
    if path.name == ".dockercfg":
        return None
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except RecursionError as error:
        raise _damaged(path) from error
    if not _has_form(content):
        raise _damaged(path)
    return content


def _has_form(content: object) -> bool:
    if not isinstance(content, dict):
        return False
    helpers = content.get("credHelpers", {})
    return (
        isinstance(content.get("auths", {}), dict)
        and isinstance(content.get("credsStore", ""), str)
        and isinstance(helpers, dict)
        and all(isinstance(helper, str) for helper in helpers.values())
    )


def _credentials(found: dict[str, Any]) -> Credentials | None:
    """What the SDK found: its files' names begin in lower case, its helpers' in upper case."""
    plain = {name.lower(): value for name, value in found.items()}
    if plain.get("identitytoken"):
        return Credentials("", "", str(plain["identitytoken"]))
    if plain.get("username"):
        return Credentials(str(plain["username"]), str(plain["password"]))
    return None


def _damaged(path: Path) -> SourceError:
    return SourceError(
        f"{path}: is not a configuration of Docker's: expected JSON with logins under auths",
        "move it away and `docker login` again",
    )
