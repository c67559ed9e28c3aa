"""Kustomize: the right one is found, a private copy is looked through, and only then rendered."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bundler.core.errors import BundlerError, DocumentError, PolicyError, SourceError, ToolError
from bundler.tools.kustomize import Kustomize, check_tree, copy_tree, find_kustomize
from tests.fakes.runner import RecordingRunner
from tests.parts.components import find_program
from tests.parts.needs import require

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


TREE = {
    "base/kustomization.yaml": "resources: [a.yaml]\nconfigMapGenerator: [{name: g, files: [f]}]\n",
    "base/a.yaml": CONFIG_MAP.replace("NAME", "a"),
    "base/f": "text\n",
    "overlays/dev/kustomization.yml": "resources: [../../base]\npatches: [{path: p.yaml}]\n",
    "overlays/dev/p.yaml": CONFIG_MAP.replace("NAME", "a") + "data: {patched: by-dev}\n",
}


# ---- finding it ----


def programs(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    return str(folder)


def kubectl(version: str, inner: str | None = "v5.5.0") -> bytes:
    answer: dict[str, object] = {"clientVersion": {"gitVersion": version}}
    return json.dumps(answer | ({"kustomizeVersion": inner} if inner else {})).encode()


def answers(by_name: Mapping[str, bytes | None]) -> RecordingRunner:
    return RecordingRunner(lambda argv: by_name[Path(argv[0]).name])


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (b"v5.8.1\n", "5.8.1"),
        (b"v5.0.0\n", "5.0.0"),
        (b"{Version:kustomize/v5.0.1 GitCommit:abc BuildDate:2023-03-14T01:32:48Z}\n", "5.0.1"),
        (b"v10.2.3-rc.1\n", "10.2.3"),
    ],
)
def test_kustomize_is_preferred(tmp_path: Path, answer: bytes, version: str) -> None:
    path = programs(tmp_path, "kustomize", "kubectl")
    runner = answers({"kustomize": answer})
    found = find_kustomize(runner, path)
    program = f"{tmp_path}/kustomize"
    assert found == Kustomize((program, "build"), "kustomize", version)
    assert [call.argv for call in runner.calls] == [(program, "version")]


OLD = [
    b"v4.5.7\n",
    b"{Version:kustomize/v4.5.4 GitCommit:cf3a9 BuildDate:2022-03-28T23:12:45Z GoOs:linux}\n",
    b"(devel)\n",
    b"v0.0.0-20230101\n",
    b"",
    None,
]


@pytest.mark.parametrize("answer", OLD)
def test_an_old_kustomize_gives_way_to_kubectl(tmp_path: Path, answer: bytes | None) -> None:
    path = programs(tmp_path, "kustomize", "kubectl")
    runner = answers({"kustomize": answer, "kubectl": kubectl("v1.32.4-dispatcher")})
    assert find_kustomize(runner, path) == Kustomize(
        (f"{tmp_path}/kubectl", "kustomize"), "kubectl", "5.5.0"
    )


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("kustomize", OLD[0], "v4.5.7"),
        ("kustomize", OLD[1], "kustomize/v4.5.4"),
        ("kustomize", OLD[2], "(devel)"),
        ("kustomize", None, "exit status"),
        ("kubectl", kubectl("v1.20.2", None), "v1.20.2 with kustomize unknown"),
        ("kubectl", kubectl("v1.26.9", "v5.0.0"), "v1.26.9"),
        ("kubectl", kubectl("v1.27.0", "v4.5.7"), "with kustomize v4.5.7"),
        ("kubectl", kubectl("v1.27.0", None), "with kustomize unknown"),
        ("kubectl", b"Client Version: v1.14\n", "does not say its version"),
        ("kubectl", b"[]", "does not say its version"),
        ("kubectl", b'{"clientVersion": 3}', "does not say its version"),
    ],
)
def test_an_old_one_is_refused_by_name(
    tmp_path: Path, name: str, answer: bytes | None, said: str
) -> None:
    path = programs(tmp_path, name)
    with pytest.raises(ToolError) as raised:
        find_kustomize(answers({name: answer}), path)
    assert f"{tmp_path}/{name}" in raised.value.message
    assert said in raised.value.message
    assert raised.value.hint is not None
    assert "kustomize 5" in raised.value.hint
    assert "kubectl 1.27" in raised.value.hint
    assert raised.value.exit_code == 6


def test_none_at_all_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="neither kustomize nor kubectl") as raised:
        find_kustomize(answers({}), str(tmp_path))
    assert raised.value.hint


def test_it_runs_restricted_and_bare(tmp_path: Path) -> None:
    def answer(argv: tuple[str, ...]) -> bytes:
        assert os.listdir(fake.calls[-1].env["HOME"]) == []
        return b"kind: X\n"

    fake = RecordingRunner(answer)
    found = Kustomize(("/bin/kustomize", "build"), "kustomize", "5.8.1", fake)
    assert found.render(tmp_path, "overlays/dev") == "kind: X\n"
    (call,) = fake.calls
    assert call.argv == (
        *("/bin/kustomize", "build", "--load-restrictor", "LoadRestrictionsRootOnly"),
        "./overlays/dev",
    )
    assert call.cwd == tmp_path
    assert set(call.env) == {
        *("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    }
    assert not Path(call.env["HOME"]).exists()


@pytest.mark.parametrize("output", [b"", b"\n \n", b"\xff"])
def test_an_empty_or_garbled_render_fails(tmp_path: Path, output: bytes) -> None:
    found = Kustomize(("/k", "build"), "kustomize", "5.8.1", RecordingRunner(lambda _: output))
    with pytest.raises(ToolError, match="kustomize: overlays/dev: "):
        found.render(tmp_path, "overlays/dev")


# ---- copying ----


def test_the_copy_has_the_same_files_and_no_others(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {**TREE, "weights/big": "x", "base/deep/er/x": "y"})
    copy_tree(source, ["base", "overlays"], tmp_path / "copy")
    copied = {
        str(path.relative_to(tmp_path / "copy")): path.read_text()
        for path in (tmp_path / "copy").rglob("*")
        if path.is_file()
    }
    assert copied == {**TREE, "base/deep/er/x": "y"}


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def make_inner_link(path: Path) -> None:
    path.symlink_to("a.yaml")


def make_folder_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "overlays", target_is_directory=True)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_link, "a symbolic link"),
        (make_inner_link, "a symbolic link"),
        (make_folder_link, "a symbolic link"),
        (make_dangling_link, "a symbolic link"),
        (make_pipe, "a pipe"),
        (make_socket, "a socket"),
    ],
)
@pytest.mark.parametrize("folder", ["base", "base/deep"])
def test_what_is_no_regular_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None], words: str, folder: str
) -> None:
    source = write(tmp_path / "s", {**TREE, "base/deep/x": ""})
    odd = source / folder / "odd"
    make(odd)
    with pytest.raises(SourceError) as raised:
        copy_tree(source, ["base", "overlays"], tmp_path / "copy")
    assert str(odd) in raised.value.message
    assert words in raised.value.message


@pytest.mark.needs("root")
def test_a_device_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "s", TREE)
    os.mknod(source / "base/odd", 0o600 | 0o020000, os.makedev(1, 5))
    with pytest.raises(SourceError, match=r"base/odd: .* a device"):
        copy_tree(source, ["base"], tmp_path / "copy")


def test_a_folder_behind_a_link_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "s", {f"real/{name}": text for name, text in TREE.items()})
    (source / "linked").symlink_to("real", target_is_directory=True)
    with pytest.raises(SourceError, match="linked: expected a folder, found a symbolic link"):
        copy_tree(source, ["linked/base"], tmp_path / "copy")
    with pytest.raises(SourceError, match="nothing: No such file"):
        copy_tree(source, ["nothing"], tmp_path / "copy")
    with pytest.raises(SourceError, match=r"a\.yaml: expected a folder, found a file"):
        copy_tree(source, ["real/base/a.yaml"], tmp_path / "copy")


# ---- walking ----


def test_a_good_tree_passes(tmp_path: Path) -> None:
    check_tree(write(tmp_path, TREE), ["base", "overlays/dev"])


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        (
            {"base/kustomization.yaml": "resources: [b.yaml]"},
            DocumentError,
            "b.yaml, found nothing",
        ),
        ({"base/kustomization.yaml": "bases: [a.yaml]"}, DocumentError, "folder at base/a.yaml"),
        ({"base/kustomization.yaml": "crds: [sub]", "base/sub/x": ""}, DocumentError, "a file at"),
        ({"base/kustomization.yaml": "resources: [sub]", "base/sub/x": ""}, DocumentError, "none"),
        ({"base/Kustomization": "{}"}, DocumentError, "kustomization.yaml and Kustomization"),
        ({"base/kustomization.yaml": "resources: [../../x]"}, PolicyError, "leaves the tree"),
        (
            {"base/kustomization.yaml": "transformers: [a.yaml]"},
            PolicyError,
            "base/a.yaml:1:1: transformers: runs plugins",
        ),
        (
            {
                "base/kustomization.yaml": "resources: [sub]",
                "base/sub/Kustomization": "helmCharts:",
            },
            PolicyError,
            "base/sub/Kustomization:1:1: helmCharts",
        ),
        (
            {
                "base/kustomization.yaml": "components: [sub]",
                "base/sub/Kustomization": "bases: [/]",
            },
            PolicyError,
            "leaves",
        ),
    ],
)
def test_a_bad_tree_is_refused_wherever_it_is_bad(
    tmp_path: Path, files: Mapping[str, str], error: type[BundlerError], words: str
) -> None:
    with pytest.raises(error) as raised:
        check_tree(write(tmp_path, {**TREE, **files}), ["overlays/dev"])
    assert words in raised.value.message


def test_a_kustomization_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    (tmp_path / "base/kustomization.yaml").write_bytes(b"\xff")
    with pytest.raises(DocumentError, match=r"base/kustomization\.yaml: is not UTF-8"):
        check_tree(tmp_path, ["base"])


def test_a_cycle_ends(tmp_path: Path) -> None:
    cycle = {"base/kustomization.yaml": "resources: [../overlays/dev]"}
    check_tree(write(tmp_path, {**TREE, **cycle}), ["overlays/dev"])


def test_a_local_folder_that_kustomize_takes_for_a_repository_is_refused(tmp_path: Path) -> None:
    trap = {
        "base/kustomization.yaml": "resources: [github.com/org/repo]",
        "base/github.com/org/repo/kustomization.yaml": "resources: []",
    }
    with pytest.raises(PolicyError, match="is remote"):
        check_tree(write(tmp_path, {**TREE, **trap}), ["base"])


# ---- the real one ----


@pytest.fixture(scope="module")
def kustomize() -> Kustomize:
    """A real one: kustomize, or kubectl where that is what is here."""
    found = find_program("kustomize") or find_program("kubectl")
    if found is None:
        require("kustomize")
    assert found is not None
    return find_kustomize(path=str(found.parent))


def test_the_real_one_renders_base_and_overlay(tmp_path: Path, kustomize: Kustomize) -> None:
    copy_tree(write(tmp_path / "s", TREE), ["base", "overlays"], tmp_path / "c")
    check_tree(tmp_path / "c", ["overlays/dev"])
    text = kustomize.render(tmp_path / "c", "overlays/dev")
    assert "patched: by-dev" in text
    assert "text" in text
    assert kustomize.render(tmp_path / "c", "overlays/dev") == text


@pytest.mark.parametrize("path", ["../../secret", "/etc/hostname"])
def test_the_real_one_is_restricted_too(tmp_path: Path, kustomize: Kustomize, path: str) -> None:
    # What the walk would refuse first: the second lock on the same door.
    generator = f"configMapGenerator: [{{name: g, files: [k={path}]}}]"
    write(tmp_path, {"secret": "s", "base/x/kustomization.yaml": generator})
    with pytest.raises(ToolError, match="security"):
        kustomize.render(tmp_path, "base/x")


def test_a_failure_names_paths_of_the_project(tmp_path: Path, kustomize: Kustomize) -> None:
    write(tmp_path, {**TREE, "base/kustomization.yaml": "resources: [missing.yaml]"})
    with pytest.raises(ToolError) as raised:
        kustomize.render(tmp_path, "overlays/dev")
    assert "base/missing.yaml" in raised.value.message
    assert str(tmp_path) not in raised.value.message
