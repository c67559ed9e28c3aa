"""A site's own overlay over a signed bundle's base and overlays, rendered and judged there."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler.cli import main
from bundler.core.digest import Digest
from bundler.core.errors import (
    BundlerError,
    DocumentError,
    IntegrityError,
    PolicyError,
    SourceError,
    ToolError,
    UsageError,
)
from bundler.inputs import siteoverlay
from bundler.inputs.siteoverlay import MAX_SIZE, SiteOverlay, read_overlay
from bundler.render import Rendered, render
from bundler.scan.checkov import scan_objects
from bundler.sign.open import open_bundle
from bundler.tools.kustomize import Kustomize
from tests.making import KEY
from tests.project import make_project

REGISTRY = "registry.site:5000/team"
TODAY = "2026-06-30"
KUSTOMIZATION = """\
resources: [../overlays/site]
patches:
  - path: replicas.yaml
"""
REPLICAS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: server, namespace: search}
spec: {replicas: 7}
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: warm, namespace: search}
spec:
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: warm
          image: IMAGE
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
"""
IMAGE = "registry.corp:5000/team/server:1.0"
LINK = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: links, namespace: search}
data: {docs: "https://docs.site.example/"}
"""
POLICY = """\
apiVersion: airbundle.dev/v1alpha1
kind: Policy
allowHosts: [docs.site.example]
"""
WAIVER = """\
apiVersion: airbundle.dev/v1alpha1
kind: Policy
waivers:
  - rule: external-host
    object: "ConfigMap search/links"
    owner: Jo
    reason: people read it
    until: "2026-06-29"
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, kustomize: Path) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    make_project(folder / "project").build(folder / "bundle.tar", KEY)
    return folder / "bundle.tar"


def files(**others: str) -> dict[str, bytes]:
    """An overlay that changes the replicas; `others` by name, with __ for a dot."""
    found = {"kustomization.yaml": KUSTOMIZATION, "replicas.yaml": REPLICAS}
    found |= {name.replace("__", "."): text for name, text in others.items()}
    return {name: text.encode() for name, text in found.items()}


def adding(name: str, text: str) -> dict[str, bytes]:
    """An overlay that adds the objects of `text`."""
    said = f"resources: [../overlays/site, {name}]\n"
    return {"kustomization.yaml": said.encode(), name: text.encode()}


def rendered(
    bundle: Path,
    overlay: SiteOverlay | None,
    target: str = "site",
    settings: Mapping[str, str] | None = None,
) -> Rendered:
    with open_bundle(bundle, KEY.public) as opened:
        return render(opened, target, settings or {}, REGISTRY, overlay)


def by_kind(made: Rendered) -> dict[str, Any]:
    return {obj["kind"]: obj for obj in made.objects}


def test_an_overlay_changes_what_it_says_and_nothing_else(bundle: Path) -> None:
    plain, made = rendered(bundle, None), rendered(bundle, SiteOverlay(files()))
    assert (plain.overlay, made.overlay) == (None, SiteOverlay(files()))
    assert by_kind(made)["Deployment"]["spec"]["replicas"] == 7
    by_kind(made)["Deployment"]["spec"]["replicas"] = 2
    assert made.objects == plain.objects


