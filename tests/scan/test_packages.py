"""What is installed in an image: read from its layers, as the engine would unpack them."""

from __future__ import annotations

import importlib.metadata
import io
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from bundler.core.bom import packages as stored
from bundler.core.bom.packages import ImagePackages, Package, Unread
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, PolicyError
from bundler.scan import packages
from bundler.scan.packages import LayerSubject, findings, key, layers_of, scan_layers
from tests.making import image
from tests.scan.layers import (
    PACKINGS,
    STATUS,
    folder,
    hard_link,
    info,
    member,
    metadata,
    paragraph,
    subject,
    symlink,
    tar,
)

RELEASE = b'NAME="Debian"\nVERSION_ID="12"\nID=debian\nHOME_URL="https://www.debian.org/"\n'
Members = list[tuple[tarfile.TarInfo, bytes]]


def scan(*layers: bytes) -> ImagePackages:
    return scan_layers("image", [subject(layer) for layer in layers])


def names(*layers: bytes) -> list[str]:
    """The packages of layers that can be read."""
    found = scan(*layers)
    assert found.unread == ()
    return [package.name for package in found.packages]


@pytest.mark.parametrize("packing", PACKINGS)
def test_packages_of_both_kinds_whatever_the_packing(packing: str) -> None:
    layer = tar(
        {
            "./var/lib/dpkg/status": paragraph("libc6", "2.36-9") + paragraph("zlib1g"),
            info("Flask"): metadata("Flask", "3.0", "License-Expression: BSD-3-Clause\n"),
            "opt/old.egg-info": metadata("old"),
            "opt/egg/EGG-INFO/PKG-INFO": metadata("egg"),
            "opt/x.egg-info/PKG-INFO": metadata("x"),
            "/usr/lib/os-release": RELEASE,
            "usr/bin/program": bytes(100_000),
        }
    )
    found = scan(PACKINGS[packing](layer))
    assert found.distro == ("debian", "12")
    assert found.unread == ()
    assert found.packages == (
        Package("deb", "libc6", "2.36-9", "amd64"),
        Package("deb", "zlib1g", "1.0", "amd64"),
        Package("pypi", "Flask", "3.0", license="BSD-3-Clause"),
        Package("pypi", "egg", "1.0"),
        Package("pypi", "old", "1.0"),
        Package("pypi", "x", "1.0"),
    )


def test_distroless_images_have_a_file_for_each_package() -> None:
    data = b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n"
    layer = tar(
        {
            "var/lib/dpkg/status.d/tzdata": data,
            "var/lib/dpkg/status.d/tzdata.md5sums": b"0 usr/share\n",
        }
    )
    assert names(layer) == ["tzdata"]


def test_what_is_gone_but_for_its_configuration_is_not_installed() -> None:
    gone = paragraph("a", status="deinstall ok config-files")
    half = paragraph("b", status="install ok half-configured")
    assert names(tar({STATUS: gone + half})) == ["b"]


def test_the_source_package_where_it_differs() -> None:
    data = paragraph("a").replace(b"Version", b"Source: src (0.9)\nVersion")
    data += paragraph("b").replace(b"Version", b"Source: src\nVersion")
    data += paragraph("c").replace(b"Version", b"Source: src (1.0)\nVersion")
    assert [p.source for p in scan(tar({STATUS: data})).packages] == ["src@0.9", "src", "src"]


