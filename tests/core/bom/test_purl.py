"""Package URLs, held against the reference implementation."""

from __future__ import annotations

import pytest
from packageurl import PackageURL

from bundler.core.bom.purl import purl, pypi_name


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "version", "qualifiers"),
    [
        ("deb", "debian", "libstdc++6", "1:12.2-14+b~1", {"arch": "all", "distro": "debian-12"}),
        ("deb", "ubuntu", "a", "1%2", {"upstream": "gcc-12@12.2.0 &=?#/x"}),
        ("pypi", "", "foo.bar", "1!2.0+local", {}),
        ("oci", "", "redis", "sha256:ab", {"repository_url": "docker.io/library/a", "tag": "7"}),
        ("huggingface", "facebook", "bart-large", "abc", {}),
        ("huggingface", "", "bert", None, {}),
        ("deb", "debian", "grün ±", "ü", {"arch": "ä"}),
    ],
)  # fmt: skip
def test_the_reference_spells_it_alike(
    kind: str, namespace: str, name: str, version: str | None, qualifiers: dict[str, str]
) -> None:
    text = purl(kind, namespace, name, version, qualifiers)
    theirs = PackageURL(kind, namespace or None, name, version, qualifiers)
    assert text == theirs.to_string()
    assert PackageURL.from_string(text) == theirs


def test_what_has_no_value_is_left_out() -> None:
    assert purl("deb", "debian", "a", None, {"arch": "", "distro": None}) == "pkg:deb/debian/a"


def test_python_names_are_normal() -> None:
    assert pypi_name("Foo_Bar.x") == PackageURL("pypi", None, "Foo_Bar.x").name == "foo-bar.x"
