"""Kustomization files: every path is found, whatever reaches out or runs something is refused."""

from __future__ import annotations

import pytest

from bundler.core.errors import BundlerError, DocumentError, PolicyError
from bundler.core.objects.kustomization import check_transformers, parse_kustomization

EVERYTHING = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namePrefix: a-
namespace: serving
images: [{name: a, newName: b, newTag: "1"}]
replicas: [{name: a, count: 2}]
resources: [deployment.yaml, ./sub/../sub, ../../base]
bases: [../other]
components: [../../components/gpu]
crds: [crd.json]
configurations: [names.yaml]
openapi: {path: schema.json}
transformers: [labels.yaml]
patches:
  - path: a.yaml
    target: {kind: Deployment}
  - patch: |-
      - {op: remove, path: https://not.a/path}
patchesStrategicMerge:
  - b.yaml
  - |
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: x}
patchesJson6902:
  - path: c.yaml
    target: {kind: Deployment, name: x, version: v1}
replacements:
  - path: d.yaml
  - source: {kind: ConfigMap}
    targets: []
configMapGenerator:
  - name: x
    files: [e.txt, key=f.txt]
    envs: [g.env]
    env: h.env
    literals: ["url=https://in.a/literal"]
secretGenerator:
  - name: z
    type: Opaque
    files: [i.key]
"""


def test_every_path_is_found() -> None:
    named = parse_kustomization(EVERYTHING, "overlays/dev/kustomization.yaml", "overlays/dev")
    files = [path.path for path in named if path.role == "file"]
    assert files == [f"overlays/dev/{name}" for name in (
        "crd.json", "names.yaml", "schema.json", "labels.yaml", "a.yaml", "b.yaml", "c.yaml",
        "d.yaml", "e.txt", "f.txt", "g.env", "h.env", "i.key",
    )]  # fmt: skip
    assert [path.path for path in named if path.role == "either"] == [
        "overlays/dev/deployment.yaml",
        "overlays/dev/sub",
        "base",
    ]
    assert [path.path for path in named if path.role == "folder"] == [
        "overlays/other",
        "components/gpu",
    ]
    first = named[0]
    assert (first.field, first.where) == ("resources", "overlays/dev/kustomization.yaml:8:13")


REMOTES = (
    "https://example.com/x.yaml",
    "http://example.com/x.yaml",
    "HTTPS://example.com/x",
    "github.com/org/repo",
    "GitHub.com/org/repo",
    "github.com/org/repo?ref=v1",
    "example.com/org/repo?ref=v1",
    "git::https://example.com/x",
    "git@github.com:org/repo",
    "github.com:org/repo",
    "gh:org/repo",
    "ssh://git@example.com/x",
    "file:///etc",
    "org@example.com:x.git",
    "x.git",
    "x.git/sub",
    "dev/_git/repo",
)


@pytest.mark.parametrize("path", REMOTES)
@pytest.mark.parametrize(
    "template",
    [
        "resources: [{}]",
        "bases: [{}]",
        "components: [{}]",
        "crds: [{}]",
        "configurations: [{}]",
        "transformers: [{}]",
        "openapi: {{path: {}}}",
        "patches: [{{path: {}}}]",
        "patchesStrategicMerge: [{}]",
        "patchesJson6902: [{{path: {}}}]",
        "replacements: [{{path: {}}}]",
        "configMapGenerator: [{{name: a, files: [{}]}}]",
        "configMapGenerator: [{{name: a, envs: [{}]}}]",
        "secretGenerator: [{{name: a, env: {}}}]",
    ],
)
def test_what_is_remote_is_refused(template: str, path: str) -> None:
    with pytest.raises(PolicyError, match="is remote"):
        parse_kustomization(template.format(f'"{path}"'), "base/kustomization.yaml", "base")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("resources: [../..]", "leaves the tree"),
        ("resources: [../../elsewhere]", "leaves the tree"),
        ("resources: [sub/../../../x]", "leaves the tree"),
        ("resources: [/etc]", "leaves the tree"),
        ("components: [../../x]", "leaves the tree"),
        ("patches: [{path: ../overlays/p.yaml}]", "own folder, base"),
        ("patches: [{path: /etc/passwd}]", "leaves the tree"),
        ("patches: [{path: ../base2/p.yaml}]", "own folder, base"),
        ("openapi: {path: ../../x}", "leaves the tree"),
        ("configMapGenerator: [{files: [../x]}]", "own folder, base"),
        ("configMapGenerator: [{files: [key=../../../etc/passwd]}]", "leaves the tree"),
        ("secretGenerator: [{envs: [../../x]}]", "leaves the tree"),
        ("crds: [..]", "own folder, base"),
        ("generators: [x.yaml]", "generators: runs plugins"),
        ("transformers: [../x.yaml]", "own folder, base"),
        ("validators: [x.yaml]", "validators: runs plugins"),
        ("helmCharts: [{name: x}]", "helmCharts: runs helm"),
        ("helmGlobals: {chartHome: x}", "helmGlobals: runs helm"),
        ("helmChartInflationGenerator: []", "runs helm"),
        ("buildMetadata: [originAnnotations]", "differ"),
        ("buildMetadata: [managedByLabel]", "differ"),
    ],
)
def test_what_leaves_or_runs_is_refused(text: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words) as raised:
        parse_kustomization(text, "base/kustomization.yaml", "base")
    assert raised.value.message.startswith("base/kustomization.yaml:1:")


EXEC = """
transformers:
  - |-
    apiVersion: acme.io/v1
    kind: Runner
    metadata:
      name: x
      annotations:
        config.kubernetes.io/function: "exec: {path: ./run.sh}"
