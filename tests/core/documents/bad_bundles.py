"""Edits that make the Bundle wrong, its parameters aside."""

from __future__ import annotations

from tests.core.documents.edit import Bad

BAD_BUNDLES = {
    "api version": Bad("v1alpha1", "v1", "1:13", "apiVersion", "is 'airbundle.dev/v1'", "v1alpha1"),
    "kind": Bad("kind: Bundle", "kind: bundle", "2:7", "kind", "is 'bundle'", "Bundle"),
    "kind of later": Bad("kind: Bundle", "kind: ModelServing", "2:7", "kind", "later version"),
    "no kind": Bad("kind: Bundle\n", "", "1:1", "kind", "is missing", "Bundle"),
    "unknown at the top": Bad("spec:", "specs:", "6:1", "specs", "unknown field", "mean spec?"),
    "unknown in metadata": Bad(
        "  version:", "  verison:", "5:3", "metadata.verison", "unknown field", "mean version?"
    ),
    "unknown in spec": Bad(
        "platforms:", "platform:", "7:3", "spec.platform", "unknown field", "mean platforms?"
    ),
    "unknown in a model": Bad(
        "licen", "lisen", "13:7", "spec.models[0].lisense", "unknown field", "mean license?"
    ),
    "snake case": Bad(
        "    docker.io: {mirror:",
        "    docker.io: {mirrors:",
        "23:17",
        "spec.registries.docker.io.mirrors",
        "unknown field",
        "mean mirror?",
    ),
    "requires": Bad(
        "  files:",
        "  requires: []\n  files:",
        "17:3",
        "spec.requires",
        "reserved for a later format",
    ),
    "markings": Bad(
        "  files:",
        "  markings: []\n  files:",
        "17:3",
        "spec.markings",
        "reserved for a later format",
    ),
    "serving": Bad(
        "  files:", "  serving: []\n  files:", "17:3", "spec.serving", "reserved for a later kind"
    ),
    "training": Bad(
        "  files:", "  training: []\n  files:", "17:3", "spec.training", "reserved for a later kind"
    ),
    "missing": Bad("      license: MIT\n", "", "9:7", "spec.models[0].license", "is missing"),
    "missing section": Bad(
        'metadata:\n  name: movie-search\n  version: "1.4.0"\n', "", "1:1", "metadata", "is missing"
    ),
    "missing manifests": Bad(
        "  manifests: {base: base, overlays: [airgapped, aws-govcloud]}\n",
        "",
        "7:3",
        "spec.manifests",
        "is missing",
    ),
    "number for a string": Bad(
        '"1.4.0"',
        "1.10",
        "5:12",
        "metadata.version",
        "is 1.10, a number, expected a string",
        'write it in quotes: "1.10"',
    ),
    "boolean for a string": Bad(
        "name: embed",
        "name: true",
        "14:13",
        "spec.models[1].name",
        "is true, a boolean, expected a string",
        '"true"',
    ),
    "empty": Bad(
        "source: weights/embed",
        "source:",
        "15:14",
        "spec.models[1].source",
        "is empty, expected a string",
        "remove it",
    ),
    "blank": Bad(
        "source: weights/embed",
        'source: " "',
        "15:15",
        "spec.models[1].source",
        "expected one line of text",
    ),
    "string for a list": Bad(
        "[airgapped, aws-govcloud]",
        "dev",
        "24:37",
        "spec.manifests.overlays",
        "is the string 'dev', expected a list",
    ),
    "list for a mapping": Bad(
        "{base: base, overlays: [airgapped, aws-govcloud]}",
        "[base]",
        "24:14",
        "spec.manifests",
        "is a list, expected a mapping",
    ),
    "mapping for a string": Bad(
        "revision: main",
        "revision: {a: b}",
        "11:17",
        "spec.models[0].revision",
        "is a mapping, expected a string",
    ),
    "bundle's name": Bad(
        "movie-search", "Movie_Search", "4:9", "metadata.name", "expected lower-case letters"
    ),
    "bundle's name, long": Bad(
        "movie-search", "m" * 41, "4:9", "metadata.name", "41 characters, more than 40"
    ),
    "version": Bad('"1.4.0"', '"1.4"', "5:12", "metadata.version", "is not a SemVer 2 version"),
    "version with build metadata": Bad(
        '"1.4.0"', '"1.4.0+1"', "5:12", "metadata.version", "holds build metadata"
    ),
    "platform": Bad("linux/amd64", "amd64", "7:15", "spec.platforms[0]", "expected os/arch"),
    "no platform": Bad(
        "[linux/amd64, linux/arm64/v8]", "[]", "7:14", "spec.platforms", "expected at least 1"
    ),
    "platform twice": Bad(
        "linux/arm64/v8", "linux/amd64", "7:28", "spec.platforms[1]", "as item 0 is already"
    ),
    "model's name": Bad(
        "zero-shot", "zero.shot", "9:13", "spec.models[0].name", "expected lower-case"
    ),
    "model's name twice": Bad(
        "name: embed",
        "name: zero-shot",
        "14:13",
        "spec.models[1].name",
        "is 'zero-shot', as item 0 is already",
        schema=False,
    ),
    "absolute pattern": Bad(
        "onnx/", "/onnx/", "12:44", "spec.models[0].include[2]", "expected a pattern"
    ),
    "absolute pattern to leave out": Bad(
        "license: MIT",
        "exclude: [/onnx/]\n      license: MIT",
        "13:17",
        "spec.models[0].exclude[0]",
        "expected a pattern",
    ),
    "the same pattern to leave out twice": Bad(
        "license: MIT",
        "exclude: [a, a]\n      license: MIT",
        "13:20",
        "spec.models[0].exclude[1]",
        "is 'a', as item 0 is already",
    ),
    "image's name": Bad(
        "web:1.0", "Web:1.0", "20:14", "spec.images[0].name", "expected an image", schema=False
    ),
    "model for an image": Bad(
        "web:1.0",
        "airbundle.invalid/models/embed",
        "20:14",
        "spec.images[0].name",
        "a model",
        "spec.models",
        schema=False,
    ),
    "image twice": Bad(
        "images:",
        "images:\n    - {name: docker.io/library/web:1.0, source: x}",
        "21:14",
        "spec.images[1].name",
        "is the same image as spec.images[0]",
        schema=False,
    ),
    "registry": Bad(
        "docker.io:",
        "https://docker.io:",
        "23:5",
        "spec.registries.https://docker.io",
        "expected a host",
    ),
    "mirror": Bad(
        "mirror.corp:5000/hub}",
        '"https://mirror.corp"}',
        "23:25",
        "spec.registries.docker.io.mirror",
        "expected HOST",
    ),
    "base outside": Bad(
        "base: base",
        "base: ../base",
        "24:21",
        "spec.manifests.base",
        "inside this document's folder",
    ),
    "policy absolute": Bad(
        "policies/default.yaml",
        "/policies/default.yaml",
        "49:11",
        "spec.policy",
        "inside this document's folder",
    ),
    "policy with a dot": Bad(
        "policies/default.yaml",
        "./default.yaml",
        "49:11",
        "spec.policy",
        "inside this document's folder",
    ),
    "no overlay": Bad(
        "[airgapped, aws-govcloud]", "[]", "24:37", "spec.manifests.overlays", "expected at least 1"
    ),
    "overlay twice": Bad(
        "aws-govcloud", "airgapped", "24:49", "spec.manifests.overlays[1]", "as item 0 is already"
    ),
    "overlay a path": Bad(
        "aws-govcloud", "../aws", "24:49", "spec.manifests.overlays[1]", "expected lower-case"
    ),
}
