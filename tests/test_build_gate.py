"""The gate of `build`: what shuts it, on which target and object, and what a policy lets pass."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.core.errors import PolicyError
from bundler.inspect import inspect
from bundler.scan.pickled import EXTENSIONS
from bundler.sign.open import open_bundle
from tests.project import IMAGE, TODAY, Project, listing

Edit = Callable[[Project], object]
POLICY = "policies/default.yaml"
WAIVER = """\
waivers:
  - rule: external-host
    object: ConfigMap search/*
    owner: Jo
    reason: a proxy of ours
    until: "{until}"
"""


def shut(project: Project, today: str = TODAY) -> PolicyError:
    """The refusal, after which there is no bundle."""
    output = project.folder.parent / "bundle.tar"
    before = listing(project.folder.parent, ["project/bundle.lock"])
    with pytest.raises(PolicyError) as refused:
        project.build(output, today=today)
    assert listing(project.folder.parent, ["project/bundle.lock"]) == before
    return refused.value


def edit(name: str, old: str, new: str) -> Edit:
    return lambda project: project.edit(name, old, new)


def outside(project: Project) -> None:
    project.edit("base/config.yaml", "mode: fast", "mode: fast\n  hub: https://hub.example.com/m")


def parameter(kind: str, name: str, path: str, more: str) -> Edit:
    """A second parameter, at `path` of an object."""
    text = f"""
    - name: second
      description: A second one
      targets: [{{kind: {kind}, name: {name}, path: {path}}}]
      {more}
  policy:"""
    return edit("bundle.yaml", "\n  policy:", text)


# --- objects ----------------------------------------------------------------------------------

ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
"""
STRING = "type: string\n      pattern: '.*'\n      default: run"
CONTAINER = "/spec/template/spec/containers/0"


def a_role(project: Project) -> None:
    project.write("base/role.yaml", ROLE)
    project.edit("base/kustomization.yaml", "config.yaml", "config.yaml, role.yaml")


def privileged(project: Project) -> None:
    escalation = "allowPrivilegeEscalation: false"
    project.edit("base/server.yaml", escalation, f"{escalation}\n            privileged: true")


def into_a_command(project: Project) -> None:
    name = "- name: server"
    project.edit("base/server.yaml", name, f'{name}\n          command: ["run"]')
    parameter("Deployment", "server", f"{CONTAINER}/command/0", STRING)(project)


def another_type(project: Project) -> None:
    project.edit("base/config.yaml", "mode: fast", 'mode: fast\n  size: "1"')
    parameter("ConfigMap", "server", "/data/size", "type: integer\n      default: 1")(project)


def into_an_image_in_a_text(project: Project) -> None:
    project.edit("base/config.yaml", "mode: fast", f"mode: fast\n  server: {IMAGE}")
    parameter("ConfigMap", "server", "/data/server", STRING)(project)


SHUT: dict[str, tuple[Edit, str]] = {
    "an external host in a ConfigMap": (
        outside,
        "targets/dev, targets/site: external-host: ConfigMap search/server: /data/hub: ",
    ),
    "the same in another target": (outside, "targets/site: external-host: ConfigMap search/server"),
    "a privileged container": (
        privileged,
        "targets/dev, targets/site: pod-security: Deployment search/server: ",
    ),
    "a right to everything": (a_role, "targets/dev, targets/site: rights: ClusterRole all: "),
    "a parameter into a command": (
        into_a_command,
        "\n  parameters: Deployment server: parameter second: ",
    ),
    "a parameter into an image": (
        parameter("Deployment", "server", f"{CONTAINER}/image", STRING),
        "containers/0/image is what a container runs, which no parameter may change",
    ),
    "a parameter into an image in a text": (
        into_an_image_in_a_text,
        "/data/server holds an image or model, which no parameter may change",
    ),
    "a parameter for a whole map": (
        parameter("Namespace", "search", "/metadata/labels", STRING),
        "/metadata/labels: expected one str to replace, found dict",
    ),
    "a parameter that points nowhere": (
        parameter("ConfigMap", "server", "/data/nothing", STRING),
        "/data/nothing isn't there in any target",
    ),
    "an integer for a string": (
        another_type,
        "/data/size: expected one int to replace, found str",
    ),
}


@pytest.mark.parametrize(("change", "line"), SHUT.values(), ids=list(SHUT))
def test_it_is_shut_and_says_where(project: Project, change: Edit, line: str) -> None:
    change(project)
    refusal = shut(project)
    assert refusal.message.startswith("the gate is shut: ")
    assert line in refusal.message
    assert refusal.hint


# --- every value that a site may choose -------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_value_of_an_enum_shuts_it_though_the_default_does_not(
    project: Project, position: int
) -> None:
    values = ["fast", "exact"]
    values.insert(position, "https://hub.example.com")
    project.edit("bundle.yaml", "[fast, exact]", json.dumps(values))
    message = shut(project).message
    place = "targets/dev, targets/site: external-host: ConfigMap search/server: /data/mode: "
    assert message.count(place) == message.count("external-host") == 1


def test_harmless_values_of_an_enum_leave_it_open(project: Project, tmp_path: Path) -> None:
    project.edit("bundle.yaml", "[fast, exact]", "[fast, exact, cache.search.svc]")
    assert project.build(tmp_path / "bundle.tar").warnings == ()


def test_the_default_is_what_is_carried(project: Project, tmp_path: Path) -> None:
    project.edit("bundle.yaml", "default: fast", "default: exact")
    project.build(tmp_path / "bundle.tar")
    with open_bundle(tmp_path / "bundle.tar", None) as bundle:
        assert b'"mode":"exact"' in bundle.layer("targets/dev.json")


# --- policies ---------------------------------------------------------------------------------


def test_a_host_that_the_policy_allows_passes(project: Project, tmp_path: Path) -> None:
    outside(project)
    project.write(POLICY, (project.folder / POLICY).read_text() + "allowHosts: [hub.example.com]\n")
    assert project.build(tmp_path / "bundle.tar").waived == ()


@pytest.mark.parametrize("until", [TODAY, "2099-12-31"])
def test_a_waived_finding_passes_and_travels(project: Project, tmp_path: Path, until: str) -> None:
    outside(project)
    project.write(POLICY, (project.folder / POLICY).read_text() + WAIVER.format(until=until))
    [found] = project.build(tmp_path / "bundle.tar").waived
    assert (found.rule, found.subject) == ("external-host", "ConfigMap search/server")
    with open_bundle(tmp_path / "bundle.tar", None) as bundle:
        assert until.encode() not in bundle.layer("report.json")
        assert inspect(bundle).waivers == (
            "external-host: ConfigMap search/server: /data/hub: names the host "
            "'hub.example.com:443', which is outside of the cluster [a proxy of ours, Jo]",
        )


def test_a_waiver_that_ended_lets_nothing_pass_and_is_named(project: Project) -> None:
    outside(project)
    project.write(POLICY, (project.folder / POLICY).read_text() + WAIVER.format(until="2026-06-29"))
    assert "(the waiver of Jo ended on 2026-06-29)" in shut(project).message


def test_a_waiver_of_another_object_lets_nothing_pass(project: Project) -> None:
    outside(project)
    waiver = WAIVER.format(until=TODAY).replace("ConfigMap", "Secret")
    project.write(POLICY, (project.folder / POLICY).read_text() + waiver)
    assert "external-host: ConfigMap search/server" in shut(project).message


@pytest.mark.parametrize(
    "name", ["airbundle.invalid/models/large", "registry.airbundle.invalid/x@sha256:" + "0" * 64]
)
def test_a_value_that_names_what_is_not_carried_shuts_it(project: Project, name: str) -> None:
    project.edit("bundle.yaml", "[fast, exact]", json.dumps(["fast", name]))
    policy = (project.folder / POLICY).read_text() + WAIVER.format(until="2099-12-31")
    project.write(POLICY, policy)
    assert (
        "targets/dev, targets/site: closure: ConfigMap search/server: /data/mode: "
        in shut(project).message
    )


# --- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", [*sorted(EXTENSIONS), ".PT"])
def test_a_pickle_by_its_name_shuts_it(project: Project, extension: str) -> None:
    project.write(f"weights/model{extension}", b"anything")
    line = f"models/mini: pickle: model{extension}: {extension.lower()} files are pickles"
    assert line in shut(project).message


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        # With a time of its own: these bytes are part of a test's name.
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), b"x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (pickle.dumps({"a": 1}), "its content is a pickle"),
        (pickle.dumps([1, 2], protocol=0), "its content is a pickle"),
        (zipped(), "a zip that holds 'archive/data.pkl'"),
    ],
)
def test_a_pickle_by_its_content_shuts_it(project: Project, data: bytes, problem: str) -> None:
    project.write("weights/notes.txt", data)
    assert f"models/mini: pickle: notes.txt: {problem}" in shut(project).message


def test_a_damaged_header_shuts_it(project: Project) -> None:
    path = project.folder / "weights" / "model.safetensors"
    project.write("weights/model.safetensors", path.read_bytes() + b"x")
    assert "models/mini: safetensors: model.safetensors: tensors end at" in shut(project).message


def test_weights_that_no_scanner_reads_shut_it(project: Project) -> None:
    path = project.folder / "weights" / "model.safetensors"
    path.rename(path.with_name("model.weights"))
    assert "models/mini: model-scan: " in shut(project).message


def test_an_unstated_licence_is_a_warning(project: Project, tmp_path: Path) -> None:
    (project.folder / "weights" / "README.md").unlink()
    [warning] = project.build(tmp_path / "bundle.tar").warnings
    assert (warning.rule, warning.subject) == ("license", "models/mini")


def test_a_shut_gate_leaves_no_lock(project: Project) -> None:
    outside(project)
    shut(project)
    assert not project.lock.exists()


@pytest.mark.parametrize(
    ("path", "problem", "hint"),
    [
        ("ConfigMap srver /data/mode", "its object isn't there", "ConfigMap search/server"),
        ("ConfigMap server /data/mod", "/data/mod isn't there", "/data/mode"),
    ],
)
def test_a_target_that_is_nowhere_can_t_be_waived(
    project: Project, path: str, problem: str, hint: str
) -> None:
    kind, name, pointer = path.split()
    parameter(kind, name, pointer, STRING)(project)
    waiver = WAIVER.format(until="2099-12-31").replace("external-host", "parameters")
    waiver = waiver.replace("ConfigMap search/*", "'*'")
    project.write(POLICY, (project.folder / POLICY).read_text() + waiver)
    refusal = shut(project)
    assert problem in refusal.message
    assert refusal.hint == f"did you mean {hint}?"
