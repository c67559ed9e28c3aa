"""Settings for nodes, read by a real containerd, and by the library of CRI-O and podman."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.core.errors import UsageError
from bundler.nodes import write_node_settings
from tests.cluster.certificates import write_server_certificate
from tests.parts.containerd import running_containerd
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.pushed import put_manifest

PEM = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
HOST = "registry.site:5000"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text(f"# the site's\n{PEM}")
    return path


def test_each_runtime_gets_its_files(tmp_path: Path, ca: Path) -> None:
    written = write_node_settings(f"{HOST}/team", ca, ["docker.io", "quay.io:8443"], tmp_path / "o")
    assert written.files == (
        f"containerd/certs.d/{HOST}/hosts.toml",
        "containerd/certs.d/docker.io/hosts.toml",
        "containerd/certs.d/quay.io:8443/hosts.toml",
        f"containerd/certs.d/{HOST}/ca.crt",
        "containerd/certs.d/docker.io/ca.crt",
        "containerd/certs.d/quay.io:8443/ca.crt",
        f"containers/certs.d/{HOST}/ca.crt",
        "containers/registries.conf.d/registry.site_5000.conf",
        "README",
    )
    texts = {name: (tmp_path / "o" / name).read_text() for name in written.files}
    assert {text for name, text in texts.items() if name.endswith("ca.crt")} == {PEM}
    own = tomllib.loads(texts[f"containerd/certs.d/{HOST}/hosts.toml"])
    url = f"https://{HOST}"
    assert own == {
        "server": url,
        "host": {url: {"capabilities": ["pull", "resolve"], "ca": "ca.crt"}},
    }
    mirror = tomllib.loads(texts["containerd/certs.d/quay.io:8443/hosts.toml"])
    assert mirror["server"] == f"{url}/v2/team/quay.io_8443"
    assert mirror["host"][mirror["server"]]["override_path"] is True
    conf = tomllib.loads(texts["containers/registries.conf.d/registry.site_5000.conf"])
    assert conf["registry"] == [
        {"location": HOST, "insecure": False},
        {"prefix": "docker.io", "location": f"{HOST}/team/docker.io", "insecure": False},
        {
            "prefix": "quay.io:8443",
            "location": f"{HOST}/team/quay.io_8443",
            "insecure": False,
        },
    ]
    assert "docker.io, quay.io:8443: asked for there first" in texts["README"]


def test_without_a_ca_nothing_names_one(tmp_path: Path) -> None:
    write_node_settings("127.0.0.1:5000", None, [], tmp_path / "o")
    found = {path.name for path in (tmp_path / "o").rglob("*") if path.is_file()}
    assert found == {"hosts.toml", "127.0.0.1_5000.conf", "README"}
    [hosts] = (tmp_path / "o").rglob("hosts.toml")
    assert 'server = "http://127.0.0.1:5000"' in hosts.read_text()
    assert "ca =" not in hosts.read_text()


@pytest.mark.parametrize(
    ("registry", "mirrors", "words"),
    [
        ("quay.io/team", ["docker.io"], "quay has no nested names"),
        (HOST, [HOST], "is the registry itself"),
        (HOST, ["docker.io/library"], "found a path behind it"),
        (HOST, ["https://docker.io"], "expected HOST"),
        (HOST, ["docker"], "expected HOST"),
        ("oci:x", [], "expected HOST"),
    ],
)
def test_what_no_node_can_be_told_is_refused(
    tmp_path: Path, registry: str, mirrors: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        write_node_settings(registry, None, mirrors, tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_key_does_not_get_there(tmp_path: Path, ca: Path) -> None:
    ca.write_text(PEM + PEM.replace("CERTIFICATE", "PRIVATE KEY"))
    with pytest.raises(UsageError, match="found PRIVATE KEY"):
        write_node_settings(HOST, ca, [], tmp_path / "o")
    ca.write_bytes(b"\x30\x82\xff")
    with pytest.raises(UsageError, match="found other bytes"):
        write_node_settings(HOST, ca, [], tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        write_node_settings(HOST, None, [], tmp_path)
    with pytest.raises(UsageError, match="expected a folder"):
        write_node_settings(HOST, None, [], tmp_path / "mine")
    with pytest.raises(UsageError, match="can't be written: File exists"):
        write_node_settings(HOST, None, [], tmp_path / "mine" / "o")
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_the_command_lists_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "o")
    assert run(["nodes", "--registry", HOST, "-o", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][-1] == "README"
    assert run(["nodes", "--registry", HOST, "-o", f"{folder}2"]) == 0
    assert f"+ {folder}2/README" in capsys.readouterr().out


@pytest.mark.needs("root", "docker-registry", "containerd", "ctr")
def test_containerd_pulls_from_the_registry_and_from_it_as_a_mirror(tmp_path: Path) -> None:
    tls, folder = tmp_path / "tls", tmp_path / "containerd"
    tls.mkdir()
    folder.mkdir()
    write_server_certificate(tls, "registry.test", "0.0.0.0")
    with running_registry(tmp_path / "registry", free_ports(1)[0], tls=tls) as registry:
        os.environ["SSL_CERT_FILE"] = str(tls / "ca.crt")
        try:
            digest = put_manifest(f"{registry.host}/team", "docker.io/library/app")
        finally:
            del os.environ["SSL_CERT_FILE"]
        out = tmp_path / "out"
        write_node_settings(f"{registry.host}/team", tls / "ca.crt", ["docker.io"], out)
        hosts = out / "containerd" / "certs.d"
        with running_containerd(folder, free_ports(1)[0]) as containerd:
            for name in (f"{registry.host}/team/docker.io/library/app", "docker.io/library/app"):
                pulled = containerd.ctr(
                    "content", "fetch", "--hosts-dir", hosts, f"{name}@{digest}"
                )
                assert pulled.returncode == 0, pulled.stderr
            (hosts / registry.host / "ca.crt").unlink()
            reference = f"{registry.host}/team/docker.io/library/other@{digest}"
            refused = containerd.ctr("content", "fetch", "--hosts-dir", hosts, reference)
            assert refused.returncode != 0


@pytest.mark.needs("docker-registry", "skopeo")
def test_podmans_library_pulls_from_the_registry_as_a_mirror(
    registry: Registry, tool: Callable[[str], Path], tmp_path: Path
) -> None:
    prefix = f"t{uuid.uuid4().hex}"
    digest = put_manifest(f"{registry.host}/{prefix}", "docker.io/library/app")
    write_node_settings(f"{registry.host}/{prefix}", None, ["docker.io"], tmp_path / "out")
    [conf] = (tmp_path / "out" / "containers" / "registries.conf.d").iterdir()
    for name in (f"{registry.host}/{prefix}/docker.io/library/app", "docker.io/library/app"):
        done = subprocess.run(
            [
                *(str(tool("skopeo")), "--registries-conf", str(conf)),
                *("inspect", "--raw", f"docker://{name}@{digest}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["schemaVersion"] == 2
