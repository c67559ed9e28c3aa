"""The bill of materials: CycloneDX 1.7 of a whole bundle, models (AI-BOM) and images (SBOM).

https://cyclonedx.org/docs/1.7/json/. A function of the lock alone: no serial number, no time, and
no file of the machine. Names of our own begin with ``airbundle:``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bundler.core import strictjson
from bundler.core.bom import spdx
from bundler.core.bom.modelfacts import ModelFacts
from bundler.core.bom.packages import ImagePackages, Package
from bundler.core.bom.purl import purl, pypi_name
from bundler.core.digest import Digest
from bundler.core.lock import Lock, LockedFile, LockedFileSet, LockedImage, LockedModel
from bundler.core.modelcard import ModelCard
from bundler.core.reference import ImageReference

SPEC_VERSION = "1.7"
BUNDLE_REF = "bundle"
_HUB = "hf://"
_NOASSERTION = "NOASSERTION"

Json = dict[str, Any]


def bill_of_materials(
    lock: Lock, models: Mapping[str, ModelFacts], packages: Mapping[Digest, ImagePackages]
) -> bytes:
    """The document, as canonical JSON.

    `models` has facts by the model's name, `packages` what is installed by the digest of each
    platform's manifest. Where either is missing, or a list is not whole, the document says so.
    """
    images = {image.entry: image for image in lock.images}  # two names may share an entry
    models_by_name = sorted(lock.models, key=lambda model: model.name)
    inside: list[Json] = [
        *(_model(model, models.get(model.name, ModelFacts())) for model in models_by_name),
        *(_image(images[entry], packages) for entry in sorted(images)),
        *(_file_set(files) for files in sorted(lock.files, key=lambda files: files.name)),
    ]
    bundle = {
        "type": "application",
        "bom-ref": BUNDLE_REF,
        "name": lock.name,
        "version": lock.version,
    }
    document: Json = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {"component": bundle},
        "components": inside,
        "dependencies": [
            {"ref": BUNDLE_REF, "dependsOn": [each["bom-ref"] for each in inside]},
            *({"ref": each["bom-ref"]} for each in inside),
        ],
    }
    unknown = [
        {"aggregate": how, "assemblies": [ref]}
        for image in (images[entry] for entry in sorted(images))
        for ref, how in _completeness(image, packages)
    ]
    return strictjson.canonical(document | ({"compositions": unknown} if unknown else {}))


def _model(model: LockedModel, facts: ModelFacts) -> Json:
    ref = f"models/{model.name}"
    component: Json = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": model.name,
        "licenses": _model_licenses(model.license, facts.card),
        "components": _files(ref, model.files),
        "modelCard": _model_card(facts),
        "pedigree": _without_nothing(
            {"ancestors": [_ancestor(ref, name) for name in dict.fromkeys(facts.card.base_models)]}
        ),
    }
    if model.revision is not None:
        component["version"] = model.revision
    if model.source.startswith(_HUB):
        name = model.source.removeprefix(_HUB)
        component["purl"] = _hub_purl(name, model.revision)
        at = f"@{model.revision}" if model.revision else ""
        component["externalReferences"] = [{"type": "distribution", "url": f"{model.source}{at}"}]
    return _without_nothing(component)


def _model_licenses(license: str, card: ModelCard) -> list[Json]:
    """What somebody concluded for the spec; only if nobody did, what the card declares."""
    if license != _NOASSERTION:
        return [_license(license, "concluded")]
    return [_license(name, "declared") for name in card.stated]


def _license(text: str, acknowledgement: str | None = None) -> Json:
    """One licence of CycloneDX's `licenses`: an SPDX id or expression where `text` is one."""
    said = {"acknowledgement": acknowledgement} if acknowledgement else {}
    known = spdx.license_id(text)
    if known:
        return {"license": {"id": known} | said}
    expression = spdx.expression(text)
    if expression:
        return {"expression": expression} | said
    return {"license": {"name": text} | said}


def _model_card(facts: ModelFacts) -> Json:
    card = facts.card
    properties = {
        "airbundle:model:parameters": str(facts.parameters or ""),
        **{f"airbundle:model:elements:{dtype}": str(n) for dtype, n in facts.elements.items()},
        "airbundle:model:library": card.library or "",
    }
    language = [{"name": "airbundle:model:language", "value": each} for each in card.languages]
    return _without_nothing(
        {
            "modelParameters": _without_nothing(
                {
                    "task": card.task,
                    "architectureFamily": facts.family,
                    "modelArchitecture": ", ".join(facts.architectures),
                    "datasets": [{"type": "dataset", "name": name} for name in card.datasets],
                }
            ),
            "quantitativeAnalysis": _without_nothing(
                {
                    "performanceMetrics": [
                        _without_nothing({"type": m.type, "value": m.value, "slice": m.slice})
                        for m in card.metrics
                    ]
                }
            ),
            "properties": _properties(properties) + language,
        }
    )


def _ancestor(ref: str, name: str) -> Json:
    """A base model, as the card names it: a repository of the hub, most often."""
    found = {
        "type": "machine-learning-model",
        "bom-ref": f"{ref}#base:{name}",
        "name": name,
    }
    return found | ({"purl": _hub_purl(name, None)} if name.count("/") == 1 else {})


