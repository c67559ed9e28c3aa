"""Options that several commands share, and what a command receives from them.

======================  =====================================================================
decorator               parameter of the command
======================  =====================================================================
`trust_options`         ``trust: Trust | None``: a TrustPolicy (--trust) or a PublicKey (--key),
                        read and parsed; None stands for --allow-unsigned, and for nothing else
`set_option`            ``settings: dict[str, str]``: every --set NAME=VALUE, values as written
`registry_option`       ``registry: str``: HOST[/PREFIX] or oci:DIR, required, as written
`target_option`         ``target: str``: the name of an overlay, required
`file_argument`         ``file: Path``: FILE, a bundle that is there
`spec_argument`         ``spec: Path``: SPEC, bundle.yaml of this folder unless told
`spec_or_file_argument`  ``path: Path``: the same, or a bundle
`output.json_option`    ``as_json: bool``
======================  =====================================================================

Errors: a TrustError (exit 4) without exactly one of the three trust options; a UsageError
(exit 2) for a --set that has no ``=`` or names a parameter again. `passphrase` is for the
commands that open or make a private key.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import output
from bundler.core.errors import DocumentError, TrustError, UsageError

# `bundler.sign` is imported where it is used: cryptography is no part of a help page.
if TYPE_CHECKING:
    from bundler.archive.store import Store
    from bundler.sign.keys import PrivateKey
    from bundler.sign.trust import Trust

PASSPHRASE_VARIABLE = "AIRBUNDLE_KEY_PASSPHRASE"
STORE_VARIABLE = "AIRBUNDLE_STORE"

Command = Callable[..., None]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_POLICY = click.option(
    "--trust", "policy", type=_FILE, metavar="POLICY", help="Trust what this policy accepts."
)
_KEY = click.option(
    "--key", "key", type=_FILE, metavar="PUB", help="Trust what this public key signed."
)
_UNSIGNED = click.option(
    "--allow-unsigned", is_flag=True, help="Accept a bundle that nobody vouches for."
)


def trust_options(function: Command) -> Command:
    """Add --trust, --key and --allow-unsigned; the command receives `trust` (see above)."""

    @wraps(function)
    def with_trust(
        policy: Path | None, key: Path | None, allow_unsigned: bool, **others: Any
    ) -> None:
        function(trust=_trust(policy, key, allow_unsigned), **others)

    return _POLICY(_KEY(_UNSIGNED(with_trust)))


def _trust(policy: Path | None, key: Path | None, allow_unsigned: bool) -> Trust | None:
    given = {"--trust": policy, "--key": key, "--allow-unsigned": allow_unsigned}
    found = [name for name, value in given.items() if value]
    if len(found) != 1:
        raise TrustError(
            "whom to trust: expected exactly one of --trust, --key and --allow-unsigned, "
            f"found {' and '.join(found) or 'none of them'}",
            "--trust POLICY or --key PUB, got from elsewhere than the bundle; "
            "--allow-unsigned checks integrity alone",
        )
    if policy is not None:
        from bundler.core.documents.trust import parse_trust_policy

        return parse_trust_policy(_text(policy), str(policy))
    if key is not None:
        from bundler.sign.keys import PublicKey

        return PublicKey.load(key)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(str(path), "", f"is not UTF-8 at byte {error.start}") from error


def _settings(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    settings: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"--set {text}: expected NAME=VALUE")
        if name in settings:
            raise UsageError(f"--set {text}: {name} is already set to {settings[name]!r}")
        settings[name] = value
    return settings


set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    help="Set a parameter that the bundle declares; may be repeated.",
)

registry_option = click.option(
    "--registry",
    required=True,
    metavar="HOST[/PREFIX]|oci:DIR",
    help="Where images and models go: a registry, or an OCI layout on disk.",
)

target_option = click.option(
    "--target", required=True, metavar="TARGET", help="The overlay of the bundle to use."
)


def optional_trust(function: Command) -> Command:
    """The same options, for a command that also takes what nobody signs.

    The command receives `trust`, a function that gives what `trust_options` would, or its error.
    """

    @wraps(function)
    def with_trust(
        policy: Path | None, key: Path | None, allow_unsigned: bool, **others: Any
    ) -> None:
        function(trust=lambda: _trust(policy, key, allow_unsigned), **others)

    return _POLICY(_KEY(_UNSIGNED(with_trust)))


file_argument = click.argument("file", type=_FILE)


def _spec(context: click.Context, parameter: click.Parameter, given: Path) -> Path:
    if not given.exists() and not context.resilient_parsing:
        raise UsageError(
            f"{given}: expected a spec, found none",
            "cd into the project, name the file, or `airbundle init DIR`",
        )
    return given


def _spec_argument(name: str, metavar: str) -> Callable[[Command], Command]:
    return click.argument(
        name,
        metavar=metavar,
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("bundle.yaml"),
        callback=_spec,
    )


spec_argument = _spec_argument("spec", "[SPEC]")

# For a command that takes a bundle as well; the parameter is `path`.
spec_or_file_argument = _spec_argument("path", "[SPEC|FILE]")


def store() -> Store:
    """Where downloads are kept: AIRBUNDLE_STORE, else `airbundle` in the user's cache folder.

    https://specifications.freedesktop.org/basedir-spec/latest/: a relative path is none.
    """
    from bundler.archive.store import Store

    named = os.environ.get(STORE_VARIABLE)
    if named:
        return Store(Path(named))
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return Store((cache if cache.is_absolute() else Path.home() / ".cache") / "airbundle")


def today() -> str:
    """The day by which waivers end, in UTC, as YYYY-MM-DD."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def private_key(path: Path) -> PrivateKey:
    """The private key in `path`, after asking for its passphrase where it has one."""
    from bundler.sign.keys import PrivateKey, is_encrypted

    if not is_encrypted(path):
        return PrivateKey.load(path, None)
    phrase = passphrase(str(path), new=False)
    try:
        return PrivateKey.load(path, phrase)
    except UsageError as error:
        if PASSPHRASE_VARIABLE not in os.environ:
            raise
        raise UsageError(error.message, f"{PASSPHRASE_VARIABLE} is what was tried") from error


def passphrase(key: str, *, new: bool) -> bytes:
    """The passphrase of the private key called `key`: AIRBUNDLE_KEY_PASSPHRASE, or a prompt.

    A `new` one is asked for twice. UsageError where there is nobody to ask.
    """
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is None:
        if not sys.stdin.isatty():
            raise UsageError(
                f"{key}: needs a passphrase, and there is no terminal to ask on",
                f"set {PASSPHRASE_VARIABLE}",
            )
        given = _asked(f"Passphrase for {key}")
        while new and given != _asked("The same again"):
            output.note("error: expected the same passphrase twice, found another one")
            given = _asked(f"Passphrase for {key}")
    return given.encode("utf-8", "surrogateescape")


def _asked(question: str) -> str:
    return str(click.prompt(question, hide_input=True, err=True))
