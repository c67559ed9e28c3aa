"""How models arrive, as a spec says it: what is right, and what is said of the rest."""

from __future__ import annotations

import json

import pytest

from bundler.core.documents.bundle import parse_bundle
from bundler.core.documents.plain import to_json
from bundler.core.documents.weights import Claim, Egress, Loader, ObjectStore
from bundler.core.errors import DocumentError
from tests.core.documents.edit import Bad, edited

SPEC = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {name: a, version: "0.0.1"}
spec:
  manifests: {base: base, overlays: [onprem, aws-govcloud, dev]}
  loader: {image: "python:3.13-slim", installer: "dist/airbundle-{platform}.pyz"}
  weights:
    onprem:
      pvc: {claim: w, storageClass: fast.ssd, accessMode: ReadWriteMany, size: 40Gi}
      egress: [{cidr: 10.0.0.0/8, port: 5000}]
    aws-govcloud:
      s3: {endpoint: "https://s3-fips.us-gov-west-1.amazonaws.com", bucket: models, secretName: keys, region: us-gov-west-1}
"""  # noqa: E501


def test_every_field_arrives() -> None:
    bundle = parse_bundle(SPEC, "bundle.yaml")
    assert bundle.loader == Loader(
        image="python:3.13-slim", installer="dist/airbundle-{platform}.pyz"
    )
    assert set(bundle.weights) == {"onprem", "aws-govcloud"}
    assert bundle.weights["onprem"].pvc == Claim(
        claim="w", storage_class="fast.ssd", access_mode="ReadWriteMany", size="40Gi"
    )
    assert bundle.weights["onprem"].egress == (Egress("10.0.0.0/8", 5000),)
    assert bundle.weights["aws-govcloud"].s3 == ObjectStore(
        endpoint="https://s3-fips.us-gov-west-1.amazonaws.com",
        bucket="models",
        secret_name="keys",
        region="us-gov-west-1",
    )


def test_what_is_left_out_has_its_default() -> None:
    text = SPEC.replace(
        "{claim: w, storageClass: fast.ssd, accessMode: ReadWriteMany, size: 40Gi}", "{}"
    )
    found = parse_bundle(text, "bundle.yaml").weights["onprem"].pvc
    assert found == Claim(claim="weights", storage_class=None, access_mode="ReadWriteOnce")


def test_writing_and_reading_are_inverse() -> None:
    document = parse_bundle(SPEC, "x.yaml")
    assert parse_bundle(json.dumps(to_json(document)), "x.json") == document


ONPREM, LOADER = "spec.weights.onprem", "spec.loader"
BAD = {
    "no such target": Bad(
        "    onprem:", "    on-prem:", "9:7", "spec.weights.on-prem", "is no target"
    ),
    "no loader": Bad(
        '  loader: {image: "python:3.13-slim", installer: "dist/airbundle-{platform}.pyz"}\n',
        "",
        "8:7",
        ONPREM,
        "needs spec.loader",
        "installer",
    ),
    "a model as loader": Bad(
        "python:3.13-slim", "airbundle.invalid/models/a", "6:19", f"{LOADER}.image", "a model"
    ),
    "no image as loader": Bad("python:3.13", "Py thon", "6:19", f"{LOADER}.image", "an image"),
    "an installer from elsewhere": Bad(
        "dist/airbundle", "../airbundle", "6:50", f"{LOADER}.installer", "inside this document"
    ),
    "neither": Bad(
        "      pvc: {claim: w, storageClass: fast.ssd, accessMode: ReadWriteMany, size: 40Gi}\n",
        "",
        "9:7",
        ONPREM,
        "found neither",
        "image volumes",
    ),
    "both": Bad(
        "      s3:", "      pvc: {}\n      s3:", "12:7", "spec.weights.aws-govcloud", "both"
    ),
    "keys over http": Bad(
        "https://s3-fips", "ftp://s3-fips", "12:22", "spec.weights.aws-govcloud.s3.endpoint", "HOST"
    ),
    "a size that is none": Bad("40Gi", "40GB", "9:80", f"{ONPREM}.pvc.size", "such as 40Gi"),
    "a mode for writers": Bad(
        "ReadWriteMany", "ReadWriteOnly", "9:59", f"{ONPREM}.pvc.accessMode", "one of", "Once"
    ),
    "no network": Bad("10.0.0.0/8", "10.0.0.1/8", "10:23", f"{ONPREM}.egress[0].cidr", "network"),
    "no port": Bad("port: 5000", "port: 0", "10:41", f"{ONPREM}.egress[0].port", "1 to 65535"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_a_wrong_document_names_line_and_field(bad: Bad) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_bundle(edited(SPEC, bad), "x.yaml")
    error = caught.value
    assert (error.where, error.field) == (f"x.yaml:{bad.at}", bad.field)
    assert bad.says in error.problem
    assert bad.nearest in str(error.hint)
