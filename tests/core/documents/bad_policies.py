"""Edits that make the TrustPolicy or the Policy wrong."""

from __future__ import annotations

from tests.core.documents.edit import Bad
from tests.core.documents.examples import TRUST

BAD_TRUST = {
    "another kind": Bad(
        "TrustPolicy", "TrustPolcy", "2:7", "kind", "is 'TrustPolcy'", "TrustPolicy"
    ),
    "unknown": Bad("revoked:", "revokd:", "26:1", "revokd", "unknown field", "mean revoked?"),
    "unknown in a rule": Bad(
        "minVersion:",
        "min_version:",
        "6:5",
        "rules[0].min_version",
        "unknown field",
        "mean minVersion?",
    ),
    "no rule": Bad(
        TRUST[TRUST.index("rules:") : TRUST.index("revoked:")],
        "rules: []\n",
        "3:8",
        "rules",
        "expected at least 1",
    ),
    "no name": Bad('["*"]', "[]", "18:12", "rules[1].names", "expected at least 1"),
    "no key": Bad(
        TRUST[TRUST.rindex("    keys:") : TRUST.index("revoked:")],
        "    keys: []\n",
        "20:11",
        "rules[1].keys",
        "expected at least 1",
    ),
    "threshold 0": Bad(
        "threshold: 1", "threshold: 0", "19:16", "rules[1].threshold", "is 0, expected at least 1"
    ),
    "threshold in quotes": Bad(
        "threshold: 2",
        'threshold: "2"',
        "5:16",
        "rules[0].threshold",
        "is the string '2', expected an integer",
    ),
    "threshold true": Bad(
        "threshold: 1", "threshold: true", "19:16", "rules[1].threshold", "is true, a boolean"
    ),
    "threshold out of reach": Bad(
        "threshold: 2", "threshold: 3", "5:16", "rules[0].threshold", "only 2 keys", schema=False
    ),
    "threshold missing": Bad("    threshold: 1\n", "", "18:5", "rules[1].threshold", "is missing"),
    "lowest version": Bad(
        '"1.3.0"', '"1.3"', "6:17", "rules[0].minVersion", "is not a SemVer 2 version"
    ),
    "one id twice": Bad(
        "id: security",
        "id: release-2026",
        "13:11",
        "rules[0].keys[1].id",
        "is 'release-2026', as item 0 is already",
        schema=False,
    ),
    "one key twice": Bad(
        "SAAA",
        "RAAA",
        "14:12",
        "rules[0].keys[1].pem",
        "is the same key as 'release-2026'",
        schema=False,
    ),
    "private key": Bad(
        "-----BEGIN PUBLIC KEY",
        "-----BEGIN PRIVATE KEY",
        "9:12",
        "rules[0].keys[0].pem",
        "holds a private key",
        "public key",
    ),
    "no key's text": Bad(
        "-----BEGIN PUBLIC KEY-----",
        "ssh-ed25519 AAAA",
        "9:12",
        "rules[0].keys[0].pem",
        "expected one public key",
    ),
    "revoked": Bad(f"sha256:{'a' * 64}", "sha256:abc", "27:5", "revoked[0]", "expected sha256:"),
    "revoked twice": Bad("b" * 64, "a" * 64, "28:5", "revoked[1]", "as item 0 is already"),
}

BAD_POLICIES = {
    "unknown": Bad(
        "allowHosts:", "allowHost:", "3:1", "allowHost", "unknown field", "mean allowHosts?"
    ),
    "unknown in a waiver": Bad(
        "owner:", "owners:", "7:5", "waivers[0].owners", "unknown field", "mean owner?"
    ),
    "closure": Bad(
        "external-host", "closure", "5:11", "waivers[0].rule", "can't be waived", schema=False
    ),
    "no reason": Bad(
        "    reason: a link in a help text, nothing opens it\n",
        "",
        "5:5",
        "waivers[0].reason",
        "is missing",
    ),
    "no owner": Bad(
        "Jo of the platform team", '""', "7:12", "waivers[0].owner", "expected one line of text"
    ),
    "no day": Bad('"2027-01-31"', '"soon"', "9:12", "waivers[0].until", "expected a day"),
    "no such day": Bad(
        '"2027-01-31"', '"2027-02-29"', "9:12", "waivers[0].until", "expected a day", schema=False
    ),
    "another spelling of a day": Bad(
        '"2027-01-31"', '"20270131"', "9:12", "waivers[0].until", "expected a day"
    ),
    "a URL for a host": Bad(
        "telemetry.corp",
        '"https://telemetry.corp"',
        "3:14",
        "allowHosts[0]",
        "expected a host name",
    ),
    "every host": Bad("*.bank.example", "*", "3:30", "allowHosts[1]", "expected a host name"),
    "no such partition": Bad(
        "aws-us-gov",
        "aws-gov",
        "10:28",
        "partitions.aws-govcloud",
        "is 'aws-gov', expected one of aws, ",
        "mean aws-us-gov?",
    ),
    "a target that is none": Bad(
        "aws-govcloud", "AWS", "10:14", "partitions.AWS", "expected a target's name or a pattern"
    ),
    "checks outside": Bad(
        "checks/team",
        "../checks",
        "11:9",
        "checks",
        "expected a path inside this document's folder",
    ),
    "a pattern of checks": Bad(
        "CKV_K8S_15", '"CKV_*"', "13:13", "skip[0].check", "expected the id of one check"
    ),
    "a severity for a check": Bad(
        "CKV_K8S_15", "LOW", "13:13", "skip[0].check", "expected the id of one check"
    ),
    "a namespace for a check": Bad(
        "CKV_K8S_15", "serving", "13:13", "skip[0].check", "expected the id of one check"
    ),
    "skipped for no reason": Bad(
        ", reason: images are named by digest", "", "13:5", "skip[0].reason", "is missing"
    ),
    "skipped twice": Bad(
        "CKV2_K8S_6",
        "CKV_K8S_15",
        "14:13",
        "skip[1].check",
        "is 'CKV_K8S_15', as item 0 is already",
        schema=False,
    ),
}
