"""The Kustomize input that comes with airbundle: it renders, and the gate has nothing to say."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundler.core import gate, rules
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Parameter, ParameterTarget, parse_bundle
from bundler.core.documents.policy import Policy, parse_policy
from bundler.core.objects import parameters
from bundler.core.objects.images import references, relocate, rewrite
from bundler.core.objects.kustomization import FILE_NAMES
from bundler.core.objects.manifests import ObjectId, apply_order, dump, load, parse_manifests
from bundler.core.reference import ImageReference
from bundler.tools.kustomize import check_tree, copy_tree, find_kustomize
from tests.parts.components import ROOT, find_program
from tests.parts.needs import require

IMAGE = "serving.local/server:1.0"
MODEL = "airbundle.invalid/models/model"
OVERLAYS = ("airgapped", "aws-govcloud", "dev")
DIGEST = Digest("ab" * 32)
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
}

ROLE = "eks.amazonaws.com/role-arn"
# The smallest bundle that may declare parameters, for those of docs/rules.md.
BUNDLE = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {name: a, version: "0.0.1"}
spec:
  manifests: {base: base, overlays: [aws-govcloud]}
"""

Objects = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Objects]:
    """Per overlay, what the real kustomize renders: object by name."""
    found = find_program("kustomize") or find_program("kubectl")
    if found is None:
        require("kustomize")
    assert found is not None
    kustomize = find_kustomize(path=str(found.parent))
    tree = tmp_path_factory.mktemp("tree")
    copy_tree(ROOT, ["base", "overlays"], tree)
    folders = {name: f"overlays/{name}" for name in OVERLAYS}
    check_tree(tree, ["base", *folders.values()])
    return {
        name: {
            str(ObjectId.of(obj)): obj
            for obj in apply_order(parse_manifests(kustomize.render(tree, folder), name))
        }
        for name, folder in folders.items()
    }


def policy() -> Policy:
    path = ROOT / "policies" / "default.yaml"
    return parse_policy(path.read_text(), path.name)