def _hub_purl(name: str, revision: str | None) -> str:
    namespace, _, last = name.rpartition("/")
    return purl("huggingface", namespace, last, revision and revision.lower())


def _file_set(files: LockedFileSet) -> Json:
    ref = f"files/{files.name}"
    return {
        "type": "data",
        "bom-ref": ref,
        "name": files.name,
        "components": _files(ref, files.files),
        "properties": _properties({"airbundle:files:kind": files.kind}),
    }


def _files(ref: str, files: Sequence[LockedFile]) -> list[Json]:
    return [
        {
            "type": "file",
            "bom-ref": f"{ref}/{file.path}",
            "name": file.path,
            "hashes": _hashes(file.digest),
        }
        for file in files
    ]


def _image(image: LockedImage, packages: Mapping[Digest, ImagePackages]) -> Json:
    reference = ImageReference.parse(image.name)
    named = _container(image.entry, image.name, image.digest, reference, None)
    if len(image.platforms) == 1:
        (platform,) = image.platforms
        named["purl"] = _oci_purl(reference, image.digest, platform)
        named["components"] = _installed(image.entry, packages.get(image.platforms[platform]))
    else:
        named["components"] = [
            _platform(image, platform, reference, packages) for platform in sorted(image.platforms)
        ]
    return _without_nothing(named)


def _platform(
    image: LockedImage,
    platform: str,
    reference: ImageReference,
    packages: Mapping[Digest, ImagePackages],
) -> Json:
    digest, ref = image.platforms[platform], _platform_ref(image, platform)
    found = _container(ref, image.name, digest, reference, platform)
    found["components"] = _installed(ref, packages.get(digest))
    return _without_nothing(found)


def _container(
    ref: str, name: str, digest: Digest, reference: ImageReference, platform: str | None
) -> Json:
    return {
        "type": "container",
        "bom-ref": ref,
        "name": name,
        "version": str(digest),
        "purl": _oci_purl(reference, digest, platform),
        "hashes": _hashes(digest),
        "properties": _properties({"airbundle:image:platform": platform or ""}),
    }


def _platform_ref(image: LockedImage, platform: str) -> str:
    return image.entry if len(image.platforms) == 1 else f"{image.entry}#{platform}"


def _oci_purl(reference: ImageReference, digest: Digest, platform: str | None) -> str:
    """https://github.com/package-url/purl-spec, `types/oci-definition.json`."""
    repository = reference.repository.lower()
    return purl(
        "oci",
        "",
        repository.rpartition("/")[2],
        str(digest),
        {
            "arch": platform.split("/")[1] if platform else None,
            "repository_url": f"{reference.host}/{repository}",
            "tag": reference.tag,
        },
    )


def _installed(ref: str, found: ImagePackages | None) -> list[Json]:
    """The distribution and the packages of one platform's image, each package URL once."""
    if found is None:
        return []
    system = []
    if found.distro is not None:
        name, version = found.distro
        named = {"type": "operating-system", "bom-ref": f"{ref}#os", "name": name}
        system.append(_without_nothing(named | {"version": version}))
    by_purl: dict[str, Package] = {}
    for package in sorted(found.packages):
        by_purl.setdefault(_package_purl(package, found.distro), package)
    return [*system, *(_package(ref, url, by_purl[url]) for url in sorted(by_purl))]


def _package(ref: str, url: str, package: Package) -> Json:
    return _without_nothing(
        {
            "type": "library",
            "bom-ref": f"{ref}#{url}",
            "name": package.name,
            "version": package.version,
            "purl": url,
            "licenses": [_license(package.license)] if package.license else [],
        }
    )


def _package_purl(package: Package, distro: tuple[str, str] | None) -> str:
    """`upstream`, the source package, is what Debian's and Ubuntu's advisories name."""
    if package.kind == "pypi":
        return purl("pypi", "", pypi_name(package.name), package.version)
    name, version = distro or ("debian", "")
    qualifiers = {
        "arch": package.arch,
        "distro": f"{name}-{version}" if version else None,
        "upstream": package.source,
    }
    return purl("deb", name, package.name, package.version, qualifiers)


def _completeness(
    image: LockedImage, packages: Mapping[Digest, ImagePackages]
) -> list[tuple[str, str]]:
    """By reference, the images whose list of packages is not whole, or not known."""
    found = []
    for platform in sorted(image.platforms):
        inside = packages.get(image.platforms[platform])
        if inside is None or inside.unread or not inside.packages:
            how = "incomplete" if inside and inside.unread else "unknown"
            found.append((_platform_ref(image, platform), how))
    return found


def _hashes(digest: Digest) -> list[Json]:
    return [{"alg": "SHA-256", "content": digest.hex}]


def _properties(values: Mapping[str, str]) -> list[Json]:
    return [{"name": name, "value": values[name]} for name in sorted(values) if values[name]]


def _without_nothing(value: Json) -> Json:
    """Without members that say nothing: None, "", [], {}."""
    return {key: member for key, member in value.items() if member not in (None, "", [], {})}
