"""`install --export`, `push` and `render`: what needs no API server, up to the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundler import export as verb
from bundler.archive.bundle import AuthenticatedBundle
from bundler.cli.main import run
from bundler.core import yamltext
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.errors import IntegrityError, PolicyError, SourceError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId, apply_order
from bundler.core.progress import SILENT
from bundler.core.reference import PLACEHOLDER_HOST
from bundler.export import Exported, export_bundle
from bundler.install import Site
from bundler.render import render
from tests.making import KEY
from tests.releases import IMAGE, TARGET, Release, config_map, deployment, namespace

OBJECTS = [
    deployment("serving", "web"),
    config_map("serving", "settings", version="1.10", answer="no", image=IMAGE),
    config_map("other", "settings"),
    namespace("serving"),
]
RELEASE = Release("movie-search", OBJECTS)


@pytest.fixture(name="bundle")
def opened_bundle(tmp_path: Path) -> Iterator[AuthenticatedBundle]:
    with RELEASE.opened(tmp_path) as bundle:
        yield bundle


def site(folder: Path) -> Site:
    return Site(TARGET, f"oci:{folder / 'layout'}", {})


def export(bundle: AuthenticatedBundle, folder: Path, name: str | None = None) -> Exported:
    return export_bundle(bundle, site(folder), folder / "export", name, SILENT)


def read(folder: Path, names: tuple[str, ...]) -> list[JsonObject]:
    return [
        node.value
        for name in names
        for node in yamltext.load_all((folder / name).read_text(), name, ambiguous="refuse")
    ]


def name(obj: JsonObject) -> str:
    return str(ObjectId.of(obj))


def moved(objects: list[JsonObject], host: str) -> list[JsonObject]:
    text = json.dumps(apply_order(objects)).replace(PLACEHOLDER_HOST, host)
    found: list[JsonObject] = json.loads(text)
    return found


def test_an_export_is_every_object_in_a_file_and_a_list_of_them(
    bundle: AuthenticatedBundle, tmp_path: Path
) -> None:
    done = export(bundle, tmp_path)
    folder = tmp_path / "export"
    assert done.files == (
        "namespace-serving.yaml",
        "serving-configmap-settings.yaml",
        "other-configmap-settings.yaml",
        "serving-deployment-web.yaml",
        "kustomization.yaml",
    )
    assert sorted(path.name for path in folder.iterdir()) == sorted(done.files)
    assert read(folder, done.files[:-1]) == moved(OBJECTS, PLACEHOLDER_HOST)
    (kustomization,) = read(folder, done.files[-1:])
    assert kustomization["resources"] == list(done.files[:-1])
    assert (tmp_path / "layout" / "index.json").exists()


def test_an_export_fills_the_buckets_that_its_pods_fetch_from(
    bundle: AuthenticatedBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(verb, "upload", lambda _, objects, progress: asked.append(len(objects)))
    export(bundle, tmp_path)
    assert asked == [len(OBJECTS)]


def test_an_export_trusts_the_certificates_that_it_is_given(
    bundle: AuthenticatedBundle, tmp_path: Path
) -> None:
    ca = tmp_path / "site-ca.pem"
    ca.write_text("no certificate")
    here = Site(TARGET, "127.0.0.1:1", {}, registry_ca=ca)
    with pytest.raises(UsageError, match=r"site-ca\.pem"):
        export_bundle(bundle, here, tmp_path / "export", None, SILENT)


def test_an_export_names_the_registry_that_will_have_the_images(
    bundle: AuthenticatedBundle, tmp_path: Path
) -> None:
    done = export(bundle, tmp_path, "registry.site:5000/hub")
    found = read(tmp_path / "export", done.files[:-1])
    assert found == moved(OBJECTS, "registry.site:5000/hub")


@pytest.mark.needs("kustomize")
def test_kustomize_builds_what_was_exported(
    bundle: AuthenticatedBundle, tmp_path: Path, tool: Callable[[str], Path]
) -> None:
    export(bundle, tmp_path)
    command = [str(tool("kustomize")), "build", str(tmp_path / "export")]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    built = [node.value for node in yamltext.load_all(text, "kustomize", ambiguous="refuse")]
    assert sorted(built, key=name) == sorted(OBJECTS, key=name)


def test_objects_with_one_file_name_get_two(tmp_path: Path) -> None:
    roles = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name, "namespace": "serving"},
            "rules": [],
        }
        for name in ("a:b", "a_b", "plain")
    ]
    with Release("roles", roles).opened(tmp_path) as bundle:
        done = export(bundle, tmp_path)
    assert len(set(done.files)) == 4
    assert "serving-role-plain.yaml" in done.files
    assert read(tmp_path / "export", done.files[:-1]) == roles


def test_a_folder_in_use_is_refused_before_anything_is_pushed(
    bundle: AuthenticatedBundle, tmp_path: Path
) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        export(bundle, tmp_path)
    assert not (tmp_path / "layout").exists()
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_refused(
    bundle: AuthenticatedBundle, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "export"
    if kind == "file":
        place.write_text("")
    else:
        place.symlink_to(tmp_path)
    with pytest.raises(UsageError, match="expected a folder"):
        export(bundle, tmp_path)


def test_a_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    secret = config_map("serving", "hidden") | {"kind": "Secret", "data": {"key": "djE="}}
    with Release("secrets", [secret, config_map("serving", "open")]).opened(tmp_path) as bundle:
        done = export(bundle, tmp_path)
    modes = [(tmp_path / "export" / each).stat().st_mode & 0o077 for each in done.files]
    assert (modes[0], done.files[0]) == (0, "serving-secret-hidden.yaml")
    assert all(mode & 0o044 for mode in modes[1:])


def test_an_export_that_fails_leaves_nothing(
    bundle: AuthenticatedBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(self: Path, mode: str = "r", **rest: str) -> object:
        if self.name == "kustomization.yaml":
            raise OSError(28, "No space left on device")
        return real(self, mode, **rest)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UsageError, match="No space left on device"):
        export(bundle, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "layout",
        "movie-search-1.0.0.tar",
    ]


def test_a_name_for_a_registry_that_has_one_is_refused(bundle: AuthenticatedBundle) -> None:
    named = Site(TARGET, "127.0.0.1:1", {})
    with pytest.raises(UsageError, match="is a name already"):
        export_bundle(bundle, named, Path("unused"), "other.site:5000", SILENT)


def test_a_dry_run_writes_nothing(bundle: AuthenticatedBundle, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = export_bundle(bundle, site(tmp_path), tmp_path / "export", None, SILENT, dry_run=True)
    assert sorted(tmp_path.rglob("*")) == before
    done = export(bundle, tmp_path)
    assert (said.files, said.push) == (done.files, done.push)


def test_an_unknown_target_is_refused(bundle: AuthenticatedBundle) -> None:
    with pytest.raises(UsageError, match="target: expected one of dev, found 'def'") as caught:
        render(bundle, "def", {}, None)
    assert caught.value.hint == "did you mean dev? valid here: dev"


def test_an_image_that_is_not_in_the_bundle_is_refused(tmp_path: Path) -> None:
    stray = deployment("serving", "web")
    stray["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE.replace("team", "evil")
    with (
        Release("stray", [stray]).opened(tmp_path) as bundle,
        pytest.raises(PolicyError, match="closure"),
    ):
        render(bundle, TARGET, {}, None)


def test_the_bundle_s_own_policy_counts(tmp_path: Path) -> None:
    outward = config_map("serving", "one", url="https://elsewhere.com/")
    with (
        Release("outward", [outward]).opened(tmp_path) as bundle,
        pytest.raises(PolicyError, match="external-host"),
    ):
        render(bundle, TARGET, {}, None)
    allowed = Release("outward", [outward], policy="allowHosts: [elsewhere.com]\n")
    with allowed.opened(tmp_path) as bundle:
        assert render(bundle, TARGET, {}, None).objects == (outward,)
    waiver = (
        "waivers:\n- {rule: external-host, object: 'ConfigMap *', owner: me, reason: known, "
        "until: '2020-01-01'}\n"
    )
    with Release("outward", [outward], policy=waiver).opened(tmp_path) as bundle:
        waived = render(bundle, TARGET, {}, None).waived
    assert [each.rule for each in waived] == ["external-host"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("", "expected the spec sha256:"), ("policy: gone.yaml", "expected the policy gone.yaml")],
)
def test_sources_that_lack_what_was_checked_are_refused(
    tmp_path: Path, spec: str, expected: str
) -> None:
    release = Release("sources", [config_map("serving", "one")])
    release.spec = release.spec.replace("policy: policy.yaml", spec)
    release.packed = None if spec else "another"
    with release.opened(tmp_path) as bundle, pytest.raises(IntegrityError, match=expected):
        render(bundle, TARGET, {}, None)


def test_an_object_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    nested: object = "x"
    for _ in range(63):
        nested = [nested]
    with Release("deep", [config_map("a", "b") | {"spec": nested}]).opened(tmp_path) as bundle:
        assert render(bundle, TARGET, {}, None).yaml()
    with (
        Release("deep", [config_map("a", "b") | {"spec": [nested]}]).opened(tmp_path) as bundle,
        pytest.raises(IntegrityError, match="ConfigMap a/b: is nested deeper than 64 levels"),
    ):
        render(bundle, TARGET, {}, None)


@pytest.mark.parametrize("path", ["/metadata", "/kind", "/metadata/name"])
def test_a_parameter_where_none_may_be_is_refused(tmp_path: Path, path: str) -> None:
    target = ParameterTarget("ConfigMap", "one", path)
    wild = Parameter(
        name="wild", type="enum", default="x", description="d", targets=(target,), values=("x",)
    )
    release = Release("wild", [config_map("serving", "one")], parameters=(wild,))
    with release.opened(tmp_path) as bundle, pytest.raises(PolicyError, match="parameter wild"):
        render(bundle, TARGET, {}, None)


@pytest.mark.parametrize("which", ["spec", "policy"])
def test_sources_that_are_no_text_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    files = {"bundle.yaml": RELEASE.spec.format(name="a", version="1.0.0").encode()}
    files |= {"policy.yaml": b"\xff"}
    if which == "spec":
        files["bundle.yaml"] = b"\xff"
    spec = Digest.of(files["bundle.yaml"])
    lock = SimpleNamespace(spec=spec)
    monkeypatch.setattr("bundler.render.lock.parse", lambda data, where: lock)
    monkeypatch.setattr("bundler.render.unpack", lambda data, where: files)
    with (
        RELEASE.opened(tmp_path) as bundle,
        pytest.raises(IntegrityError, match=r"\.yaml: is not UTF-8"),
    ):
        render(bundle, TARGET, {}, None)


# --- the commands -----------------------------------------------------------------------------


@pytest.fixture(name="file")
def bundle_file(tmp_path: Path) -> Path:
    return RELEASE.write(tmp_path / "demo.tar")


@pytest.fixture(name="key")
def public_key(tmp_path: Path) -> Path:
    path = tmp_path / "demo.pub"
    path.write_bytes(KEY.public.pem())
    return path


def test_render_prints_yaml_that_reads_back(
    file: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["render", str(file), "--target", TARGET, "--key", str(key)]
    assert run([*arguments, "--registry", "registry.site:5000"]) == 0
    found = yamltext.load_all(capsys.readouterr().out, "render", ambiguous="refuse")
    assert [node.value for node in found] == moved(OBJECTS, "registry.site:5000")
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == moved(OBJECTS, PLACEHOLDER_HOST)


def test_render_names_no_image_by_a_folder(
    file: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["render", str(file), "--target", TARGET, "--key", str(key)]
    assert run([*arguments, "--registry", "oci:layout"]) == 2
    assert "that images are pulled from, found a folder" in capsys.readouterr().err


def test_push_says_what_it_sent(
    file: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = f"oci:{tmp_path / 'layout'}"
    arguments = ["push", str(file), "--registry", layout, "--key", str(key)]
    assert run([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["status"], said["name"], said["destination"]) == (
        "TRUSTED",
        "movie-search",
        layout,
    )
    assert said["sent"]["artifact"]
    (image, model) = sorted(said["references"], key=lambda each: str(each["kind"]))
    assert (image["kind"], model["kind"]) == ("image", "model")
    assert image["reference"] == IMAGE.removeprefix(f"{PLACEHOLDER_HOST}/")
    assert model["reference"].startswith("models/mini@sha256:")
    assert run(arguments) == 0
    said_again = capsys.readouterr()
    assert f"image        {image['reference']}" in said_again.out.splitlines()
    assert "sent         nothing: all images, models and files are there" in said_again.out
    assert "pushing" not in said_again.err


def test_install_into_a_folder_says_who_vouches_first(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["install", str(file), "--target", TARGET, "--registry", f"oci:{tmp_path}/layout"]
    arguments += ["--allow-unsigned", "--export", str(tmp_path / "export")]
    assert run([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "status       UNTRUSTED"
    assert said.err.startswith("UNTRUSTED: nobody asked who signed this bundle")
    assert said.out.splitlines()[-1] == (
        "dry run      movie-search 1.0.0, target dev: nothing was exported"
    )
    assert "--registry-name HOST[/PREFIX]" in said.err
    assert not (tmp_path / "export").exists()
    assert run(arguments) == 0
    assert "can't run: --registry-name" in capsys.readouterr().err
    assert (tmp_path / "export" / "kustomization.yaml").exists()


def test_an_export_that_names_its_registry_is_told_nothing(
    file: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["install", str(file), "--target", TARGET, "--registry", f"oci:{tmp_path}/layout"]
    arguments += ["--key", str(key), "--export", str(tmp_path / "export")]
    assert run([*arguments, "--registry-name", "registry.site:5000/hub"]) == 0
    said = capsys.readouterr()
    assert "note:" not in said.err
    assert said.out.splitlines()[0] == f"status       TRUSTED, signed by sha256:{KEY.public.keyid}"


@pytest.mark.parametrize(
    ("extra", "code", "words"),
    [
        (["--registry", "registry.site:5000"], 4, "whom to trust"),
        (["--registry", "oci:", "--allow-unsigned"], 2, "expected a folder"),
        (["--registry", "http://x", "--allow-unsigned"], 2, "HOST[:PORT]"),
        (["--registry", "oci:x", "--allow-unsigned"], 2, "can't pull from a folder"),
        (
            ["--registry", "oci:x", "--allow-unsigned", "--registry-name", "a.b"],
            2,
            "goes with --export",
        ),
        *(
            (
                ["--registry", "oci:x", "--allow-unsigned", "--export", "out", *option],
                2,
                f"{option[0]}: goes with a cluster",
            )
            for option in (
                ["--take-ownership"],
                ["--registry-credentials", __file__],
                ["--ignore-preflight-errors", "storage"],
            )
        ),
        (
            ["--registry", "127.0.0.1:1", "--allow-unsigned", "--export", "out"],
            7,
            "registry 127.0.0.1:1: Connection refused",
        ),
        (["--registry", "./lay", "--allow-unsigned"], 2, "a folder is written oci:DIR"),
        (
            ["--registry", "a.b", "--allow-unsigned", "--release-namespace", "a/b"],
            2,
            "--release-namespace 'a/b': expected a namespace",
        ),
    ],
)
def test_install_refuses_with_its_code(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["install", str(file), "--target", TARGET, *extra]) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_layout_that_is_none_is_refused(bundle: AuthenticatedBundle, tmp_path: Path) -> None:
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout" / "notes.txt").write_text("mine")
    with pytest.raises(SourceError, match="neither empty nor an OCI image layout"):
        export(bundle, tmp_path)