def deployment(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment serving/server"]["spec"]
    return spec


def test_these_are_all_the_overlays() -> None:
    assert tuple(sorted(path.name for path in (ROOT / "overlays").iterdir())) == OVERLAYS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_image_and_one_model_are_named(rendered: dict[str, Objects], overlay: str) -> None:
    objects = list(rendered[overlay].values())
    assert references(objects, ()) == (MODEL, IMAGE)
    assert load(dump(objects)) == tuple(objects)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_core_rules_find_nothing(rendered: dict[str, Objects], overlay: str) -> None:
    names = {name: ImageReference.parse(name).placeholder(DIGEST) for name in (IMAGE, MODEL)}
    objects, places = rewrite(overlay, list(rendered[overlay].values()), names)
    context = rules.RuleContext(policy(), frozenset(names.values()), overlay)
    assert rules.check(objects, context) == ()
    assert len(places) == 2
    moved = relocate(overlay, objects, places, "registry.corp:5000/team")
    (pod,) = [obj["spec"]["template"]["spec"] for obj in moved if obj["kind"] == "Deployment"]
    at = "registry.corp:5000/team"
    assert pod["containers"][0]["image"] == f"{at}/serving.local/server@{DIGEST}"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["weights"]["image"]["reference"] == f"{at}/models/model@{DIGEST}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_namespace_enforces_restricted(rendered: dict[str, Objects], overlay: str) -> None:
    labels = rendered[overlay]["Namespace serving"]["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.33"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_has_no_token_and_asks_no_hub(rendered: dict[str, Objects], overlay: str) -> None:
    objects = rendered[overlay]
    pod = deployment(objects)["template"]["spec"]
    (container,) = pod["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env.items() >= OFFLINE.items()
    assert pod["automountServiceAccountToken"] is False
    assert objects["ServiceAccount serving/server"]["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_weights_are_a_read_only_image_volume(
    rendered: dict[str, Objects], overlay: str
) -> None:
    pod = deployment(rendered[overlay])["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "weights"]
    assert volume["image"] == {"reference": MODEL, "pullPolicy": "IfNotPresent"}
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "weights"]
    assert mount == {"name": "weights", "mountPath": "/mnt", "readOnly": True}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_network_is_shut_but_for_requests(rendered: dict[str, Objects], overlay: str) -> None:
    objects = rendered[overlay]
    assert objects["NetworkPolicy serving/default-deny"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    allowed = objects["NetworkPolicy serving/server"]["spec"]
    assert "egress" not in allowed
    assert allowed["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "http"}]
    labels = deployment(objects)["template"]["metadata"]["labels"]
    for selector in (
        deployment(objects)["selector"]["matchLabels"],
        allowed["podSelector"]["matchLabels"],
        objects["Service serving/server"]["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()


def test_the_overlays_differ_in_size(rendered: dict[str, Objects]) -> None:
    dev, airgapped = deployment(rendered["dev"]), deployment(rendered["airgapped"])
    assert (dev["replicas"], airgapped["replicas"]) == (1, 2)
    limits = [spec["template"]["spec"]["containers"][0]["resources"]["limits"] for spec in
              (dev, airgapped)]  # fmt: skip
    assert "nvidia.com/gpu" not in limits[0]
    assert limits[1]["nvidia.com/gpu"] == "1"
    assert airgapped["template"]["spec"]["runtimeClassName"] == "nvidia"
    assert "PodDisruptionBudget serving/server" in rendered["airgapped"]
    assert "PodDisruptionBudget serving/server" not in rendered["dev"]


def env_of(objects: Objects) -> dict[str, str]:
    (container,) = deployment(objects)["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_govcloud_has_its_own_partition_endpoints_and_nodes(rendered: dict[str, Objects]) -> None:
    objects = rendered["aws-govcloud"]
    assert (
        env_of(objects).items()
        >= {
            "AWS_REGION": "us-gov-west-1",
            "AWS_DEFAULT_REGION": "us-gov-west-1",
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_USE_FIPS_ENDPOINT": "true",
        }.items()
    )
    assert deployment(objects)["template"]["spec"]["nodeSelector"] == {
        "topology.kubernetes.io/region": "us-gov-west-1",
        "nvidia.com/gpu.present": "true",
    }
    annotations = objects["ServiceAccount serving/server"]["metadata"]["annotations"]
    assert annotations[ROLE].startswith("arn:aws-us-gov:iam::")


def test_a_site_sets_the_region_and_the_role(rendered: dict[str, Objects]) -> None:
    objects = list(rendered["aws-govcloud"].values())
    declared = govcloud_parameters()
    found = parameters.check(
        declared, {"aws-govcloud": objects, "dev": list(rendered["dev"].values())}
    )
    assert [each.message for each in found if each.severity == "error"] == []
    role = "arn:aws-us-gov:iam::123456789012:role/models/server"
    settings = {"awsRegion": "us-gov-east-1", "awsRole": role}
    values = parameters.values(declared, settings)
    made = {str(ObjectId.of(obj)): obj for obj in parameters.substitute(objects, declared, values)}
    assert env_of(made)["AWS_REGION"] == env_of(made)["AWS_DEFAULT_REGION"] == "us-gov-east-1"
    selector = deployment(made)["template"]["spec"]["nodeSelector"]
    assert selector["topology.kubernetes.io/region"] == "us-gov-east-1"
    assert made["ServiceAccount serving/server"]["metadata"]["annotations"][ROLE] == role


def govcloud_parameters() -> list[Parameter]:
    """Those that docs/rules.md shows."""
    page = (ROOT / "docs" / "rules.md").read_text()
    (block,) = [text for text in page.split("```") if text.startswith("yaml\nparameters:")]
    return list(
        parse_bundle(
            BUNDLE + textwrap.indent(block.removeprefix("yaml\n"), "  "), "docs/rules.md"
        ).parameters
    )


def test_a_commercial_region_in_govcloud_is_found(rendered: dict[str, Objects]) -> None:
    objects = list(rendered["aws-govcloud"].values())
    values = ("us-gov-west-1", "us-east-1")
    path = "/spec/template/spec/nodeSelector/topology.kubernetes.io~1region"
    region = Parameter(
        name="region", type="enum", default=values[0], values=values, description="Where it runs",
        targets=(ParameterTarget("Deployment", "server", path),),
    )  # fmt: skip
    found = gate.check_variants("aws-govcloud", objects, [region], policy(), frozenset())
    assert [each.message for each in found if each.rule == "partition"] == [
        f"{path}: names the region 'us-east-1' of the partition aws, "
        "and this target is for aws-us-gov"
    ]


def test_the_compiled_file_is_listed_and_empty() -> None:
    base = ROOT / "base"
    assert list(yaml.safe_load_all((base / "airbundle.compiled.yaml").read_text())) == []
    listed = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    assert "airbundle.compiled.yaml" in listed
    # Nothing lies about that no kustomization lists.
    files = {path.name for path in base.iterdir()} - set(FILE_NAMES)
    assert files == set(listed)


def test_there_is_nothing_but_data() -> None:
    files = [path for top in ("base", "overlays") for path in Path(ROOT / top).rglob("*")]
    assert {path.suffix for path in files if path.is_file()} == {".yaml"}