def test_objects_of_its_own_use_images_and_models_of_the_bundle(bundle: Path) -> None:
    made = by_kind(rendered(bundle, SiteOverlay(adding("job.yaml", JOB.replace("IMAGE", IMAGE)))))
    image = made["Job"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert re.fullmatch(rf"{REGISTRY}/registry.corp_5000/team/server@sha256:[0-9a-f]{{64}}", image)
    assert image == made["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    volume = made["Deployment"]["spec"]["template"]["spec"]["volumes"][0]
    assert volume["image"]["reference"].startswith(f"{REGISTRY}/models/mini@sha256:")


def test_parameters_are_still_set(bundle: Path) -> None:
    made = rendered(bundle, SiteOverlay(files()), settings={"mode": "exact"})
    assert by_kind(made)["ConfigMap"]["data"] == {"mode": "exact"}
    assert made.values == {"mode": "exact"}


def test_a_parameter_whose_place_the_overlay_took_away_is_none_any_more(bundle: Path) -> None:
    gone = {
        "kustomization.yaml": b"resources: [../overlays/site]\npatches: [{path: gone.yaml}]\n",
        "gone.yaml": b"$patch: delete\napiVersion: v1\nkind: ConfigMap\n"
        b"metadata: {name: server, namespace: search}\n",
    }
    assert rendered(bundle, SiteOverlay(gone)).values == {}
    with pytest.raises(UsageError, match="'mode' changes nothing in the target site"):
        rendered(bundle, SiteOverlay(gone), settings={"mode": "exact"})


REFUSED: dict[str, tuple[dict[str, bytes], type[BundlerError], str]] = {
    "a remote resource": (
        {"kustomization.yaml": b"resources: [../overlays/site, 'https://example.com/x']\n"},
        PolicyError,
        "site/kustomization.yaml:1:31: resources: .*is remote",
    ),
    "a path outside of the tree": (
        {"kustomization.yaml": b"resources: [../overlays/site, ../../etc]\n"},
        PolicyError,
        "leaves the tree of base and overlays",
    ),
    "a file of the bundle": (
        files(kustomization__yaml="resources: [../overlays/site]\n"
                                  "patches: [{path: ../base/server.yaml}]\n"),
        PolicyError,
        "leaves the kustomization's own folder, site",
    ),
    "a plugin": (
        files(kustomization__yaml="resources: [../overlays/site]\ngenerators: [x.yaml]\n"),
        PolicyError,
        "generators: runs plugins",
    ),
    "no kustomization": ({"replicas.yaml": REPLICAS.encode()}, DocumentError, "found none"),
    "another target": (
        {"kustomization.yaml": b"resources: [../overlays/dev]\n"},
        UsageError,
        r"expected it to build on \.\./overlays/site, found overlays/dev",
    ),
    "the base alone": (
        {"kustomization.yaml": b"resources: [../base]\n"},
        UsageError,
        r"expected it to build on \.\./overlays/site, found none of overlays/",
    ),
    "an image that the bundle lacks": (
        adding("job.yaml", JOB.replace("IMAGE", "docker.io/library/redis:7")),
        PolicyError,
        "image docker.io/library/redis:7: .*the bundle has registry.corp:5000/team/server:1.0",
    ),
    "a model that the bundle lacks": (
        adding("job.yaml", JOB.replace("IMAGE", "airbundle.invalid/models/maxi")),
        PolicyError,
        "model 'maxi'",
    ),
    "a privileged pod": (
        adding("job.yaml", JOB.replace("IMAGE", IMAGE).replace("runAsNonRoot: true",
                                                               "runAsNonRoot: false")),
        PolicyError,
        "pod-security: Job search/warm",
    ),
    "a host": (adding("link.yaml", LINK), PolicyError, "external-host: ConfigMap search/links"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "error", "words"), REFUSED.values(), ids=list(REFUSED))
def test_it_is_refused(
    bundle: Path, given: dict[str, bytes], error: type[BundlerError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        rendered(bundle, SiteOverlay(given))
    assert type(caught.value) is error


def test_what_the_bundle_lacks_no_policy_lets_pass(bundle: Path) -> None:
    waived = WAIVER.replace("external-host", "closure").encode()
    given = adding("job.yaml", JOB.replace("IMAGE", "redis:7"))
    with pytest.raises(BundlerError, match="can't be waived"):
        rendered(bundle, SiteOverlay(adding("link.yaml", LINK), waived))
    with pytest.raises(PolicyError, match=r"image redis:7") as caught:
        rendered(bundle, SiteOverlay(given, POLICY.encode()))
    assert caught.value.hint is not None
    assert "an overlay can use only what the bundle carries" in caught.value.hint


def test_the_sites_policy_judges_alone(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"docs\.site\.example"):
        rendered(bundle, SiteOverlay(adding("link.yaml", LINK)))
    made = rendered(bundle, SiteOverlay(adding("link.yaml", LINK), POLICY.encode()))
    assert made.warnings == ()


def test_the_bundles_policy_no_longer_counts_beside_the_sites(
    tmp_path: Path, kustomize: Path
) -> None:
    project = make_project(tmp_path / "project")
    project.write("policies/default.yaml", POLICY)
    project.write("base/link.yaml", LINK)
    project.edit("base/kustomization.yaml", "[namespace.yaml", "[link.yaml, namespace.yaml")
    project.build(tmp_path / "bundle.tar", KEY)
    strict = POLICY.replace("docs.site.example", "nothing.site.example").encode()
    assert rendered(tmp_path / "bundle.tar", SiteOverlay(files())).warnings == ()
    with pytest.raises(PolicyError, match=r"docs\.site\.example"):
        rendered(tmp_path / "bundle.tar", SiteOverlay(files(), strict))


def test_a_waiver_of_the_sites_ends_on_its_day_and_not_for_what_was_accepted(bundle: Path) -> None:
    link = adding("link.yaml", LINK)
    accepted = SiteOverlay(link, WAIVER.encode(), today="2026-06-29")
    assert [each.rule for each in rendered(bundle, accepted).waived] == ["external-host"]
    with pytest.raises(PolicyError, match="external-host"):
        rendered(bundle, replace(accepted, today="2026-06-30"))
    again = SiteOverlay.load(accepted.dump())
    assert rendered(bundle, again).objects == rendered(bundle, accepted).objects


def test_it_is_written_down_with_its_policy_and_read_back() -> None:
    given = SiteOverlay(files(), POLICY.encode(), {"pods.yaml": b"x"}, TODAY, True)
    again = SiteOverlay.load(given.dump())
    assert again == SiteOverlay(files(), POLICY.encode(), {"pods.yaml": b"x"})
    assert again.digest == given.digest
    assert SiteOverlay.load(SiteOverlay(files()).dump()) == SiteOverlay(files())
    assert given.digest != SiteOverlay(files()).digest


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b"x",
        b'{"checks":{},"files":{"a":1},"policy":null}',
        b'{"checks":{},"files":{"../../x":""},"policy":null}',
    ],
)
def test_what_is_no_overlay_is_not_read_back(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="the overlay of the release"):
        SiteOverlay.load(data)


# --- kustomize --------------------------------------------------------------------------------


def test_without_kustomize_there_is_no_overlay(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="--overlay is rendered on this machine") as caught:
        rendered(bundle, SiteOverlay(files()))
    assert caught.value.hint is not None
    assert "put kustomize 5 or later" in caught.value.hint
    assert rendered(bundle, None).overlay is None


def test_a_kustomize_that_renders_otherwise_than_the_one_that_built_is_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Kustomize.render

    def other(self: Kustomize, tree: Path, folder: str) -> str:
        return real(self, tree, folder).replace("replicas: 2", "replicas: 3")

    monkeypatch.setattr(Kustomize, "render", other)
    with pytest.raises(ToolError, match="renders the target site otherwise than it was signed"):
        rendered(bundle, SiteOverlay(files()))


def test_sources_that_are_not_what_was_locked_are_refused(tmp_path: Path) -> None:
    from bundler.core.documents.bundle import parse_bundle
    from bundler.core.lock import Lock
    from tests.project import SPEC

    locked = Lock(
        name="a", version="1.0.0", spec=Digest.of(b""), platforms=("linux/amd64",),
        sources={"base/x.yaml": Digest.of(b"x")}, policies={}, models=(), files=(), images=(),
        targets={}, tools={},
    )  # fmt: skip
    spec = parse_bundle(SPEC, "bundle.yaml")
    for sources in ({}, {"base/x.yaml": b"y"}):
        with pytest.raises(IntegrityError, match=r"sources.tar: base/x.yaml: expected sha256"):
            siteoverlay.overlaid(SiteOverlay(files()), "site", spec, locked, sources, {})
    outside = replace(locked, sources={"base/../../x": Digest.of(b"x")})
    with pytest.raises(IntegrityError, match=r"sources.tar"):
        siteoverlay.overlaid(
            SiteOverlay(files()), "site", spec, outside, {"base/../../x": b"x"}, {}
        )


def test_a_base_may_be_called_as_we_call_the_sites_folder(tmp_path: Path, kustomize: Path) -> None:
    project = make_project(tmp_path / "project")
    (project.folder / "base").rename(project.folder / "site")
    project.edit("bundle.yaml", "base: base", "base: site")
    for name in ("dev", "site"):
        project.edit(f"overlays/{name}/kustomization.yaml", "../../base", "../../site")
    project.build(tmp_path / "bundle.tar", KEY)
    made = rendered(tmp_path / "bundle.tar", SiteOverlay(files()))
    assert by_kind(made)["Deployment"]["spec"]["replicas"] == 7


# --- reading ----------------------------------------------------------------------------------


def write(folder: Path, given: Mapping[str, bytes]) -> Path:
    for name, data in given.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_folder_is_read_whole_with_the_policy_and_its_checks(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", files() | {"patches/more.yaml": b"x"})
    text = POLICY + "checks: rules\n"
    write(tmp_path / "policy", {"site.yaml": text.encode(), "rules/pods.yaml": b"y"})
    found = read_overlay(folder, tmp_path / "policy" / "site.yaml", TODAY, scanned=True)
    expected = files() | {"patches/more.yaml": b"x"}
    assert found == SiteOverlay(expected, text.encode(), {"pods.yaml": b"y"}, TODAY, True)
    assert read_overlay(folder, None, TODAY, scanned=False) == SiteOverlay(expected, today=TODAY)


def test_a_link_in_it_is_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", files())
    (folder / "secret.yaml").symlink_to("/etc/passwd")
    with pytest.raises(SourceError, match=r"secret\.yaml: .*a symbolic link"):
        read_overlay(folder, None, TODAY, scanned=False)


def test_it_is_small(tmp_path: Path) -> None:
    room = MAX_SIZE - len(SiteOverlay(files() | {"z.yaml": b""}).dump())
    folder = write(tmp_path / "mine", files() | {"z.yaml": b"#" * room})
    assert len(read_overlay(folder, None, TODAY, scanned=False).files) == 3
    problem = "mine: expected an overlay of 49152 bytes at most"
    with pytest.raises(SourceError, match=problem):
        read_overlay(folder, write(tmp_path, {"p.yaml": POLICY.encode()}) / "p.yaml", TODAY,
                     scanned=False)  # fmt: skip
    # Seen before it is read: its own limit would say something else.
    (folder / "z.yaml").write_bytes(b"#" * (MAX_SIZE + 1))
    with pytest.raises(SourceError, match=problem):
        read_overlay(folder, None, TODAY, scanned=False)


def test_it_is_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", files() | {"logo.png": b"\x89PNG"})
    with pytest.raises(DocumentError, match=r"logo\.png: is not UTF-8 at byte 0"):
        read_overlay(folder, None, TODAY, scanned=False)


# --- scanners ---------------------------------------------------------------------------------


def test_scanners_are_asked_when_they_are_required(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def seen(targets: Mapping[str, Any], policy: Any, checks: Any) -> Any:
        asked.append(tuple(targets))
        return scan_objects(targets, policy, checks)

    monkeypatch.setattr(siteoverlay, "run_checkov", seen)
    assert rendered(bundle, SiteOverlay(files())).warnings == ()
    assert asked == []
    with pytest.raises(PolicyError, match="CKV_K8S_22") as caught:
        rendered(bundle, SiteOverlay(files(), scanned=True))
    assert asked == [("site",)]
    assert "the gate is shut" in caught.value.message


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "release.pub"
    path.write_bytes(KEY.public.pem())
    return path


def test_the_command_renders_it(
    bundle: Path, public: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "mine", adding("link.yaml", LINK))
    (tmp_path / "policy.yaml").write_text(POLICY)
    said = [
        "render",
        str(bundle),
        "--target",
        "site",
        "--key",
        str(public),
        "--overlay",
        str(folder),
    ]
    assert main.run([*said, "--json"]) == 5
    capsys.readouterr()
    assert main.run([*said, "--policy", str(tmp_path / "policy.yaml"), "--json"]) == 0
    kinds = [obj["kind"] for obj in json.loads(capsys.readouterr().out)]
    assert kinds.count("ConfigMap") == 2


@pytest.mark.parametrize("option", ["--policy=POLICY", "--require-scanners"])
def test_what_goes_with_an_overlay_goes_with_it_alone(
    bundle: Path, public: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    option = option.replace("POLICY", str(public))
    assert main.run(["render", str(bundle), "--target=site", f"--key={public}", option]) == 2
    assert f"{option.partition('=')[0]}: goes with --overlay alone" in capsys.readouterr().err


def test_weights_that_are_fetched_are_arranged_as_the_build_does(
    tmp_path: Path, kustomize: Path
) -> None:
    project = make_project(tmp_path / "project")
    with zipfile.ZipFile(project.folder / "airbundle.pyz", "w") as archive:
        archive.writestr("__main__.py", "")
    weights = f"""\
  loader: {{image: "{IMAGE}", installer: airbundle.pyz}}
  weights:
    site: {{pvc: {{storageClass: fast}}}}
  policy: policies/default.yaml
"""
    project.edit("bundle.yaml", "  policy: policies/default.yaml\n", weights)
    project.build(tmp_path / "bundle.tar", KEY)
    plain = rendered(tmp_path / "bundle.tar", None)
    made = rendered(tmp_path / "bundle.tar", SiteOverlay(files()))
    assert "PersistentVolumeClaim" in by_kind(made)
    assert by_kind(made)["Job"] == by_kind(plain)["Job"]
    assert by_kind(made)["Deployment"]["spec"]["replicas"] == 7
    by_kind(made)["Deployment"]["spec"]["replicas"] = 2
    assert made.objects == plain.objects
