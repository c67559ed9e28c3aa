"""The Kustomize input that comes with airbundle: it renders, and the gate has nothing to say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundler import scaffold
from bundler.core import gate, rules
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Bundle, parse_bundle
from bundler.core.documents.policy import Policy, parse_policy
from bundler.core.errors import UsageError
from bundler.core.objects import jsonpointer, parameters
from bundler.core.objects.images import references, relocate, rewrite
from bundler.core.objects.kustomization import FILE_NAMES
from bundler.core.objects.manifests import dump, load
from bundler.core.reference import ImageReference
from bundler.inputs.spec import read_checks
from bundler.scan.checkov import scan_objects
from tests.overlays import IMAGE, MODEL, OVERLAYS, Objects, render_overlays
from tests.parts.components import ROOT

ON_GPUS = tuple(name for name in OVERLAYS if name != "dev")
CLOUDS = tuple(name for name in ON_GPUS if name != "airgapped")
DIGEST = Digest("ab" * 32)
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
}

ROLE = "eks.amazonaws.com/role-arn"
SUBNETS = {
    "aws": "aws-load-balancer-subnets",
    "azure": "azure-load-balancer-internal-subnet",
    "gcp": "internal-load-balancer-subnet",
}
# What a site must set, by what its target begins with.
SITE = {
    "aws": {
        "awsRegion": "us-gov-east-1",
        "awsRole": "arn:aws-us-gov:iam::123456789012:role/models/server",
        "awsSubnets": "subnet-0123456789abcdef0,subnet-01234567",
    },
    "azure": {
        "azureClientId": "01234567-89ab-cdef-0123-456789abcdef",
        "azureSubnet": "load_balancers.internal",
    },
    "gcp": {
        "gcpServiceAccount": "server@my-project.iam.gserviceaccount.com",
        "gcpSubnet": "load-balancers",
    },
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Objects]:
    """Per overlay, what the real kustomize renders: object by name."""
    return render_overlays(tmp_path_factory.mktemp("tree"))


def bundle() -> Bundle:
    """The one of a new project."""
    text = (scaffold.root() / "bundler/scaffold/project/bundle.yaml").read_text()
    return parse_bundle(text, "bundle.yaml")


def policy() -> Policy:
    path = ROOT / "policies" / "default.yaml"
    return parse_policy(path.read_text(), path.name)


def deployment(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment serving/server"]["spec"]
    return spec


def test_these_are_all_the_overlays() -> None:
    found = sorted(path.name for path in (ROOT / "overlays").iterdir())
    assert found == [*OVERLAYS[:5], "components", *OVERLAYS[5:]]
    assert sorted(bundle().manifests.overlays) == sorted(OVERLAYS)


def test_every_component_is_used(rendered: dict[str, Objects]) -> None:
    assert rendered
    folder = ROOT / "overlays" / "components"
    listed = [
        Path(name).name
        for file in (ROOT / "overlays").rglob("kustomization.yaml")
        for name in yaml.safe_load(file.read_text()).get("components", ())
    ]
    assert {path.name for path in folder.iterdir()} == set(listed)
    kinds = {yaml.safe_load((path / "kustomization.yaml").read_text())["kind"] for path in
             folder.iterdir()}  # fmt: skip
    assert kinds == {"Component"}


def test_no_file_lies_about_that_no_kustomization_lists() -> None:
    for file in (ROOT / "overlays").rglob("kustomization.yaml"):
        said = yaml.safe_load(file.read_text())
        listed = (
            {*said.get("resources", ()), *(each["path"] for each in said["patches"])}
            if ("patches" in said)
            else set(said.get("resources", ()))
        )
        there = {path.name for path in file.parent.iterdir() if path.is_file()}
        named = {name for name in listed if "/" not in name}
        assert there == named | {"kustomization.yaml"}, file


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
    assert env_of(objects).items() >= OFFLINE.items()
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
    policies = [obj["spec"] for obj in objects.values() if obj["kind"] == "NetworkPolicy"]
    assert not any("egress" in each for each in policies)
    assert allowed["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "http"}]
    labels = deployment(objects)["template"]["metadata"]["labels"]
    for selector in (
        deployment(objects)["selector"]["matchLabels"],
        allowed["podSelector"]["matchLabels"],
        objects["Service serving/server"]["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()


def test_the_overlays_differ_in_size(rendered: dict[str, Objects]) -> None:
    assert deployment(rendered["dev"])["replicas"] == 1
    assert "PodDisruptionBudget serving/server" not in rendered["dev"]
    for name in ON_GPUS:
        spec = deployment(rendered[name])
        assert spec["replicas"] == 2
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
        assert rendered[name]["PodDisruptionBudget serving/server"]["spec"]["minAvailable"] == 1


def limits_of(objects: Objects) -> dict[str, str]:
    (container,) = pod_of(objects)["containers"]
    found: dict[str, str] = container["resources"]["limits"]
    return found


def pod_of(objects: Objects) -> dict[str, Any]:
    pod: dict[str, Any] = deployment(objects)["template"]["spec"]
    return pod


def env_of(objects: Objects) -> dict[str, str]:
    (container,) = pod_of(objects)["containers"]
    return {
        variable["name"]: variable.get("value") or variable["valueFrom"]["fieldRef"]["fieldPath"]
        for variable in container["env"]
    }


NODES: dict[str, dict[str, str]] = {
    "airgapped": {"nvidia.com/gpu.present": "true"},
    "aws": {"nvidia.com/gpu.present": "true", "topology.kubernetes.io/region": "us-east-1"},
    "aws-govcloud": {
        "nvidia.com/gpu.present": "true",
        "topology.kubernetes.io/region": "us-gov-west-1",
    },
    "azure": {"kubernetes.azure.com/accelerator": "nvidia"},
    "azure-government": {"kubernetes.azure.com/accelerator": "nvidia"},
    "gcp": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
}


@pytest.mark.parametrize("overlay", ON_GPUS)
def test_each_pod_asks_for_a_gpu_where_there_are_some(
    rendered: dict[str, Objects], overlay: str
) -> None:
    pod = pod_of(rendered[overlay])
    assert limits_of(rendered[overlay])["nvidia.com/gpu"] == "1"
    assert pod["nodeSelector"] == NODES[overlay]
    keys = {each["key"] for each in pod["tolerations"]}
    assert keys == {"nvidia.com/gpu"} | ({"sku"} if overlay.startswith("azure") else set())
    assert pod.get("runtimeClassName") == ("nvidia" if overlay == "airgapped" else None)
    spread = {each["topologyKey"] for each in pod["topologySpreadConstraints"]}
    zones = {"topology.kubernetes.io/zone"} if overlay in CLOUDS else set()
    assert spread == {"kubernetes.io/hostname"} | zones


def test_dev_runs_on_any_node(rendered: dict[str, Objects]) -> None:
    assert "nvidia.com/gpu" not in limits_of(rendered["dev"])
    assert not {"nodeSelector", "tolerations", "runtimeClassName"} & pod_of(rendered["dev"]).keys()


CLASSES = {
    "airgapped": "local-path",
    "aws": "gp3",
    "aws-govcloud": "gp3",
    "azure": "managed-csi-premium",
    "azure-government": "managed-csi-premium",
    "gcp": "premium-rwo",
}


@pytest.mark.parametrize("overlay", ON_GPUS)
def test_the_cache_is_a_volume_of_a_class_of_the_environment(
    rendered: dict[str, Objects], overlay: str
) -> None:
    (cache,) = [each for each in pod_of(rendered[overlay])["volumes"] if each["name"] == "cache"]
    claim = cache["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim["storageClassName"] == CLASSES[overlay]
    assert env_of(rendered[overlay])["XDG_CACHE_HOME"] == "/cache"


@pytest.mark.parametrize("overlay", CLOUDS)
def test_clouds_have_an_internal_way_in_and_no_other(
    rendered: dict[str, Objects], overlay: str
) -> None:
    services = [obj for obj in rendered[overlay].values() if obj["kind"] == "Service"]
    assert [each["spec"].get("type") for each in services] == [None, "LoadBalancer"]
    said = services[1]["metadata"]["annotations"]
    internal = {
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
        "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
        "networking.gke.io/load-balancer-type": "Internal",
    }
    assert len(said.items() & internal.items()) == 1
    allowed = rendered[overlay]["NetworkPolicy serving/server-internal"]["spec"]
    blocks = [
        ipaddress.ip_network(each["ipBlock"]["cidr"]) for each in allowed["ingress"][0]["from"]
    ]
    assert not any(block.is_global for block in blocks)


def test_without_a_cloud_nothing_is_open_to_the_outside(rendered: dict[str, Objects]) -> None:
    for name in ("dev", "airgapped"):
        assert "NetworkPolicy serving/server-internal" not in rendered[name]
        assert [obj["kind"] for obj in rendered[name].values()].count("Service") == 1


def test_govcloud_has_its_own_partition_and_endpoints(rendered: dict[str, Objects]) -> None:
    ours, theirs = env_of(rendered["aws-govcloud"]), env_of(rendered["aws"])
    assert set(ours.items()) - set(theirs.items()) == {("AWS_USE_FIPS_ENDPOINT", "true")}
    field = "metadata.annotations['airbundle.dev/aws-region']"
    assert (ours["AWS_REGION"], ours["AWS_DEFAULT_REGION"]) == (field, field)
    roles = [
        rendered[name]["ServiceAccount serving/server"]["metadata"]["annotations"][ROLE]
        for name in ("aws", "aws-govcloud")
    ]
    assert roles == [
        "arn:aws:iam::000000000000:role/server",
        "arn:aws-us-gov:iam::000000000000:role/server",
    ]


def test_azure_government_is_another_cloud(rendered: dict[str, Objects]) -> None:
    ours, theirs = env_of(rendered["azure-government"]), env_of(rendered["azure"])
    assert set(ours.items()) - set(theirs.items()) == {("AZURE_ENVIRONMENT", "AzureUSGovernment")}
    for name in ("azure", "azure-government"):
        template = deployment(rendered[name])["template"]["metadata"]
        assert template["labels"]["azure.workload.identity/use"] == "true"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_a_site_must_set_is_set_and_nothing_else_changes(
    rendered: dict[str, Objects], overlay: str
) -> None:
    objects = list(rendered[overlay].values())
    here = parameters.placed(bundle().parameters, objects)
    wanted = next((each for name, each in SITE.items() if overlay.startswith(name)), {})
    required = {each.name for each in here if each.required}
    assert required == set(wanted)
    if required:
        with pytest.raises(UsageError, match="a site must set it") as caught:
            parameters.require_settled(overlay, here, {})
        assert all(name in str(caught.value) for name in required)
    parameters.require_settled(overlay, here, wanted)
    made = parameters.substitute(objects, here, parameters.values(here, wanted))
    places = {target.path for each in here if each.required for target in each.targets}
    changed = {path for old, new in zip(objects, made, strict=True) for path in changes(old, new)}
    assert changed == places


def changes(before: Any, after: Any, path: tuple[str | int, ...] = ()) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for key in before:
            yield from changes(before[key], after[key], (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from changes(*pair, (*path, index))
    elif before != after:
        yield jsonpointer.spell(path)


def test_every_parameter_has_its_places(rendered: dict[str, Objects]) -> None:
    targets = {name: tuple(objects.values()) for name, objects in rendered.items()}
    assert parameters.check(bundle().parameters, targets) == ()


@pytest.mark.parametrize(
    ("overlay", "name", "value", "found"),
    [
        ("aws-govcloud", "awsRegion", "us-east-1", "region 'us-east-1' of the partition aws,"),
        ("aws-govcloud", "awsRole", "arn:aws:iam::123456789012:role/x", "of the partition aws,"),
        ("aws", "awsRegion", "us-gov-west-1", "region 'us-gov-west-1' of the partition aws-us-gov"),
    ],
)
def test_what_a_site_sets_of_another_partition_is_found(
    rendered: dict[str, Objects], overlay: str, name: str, value: str, found: str
) -> None:
    declared = bundle().parameters
    values = parameters.values(declared, {name: value})
    objects = parameters.substitute(list(rendered[overlay].values()), declared, values)
    findings = gate.check_objects(overlay, objects, policy(), frozenset())
    said = [each.message for each in findings if each.rule == "partition"]
    assert said
    assert all(found in each for each in said)


def test_checkov_finds_nothing_in_any_of_them(rendered: dict[str, Objects]) -> None:
    names = {name: ImageReference.parse(name).placeholder(DIGEST) for name in (IMAGE, MODEL)}
    targets = {name: rewrite(name, list(objects.values()), names)[0]
               for name, objects in rendered.items()}  # fmt: skip
    result = scan_objects(targets, policy(), read_checks(ROOT / "policies" / "checks"))
    assert {name: found for name, found in result.findings.items() if found} == {}
    assert result.scanned == {name: len(objects) for name, objects in rendered.items()}


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
