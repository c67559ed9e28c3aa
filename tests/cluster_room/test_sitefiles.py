"""A site's pull secret and CA: made of files, kept without them, never guessed."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.sitefiles import NO_FILES, SiteFiles, with_site_objects
from bundler.core.documents.site import SiteNeeds, SiteObject
from bundler.core.errors import PolicyError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from tests.releases import config_map, deployment, namespace

pytestmark = pytest.mark.needs("apiserver")

HOST = "registry.site:5000"
PEM = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
LABELS = {"example.org/by": "somebody"}


@dataclass
class Site:
    """A cluster with two namespaces, and files of the site."""

    cluster: Cluster
    mark: str
    files: SiteFiles

    @property
    def places(self) -> tuple[str, str]:
        return self.mark, f"{self.mark}-b"

    @property
    def needs(self) -> SiteNeeds:
        pull = SiteObject(name="pull", namespaces=self.places)
        return SiteNeeds(pull_secret=pull, ca=SiteObject(name="site-ca", namespaces=(self.mark,)))

    def made(
        self,
        files: SiteFiles | None = None,
        objects: tuple[JsonObject, ...] = (),
        needs: SiteNeeds | None = None,
    ) -> tuple[JsonObject, ...]:
        """What becomes of `objects`: with all files and needs unless others are given."""
        given = self.files if files is None else files
        return with_site_objects(self.cluster, objects, needs or self.needs, given, HOST)


@pytest.fixture(name="site")
def visited(kubeconfig: Path, tmp_path: Path) -> Iterator[Site]:
    login = base64.b64encode(b"puller:hunter2").decode()
    credentials, ca = tmp_path / "config.json", tmp_path / "ca.crt"
    credentials.write_text(json.dumps({"auths": {HOST: {"auth": login}}}))
    ca.write_text(PEM)
    with closing(open_cluster(kubeconfig, None, "airbundle-tests")) as cluster:
        files = SiteFiles(ca=ca, credentials=credentials)
        site = Site(cluster, f"t{uuid.uuid4().hex[:10]}", files)
        for name in site.places:
            cluster.create(namespace(name))
        yield site
        for name in site.places:
            space = ObjectId("v1", "Namespace", None, name)
            live = cluster.get(space)
            assert live is not None
            cluster.delete(space, live["metadata"]["uid"])


def labelled(obj: JsonObject) -> JsonObject:
    return obj | {"metadata": obj["metadata"] | {"labels": LABELS}}


def test_they_are_made_of_files_before_what_needs_them(site: Site) -> None:
    web = deployment(site.mark, "web")
    made = site.made(objects=(web,))
    assert [str(ObjectId.of(each)) for each in made] == [
        f"Secret {site.mark}/pull",
        f"Secret {site.mark}-b/pull",
        f"ConfigMap {site.mark}/site-ca",
        f"Deployment {site.mark}/web",
    ]
    assert made[2]["data"] == {"ca.crt": PEM}


def test_without_files_what_is_there_stays_as_it_is(site: Site) -> None:
    made = site.made()
    for each in made:
        site.cluster.create(labelled(each))
    assert site.made(NO_FILES) == made


def test_a_new_file_counts_more_than_what_is_there(site: Site) -> None:
    for each in site.made():
        site.cluster.create(each)
    other = PEM.replace("AAEC", "AwQF")
    assert site.files.ca is not None
    site.files.ca.write_text(other)
    made = site.made(SiteFiles(ca=site.files.ca))
    assert [each["data"] for each in made if each["kind"] == "ConfigMap"] == [{"ca.crt": other}]


@pytest.mark.parametrize(
    ("lacking", "option"),
    [("credentials", "--registry-credentials"), ("ca", "--registry-ca")],
)
def test_what_was_never_made_needs_its_file(site: Site, lacking: str, option: str) -> None:
    with pytest.raises(UsageError, match=f"^{option}: this bundle needs it"):
        site.made(replace(site.files, **{lacking: None}))


def test_what_one_of_the_namespaces_lacks_is_made_anew_of_a_file(site: Site) -> None:
    first, *_ = site.made()
    site.cluster.create(first)
    with pytest.raises(UsageError, match=r"^--registry-credentials: this bundle needs it"):
        site.made(SiteFiles(ca=site.files.ca))


def test_credentials_that_no_bundle_asks_for_are_refused(site: Site) -> None:
    only_ca = replace(site.needs, pull_secret=None)
    with pytest.raises(UsageError, match=r"^--registry-credentials: .* no site\.pullSecret"):
        site.made(needs=only_ca)
    path = site.files.credentials
    with pytest.raises(UsageError, match=f"^--registry-credentials {path}: .*makes no use of it"):
        with_site_objects(site.cluster, (), None, site.files, HOST)


def test_a_ca_that_no_bundle_asks_for_is_for_airbundle_alone(site: Site) -> None:
    one = config_map(site.mark, "one")
    files = SiteFiles(ca=site.files.ca)
    assert with_site_objects(site.cluster, (one,), None, files, HOST) == (one,)


@pytest.mark.parametrize("kept", [False, True])
def test_an_object_of_the_bundle_of_that_name_is_refused(site: Site, kept: bool) -> None:
    if kept:
        for each in site.made():
            site.cluster.create(each)
    own = config_map(site.mark, "site-ca")
    with pytest.raises(PolicyError, match="have the same id"):
        site.made(NO_FILES if kept else None, (own,))


def test_a_ca_that_is_no_text_is_refused(site: Site) -> None:
    assert site.files.ca is not None
    site.files.ca.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="expected certificates in PEM"):
        site.made()