@pytest.mark.parametrize(
    ("more", "license"),
    [
        ("License: MIT\n", "MIT"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n", "MIT License"),
        ("License: a\n        whole text\n", ""),
        ("License-Expression: MIT OR Apache-2.0\nLicense: x\n", "MIT OR Apache-2.0"),
        ("Classifier: License :: OSI Approved\n", ""),
        ("License: several\nlines without an indent\n", "several"),
    ],
)
def test_the_licence_that_a_python_package_states(more: str, license: str) -> None:
    (package,) = scan(tar({info("a"): metadata("a", more=more)})).packages
    assert package.license == license


BASE = tar({info("a"): metadata("a"), info("b"): metadata("b"), STATUS: paragraph("old")})
DIST = "usr/lib/python3/dist-packages"

LATER: dict[str, tuple[Members, list[str]]] = {
    "nothing": ([], ["old", "a", "b"]),
    "a newer status": ([member(STATUS, paragraph("new"))], ["new", "a", "b"]),
    "a file is gone": ([member(f"{DIST}/a-1.0.dist-info/.wh.METADATA")], ["old", "b"]),
    "a folder is gone": ([member(f"{DIST}/.wh.a-1.0.dist-info")], ["old", "b"]),
    "everything is gone": ([member(".wh.usr"), member(".wh.var")], []),
    "an opaque folder": ([member(f"{DIST}/.wh..wh..opq"), member(info("c"), metadata("c"))],
                         ["old", "c"]),
    "an opaque folder, said last": (
        [member(info("c"), metadata("c")), member(f"{DIST}/.wh..wh..opq")], ["old", "c"]),
    "an opaque root": ([member(".wh..wh..opq")], []),
    "gone and there again": (
        [member(info("a"), metadata("a2")), member(f"{DIST}/.wh.a-1.0.dist-info")],
        ["old", "a2", "b"]),
    "a file in the place of a folder": ([member("usr/lib/python3")], ["old"]),
    "a link in the place of a folder": ([symlink("usr/lib/python3", "/x")], ["old"]),
    "a device in the place of a file": (
        [member(info("a"), type=tarfile.CHRTYPE)], ["old", "b"]),
    "a folder in the place of a file": ([folder(info("a"))], ["old", "b"]),
    "a folder that is there": ([folder(DIST)], ["old", "a", "b"]),
    "what aufs writes": ([member(".wh..wh.plnk"), member(".wh..wh.aufs")], ["old", "a", "b"]),
    "through a link": (
        [symlink("lib", "usr/lib"), member("lib/python3/dist-packages/.wh.a-1.0.dist-info")],
        ["old", "b"]),
    "through an absolute link that climbs": (
        [symlink("x", "/../../usr/./lib/../lib"),
         member("x/python3/dist-packages/a-1.0.dist-info/METADATA", metadata("a3"))],
        ["old", "a3", "b"]),
    "a name that climbs": ([member(f"../../{info('a')}", metadata("a4"))], ["old", "a4", "b"]),
    "a hard link": ([hard_link("opt/a.dist-info/METADATA", info("a"))], ["old", "a", "b"]),
    "a hard link in the place of a file": ([hard_link(info("b"), info("a"))], ["old", "a"]),
    "a link to metadata": ([symlink("opt/a.dist-info/METADATA", f"/{info('a')}")],
                           ["old", "a", "b"]),
    "a link to their folder": ([symlink("opt/a.dist-info", f"/{DIST}/a-1.0.dist-info")],
                               ["old", "a", "b"]),
    "a link that is replaced by a folder": (
        [symlink("l", "/opt"), folder("l"), member("l/z.egg-info", metadata("z")),
         symlink("opt", "/nowhere")],
        ["old", "a", "b", "z"]),
    "dpkg's folder behind a link": (
        [member(".wh.var"), symlink("var", "/data/var"),
         member("/var/lib/dpkg/status", paragraph("moved"))],
        ["moved", "a", "b"]),
    "a system below a folder": (
        [member("srv/root/var/lib/dpkg/status", paragraph("inner"))],
        ["inner", "old", "a", "b"]),
}  # fmt: skip


@pytest.mark.parametrize("case", LATER)
def test_a_later_layer_counts(case: str) -> None:
    members, expected = LATER[case]
    assert names(BASE, tar(members)) == expected


def test_a_whiteout_in_a_real_folder_that_was_a_link_hides_nothing_elsewhere() -> None:
    """Written through a link, a file stays where it is when the link goes."""
    layers = (
        tar([symlink("lib", "usr/lib"), member("lib/x.egg-info", metadata("x"))]),
        tar([folder("lib")]),
        tar([member("lib/.wh.x.egg-info")]),
    )
    assert names(*layers) == ["x"]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([symlink("etc/os-release", "../usr/lib/os-release"),
          member("usr/lib/os-release", RELEASE)], ("debian", "12")),
        ([member("etc/os-release", b"ID='ubuntu'\nVERSION_ID=24.04\n")], ("ubuntu", "24.04")),
        ([member("etc/os-release", b"ID=arch\n")], ("arch", "")),
        ([member("etc/os-release", b"VERSION_ID=3\n")], None),
        ([symlink("etc/os-release", "os-release")], None),
    ],
)  # fmt: skip
def test_the_distribution(members: Members, expected: tuple[str, str] | None) -> None:
    found = scan(tar(members))
    assert (found.distro, found.unread) == (expected, ())


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_every_form(form: int) -> None:
    name = "/".join(["d" * 60, "e" * 60, "é" * 10, "long.dist-info/METADATA"])
    assert names(tar([member(name, metadata("long"))], form)) == ["long"]


def test_names_in_a_global_header_mean_nothing() -> None:
    """Engines take no name from it; Python's tarfile does."""
    record = f"{len(STATUS) + 9} path={STATUS}\n".encode()
    data = tar([member("g", record, b"g"), member("x", paragraph("hidden"))])
    assert names(data) == []


def test_the_key_is_of_the_layers_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = subject(b"1"), subject(b"2")
    keys = {key(layers) for layers in ([one], [two], [one, two], [two, one], [one, one])}
    assert len(keys) == 5
    before = key([one])
    monkeypatch.setattr(packages, "VERSION", "another")
    assert key([one]) != before


