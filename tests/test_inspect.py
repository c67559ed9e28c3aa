"""`inspect`: what a bundle says of itself, without reading a layer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.documents.secretrefs import SecretRef
from bundler.core.documents.site import SiteObject
from bundler.core.errors import IntegrityError
from bundler.inspect import Inspected, ParameterInside, SiteBrings, inspect
from bundler.sign.open import open_bundle
from tests.making import KEY
from tests.project import IMAGE, Project
from tests.releases import SPEC, Release, config_map, namespace

NEEDY = """\
  secretRefs: [{name: bucket, namespace: a, keys: [user], description: a login}]
  site:
    pullSecret: {name: pull, namespaces: [a, b]}
    ca: {name: site-ca, namespaces: [a]}
"""


def inspected(path: Path) -> Inspected:
    with open_bundle(path, KEY.public) as bundle:
        return inspect(bundle)


@pytest.fixture
def path(project: Project, tmp_path: Path) -> Path:
    project.build(tmp_path / "bundle.tar", KEY)
    return tmp_path / "bundle.tar"


def test_it_names_the_bundle_and_its_signer(path: Path) -> None:
    found = inspected(path)
    with open_bundle(path, KEY.public) as bundle:
        index = Digest.of(bundle.index)
    assert (found.status, found.name, found.version) == ("TRUSTED", "movie-search", "1.4.0")
    assert (found.index, found.signers) == (index, (KEY.public.fingerprint,))
    assert found.size == path.stat().st_size
    assert found.waivers == ()
    assert found.tools["format"] == "1"


def test_it_names_what_is_carried(path: Path, project: Project) -> None:
    found = inspected(path)
    with open_bundle(path, None) as bundle:
        digests = {entry.name.partition("@")[0]: entry.descriptor for entry in bundle.entries}
        [image_tree] = [bundle.tree(e) for e in bundle.entries if e.kind == "image"]
    [model] = found.models
    assert (model.name, model.license, model.revision) == ("mini", "MIT", None)
    assert model.digest == digests["models/mini"].digest
    sizes = {file.path: file.size for file in model.files}
    weights = project.folder / "weights"
    assert sizes == {file.name: file.stat().st_size for file in weights.iterdir()}
    assert model.size == sum(sizes.values())
    [image] = found.images
    assert (image.name, image.platforms) == (IMAGE, ("linux/amd64",))
    assert image.digest == digests["registry.corp_5000/team/server"].digest
    parts = (*image_tree.manifests, *image_tree.blobs)
    assert len(parts) == 4
    assert image.size == sum(part.size for part in parts)
    [data] = found.files
    assert (data.name, data.kind, [file.path for file in data.files]) == (
        "data", "dataset", ["train.jsonl"],
    )  # fmt: skip
    assert data.size == (project.folder / "data" / "train.jsonl").stat().st_size


def test_it_names_objects_and_parameters(path: Path) -> None:
    found = inspected(path)
    objects = ("Namespace search", "ConfigMap search/server", "Deployment search/server")
    assert found.targets == {"dev": objects, "site": objects}
    assert found.parameters == (
        ParameterInside(
            "mode",
            "enum",
            "fast",
            False,
            "How the server searches",
            None,
            ("fast", "exact"),
            ("ConfigMap server /data/mode",),
        ),
    )


def test_it_names_what_the_site_brings(path: Path, tmp_path: Path) -> None:
    assert inspected(path).site_brings == SiteBrings((), (), (), None, None)
    assert inspected(needy(tmp_path)).site_brings == SiteBrings(
        ("host",),
        (SecretRef(name="bucket", namespace="a", keys=("user",), description="a login"),),
        (),
        SiteObject(name="pull", namespaces=("a", "b")),
        SiteObject(name="site-ca", namespaces=("a",)),
    )


def test_the_command_names_what_the_site_brings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(needy(tmp_path))
    assert run(["inspect", path, "--allow-unsigned"]) == 0
    text = capsys.readouterr().out.partition("the site brings\n")[2]
    assert text.splitlines()[:4] == [
        "  --set host=VALUE",
        "  Secret a/bucket with user: a login",
        "  --registry-credentials FILE, for Secret a/pull, b/pull",
        "  --registry-ca FILE, for ConfigMap a/site-ca",
    ]
    assert run(["inspect", path, "--allow-unsigned", "--json"]) == 0
    brings = json.loads(capsys.readouterr().out)["siteBrings"]
    assert brings["parameters"] == ["host"]
    assert brings["pullSecret"] == {"name": "pull", "namespaces": ["a", "b"]}


def needy(folder: Path) -> Path:
    """A bundle that wants everything of a site that there is."""
    place = ParameterTarget("ConfigMap", "one", "/data/host", None)
    host = Parameter(
        name="host", type="string", pattern=".*", description="x", targets=(place,), required=True
    )
    spec = f"{SPEC}{NEEDY.replace('{', '{{').replace('}', '}}')}"
    made = Release("app", [namespace("a"), config_map("a", "one", host="x")], "1.0.0", (host,))
    return replace(made, spec=spec).write(folder / "needy.tar")


def test_no_layer_is_read(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(b'{"hidden_size": 4}')
    path.write_bytes(data[:at] + b"x" + data[at + 1 :])
    assert inspected(path).models[0].name == "mini"
    with open_bundle(path, None) as bundle, pytest.raises(IntegrityError):
        bundle.verify_blobs()


# --- bundles of another tool ------------------------------------------------------------------

REPORTS: dict[str, object] = {
    "no object": [],
    "no findings": {},
    "findings by nothing": {"findings": []},
    "findings that are none": {"findings": {"targets/dev": [1]}},
    "hosts that are none": {"findings": {}, "allowHosts": [1]},
    "hosts in a word": {"findings": {}, "allowHosts": "hub.example.com"},
    "a waiver without a reason": {
        "findings": {
            "t": [
                {
                    "rule": "r",
                    "severity": "error",
                    "subject": "s",
                    "message": "m",
                    "waiver": {"owner": "Jo"},
                }
            ]
        }
    },
}


def with_report(path: Path, report: bytes) -> Path:
    return Release("movie-search", [], report=report).write(path)


@pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
def test_a_report_that_is_not_understood_is_refused(tmp_path: Path, report: object) -> None:
    path = with_report(tmp_path / "bundle.tar", strictjson.canonical(report))
    with pytest.raises(IntegrityError, match=r"report\.json: "):
        inspected(path)


def test_a_report_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"report\.json: is not JSON"):
        inspected(with_report(tmp_path / "bundle.tar", b"<html>"))


def test_each_waiver_is_told_once(tmp_path: Path) -> None:
    waiver = {"owner": "Jo", "reason": "ours"}
    other = {"rule": "rights", "severity": "error", "subject": "Role a/c", "message": "m"}
    finding = other | {"subject": "Role a/b", "waiver": waiver}
    report = {"findings": {"targets/dev": [finding, other], "targets/site": [finding]}}
    path = with_report(tmp_path / "bundle.tar", strictjson.canonical(report))
    assert inspected(path).waivers == ("rights: Role a/b: m [ours, Jo]",)


def test_hosts_that_the_policy_allowed_are_told(project: Project, tmp_path: Path) -> None:
    policy = project.folder / "policies/default.yaml"
    project.write("policies/default.yaml", f"{policy.read_text()}allowHosts: [hub.example.com]\n")
    project.build(tmp_path / "bundle.tar", KEY)
    assert inspected(tmp_path / "bundle.tar").allowed_hosts == ("hub.example.com",)
