"""Nothing of another partition of AWS is named in a target that is for one."""

from __future__ import annotations

import time

import pytest

from bundler.core import gate
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.documents.policy import Policy
from bundler.core.findings import Finding
from bundler.core.objects.manifests import JsonObject
from bundler.core.rules.partition import partition_of
from bundler.core.rules.partitionnames import foreign
from tests.core.rules.objects import IMAGE, annotated, args, config_map, env
from tests.core.rules.partition_table import (
    ENUM,
    FOREIGN,
    FOREIGN_TO_AZURE,
    FROM_ACR,
    FROM_ECR,
    OWN,
    OWN_TO_AZURE,
    token,
)

GOVCLOUD = Policy(
    partitions={"aws-gov*": "aws-us-gov", "shanghai": "aws-cn", "azure-gov*": "azure-us-gov"}
)


def found(
    obj: JsonObject, target: str = "aws-govcloud", policy: Policy = GOVCLOUD
) -> list[Finding]:
    findings = gate.check_objects(target, [obj], policy, frozenset({IMAGE, FROM_ECR, FROM_ACR}))
    return [each for each in findings if each.rule == "partition"]


@pytest.mark.parametrize(
    ("obj", "what"), [case[1:] for case in FOREIGN], ids=[case[0] for case in FOREIGN]
)
def test_what_another_partition_has_is_found(obj: JsonObject, what: str) -> None:
    assert [what in each.message for each in found(obj)] == [True]


@pytest.mark.parametrize("obj", [case[1] for case in OWN], ids=[case[0] for case in OWN])
def test_its_own_and_what_only_looks_so_is_let_be(obj: JsonObject) -> None:
    assert found(obj) == []


@pytest.mark.parametrize(
    ("obj", "what"), [case[1:] for case in FOREIGN_TO_AZURE], ids=[c[0] for c in FOREIGN_TO_AZURE]
)
def test_what_another_cloud_of_azure_has_is_found(obj: JsonObject, what: str) -> None:
    assert [what in each.message for each in found(obj, "azure-government")] == [True]


@pytest.mark.parametrize(
    "obj", [case[1] for case in OWN_TO_AZURE], ids=[case[0] for case in OWN_TO_AZURE]
)
def test_its_own_cloud_of_azure_is_let_be(obj: JsonObject) -> None:
    assert found(obj, "azure-government") == []


def test_hosts_of_azure_are_no_partition_of_aws() -> None:
    assert found(env("BLOB", "https://models.blob.core.windows.net")) == []


def test_a_finding_names_object_place_thing_and_remedy() -> None:
    [finding] = found(env("AWS_REGION", "us-east-1"))
    assert (finding.severity, finding.subject) == ("error", "Deployment serving/web")
    assert finding.message == (
        "/spec/template/spec/containers/0/env/0/value: names the region 'us-east-1' of the "
        "partition aws, and this target is for aws-us-gov"
    )
    assert finding.hint is not None
    assert "`partitions`" in finding.hint


def test_a_key_is_named_by_its_own_place() -> None:
    [finding] = found(annotated("arn:aws:iam::1:role/x", "true"))
    assert finding.message.startswith("/metadata/annotations/arn:aws:iam::1:role~1x: names the ARN")


def test_a_target_of_no_partition_is_let_be() -> None:
    assert found(env("AWS_REGION", "us-east-1"), target="airgapped") == []
    assert found(env("AWS_REGION", "us-east-1"), policy=Policy()) == []


def test_every_partition_has_its_own() -> None:
    assert found(env("AWS_REGION", "cn-north-1"), target="shanghai") == []
    assert len(found(env("AWS_REGION", "us-gov-west-1"), target="shanghai")) == 1
    commercial = Policy(partitions={"*": "aws"})
    assert found(args("arn:aws:s3:::x", "us-east-1", "sts.amazonaws.com"), policy=commercial) == []
    assert len(found(env("AWS_REGION", "us-gov-west-1"), policy=commercial)) == 1


def test_the_first_pattern_that_fits_says_the_partition() -> None:
    policy = Policy(partitions={"aws-cn": "aws-cn", "aws-*": "aws-us-gov"})
    said = [partition_of(name, policy) for name in ("aws-cn", "aws-govcloud", "dev")]
    assert said == ["aws-cn", "aws-us-gov", None]


def test_the_audience_is_let_be_in_its_own_fields_alone() -> None:
    assert len(found(token("sts.us-east-1.amazonaws.com"))) == 1
    assert len(found(config_map(sts="sts.amazonaws.com"))) == 1


def test_every_value_of_an_enum_is_judged() -> None:
    path = "/spec/template/spec/containers/0/env/0/value"
    parameter = Parameter(**ENUM, targets=(ParameterTarget("Deployment", "web", path),))
    objects = [env("AWS_REGION", "us-gov-west-1")]
    judged = gate.check_variants("aws-govcloud", objects, [parameter], GOVCLOUD, frozenset({IMAGE}))
    assert ["region 'us-east-1'" in each.message for each in judged] == [True]


def test_a_long_arn_is_cut() -> None:
    [named] = foreign(f"arn:aws:s3:::{'x' * 500}", "aws-us-gov")
    assert len(named.text) == 80


def test_long_texts_take_no_long_time() -> None:
    started = time.process_time()
    pieces = ("a.", "arn:aws:", "us-", "us-east-", "-.", "x.k8s.", "s3.us-east-1.", "use1-a", "*")
    for text in (piece * 100_000 for piece in pieces):
        foreign(text, "aws-us-gov")
        foreign(f"{text}amazonaws.com", "aws-us-gov")
    assert time.process_time() - started < 20
