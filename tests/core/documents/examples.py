"""Documents that are right."""

from __future__ import annotations

BUNDLE = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata:
  name: movie-search
  version: "1.4.0"
spec:
  platforms: [linux/amd64, linux/arm64/v8]
  models:
    - name: zero-shot
      source: hf://facebook/bart-large-mnli
      revision: main
      include: ["*.safetensors", "*.json", "onnx/"]
      license: MIT
    - name: embed
      source: weights/embed
      license: Apache-2.0 OR MIT
  files:
    - {name: nli, source: data/nli, kind: dataset}
  images:
    - {name: web:1.0, source: "oci:image"}
    - {name: "mirror.corp:5000/hub/db@sha256:\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", source: "docker-archive:db.tar"}
  registries:
    docker.io: {mirror: mirror.corp:5000/hub}
  manifests: {base: base, overlays: [airgapped, aws-govcloud]}
  parameters:
    - name: storageClass
      type: string
      pattern: "[a-z0-9-]{1,63}"
      default: standard
      description: Storage class of the cache volume
      targets:
        - {kind: PersistentVolumeClaim, name: cache, path: /spec/storageClassName}
    - name: replicas
      type: integer
      default: 2
      description: How many pods answer
      targets: [{kind: Deployment, name: web, namespace: serving, path: /spec/replicas}]
    - name: paused
      type: boolean
      default: false
      description: Whether a rollout waits
      targets: [{kind: Deployment, name: web, namespace: serving, path: /spec/paused}]
    - name: level
      type: enum
      values: [info, debug]
      default: info
      description: What is logged
      targets: [{kind: ConfigMap, name: web, path: /data/log~1level}]
  policy: policies/default.yaml
"""

SMALLEST_BUNDLE = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {name: a, version: "0.0.1"}
spec:
  manifests: {base: base, overlays: [dev]}
"""


def _pem(letter: str) -> str:
    """A key's text as it stands below `pem: |`; nobody parses it here."""
    lines = ["-----BEGIN PUBLIC KEY-----", f"{letter}AAA", "-----END PUBLIC KEY-----"]
    return "\n".join(f"        {line}" for line in lines)


TRUST = f"""\
apiVersion: airbundle.dev/v1alpha1
kind: TrustPolicy
rules:
  - names: ["movie-*", exact]
    threshold: 2
    minVersion: "1.3.0"
    keys:
    - id: release-2026
      pem: |
{_pem("R")}
    - id: security
      pem: |
{_pem("S")}
  - names: ["*"]
    threshold: 1
    keys:
    - id: spare
      pem: |
{_pem("T")}
revoked:
  - "sha256:{"a" * 64}"
  - "sha256:{"b" * 64}"
"""

POLICY = """\
apiVersion: airbundle.dev/v1alpha1
kind: Policy
allowHosts: [telemetry.corp, "*.bank.example", "10.0.0.1:8443"]
waivers:
  - rule: external-host
    object: ConfigMap serving/*
    owner: Jo of the platform team
    reason: a link in a help text, nothing opens it
    until: "2027-01-31"
partitions: {aws-govcloud: aws-us-gov, "cn-*": aws-cn}
checks: checks/team
skip:
  - {check: CKV_K8S_15, reason: images are named by digest}
  - {check: CKV2_K8S_6, reason: the site has policies of its own}
"""

EXAMPLES = {
    "Bundle": (BUNDLE, SMALLEST_BUNDLE),
    "TrustPolicy": (TRUST,),
    "Policy": (POLICY, "apiVersion: airbundle.dev/v1alpha1\nkind: Policy\n"),
}
