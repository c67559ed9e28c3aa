"""`airbundle inspect`: a page to read, or one JSON document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bundler.cli import main
from bundler.core.digest import Digest
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from tests.making import KEY
from tests.project import Project

Capture = pytest.CaptureFixture[str]

PAGE = """\
movie-search 1.4.0: TRUSTED
  index sha256:H, S
  signed by {key}
models
  mini  S  MIT  sha256:H
    README.md  S
    config.json  S
    model.safetensors  S
images
  registry.corp:5000/team/server:1.0  S  linux/amd64  sha256:H
files
  data (dataset)  S, 1 files
target dev
  Namespace search
  ConfigMap search/server
  Deployment search/server
target site
  Namespace search
  ConfigMap search/server
  Deployment search/server
parameters
  mode (enum, default 'fast'): How the server searches
    one of fast, exact
    sets ConfigMap server /data/mode
"""


@pytest.fixture
def file(project: Project, tmp_path: Path) -> Path:
    (tmp_path / "release.pub").write_bytes(KEY.public.pem())
    project.build(tmp_path / "bundle.tar", KEY)
    return tmp_path / "bundle.tar"


def without_numbers(text: str) -> str:
    """`text` with S for sizes and H for digests, but for the key's."""
    text = text.replace(KEY.public.fingerprint, "{key}")
    text = re.sub(r"[0-9.]+ (B|[KMG]iB)", "S", text)
    return re.sub(r"[0-9a-f]{64}", "H", text)


def test_it_is_a_page_to_read(file: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main.run(["inspect", str(file), "--key", str(tmp_path / "release.pub")]) == 0
    assert without_numbers(capsys.readouterr().out) == PAGE


def test_waivers_are_shown(project: Project, tmp_path: Path, capsys: Capture) -> None:
    project.edit("base/config.yaml", "mode: fast", "mode: fast\n  hub: https://hub.example.com/m")
    waiver = "{rule: external-host, object: '*', owner: Jo, reason: ours, until: '2099-01-01'}"
    policy = project.folder / "policies/default.yaml"
    project.write("policies/default.yaml", f"{policy.read_text()}waivers: [{waiver}]\n")
    project.build(tmp_path / "bundle.tar")
    assert main.run(["inspect", str(tmp_path / "bundle.tar"), "--allow-unsigned"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "movie-search 1.4.0: UNSIGNED"
    waived = shown.out.split("\nwaived\n")[1]
    assert waived.startswith("  external-host: ConfigMap search/server: /data/hub: ")
    assert waived.endswith(" [ours, Jo]\n")
    assert shown.err.startswith("UNSIGNED: nobody vouches")


def test_json_has_the_same(file: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ["inspect", str(file), "--key", str(tmp_path / "release.pub"), "--json"]
    assert main.run(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    with open_bundle(file, None) as bundle:
        assert told["index"] == str(Digest.of(bundle.index))
    assert told["status"] == "TRUSTED"
    assert told["models"][0]["files"][1]["path"] == "config.json"
    assert told["images"][0]["platforms"] == ["linux/amd64"]
    assert told["files"][0]["kind"] == "dataset"
    assert told["targets"]["site"][0] == "Namespace search"
    assert told["parameters"][0]["default"] == "fast"
    assert told["tools"]["format"] == "1"


def test_a_bundle_without_files_and_parameters_has_no_such_heading(
    project: Project, tmp_path: Path, capsys: Capture
) -> None:
    spec = project.spec.read_text()
    files, parameters = spec.index("  files:"), spec.index("  parameters:")
    images, policy = spec.index("  images:"), spec.index("  policy:")
    project.write("bundle.yaml", spec[:files] + spec[images:parameters] + spec[policy:])
    project.build(tmp_path / "bundle.tar")
    assert main.run(["inspect", str(tmp_path / "bundle.tar"), "--allow-unsigned"]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line[0] != " "]
    assert headings[1:] == ["models", "images", "target dev", "target site"]


@pytest.mark.parametrize(
    ("options", "code"), [((), 4), (("--key", "other.pub"), 4), (("--allow-unsigned",), 0)]
)
def test_whom_to_trust_must_be_said(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int
) -> None:
    (tmp_path / "other.pub").write_bytes(PrivateKey.generate(Algorithm.P256).public.pem())
    monkeypatch.chdir(tmp_path)
    assert main.run(["inspect", str(file), *options]) == code


def test_a_changed_manifest_is_exit_3(file: Path, tmp_path: Path, capsys: Capture) -> None:
    data = file.read_bytes()
    file.write_bytes(data.replace(b'"data":{"mode":"fast"}', b'"data":{"mode":"last"}', 1))
    assert main.run(["inspect", str(file), "--allow-unsigned"]) == 3
    assert "bundle: layer targets/dev.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("default: 3", "default 3"),
        ("required: true", "required"),
        ("", "as in each target"),
    ],
)
def test_it_says_what_counts_where_a_site_sets_nothing(
    project: Project, tmp_path: Path, said: str, shown: str, capsys: Capture
) -> None:
    project.edit(
        "bundle.yaml",
        "  policy: policies",
        f"""\
    - name: replicas
      type: integer
      description: How many pods answer
      {said}
      targets: [{{kind: Deployment, name: server, path: /spec/replicas}}]
  policy: policies""",
    )
    project.build(tmp_path / "other.tar", None)
    assert main.run(["inspect", str(tmp_path / "other.tar"), "--allow-unsigned"]) == 0
    assert f"  replicas (integer, {shown}): How many pods answer\n" in capsys.readouterr().out
