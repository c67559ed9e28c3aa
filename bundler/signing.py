"""`airbundle sign`: one more signature on a bundle, beside the file or in its slot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.core.progress import SILENT, Progress
from bundler.core.release import Release
from bundler.sign import slot
from bundler.sign.envelope import PAYLOAD_TYPE, Envelope, Signature, merge, pae
from bundler.sign.keys import PrivateKey, PublicKey
from bundler.sign.open import open_bundle


@dataclass(frozen=True)
class Signed:
    """What was signed, by which key, where the signature is, and how many keys have signed now.

    `signatures` counts the slot and the sidecar together, each key once. `written` is False when
    the key had signed there before.
    """

    release: Release
    fingerprint: str
    place: Path
    signatures: int
    written: bool


def sign_bundle(
    file: Path, key: PrivateKey, *, in_place: bool, progress: Progress = SILENT
) -> Signed:
    """Adds a signature by `key` to ``FILE.sig.json``, or with `in_place` to the slot of `file`.

    Every byte of the file is verified before anything is signed: who signs vouches for all of it.
    A good signature by the same key stays as it is, and one in the slot needs none in the
    sidecar; an earlier `in_place` run that was interrupted is ended first. IntegrityError or
    TrustError when the file or the signatures that are there can't be accepted.
    """
    slot.recover(file)
    with open_bundle(file, None) as bundle:
        bundle.verify_blobs(progress)
        release = bundle.release
    in_slot, beside = slot.read_file_slot(file), slot.read_sidecar(file)
    in_slot_already = in_slot is not None and _has_signed(in_slot, key.public)
    to_slot = in_place or in_slot_already
    there, other = (in_slot, beside) if to_slot else (beside, in_slot)
    envelope = add_signature(there, release, key)
    # Before anything is written: whoever opens the file merges the two.
    together = merge([envelope, *([] if other is None else [other])])
    if envelope != there:
        write = slot.write_file_slot if to_slot else slot.write_sidecar
        write(file, envelope)
    place = file if to_slot else slot.sidecar_path(file)
    return Signed(
        release, key.public.fingerprint, place, len(together.signatures), envelope != there
    )


def add_signature(there: Envelope | None, release: Release, key: PrivateKey) -> Envelope:
    """The envelope `there` with a signature over `release` by `key` in it.

    TrustError when `there` is over another release, or has no room.
    """
    payload = release.statement()
    if there is not None and there.payload == payload and _has_signed(there, key.public):
        return there
    signature = Signature(key.public.keyid, key.sign(pae(PAYLOAD_TYPE, payload)))
    return merge([Envelope(payload, (signature,)), *([] if there is None else [there])])


def _has_signed(envelope: Envelope, key: PublicKey) -> bool:
    message = pae(PAYLOAD_TYPE, envelope.payload)
    return any(
        signature.keyid == key.keyid and key.verify(message, signature.sig)
        for signature in envelope.signatures
    )
