"""`airbundle keygen KEY`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import keygen
from bundler.cli import options, output
from bundler.sign.keys import Algorithm


@click.command(short_help="Make a key pair for signing.")
@click.argument("key", type=click.Path(path_type=Path))
@click.option(
    "--algorithm",
    type=click.Choice([each.value for each in Algorithm]),
    default=Algorithm.P256.value,
    show_default=True,
    help="ECDSA P-256 or P-384, or Ed25519.",
)
@click.option("--no-passphrase", is_flag=True, help="Leave the private key unencrypted.")
@output.json_option
def command(key: Path, algorithm: str, no_passphrase: bool, as_json: bool) -> None:
    """Make a key pair for signing: KEY, encrypted, and its public half, a .pub, beside it.

    The passphrase is asked for, or read from AIRBUNDLE_KEY_PASSPHRASE.
    """
    keygen.check_name(key)
    keygen.check_absent(key)
    passphrase = None if no_passphrase else options.passphrase(str(key), new=True)
    pair = keygen.keygen(key, Algorithm(algorithm), passphrase)
    output.emit(pair, lambda: _text(pair), as_json)


def _text(pair: keygen.KeyPair) -> str:
    return (
        f"private key  {pair.private}\npublic key   {pair.public}\nfingerprint  {pair.fingerprint}"
    )
