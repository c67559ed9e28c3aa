"""The words by which `hostnames` tells hosts from what only looks like one; docs/rules.md."""

from __future__ import annotations

from bundler.core.reference import PLACEHOLDER_HOST, RESERVED_DOMAIN

INTERNAL = frozenset({"cluster.local", PLACEHOLDER_HOST, RESERVED_DOMAIN})
INTERNAL_SUFFIXES = (".svc", ".cluster.local", ".localhost", f".{RESERVED_DOMAIN}")

# What follows these names something of the node, the pod or the cluster.
LOCAL_SCHEMES = frozenset(
    """
    configmap containerd cri-o data file mem memory npipe pvc secret shm spiffe sqlite unix
    """.split()
)
# What follows these is a bucket or a repository in somebody's cloud, even as a single label.
HUB_SCHEMES = frozenset("abfs abfss adl az azure gcs gs hf oss s3 s3a s3n wasb wasbs".split())

# Country codes that are more often the end of a file's name, or an attribute, than a country.
UNCLEAR_COUNTRIES = frozenset("at bz cc id in la md mk ml pl ps pt py rs sh so st tf th to".split())
# Generic suffixes that are hardly ever anything else; all others are words of a dictionary.
CLEAR_GENERIC = frozenset(
    """
    aws azure biz cloud com dev edu gov mil museum net online org pro rocks site store tech
    tel travel website xyz
    """.split()
)

# Ends of files that are no public suffix: in front of a number they give a line, not a port.
FILE_SUFFIXES = frozenset("c conf cpp go h ini java js json log toml ts txt xml yaml yml".split())

# Ends of configuration keys that are suffixes too, and what has one (kafka.cluster.id).
KEYS = frozenset({"id", "name"})
OWNERS = frozenset("application broker client cluster group node server service".split())

# First labels of reversed domains, as packages of Java and Android have them.
REVERSE_DNS = frozenset("com dev edu io jakarta java javax jdk kotlin net org scala sun".split())

# Domains below which Kubernetes projects name their API groups, labels and finalizers.
API_DOMAINS = frozenset(
    """
    airbundle.dev argoproj.io cert-manager.io cilium.io istio.io k8s.io keda.sh knative.dev
    kserve.io kubeflow.org kubernetes.io kyverno.io openshift.io ray.io volcano.sh x-k8s.io
    """.split()
)
# Makers whose own domain names resources of a node or annotations, and serves much else.
VENDORS = frozenset(
    """
    amd.com gpu.intel.com gpu.nvidia.com nvidia.com prometheus.io resource.nvidia.com
    """.split()
)

# Hosts below those domains that serve images and packages.
SERVED = frozenset(
    """
    apt.kubernetes.io cdn.dl.k8s.io dl.k8s.io gcr.k8s.io get.k8s.io packages.kubernetes.io
    pkgs.k8s.io registry.k8s.io registry.istio.io release.istio.io yum.kubernetes.io
    """.split()
)