"""


def test_a_function_that_is_written_inline_is_refused() -> None:
    with pytest.raises(PolicyError, match="runs plugins"):
        parse_kustomization(EXEC, "base/kustomization.yaml", "base")


# KEDA's, which gives its labels to metadata alone.
LABELS = """
apiVersion: builtin
kind: LabelTransformer
metadata: {name: labels}
labels: {app.kubernetes.io/version: main}
fieldSpecs: [{path: metadata/labels, create: true}]
"""


def test_transformers_of_kustomize_s_own_are_fine() -> None:
    check_transformers(LABELS, "base/labels.yaml")
    check_transformers(f"{LABELS}---{LABELS}", "base/labels.yaml")
    inline = f"transformers:\n  - |-{LABELS.replace(chr(10), chr(10) + '    ')}"
    assert parse_kustomization(inline, "base/kustomization.yaml", "base") == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("builtin", "builtin/v1"),
        ("builtin", "acme.io/builtin"),
        ("builtin", "v1"),
        ("apiVersion: builtin", ""),
        # Kustomize's own too, but they read files, which may be URLs.
        ("LabelTransformer", "PatchTransformer"),
        ("LabelTransformer", "PatchStrategicMergeTransformer"),
        ("LabelTransformer", "ReplacementTransformer"),
        ("LabelTransformer", "ConfigMapGenerator"),
        ("LabelTransformer", "HelmChartInflationGenerator"),
        ("LabelTransformer", "List"),
        ("LabelTransformer", "[LabelTransformer]"),
        ("kind: LabelTransformer", ""),
        ("kind: LabelTransformer", "Kind: LabelTransformer"),
    ],
)
def test_other_transformers_are_refused(old: str, new: str) -> None:
    text = f"{LABELS}---{LABELS.replace(old, new, 1)}"
    with pytest.raises(PolicyError, match=r"base/labels\.yaml:.*: transformers: runs plugins"):
        check_transformers(text, "base/labels.yaml")


@pytest.mark.parametrize("text", ["---\n", "[]", f"{LABELS}kind: PatchTransformer\n"])
def test_what_is_no_transformer_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match=r"base/labels\.yaml"):
        check_transformers(text, "base/labels.yaml")


@pytest.mark.parametrize(
    ("text", "field", "hint"),
    [
        ("", "", None),
        ("[]", "", None),
        ("a: 1\n---\nb: 2", "", None),
        ("resorces: []", "resorces", "did you mean resources?"),
        # Kustomize would take these for the fields without capitals.
        ("Resources: [x]", "Resources", "did you mean resources?"),
        ("HELMCHARTS: []", "HELMCHARTS", None),
        ("patches: [{Path: https://a.b}]", "patches.Path", "did you mean path?"),
        ("configMapGenerator: [{Files: [x]}]", "configMapGenerator.Files", "did you mean files?"),
        ("openapi: {url: x}", "openapi.url", None),
        ("resources: x", "resources", None),
        ("resources: [1]", "resources", None),
        ("resources: [null]", "resources", None),
        ("resources: ['']", "resources", None),
        ("resources: ['a\\b']", "resources", None),
        ('resources: ["a\\0b"]', "resources", None),
        ("patches: [x]", "patches", None),
        ("patches: {path: x}", "patches", None),
        ("kind: ConfigMap", "kind", None),
    ],
)
def test_what_is_no_kustomization_names_the_field(text: str, field: str, hint: str | None) -> None:
    with pytest.raises(DocumentError) as raised:
        parse_kustomization(text, "base/kustomization.yaml", "base")
    assert raised.value.field == field
    if hint:
        assert raised.value.hint == hint


def test_empty_lists_and_components_are_fine() -> None:
    text = "kind: Component\nresources:\npatches: []\nopenapi: {}"
    assert parse_kustomization(text, "x/kustomization.yaml", "x") == ()


def test_every_refusal_is_an_expected_error() -> None:
    with pytest.raises(BundlerError):
        parse_kustomization("resources: [*x]", "x/kustomization.yaml", "x")
