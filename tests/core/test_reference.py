"""Names of images: the table is of distribution/reference's own behaviour."""

from __future__ import annotations

import pytest

from bundler.core.digest import Digest
from bundler.core.errors import UsageError
from bundler.core.reference import ImageReference, Registry

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis", "docker.io/library/redis"),
        ("redis:7", "docker.io/library/redis:7"),
        ("library/redis", "docker.io/library/redis"),
        ("docker.io/redis", "docker.io/library/redis"),
        ("index.docker.io/redis", "docker.io/library/redis"),
        ("docker.io/library/redis:7", "docker.io/library/redis:7"),
        ("kserve/agent:v0.1", "docker.io/kserve/agent:v0.1"),
        ("ghcr.io/a/b/c", "ghcr.io/a/b/c"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("mirror.corp:5000/hub/app", "mirror.corp:5000/hub/app"),
        ("registry/app", "docker.io/registry/app"),
        ("Registry/app", "Registry/app"),
        ("[::1]:5000/app", "[::1]:5000/app"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}"),
        (f"quay.io/app:1@{DIGEST}", f"quay.io/app:1@{DIGEST}"),
        ("a.b/c__d-e--f.g", "a.b/c__d-e--f.g"),
        ("app:" + "x" * 128, "docker.io/library/app:" + "x" * 128),
        ("airbundle.invalid/models/m", "airbundle.invalid/models/m"),
    ],
)
def test_a_reference_is_spelled_out(text: str, expected: str) -> None:
    reference = ImageReference.parse(text)
    assert str(reference) == expected
    assert ImageReference.parse(expected) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "App",
        "app:",
        "app:-x",
        "app:" + "x" * 129,
        "app@",
        "app@sha256:abc",
        f"app@sha512:{HEX}{HEX}",
        f"app@{DIGEST.upper()}",
        HEX,
        "a//b",
        "/a",
        "a/",
        "a___b",
        "a..b",
        ".a",
        "a.b/C",
        "docker://app",
        "https://a.b/c",
        "a b",
        "app\n",
        "a.b/" + "x" * 256,
        "x" * 5000,
        "-a.b/c",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="image reference"):
        ImageReference.parse(text)


def test_latest_is_said_only_when_asked_for() -> None:
    assert ImageReference.parse("app").tag is None
    assert ImageReference.parse("app").with_default_tag() == ImageReference.parse("app:latest")
    pinned = ImageReference.parse(f"app@{DIGEST}")
    assert pinned.with_default_tag() == pinned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis:7", "docker.io/library/redis"),
        ("localhost:5000/app", "localhost_5000/app"),
        ("mirror.corp:5000/hub/app:1", "mirror.corp_5000/hub/app"),
        ("models/app:1", "docker.io/models/app"),
        ("airbundle.invalid/models/zero-shot", "models/zero-shot"),
    ],
)
def test_the_placeholder_names_host_and_path(text: str, expected: str) -> None:
    placeholder = ImageReference.parse(text).placeholder(Digest.parse(DIGEST))
    assert placeholder == f"registry.airbundle.invalid/{expected}@{DIGEST}"
    assert str(ImageReference.parse(placeholder)) == placeholder


@pytest.mark.parametrize("text", ["[::1]:5000/app", "Registry.corp/app"])
def test_a_host_that_is_no_path_has_no_placeholder(text: str) -> None:
    with pytest.raises(UsageError, match="can't be part of a path"):
        ImageReference.parse(text).placeholder_repository()


def test_spellings_leave_plain_words_out() -> None:
    assert ImageReference.parse("redis").spellings() == {
        "redis:latest",
        "library/redis:latest",
        "docker.io/redis",
        "docker.io/redis:latest",
        "docker.io/library/redis",
        "docker.io/library/redis:latest",
        "index.docker.io/redis",
        "index.docker.io/redis:latest",
        "index.docker.io/library/redis",
        "index.docker.io/library/redis:latest",
    }
    assert ImageReference.parse("quay.io/a:1").spellings() == {"quay.io/a:1"}
    assert ImageReference.parse("quay.io/a").spellings() == {"quay.io/a", "quay.io/a:latest"}


@pytest.mark.parametrize(
    "text",
    [
        "registry.corp",
        "registry.corp/prefix/deep",
        "localhost",
        "host:5000/x",
        "127.0.0.1:5000",
        "[::1]:5000/x",
    ],
)
def test_a_registry_is_a_host_and_a_prefix(text: str) -> None:
    assert str(Registry.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "corp",
        "corp/prefix",
        "https://registry.corp",
        "registry.corp/",
        "registry.corp/Prefix",
        "registry.corp/a:1",
        "registry.corp:0",
        "registry.corp:65536",
        "registry.corp:port",
        "user@registry.corp",
        "registry.airbundle.invalid/x",
        "registry.corp/../x",
    ],
)
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="registry ") as raised:
        Registry.parse(text)
    assert raised.value.hint
