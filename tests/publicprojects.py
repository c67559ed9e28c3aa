"""A project around KEDA's own manifests, as its users would bundle them.

The manifests keep the names that KEDA gave its images; a mirror has stand-ins under these names.
What KEDA needs that the gate does not let pass is waived by name.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bundler.core.digest import Digest
from tests.parts import publictrees
from tests.parts.images import make_oci_layout
from tests.project import Project
from tests.pushed import put_image

TARGET = "site"
IMAGES = ("keda", "keda-admission-webhooks", "keda-metrics-apiserver")
TAG = "main"

SPEC = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {{name: keda, version: "2.21.0"}}
spec:
  platforms: [linux/amd64]
  registries: {{ghcr.io: {{mirror: "{mirror}"}}}}
  manifests: {{base: base, overlays: [site]}}
  policy: policies/keda.yaml
"""
OVERLAY = "resources: [../../base/keda/default, samples]\n"
# KEDA's sample of a job has no pod, which its own schema refuses.
SAMPLES = """\
namespace: keda
resources: [../../../base/keda/samples]
patches:
  - path: job.yaml
    target: {kind: ScaledJob}
"""
JOB = """\
- op: replace
  path: /spec/jobTargetRef/template
  value:
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: work
          image: ghcr.io/kedacore/keda:main
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          resources:
            limits: {cpu: "1", memory: 64Mi}
            requests: {cpu: 100m, memory: 64Mi}
"""

_OWNER = "Jo of the platform team"
_DEPLOYMENTS = "Deployment keda/keda-*"
_BINDING = "ClusterRoleBinding keda-hpa-controller-external-metrics"
_WILDCARDS = "checkov takes the role's wildcards for those of every group"
# The rule, the objects, and why it is accepted.
WAIVERS = (
    ("rights", "ClusterRole keda-operator", "scales whatever it is told to, with its secrets"),
    ("rights", "ClusterRole keda-external-metrics-reader", "all of one group, external metrics"),
    ("rights", "ClusterRole keda:edit", "the cluster's editors may use KEDA"),
    ("rights", "ClusterRole keda:view", "the cluster's viewers may see KEDA's objects"),
    ("CKV_K8S_49", "ClusterRole keda-external-metrics-reader", "all of one group"),
    ("CKV_K8S_49", "ClusterRole keda:*", "all of KEDA's own group"),
    ("CKV_K8S_155", "ClusterRole keda-operator", "writes its own certificate into its webhook"),
    ("CKV_K8S_38", _DEPLOYMENTS, "all three talk to the API server"),
    ("CKV_K8S_40", _DEPLOYMENTS, "KEDA's images have user 1000"),
    ("CKV2_K8S_6", _DEPLOYMENTS, "the site's network policies are its own"),
    ("CKV2_K8S_6", "ScaledJob keda/scaledjob-sample", "the site's network policies are its own"),
    *((f"CKV2_K8S_{number}", _BINDING, _WILDCARDS) for number in range(1, 6)),
)


def policy() -> str:
    """The policy that lets KEDA pass; one host is that of a sample, which nothing asks."""
    entries = [
        {"rule": rule, "object": name, "owner": _OWNER, "reason": reason, "until": "2099-12-31"}
        for rule, name, reason in WAIVERS
    ]
    document = {"apiVersion": "airbundle.dev/v1alpha1", "kind": "Policy"}
    # JSON is YAML too.
    return json.dumps({**document, "allowHosts": ["foo.bar:80"], "waivers": entries}, indent=2)


def make_keda(folder: Path, mirror: str) -> Project:
    """KEDA's default installation and its samples in `folder`; `mirror` is HOST/PREFIX."""
    project = Project(folder)
    shutil.copytree(publictrees.fetch() / "keda", folder / "base" / "keda")
    project.write("bundle.yaml", SPEC.format(mirror=mirror))
    project.write(f"overlays/{TARGET}/kustomization.yaml", OVERLAY)
    project.write(f"overlays/{TARGET}/samples/kustomization.yaml", SAMPLES)
    project.write(f"overlays/{TARGET}/samples/job.yaml", JOB)
    project.write("policies/keda.yaml", policy())
    return project


def put_stand_ins(mirror: str, folder: Path) -> Digest:
    """One small image, made below `folder`, under the name of each of KEDA's; its digest."""
    top = Digest.parse(make_oci_layout(folder / "stand-in"))
    host, _, prefix = mirror.partition("/")
    for name in IMAGES:
        put_image(host, f"{prefix}/kedacore/{name}", TAG, folder / "stand-in", top)
    return top
