"""One bucket: objects written once, with their digests, and read again from any byte on.

docs.aws.amazon.com/AmazonS3/latest/API: HeadObject, GetObject, PutObject, CreateMultipartUpload,
UploadPart, CompleteMultipartUpload, AbortMultipartUpload. The bucket stands in the path, as every
server takes it. Every body is sent with its SHA-256, signed, and as a checksum that the server
compares.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from bundler.core.digest import Digest
from bundler.core.errors import SourceError, UsageError
from bundler.tools.download import download
from bundler.tools.http import Answer, Session, Sleep, connect, is_loopback
from bundler.tools.s3.keys import Keys
from bundler.tools.s3.signing import (
    CONTENT_SHA256,
    Clock,
    Signature,
    canonical_query,
    encode_path,
)

# An upload has at most 10,000 parts; of 5 TiB, the largest object, each has 550 MB.
PART = 16 * 1024**2
_MOST_PARTS = 10_000
_DIGEST = "x-amz-meta-sha256"
_CHECKSUM = "x-amz-checksum-sha256"
_UPLOAD = re.compile(rb"<UploadId>([^<]{1,2000})</UploadId>")
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,300})")


def _now() -> datetime:
    return datetime.now(UTC)


class Bucket:
    """`bucket` of the server at `endpoint` (``https://HOST[:PORT]``; http on loopback alone).

    `authorities` are files with certificates to trust, too.

    UsageError for an address that is none; SourceError from every method when the server refuses
    or can't be reached. May be used from several threads.
    """

    def __init__(
        self,
        endpoint: str,
        region: str,
        bucket: str,
        keys: Keys,
        authorities: Iterable[Path] = (),
        sleep: Sleep = time.sleep,
        clock: Clock = _now,
    ) -> None:
        loopback = is_loopback(urlsplit(endpoint).hostname or "")
        if not endpoint.startswith("https://") and not loopback:
            raise UsageError(
                f"endpoint {endpoint!r}: expected https://HOST[:PORT]",
                "keys are not sent over http, but to this machine itself",
            )
        self.name = f"s3://{bucket}"
        self._path = f"/{encode_path(bucket)}"
        self._login = Signature(keys, region, clock)
        self._session = Session(
            connect(endpoint, use_environment=not loopback, authorities=authorities),
            f"{endpoint} ({self.name})",
            SourceError,
            "is it running, reachable from here, and its certificate known? (SSL_CERT_FILE may "
            "name the site's own CA)",
            sleep,
        )

    def holds(self, key: str, size: int, digest: Digest) -> bool:
        """Whether `put` or `put_parts` brought the object there, with this size and digest."""
        answer = self._session.send("HEAD", self._place(key), login=self._login)
        if answer.status == 404:
            return False
        self._expect(answer, key, 200)
        found = answer.headers.get("content-length"), answer.headers.get(_DIGEST)
        return found == (str(size), digest.hex)

    def small(self, key: str, most: int) -> bytes:
        """An object of at most `most` bytes; not hashed here."""
        answer = self._session.send("GET", self._place(key), login=self._login)
        self._expect(answer, key, 200)
        if len(answer.body) > most:
            raise SourceError(f"{self.name}/{key}: expected at most {most} bytes, found more")
        return answer.body

    def read(self, key: str, size: int) -> Iterator[bytes]:
        """The bytes of an object, in pieces of 1 MiB at most; not hashed here.

        Continued where a connection broke. IntegrityError when there are more or fewer.
        """
        return download(
            self._session,
            self._place(key),
            self._login,
            key,
            range(size),
            lambda answer: self._expect(answer, key, 200, 206),
        )

    def put(self, key: str, data: bytes) -> None:
        """An object of one piece."""
        headers = {**_checked(data), _DIGEST: hashlib.sha256(data).hexdigest()}
        answer = self._session.send(
            "PUT", self._place(key), headers=headers, content=data, login=self._login
        )
        self._expect(answer, key, 200)

    def put_parts(self, key: str, size: int, digest: Digest, chunks: Iterable[bytes]) -> None:
        """An object of `size` bytes with `digest`, in parts; one of them in memory at a time.

        It is there when all parts are, and never when `chunks` fails: then they are removed.
        """
        headers = {_DIGEST: digest.hex, "x-amz-checksum-algorithm": "SHA256"}
        place = self._place(key, {"uploads": ""})
        # Once: had an answer got lost, nobody could call off what was begun.
        begun = self._session.send("POST", place, headers=headers, login=self._login, attempts=1)
        self._expect(begun, key, 200)
        found = _UPLOAD.search(begun.body)
        if found is None:
            raise SourceError(f"{self._session.what}: {key}: expected an UploadId, found none")
        upload = html.unescape(found[1].decode("ascii", "replace"))
        try:
            parts = [
                self._part(key, upload, number, data)
                for number, data in enumerate(_parts(chunks, size), 1)
            ]
            self._complete(key, upload, parts, size, digest)
        except BaseException:
            # What went wrong first is what is told.
            with suppress(SourceError):
                place = self._place(key, {"uploadId": upload})
                self._session.send("DELETE", place, login=self._login)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._session.client.close()

    def _part(self, key: str, upload: str, number: int, data: bytes) -> str:
        place = self._place(key, {"partNumber": str(number), "uploadId": upload})
        checked = _checked(data)
        answer = self._session.send("PUT", place, headers=checked, content=data, login=self._login)
        self._expect(answer, key, 200)
        tag = html.escape(answer.headers.get("etag", ""), quote=False)
        return (
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag>"
            f"<ChecksumSHA256>{checked[_CHECKSUM]}</ChecksumSHA256></Part>"
        )

    def _complete(self, key: str, upload: str, parts: list[str], size: int, digest: Digest) -> None:
        xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
        body = f'<CompleteMultipartUpload xmlns="{xmlns}">{"".join(parts)}'.encode()
        body += b"</CompleteMultipartUpload>"
        headers = {CONTENT_SHA256: hashlib.sha256(body).hexdigest()}
        place = self._place(key, {"uploadId": upload})
        try:
            answer = self._session.send(
                "POST", place, headers=headers, content=body, login=self._login
            )
            # Of this one alone, 200 may come first and the error in its body.
            if answer.status != 200 or b"<Error>" in answer.body:
                self._refused(answer, key)
        except SourceError:
            # A proxy may have given up while the server went on: then the upload is no more, and
            # the object is there.
            with suppress(SourceError):
                if self.holds(key, size, digest):
                    return
            raise

    def _place(self, key: str, params: dict[str, str] | None = None) -> str:
        query = f"?{canonical_query(params)}" if params else ""
        return f"{self._path}/{encode_path(key)}{query}"

    def _expect(self, answer: Answer, key: str, *statuses: int) -> None:
        if answer.status not in statuses:
            self._refused(answer, key)

    def _refused(self, answer: Answer, key: str) -> NoReturn:
        code = _CODE.search(answer.body)
        words = _MESSAGE.search(answer.body)
        said = f" ({code[1].decode()})" if code else ""
        if words:
            said += f": {html.unescape(words[1].decode('utf-8', 'replace'))}"
        hints = {
            403: "may these keys do that there, is the clock right, is it the bucket's region?",
            404: "is the bucket there, and was the bundle installed from here?",
        }
        raise SourceError(
            f"{self._session.what}: {key}: answered {answer.status}{said}",
            hints.get(answer.status),
        )


def _checked(data: bytes) -> dict[str, str]:
    state = hashlib.sha256(data)
    return {
        CONTENT_SHA256: state.hexdigest(),
        _CHECKSUM: base64.b64encode(state.digest()).decode(),
    }


def _parts(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """`chunks` in pieces of one size, but for the last."""
    length = max(PART, -(-size // _MOST_PARTS))
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= length:
            yield bytes(held[:length])
            del held[:length]
    if held:
        yield bytes(held)
