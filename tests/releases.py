"""Small releases to install: a signed bundle around Kubernetes objects that a test writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.writer import write_bundle
from bundler.core.config import BundleConfig
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Parameter
from bundler.core.objects import jsonpointer, manifests
from bundler.core.objects.images import ImagePlace
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import PLACEHOLDER_HOST
from bundler.sign.open import open_bundle
from tests.making import KEY, Contents, draft_of, image, seal, tar_of

REPOSITORY = "registry.corp_5000/team/server"
LAYERS = (b"first layer", b"second")
IMAGE = f"{PLACEHOLDER_HOST}/{REPOSITORY}@{image(LAYERS)[0].digest}"
TARGET = "dev"

SPEC = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {{name: {name}, version: "{version}"}}
spec:
  platforms: [linux/amd64]
  manifests: {{base: base, overlays: [dev]}}
  policy: policy.yaml
"""
POLICY = "apiVersion: airbundle.dev/v1alpha1\nkind: Policy\n"


@dataclass
class Release:
    """What is to be bundled; `policy` are lines below those of a Policy.

    `spec` is what was locked, and `packed` what travels as the spec, unless that is the same.
    """

    name: str
    objects: Sequence[JsonObject]
    version: str = "1.0.0"
    parameters: tuple[Parameter, ...] = ()
    policy: str = ""
    spec: str = SPEC
    packed: str | None = None
    report: bytes = b'{"findings":{}}'
    contents: Contents = field(default_factory=lambda: Contents(images={REPOSITORY: LAYERS}))

    def write(self, path: Path) -> Path:
        """The bundle as a file, signed by `KEY`."""
        contents = replace(self.contents, name=self.name, version=self.version)
        draft, origins = draft_of(contents)
        objects = manifests.apply_order(self.objects)
        spec = self.spec.format(name=self.name, version=self.version).encode()
        packed = spec if self.packed is None else self.packed.encode()
        policy = (POLICY + self.policy).encode()
        config = BundleConfig(
            self.name, self.version, (TARGET,), self.parameters, tuple(places(objects)), {}
        )
        draft = replace(
            draft,
            lock=replace(draft.lock, spec=Digest.of(spec)),
            config=config,
            sources=tar_of({"bundle.yaml": packed, "policy.yaml": policy}),
            targets=lambda models: {TARGET: manifests.dump(objects)},
            report=self.report,
        )
        write_bundle(path, draft, origins, seal(contents, KEY), lambda packed: None)
        return path

    @contextmanager
    def opened(self, folder: Path) -> Iterator[AuthenticatedBundle]:
        """The bundle, authenticated by `KEY`, in a file below `folder`."""
        path = self.write(folder / f"{self.name}-{self.version}.tar")
        with open_bundle(path, KEY.public) as bundle:
            yield bundle
        path.unlink()


def places(objects: Sequence[JsonObject]) -> Iterator[ImagePlace]:
    """Every place of the placeholder host in `objects`."""
    for obj in objects:
        for path, text in jsonpointer.strings(obj):
            for number in range(text.count(PLACEHOLDER_HOST)):
                yield ImagePlace(TARGET, ObjectId.of(obj), jsonpointer.spell(path), number)


def namespace(name: str) -> JsonObject:
    """A namespace that enforces Pod Security restricted."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }


def config_map(place: str, name: str, **data: str) -> JsonObject:
    """A ConfigMap in the namespace `place`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": place},
        "data": data,
    }


def pod_spec() -> JsonObject:
    """A pod that `restricted` admits, with the image of the release."""
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "server",
                "image": IMAGE,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


def deployment(place: str, name: str, replicas: int = 1) -> JsonObject:
    """A Deployment of `pod_spec`."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": place},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec()},
        },
    }


def crd(group: str, kind: str) -> JsonObject:
    """A CustomResourceDefinition of a namespaced kind with one string, `spec.text`."""
    plural = f"{kind.lower()}s"
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"text": {"type": "string"}}},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
