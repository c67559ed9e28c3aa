"""The real checkov: it finds, in every target and kind, and what it finds is told alike."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bundler.core.documents.policy import Policy, Skip, parse_policy
from bundler.core.errors import IntegrityError
from bundler.core.objects.manifests import JsonObject, parse_manifests
from bundler.scan.checkov import CheckovResult, key, load_result, scan_objects, versions
from bundler.tools import process
from tests.pods import projections

ROOT = Path(__file__).resolve().parents[2]
POLICY = parse_policy((ROOT / "policies/default.yaml").read_text(), "default.yaml")
CHECKS = {path.name: path.read_bytes() for path in (ROOT / "policies/checks").glob("*.*")}

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: alone, namespace: serving, labels: {app: alone}}
spec: {containers: [{name: c, image: "x:1"}]}
"""
GUARD = """\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: guard, namespace: serving}
spec: {podSelector: {matchLabels: {app: alone}}, policyTypes: [Ingress]}
"""
# What checkov drops or passes over without a word, in one way or another.
HIDDEN = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: odd, namespace: default}
data: {name: "{{ .Values.x }}", text: "}{", "no": "yes"}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux, namespace: serving}
spec: {prune: true}
---
apiVersion: v1
kind: Pod
metadata:
  name: skips
  namespace: serving
  annotations: {checkov.io/skip1: CKV_K8S_16=no, checkov.io/skip2: "CKV2_K8S_6=a=b"}
spec: {containers: [{name: c, image: "x:1", securityContext: {privileged: true}}]}
"""
LACKS = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: cache, namespace: serving}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: model, namespace: serving}
spec:
  predictor:
    initContainers:
      - {name: warm, image: "x:1", volumeMounts: [{name: weights, mountPath: /mnt}]}
    containers: [{name: kserve-container, image: "x:1"}]
    volumes:
      - {name: weights, image: {reference: airbundle.invalid/models/m}}
      - {name: tmp, emptyDir: {}}
"""


def targets() -> dict[str, Sequence[JsonObject]]:
    return {
        "kinds": projections(),
        "alone": parse_manifests(POD, "alone"),
        "guarded": parse_manifests(POD + GUARD, "guarded"),
        "twin": parse_manifests(POD, "twin"),
        "hidden": parse_manifests(HIDDEN, "hidden"),
        "lacks": parse_manifests(LACKS, "lacks"),
    }


@pytest.fixture(scope="module")
def seen() -> CheckovResult:
    """The one run that most tests look at."""
    return scan_objects(targets(), POLICY, CHECKS)


def rules(result: CheckovResult, target: str, subject: str) -> set[str]:
    return {each.rule for each in result.findings[target] if each.subject == subject}


def messages(result: CheckovResult, target: str, rule: str) -> list[str]:
    return [f"{f.subject}: {f.message}" for f in result.findings[target] if f.rule == rule]


def test_the_same_pod_fails_the_same_checks_in_every_kind(seen: CheckovResult) -> None:
    as_pod = rules(seen, "kinds", "Pod serving/pod")
    assert len(as_pod) == 20
    # A pod that comes to an end is never asked whether it is ready.
    no_probes = {"CKV_K8S_8", "CKV_K8S_9"}
    jobs = {"Job", "CronJob", "ClusterTrainingRuntime", "TrainJob", "JobSet", "ScaledJob"}
    for obj in projections():
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
        subject = f"{obj['kind']} {f'{namespace}/' if namespace else ''}{name}"
        expected = as_pod - no_probes if obj["kind"] in jobs else as_pod
        assert rules(seen, "kinds", subject) == expected, subject


def test_a_finding_says_where(seen: CheckovResult) -> None:
    said = messages(seen, "kinds", "CKV_K8S_16")
    for place in (
        "Deployment serving/deployment: /spec/template/spec/containers/0",
        "InferenceService serving/inferenceservice: /spec/predictor/containers/0",
        "InferenceService serving/inferenceservice: /spec/transformer/containers/0",
        "PodTemplate serving/podtemplate: /template/spec/containers/0",
        "ScaledJob serving/scaledjob: /spec/jobTargetRef/template/spec/containers/0",
    ):
        assert f"{place}: Container should not be privileged" in said
    pod = "/spec/template/spec/replicatedJobs/1/template/spec/template/spec: "
    assert any(pod in text for text in messages(seen, "kinds", "CKV_K8S_19"))


def test_a_finding_is_told_once(seen: CheckovResult) -> None:
    [_] = [text for text in messages(seen, "kinds", "CKV_K8S_38") if "CronJob" in text]
    [_] = [text for text in messages(seen, "kinds", "CKV_K8S_16") if "PodTemplate" in text]


def test_targets_have_nothing_to_do_with_each_other(seen: CheckovResult) -> None:
    assert messages(seen, "alone", "CKV2_K8S_6")
    assert not messages(seen, "guarded", "CKV2_K8S_6")


