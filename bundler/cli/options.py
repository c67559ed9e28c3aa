"""Options that several commands share, and what a command receives from them.

======================  =====================================================================
decorator               parameter of the command
======================  =====================================================================
`trust_options`         ``trust: Trust | None``: a TrustPolicy (--trust) or a PublicKey (--key),
                        read and parsed; None stands for --allow-unsigned, and for nothing else
`set_option`            ``settings: dict[str, str]``: every --set NAME=VALUE, values as written
`registry_option`       ``registry: str``: HOST[/PREFIX] or oci:DIR, required, as written
`site_registry_option`  ``registry: str``: the same without oci:DIR
`registry_ca_option`    ``registry_ca: Path | None``
`registry_credentials_option` ``registry_credentials: Path | None``
`access_options`        ``access: Access``: --kubeconfig, --context, --release-namespace
`timeout_option`        ``timeout: float``: seconds
`keep_failed_option`    ``keep_failed: bool``
`take_ownership_option` ``take_ownership: bool``
`ignored_checks_option` ``ignored_checks: tuple[str, ...]``: names of checks of the preflight
`dry_run_option`        ``dry_run: bool``
`overlay_options`       ``overlay: SiteOverlay | None``: --overlay DIR, with --policy FILE and
                        --require-scanners
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
import re
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
    from bundler.inputs.siteoverlay import SiteOverlay
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

_KUBECONFIG = click.option(
    "--kubeconfig", type=_FILE, metavar="FILE", help="Whose cluster, and as whom."
)
_CONTEXT = click.option("--context", metavar="NAME", help="The context of the kubeconfig.")
_RELEASE_NAMESPACE = click.option(
    "--release-namespace",
    default="airbundle-system",
    show_default=True,
    metavar="NAME",
    help="Where the records of releases are kept.",
)


def _seconds(context: click.Context, parameter: click.Parameter, given: str) -> float:
    """A duration as `kubectl --timeout` takes it, in seconds."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", given)
    if not given or found is None:
        raise UsageError(f"--timeout {given}: expected a duration such as 90s, 10m or 1h30m")
    hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


timeout_option = click.option(
    "--timeout",
    default="10m",
    show_default=True,
    callback=_seconds,
    metavar="DURATION",
    help="How long to wait until all is ready, or gone; 0s waits for nothing.",
)

keep_failed_option = click.option(
    "--keep-failed", is_flag=True, help="Leave what failed as it is, instead of going back."
)

take_ownership_option = click.option(
    "--take-ownership",
    is_flag=True,
    help="Make objects, and fields, of the release that are others' its own; the plan shows which.",
)


def _checks(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of checks of the preflight; the room with the checks is none of a help page's."""
    if given:
        from bundler.cluster.preflight import NAMES
        from bundler.core.documents.structure import nearest

        unknown = next((name for name in given if name not in NAMES), None)
        if unknown is not None:
            said = f"--ignore-preflight-errors {unknown!r}: there is no such check of the preflight"
            raise UsageError(said, nearest(unknown, NAMES))
    return given


ignored_checks_option = click.option(
    "--ignore-preflight-errors",
    "ignored_checks",
    multiple=True,
    callback=_checks,
    metavar="CHECK",
    help="Go on although this check of the preflight fails; may be repeated.",
)

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show the plan, and change nothing anywhere."
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


def access_options(function: Command) -> Command:
    """Add --kubeconfig, --context and --release-namespace; the command receives `access`."""

    @wraps(function)
    def with_access(
        kubeconfig: Path | None, context: str | None, release_namespace: str, **others: Any
    ) -> None:
        from bundler.cluster.access import Access

        function(access=Access(kubeconfig, context, release_namespace), **others)

    return _KUBECONFIG(_CONTEXT(_RELEASE_NAMESPACE(with_access)))


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
    metavar="[PROFILE:]HOST[/PREFIX]|oci:DIR",
    help="Where images and models go: a registry, or an OCI layout on disk.",
)

site_registry_option = click.option(
    "--registry",
    required=True,
    metavar="[PROFILE:]HOST[/PREFIX]",
    help="The site's registry.",
)

registry_ca_option = click.option(
    "--registry-ca",
    type=_FILE,
    metavar="FILE",
    help="Certificates in PEM that the registry's may be signed by, as well.",
)

registry_credentials_option = click.option(
    "--registry-credentials",
    type=_FILE,
    metavar="FILE",
    help="A Docker config, for the pull secret that the bundle asks for.",
)

target_option = click.option(
    "--target", required=True, metavar="TARGET", help="The overlay of the bundle to use."
)

_OVERLAY = click.option(
    "--overlay",
    "folder_of_overlay",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Your own Kustomize overlay over the target; needs kustomize here.",
)
_SITE_POLICY = click.option(
    "--policy",
    "site_policy",
    type=_FILE,
    metavar="FILE",
    help="With --overlay: your policy, which then judges in place of the bundle's.",
)
_SCANNERS = click.option(
    "--require-scanners",
    "scanned",
    is_flag=True,
    help="With --overlay: checkov, too, looks at what comes of it.",
)


def overlay_options(function: Command) -> Command:
    """Add --overlay, --policy and --require-scanners; the command receives `overlay`."""

    @wraps(function)
    def with_overlay(
        folder_of_overlay: Path | None, site_policy: Path | None, scanned: bool, **others: Any
    ) -> None:
        function(overlay=_overlay(folder_of_overlay, site_policy, scanned), **others)

    return _OVERLAY(_SITE_POLICY(_SCANNERS(with_overlay)))


def _overlay(folder: Path | None, policy: Path | None, scanned: bool) -> SiteOverlay | None:
    if folder is not None:
        from bundler.inputs.siteoverlay import read_overlay

        return read_overlay(folder, policy, today(), scanned=scanned)
    for name, given in (("--policy", policy), ("--require-scanners", scanned)):
        if given:
            raise UsageError(
                f"{name}: goes with --overlay alone",
                "without one, what the bundle's own policy and scanners judged is installed",
            )
    return None


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
