"""A real registry that behaves as another kind of registry does, as far as pushes notice."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

from bundler.core.digest import Digest
from tests.fakes.registry.front import Front
from tests.fakes.registry.serving import Asked, Reply, serving

_PATH = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs|tags)/(?P<rest>.*)")


@dataclass
class Kind(Front):
    """Answers as the server at `upstream` does, but for what this kind of registry does not do.

    `made`: the only repositories (or projects, by their slash at the end) that are there; None for
    all. `levels`: as many components may a name have. `kept`: the status with which a tag that
    points elsewhere is not moved. `password`: that of the only user, AWS, who has a Basic login;
    one of `ended` is answered as ECR does. `full`: what is answered to every upload.
    """

    made: set[str] | None = None
    levels: int | None = None
    kept: int | None = None
    password: str | None = None
    ended: set[str] = field(default_factory=set)
    full: Reply | None = None

    def answer(self, asked: Asked) -> Reply:
        """The true answer, or this kind's refusal."""
        self.asked.append(asked)
        place = _PATH.match(asked.path.partition("?")[0])
        return (
            self._no_login(asked) or (place and self._refusal(asked, place)) or self._forward(asked)
        )

    def _no_login(self, asked: Asked) -> Reply | None:
        if self.password is None:
            return None
        if asked.login in {_basic(each) for each in self.ended}:
            return refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate.")
        if asked.login == _basic(self.password):
            return None
        reply = refusal(401, "UNAUTHORIZED", "Not Authorized")
        reply.headers.append(("WWW-Authenticate", 'Basic realm="ecr"'))
        return reply

    def _refusal(self, asked: Asked, place: re.Match[str]) -> Reply | None:
        repository = place["repository"]
        if self.levels is not None and repository.count("/") >= self.levels:
            return refusal(400, "NAME_INVALID", "invalid repository name")
        if self.made is not None and not any(
            repository.startswith(each) if each.endswith("/") else repository == each
            for each in self.made
        ):
            return refusal(404, "NAME_UNKNOWN", f"the repository {repository} does not exist")
        if self.full is not None and asked.method in ("POST", "PUT"):
            return self.full
        if self.kept and asked.method == "PUT" and place["kind"] == "manifests":
            headers = Message()
            headers["Accept"] = asked.headers["Content-Type"]
            there = self._forward(Asked("HEAD", asked.path, headers, b""))
            found = {name.lower(): value for name, value in there.headers}
            digest = found.get("docker-content-digest")
            if there.status == 200 and digest not in (None, _digest(asked.body)):
                return refusal(self.kept, "TAG_INVALID", "the repository is immutable")
        return None


@contextlib.contextmanager
def kind_of(kind: Kind) -> Iterator[Kind]:
    """The same on a port of its own; `.host` is where it is."""
    with serving(kind.answer) as kind.host:
        yield kind


def refusal(status: int, code: str, message: str) -> Reply:
    """An answer with the specification's error document."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Reply(status, [("Content-Length", str(len(body)))], body)


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()


def _digest(body: bytes) -> str:
    return str(Digest.of(body))
