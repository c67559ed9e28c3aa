"""`spec.site` on a real API server: a site's pull secret and CA through an install and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.core.errors import UsageError
from bundler.core.progress import SILENT
from bundler.install import Installed, install
from bundler.rollback import rollback
from tests.cluster.certificates import write_client_authority
from tests.listing import listing
from tests.making import KEY
from tests.parts.registry import Registry
from tests.releases import SPEC, Release
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@dataclass
class Visit:
    """A field, the files of its site, and releases that ask for both."""

    on: Field
    ca: Path
    credentials: Path

    def release(self, version: str = "1.0.0", *, asks: bool = True) -> Release:
        """A release with a setting of its version; one that `asks` has `spec.site`."""
        made = self.on.release(self.on.settings("one", key=version), version=version)
        where = f"namespaces: [{self.on.mark}]"
        site = f"pullSecret: {{name: pull, {where}}}, ca: {{name: site-ca, {where}}}"
        if asks:
            made.spec = f"{SPEC}  site: {{{{{site.replace('{', '{{').replace('}', '}}')}}}}}\n"
        return made

    def login(self, password: str) -> None:
        """The login that the file has for the registry."""
        auth = base64.b64encode(f"puller:{password}".encode()).decode()
        host = self.on.registry.host
        self.credentials.write_text(json.dumps({"auths": {host: {"auth": auth}}}))

    def install(
        self, release: Release, *, ca: bool = False, credentials: bool = False
    ) -> Installed:
        """Installed with those of the files that are named."""
        site = replace(
            self.on.site(),
            registry_ca=self.ca if ca else None,
            registry_credentials=self.credentials if credentials else None,
        )
        with release.opened(self.on.folder) as bundle:
            return install(bundle, site, SILENT, manner=AT_ONCE)

    def there(self) -> tuple[str, object]:
        """The password and the CA on the cluster."""
        secret, ca = self.on.get(self.on.id("pull", "Secret")), self.on.get(self.on.id("site-ca"))
        assert secret is not None
        assert ca is not None
        auths = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))["auths"]
        login = base64.b64decode(auths[self.on.registry.host]["auth"]).decode()
        return login.partition(":")[2], ca["data"]


@pytest.fixture(name="visit")
def visiting(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Visit]:
    write_client_authority(tmp_path)
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        visit = Visit(on, tmp_path / "clients.crt", tmp_path / "config.json")
        visit.login("first")
        yield visit


def test_they_are_made_once_and_kept_without_files(visit: Visit) -> None:
    done = visit.install(visit.release(), ca=True, credentials=True)
    expected = "first", {"ca.crt": visit.ca.read_text()}
    assert visit.there() == expected
    assert visit.on.id("pull", "Secret") in done.plan.created
    assert visit.install(visit.release()).plan.empty
    visit.install(visit.release("1.1.0"))
    assert visit.there() == expected


def test_a_new_password_is_masked(visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    visit.install(visit.release(), ca=True, credentials=True)
    visit.login("hunter2")
    on, release = visit.on, visit.release("1.1.0")
    file, key = release.write(on.folder / "next.tar"), on.folder / "key.pub"
    key.write_bytes(KEY.public.pem())
    arguments = ["install", str(file), "--target", "dev", "--key", str(key), "--timeout", "0s"]
    arguments += ["--registry", on.site().registry, "--kubeconfig", str(on.kubeconfig)]
    arguments += ["--release-namespace", on.home, "--registry-credentials", str(visit.credentials)]
    secrets = [
        base64.b64encode(each.encode()).decode() for each in ("puller:first", "puller:hunter2")
    ]
    secrets += [json.loads(visit.credentials.read_text())["auths"][on.registry.host]["auth"]]
    for how in (["--dry-run"], ["--dry-run", "--json"], []):
        assert run([*arguments, *how]) == 0
        printed = "".join(capsys.readouterr())
        assert "dockerconfigjson" in printed
        assert not [each for each in (*secrets, "hunter2") if each in printed]
    assert visit.there()[0] == "hunter2"


def test_what_is_missing_or_unused_is_refused_before_anything_is_done(visit: Visit) -> None:
    stored = listing(visit.on.registry)
    with pytest.raises(UsageError, match=r"^--registry-credentials: this bundle needs it"):
        visit.install(visit.release(), ca=True)
    with pytest.raises(UsageError, match=r"^--registry-ca: this bundle needs it"):
        visit.install(visit.release(), credentials=True)
    with pytest.raises(UsageError, match=r"^--registry-credentials .*makes no use of it"):
        visit.install(visit.release(asks=False), credentials=True)
    assert listing(visit.on.registry) == stored
    assert visit.on.versions(visit.on.id("one")) == ["absent"]


def test_a_rollback_keeps_them(visit: Visit) -> None:
    visit.install(visit.release(), ca=True, credentials=True)
    visit.login("second")
    visit.install(visit.release("1.1.0"), credentials=True)
    name = visit.on.release().name
    done = rollback(name, None, visit.on.access, KEY.public, SILENT, manner=AT_ONCE)
    assert done.version == "1.0.0"
    assert visit.there() == ("second", {"ca.crt": visit.ca.read_text()})
