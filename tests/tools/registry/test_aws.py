"""ECR's repositories are made by Amazon's own program: the real one, against moto."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundler.core.digest import Descriptor
from bundler.core.errors import SourceError
from bundler.core.registries import SiteRegistry
from bundler.tools.registry import RegistryDestination, aws
from tests.fakes.registry.kinds import Kind, kind_of
from tests.parts import awstools
from tests.parts.needs import require
from tests.parts.registry import Registry
from tests.parts.service import free_ports

HOST = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"
DATA = b"weights"
BLOB = Descriptor.of("application/vnd.oci.image.layer.v1.tar", DATA)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require("awstools")
    with awstools.running_moto(tmp_path_factory.mktemp("moto"), free_ports(1)[0]) as url:
        yield url


@pytest.fixture
def account(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody with rights in AWS, as `aws` finds out."""
    monkeypatch.setenv("PATH", str(awstools.fetch()), prepend=":")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-gov-west-1")


def repositories() -> list[str]:
    argv = [str(awstools.fetch() / "aws"), "ecr", "describe-repositories", "--output", "json"]
    found = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    return [each["repositoryName"] for each in found["repositories"]]


@pytest.mark.needs("awstools")
@pytest.mark.usefixtures("account")
def test_a_repository_is_made_once() -> None:
    registry, name = SiteRegistry.parse(f"{HOST}/team"), f"team/models/{uuid.uuid4().hex}"
    aws.create_repository(registry, name)
    assert name in repositories()
    aws.create_repository(registry, name)


@pytest.mark.needs("awstools", "docker-registry")
@pytest.mark.usefixtures("account")
def test_a_push_makes_the_repositories_that_it_needs(registry: Registry) -> None:
    kind = Kind(registry.host, made=set())
    prefix = f"t{uuid.uuid4().hex}"

    def create(there: SiteRegistry, name: str) -> None:
        aws.create_repository(there, name)
        assert kind.made is not None
        kind.made.add(name)

    with kind_of(kind):
        address = f"ecr:{kind.host}/{prefix}"
        with closing(RegistryDestination(address, create=create)) as destination:
            destination.check_writable("models/m")
            destination.put_blob("models/m", BLOB, (DATA,))
            assert destination.has_blob("models/m", BLOB)
    assert kind.made == {f"{prefix}/models/m"} <= set(repositories())


@pytest.mark.needs("awstools")
@pytest.mark.usefixtures("account")
def test_what_aws_refuses_is_passed_on_with_what_to_run() -> None:
    with pytest.raises(SourceError, match=r"the repository Team can't be made: .*") as caught:
        aws.create_repository(SiteRegistry.parse(f"{HOST}/team"), "Team")
    assert "InvalidParameterException" in caught.value.message
    assert caught.value.hint == (
        "have somebody run it who may: aws ecr create-repository --repository-name Team "
        "--registry-id 123456789012 --region us-gov-west-1"
    )


def test_without_aws_it_is_said_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"has no repository team/x, .* not on PATH") as caught:
        aws.create_repository(SiteRegistry.parse("ecr:proxy.site/team"), "team/x")
    assert str(caught.value.hint).endswith("aws ecr create-repository --repository-name team/x")