def test_equal_targets_have_equal_findings(seen: CheckovResult) -> None:
    assert seen.findings["twin"] == seen.findings["alone"]
    assert seen.scanned == {
        "kinds": 13, "alone": 1, "guarded": 2, "twin": 1, "hidden": 3, "lacks": 2,
    }  # fmt: skip


def test_nothing_hides(seen: CheckovResult) -> None:
    assert rules(seen, "hidden", "ConfigMap default/odd") == {"CKV_K8S_21"}
    assert rules(seen, "hidden", "Pod serving/skips") >= {"CKV_K8S_16", "CKV2_K8S_6"}


def test_the_project_s_own_checks_are_asked(seen: CheckovResult) -> None:
    where = "InferenceService serving/model: /spec/predictor"
    [told] = messages(seen, "lacks", "CKV_AIRBUNDLE_1")
    assert told.startswith(f"{where}/initContainers/0: A container with a model sets HF_HUB_OFF")
    assert messages(seen, "lacks", "CKV_AIRBUNDLE_3") == [
        f"{where}/volumes/1: An emptyDir has a sizeLimit"
    ]
    assert messages(seen, "lacks", "CKV_AIRBUNDLE_2") == [
        "PersistentVolumeClaim serving/cache: A PersistentVolumeClaim names its storage class"
    ]


def test_a_skipped_check_is_known_and_not_asked(seen: CheckovResult) -> None:
    assert {skip.check for skip in POLICY.skip} == {"CKV_K8S_15"}
    assert not messages(seen, "alone", "CKV_K8S_15")  # tests/tools: asked, that pod fails it
    assert {"CKV_K8S_15", "CKV2_K8S_6", "CKV_AIRBUNDLE_1", "CKV_AIRBUNDLE_2"} <= seen.checks


def test_severities_are_ours(seen: CheckovResult) -> None:
    warned = {f.rule for each in seen.findings.values() for f in each if f.severity == "warning"}
    assert warned == {"CKV_K8S_11"}


def test_a_result_survives_its_bytes(seen: CheckovResult) -> None:
    assert load_result(seen.dump()) == seen
    for damaged in (b"{}", seen.dump().replace(b'"checks"', b'"other"'), b"nothing"):
        with pytest.raises(IntegrityError):
            load_result(damaged)


def test_it_asks_no_network_and_says_nothing_of_the_machine(
    seen: CheckovResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / ".hidden" / "node_modules"
    hidden.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(hidden))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), address)
        kept: list[Path] = []

        def run(
            argv: Sequence[str],
            *,
            cwd: Path | None = None,
            env: Mapping[str, str] | None = None,
            timeout: float = process.TIMEOUT,
        ) -> bytes:
            said = process.run(argv, cwd=cwd, env={**(env or {}), **proxies}, timeout=timeout)
            kept.extend(Path((env or {})["TMPDIR"]).iterdir())
            return said

        again = scan_objects(targets(), POLICY, CHECKS, run)
        with pytest.raises(BlockingIOError):  # nobody has come
            proxy.accept()
    assert again.dump() == seen.dump()
    assert not [*kept, *hidden.iterdir()]


def test_the_scaffold_passes_without_a_waiver(kustomize: Path) -> None:
    rendered = {}
    for overlay in sorted(each.parent for each in ROOT.glob("overlays/*/kustomization.yaml")):
        text = subprocess.run(
            [kustomize, "build", overlay], capture_output=True, text=True, check=True
        ).stdout
        pinned = "registry.airbundle.invalid/serving.local/server@sha256:" + "ab" * 32
        text = text.replace("serving.local/server:1.0", pinned)
        rendered[overlay.name] = parse_manifests(text, overlay.name)
    assert {"airgapped", "dev"} <= rendered.keys()
    assert not POLICY.waivers
    found = scan_objects(rendered, POLICY, CHECKS)
    assert [each for findings in found.findings.values() for each in findings] == []


# ---- what a result depends on ----


def test_the_key_is_of_everything_that_matters() -> None:
    one = {"a": parse_manifests(POD, "a")}
    known = {"checkov": "3.3.30", "checkov-scan": "1"}
    keys = [
        key(one, Policy(), {}, known),
        key({"b": one["a"]}, Policy(), {}, known),
        key({"a": parse_manifests(POD + GUARD, "a")}, Policy(), {}, known),
        key(one, Policy(skip=(Skip("CKV_K8S_8", "x"),)), {}, known),
        key(one, Policy(), {"a.py": b""}, known),
        key(one, Policy(), {"a.py": b"\n"}, known),
        key(one, Policy(), {}, known | {"checkov": "3.3.31"}),
    ]
    assert len(set(keys)) == len(keys)
    assert key(one, Policy(allow_hosts=("x.dev",)), {}, known) == keys[0]


def test_versions_are_for_the_lock() -> None:
    known = versions()
    assert set(known) == {"checkov", "checkov-scan"}
    assert known["checkov"][0].isdigit()
