"""Findings of every sort, by place, for the tests of reports."""

from __future__ import annotations

from bundler.core.documents.policy import Waiver
from bundler.core.findings import Finding

WAIVER = Waiver(
    "rights", "ClusterRole x", "Jo of the <platform> team", 'it "is" needed', "2027-01-31"
)
HOST = Finding(
    "external-host",
    "error",
    "Deployment serving/web",
    "/spec/x: names the host 'hub.example.com'",
    "list it under allowHosts",
)
OTHER_HOST = Finding(
    "external-host", "error", "Deployment serving/web", "/spec/y: names 'b.example'"
)
WAIVED = Finding("rights", "error", "ClusterRole x", "/rules/0/verbs/0: '*'", None, WAIVER)
WARNING = Finding("license", "warning", "models/mini", "NOASSERTION", "read the card")
FOREIGN = Finding("CKV_K8S_20", "error", "Deployment serving/web", "/spec/z: privileged")
HOSTILE = Finding(
    "pickle",
    "error",
    "weights/\x1b[31m\x00\ufffe<b>&\"'.pt",
    "]]> [a link](https://evil.example)\r\n\tcalls os.system \U0001f4a5",
)

FINDINGS = {
    "parameters": (),
    "targets/dev": (HOST, OTHER_HOST, WAIVED),
    "targets/airgapped": (HOST,),
    "checkov/dev": (FOREIGN,),
    "models/mini": (WARNING, HOSTILE),
}
