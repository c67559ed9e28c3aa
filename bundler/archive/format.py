"""The names and numbers of format 1, as docs/format.md fixes them."""

from __future__ import annotations

FORMAT_VERSION = 1

SLOT_NAME = "airbundle.sig.json"
SLOT_SIZE = 65_536
LAYOUT_NAME = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_NAME = "index.json"

MAX_INDEX = 16 * 1024**2
MAX_MANIFEST = 4 * 1024**2
MAX_CONFIG = 4 * 1024**2
MAX_LOCK = 16 * 1024**2
MAX_METADATA = 64 * 1024**2
MAX_NESTING = 4

REF_NAME = "org.opencontainers.image.ref.name"
TITLE = "org.opencontainers.image.title"

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

BUNDLE = "application/vnd.airbundle.bundle.v1+json"
BUNDLE_CONFIG = "application/vnd.airbundle.bundle.config.v1+json"
LOCK = "application/vnd.airbundle.lock.v1+json"
SOURCES = "application/vnd.airbundle.sources.v1.tar"
MANIFESTS = "application/vnd.airbundle.manifests.v1+json"
REPORT = "application/vnd.airbundle.report.v1+json"
BOM = "application/vnd.cyclonedx+json"
FILES = "application/vnd.airbundle.files.v1"
FILE = "application/octet-stream"
STATEMENT = "application/vnd.in-toto+json"

MODELPACK = "application/vnd.cncf.model.manifest.v1+json"
MODELPACK_CONFIG = "application/vnd.cncf.model.config.v1+json"
MODELPACK_WEIGHT = "application/vnd.cncf.model.weight.v1.tar"
MODELPACK_SMALL = "application/vnd.cncf.model.weight.config.v1.tar"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
EMPTY_JSON = b"{}"
CHUNK = 1024**2