def test_the_layers_of_a_manifest() -> None:
    top, blobs = image((BASE, b"second"))
    opened: list[Digest] = []

    def open_blob(digest: Digest) -> io.BytesIO:
        opened.append(digest)
        return io.BytesIO(BASE)

    layers = layers_of(blobs[top.digest], open_blob)
    assert [layer.descriptor.size for layer in layers] == [len(BASE), 6]
    assert layers[1].open().read() == BASE
    assert opened == [Digest.of(b"second")]


def test_what_is_found_can_be_kept() -> None:
    for found in (scan(BASE), scan(b""), ImagePackages(("debian", "12"), (), (Unread("a", "b"),))):
        assert stored.parse(found.dump(), "cache") == found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"distro":[],"packages":[]}',
        b'{"distro":["a"],"packages":[],"unread":[]}',
        b'{"distro":[],"packages":{},"unread":[]}',
        b'{"distro":[],"packages":[{"kind":"deb"}],"unread":[]}',
        b'{"distro":[],"packages":[],"unread":[{"path":1,"problem":""}]}',
        ImagePackages(packages=(Package("deb", "a", "1"),)).dump().replace(b"deb", b"rpm"),
    ],
)
def test_what_was_not_kept_by_us_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="cache: "):
        stored.parse(data, "cache")


def test_nothing_found_is_a_warning() -> None:
    (finding,) = findings("images/a", scan(tar({"bin/busybox": b"x"})))
    assert (finding.rule, finding.severity, finding.subject) == ("packages", "warning", "images/a")
    assert findings("images/a", scan(BASE)) == ()


def test_what_was_not_read_shuts_the_gate() -> None:
    (finding,) = findings("images/a", scan(BASE, tar({"lib/apk/db/installed": b"P:musl\n"})))
    assert finding.blocks
    assert finding.message == "lib/apk/db/installed: is of a package system that is not read"


def test_a_layer_that_the_system_can_not_read_fails() -> None:
    def broken() -> io.BytesIO:
        raise OSError("input/output error")

    layer = LayerSubject(Descriptor("x", Digest.of(b""), 0), broken)
    with pytest.raises(PolicyError, match="image: layer 0: scanner packages could not read it"):
        scan_layers("image", [layer])


def test_a_layer_is_read_to_its_end_where_its_digest_is_compared() -> None:
    stream = io.BytesIO(BASE + bytes(700_000))
    scan_layers("i", [LayerSubject(Descriptor("x", Digest.of(b""), 9), lambda: stream)])
    assert stream.closed
    for data in (BASE + b"behind", b"no tar at all" + bytes(900_000)):
        stream = io.BytesIO(data)
        stream.close = lambda: None  # type: ignore[method-assign]
        scan_layers("i", [LayerSubject(Descriptor("x", Digest.of(b""), 9), lambda: stream)])  # noqa: B023
        assert stream.tell() == len(data)


def test_memory_does_not_grow_with_the_layer() -> None:
    layer = PACKINGS["gzip"](tar({"model": bytes(40 * 1024**2), info("a"): metadata("a")}))
    tracemalloc.start()
    try:
        assert names(layer) == ["a"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1024**2


# --- the machine's own packages -----------------------------------------------------------------


def _query(field: str) -> set[str]:
    form = f"${{db:Status-Status}} {field}\n"
    done = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True)
    lines = (line.partition(" ") for line in done.stdout.splitlines())
    return {rest for status, _, rest in lines if status not in ("config-files", "not-installed")}


@pytest.mark.needs("dpkg-query")
def test_dpkg_says_the_same(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        archive.add("/var/lib/dpkg/status", STATUS)
        archive.add("/etc/os-release", "etc/os-release")
        archive.add("/usr/lib/os-release", "usr/lib/os-release")
    found = scan(layer.read_bytes())
    ours = {f"{p.name} {p.version} {p.arch} {p.source or p.name}" for p in found.packages}
    version = "${Package} ${Version} ${Architecture} ${source:Package}"
    theirs = _query(version + "|${source:Version}|${Version}")
    assert ours == {_source(line) for line in theirs}
    assert found.distro is not None


def _source(line: str) -> str:
    """dpkg has the source's version always; we where it differs."""
    rest, version, own = line.split("|")
    return rest if version == own else f"{rest}@{version}"


def test_importlib_says_the_same(tmp_path: Path) -> None:
    roots = [path for path in sys.path if path.endswith("-packages")]
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        for number, root in enumerate(roots):
            for path in _metadata(Path(root)):
                archive.add(path, f"root{number}/{path.relative_to(root)}")
    found = scan(layer.read_bytes())
    theirs = importlib.metadata.distributions(path=roots)
    assert {(p.name, p.version) for p in found.packages} == {
        (each.metadata["Name"], each.version) for each in theirs
    }
    assert found.unread == ()
    assert len(found.packages) > 20


def _metadata(root: Path) -> Sequence[Path]:
    infos = [*root.glob("*.dist-info/METADATA"), *root.glob("*.egg-info/PKG-INFO")]
    return [*infos, *(path for path in root.glob("*.egg-info") if path.is_file())]
