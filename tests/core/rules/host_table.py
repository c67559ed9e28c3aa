"""What names a host outside of the cluster and what does not, in the style of real manifests."""

from __future__ import annotations

import base64
import json
from typing import Any

from bundler.core.objects.manifests import JsonObject
from tests.core.rules.objects import annotated, args, config_map, custom, deployment, env, pod_spec

WEBHOOK: JsonObject = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "checks"},
    "webhooks": [
        {
            "name": "validate.serving.kserve.io",
            "clientConfig": {"url": "https://hooks.example.com:9443/validate"},
        }
    ],
}


def secret(text: str) -> JsonObject:
    data = {"config": base64.b64encode(text.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data}


def schema(**fields: Any) -> JsonObject:
    """A CustomResourceDefinition with these fields in its schema."""
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", **fields}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "inferenceservices.serving.kserve.io"},
        "spec": {"group": "serving.kserve.io", "versions": [version]},
    }


# what, object, the host that must be named
OUTSIDE: tuple[tuple[str, JsonObject, str], ...] = (
    (
        "a URL in an argument",
        args("--download=https://huggingface.co/facebook/bart"),
        "huggingface.co:443",
    ),
    (
        "a regional S3 endpoint",
        env("S3_ENDPOINT", "https://s3.us-gov-west-1.amazonaws.com"),
        "s3.us-gov-west-1.amazonaws.com:443",
    ),
    ("an S3 endpoint that is itself a suffix", env("S3", "s3.amazonaws.com"), "s3.amazonaws.com"),
    ("a bucket in somebody's cloud", env("STORAGE_URI", "gs://models/nli"), "gs://models"),
    (
        "a model of the hub",
        custom(
            "serving.kserve.io/v1beta1",
            "InferenceService",
            predictor={"model": {"storageUri": "hf://facebook/bart-large-mnli"}},
        ),
        "hf://facebook",
    ),
    ("a time server", config_map(ntp_conf="server pool.ntp.org iburst\n"), "pool.ntp.org"),
    (
        "an image in an argument",
        args("--pause-image", "registry.k8s.io/pause:3.9"),
        "registry.k8s.io",
    ),
    (
        "an image without a tag",
        args("--image=ghcr.io/project/sidecar"),
        "ghcr.io",
    ),
    ("a script piped into a shell", args("sh", "-c", "curl -fsSL get.helm.sh | sh"), "get.helm.sh"),
    ("words of one command line", args("curl", "-fsSL", "astral.sh"), "astral.sh"),
    ("a mail server's port", env("SMTP", "smtp.mail.example:587"), "smtp.mail.example:587"),
    ("a private suffix with a port", env("DB", "db01.corp.lan:5432"), "db01.corp.lan:5432"),
    ("a Service without .svc", env("REDIS", "redis.serving:6379"), "redis.serving:6379"),
    ("a proxy", env("HTTPS_PROXY", "http://proxy.corp.lan:3128"), "proxy.corp.lan:3128"),
    (
        "a proxy with a password",
        env("http_proxy", "http://user:p%40ss@proxy.corp.lan:3128"),
        "proxy.corp.lan:3128",
    ),
    ("what goes past the proxy", env("NO_PROXY", ".svc,.corp.example.com"), "*.corp.example.com"),
    ("a webhook", WEBHOOK, "hooks.example.com:9443"),
    (
        "a protocol-relative link",
        config_map(index_html='<script src="//cdn.jsdelivr.net/npm/vue"></script>'),
        "cdn.jsdelivr.net",
    ),
    ("a git remote", args("git", "clone", "git@github.com:org/repo.git"), "github.com"),
    ("upper case", env("HUB", "HTTPS://HUGGINGFACE.CO"), "huggingface.co:443"),
    ("upper case without scheme", env("HUB", "PyPI.ORG"), "pypi.org"),
    ("a trailing dot", env("NTP", "time.google.com."), "time.google.com"),
    ("an umlaut", env("HUB", "bücher.example.de"), "xn--bcher-kva.example.de"),
    ("punycode", env("HUB", "xn--bcher-kva.example.de"), "xn--bcher-kva.example.de"),
    ("full-width letters", env("HUB", "ｅｘａｍｐｌｅ。ｃｏｍ"), "example.com"),
    ("an escaped URL", args("?to=https%3A%2F%2Fevil.example%2Fx"), "evil.example:443"),
    ("an IPv4 URL", args("--metadata=http://169.254.169.254/latest"), "169.254.169.254:80"),
    ("an IPv4 address as a number", args("http://3232235521/"), "3232235521:80"),
    ("a mapped IPv4 address", args("http://[::ffff:8.8.8.8]/"), "[::ffff:8.8.8.8]:80"),
    ("an IPv4 address with a port", env("DNS", "1.1.1.1:53"), "1.1.1.1:53"),
    ("an IPv6 URL", args("--to=http://[2001:db8::1]:8080/"), "[2001:db8::1]:8080"),
    ("an IPv6 address with a port", env("DNS", "[2606:4700::1111]:53"), "[2606:4700::1111]:53"),
    (
        "JSON in a ConfigMap",
        config_map(credentials=json.dumps({"storage": {"endpoint": "minio.example.com"}})),
        "minio.example.com",
    ),
    (
        "a key of JSON in a ConfigMap",
        config_map(auths=json.dumps({"auths": {"https://index.docker.io/v1/": {}}})),
        "index.docker.io:443",
    ),
    (
        "JSON with escapes",
        config_map(logger='{"url": "https:\\/\\/logs.example.com\\/v1"}'),
        "logs.example.com:443",
    ),
    ("base64 in a Secret", secret("registry: quay.io\n"), "quay.io"),
    ("an annotation", annotated("a.io/remote", "metrics.example.com"), "metrics.example.com"),
    (
        "a script of many lines",
        config_map(start_sh="#!/bin/sh\nset -e\napt-get update\nwget -q example.com/x.tar\n"),
        "example.com",
    ),
    (
        "a quoted host in a program",
        config_map(probe_py='import socket\nsocket.gethostbyname("probe.example.com")\n'),
        "probe.example.com",
    ),
    ("bash's own connection", args("bash", "-c", "exec 3<>/dev/tcp/db.corp/5432"), "db.corp"),
    ("a default of a variable", args("ping ${HOST:-ping.example.com}"), "ping.example.com"),
    ("a variable within a URL", args("https://$(BUCKET).s3.corp.lan/"), "*.s3.corp.lan:443"),
    ("an inner host as a query", args("http://evil.example?x@web.serving.svc"), "evil.example:80"),
    ("an inner host as a user", args("http://web.serving.svc@evil.example/"), "evil.example:80"),
    (
        "an inner host as a label",
        args("http://web.serving.svc.evil.example/"),
        "web.serving.svc.evil.example:80",
    ),
    ("a name of a cloud's customer", env("API", "nli-x3fd-uc.a.run.app"), "nli-x3fd-uc.a.run.app"),
    (
        "an external name",
        custom("v1", "Service", type="ExternalName", externalName="db.example.com"),
        "db.example.com",
    ),
    (
        "a default in a schema",
        schema(properties={"hub": {"type": "string", "default": "hub.example.com"}}),
        "hub.example.com",
    ),
    ("a URL with one slash", env("HUB", "https:/hub.example.com/x"), "hub.example.com:443"),
    ("a URL with one slash in capitals", env("HUB", "HTTP:/hub.corp.lan"), "hub.corp.lan:80"),
    (
        "a URL with a variable at its end",
        args("https://hub.example.com${NOTHING}/x"),
        "hub.example.com:443",
    ),
    ("a URL with a shell's variable", args("https://hub.example.com$x/y"), "hub.example.com:443"),
    ("an address with a variable", args("http://192.0.2.1${NOTHING}/x"), "192.0.2.1:80"),
    ("three slashes", env("HUB", "///hub.example.com/x"), "hub.example.com"),
    (
        "the second of a quoted list in a program",
        config_map(probe_py='HOSTS = "redis,b.example.com".split(",")\n'),
        "b.example.com",
    ),
    (
        "a quoted host with a line's end in a program",
        config_map(probe_py='connect("b.example.com\\n")\n'),
        "b.example.com",
    ),
    (
        "an external name without a public suffix",
        custom("v1", "Service", type="ExternalName", externalName="db.corp.internal"),
        "db.corp.internal",
    ),
    (
        "an address of an Endpoints",
        {
            **custom("v1", "Endpoints"),
            "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 443}]}],
        },
        "192.0.2.1",
    ),
    (
        "an address of an Endpoints that is not ready",
        {**custom("v1", "Endpoints"), "subsets": [{"notReadyAddresses": [{"ip": "192.0.2.1"}]}]},
        "192.0.2.1",
    ),
    (
        "an address of an EndpointSlice",
        {
            **custom("discovery.k8s.io/v1", "EndpointSlice"),
            "endpoints": [{"addresses": ["2001:db8::1"]}],
        },
        "[2001:db8::1]",
    ),
    (
        "an alias of a host",
        deployment(pod_spec(hostAliases=[{"ip": "192.0.2.1", "hostnames": ["redis"]}])),
        "192.0.2.1",
    ),
    (
        "a name server",
        deployment(pod_spec(dnsConfig={"nameservers": ["192.0.2.1"]})),
        "192.0.2.1",
    ),
    (
        "a file server",
        custom("v1", "PersistentVolume", nfs={"server": "192.0.2.1", "path": "/"}),
        "192.0.2.1",
    ),
    (
        "a file server by name",
        custom("v1", "PersistentVolume", nfs={"server": "files.corp", "path": "/"}),
        "files.corp",
    ),
    (
        "a portal of iSCSI",
        custom("v1", "PersistentVolume", iscsi={"targetPortal": "192.0.2.1:3260"}),
        "192.0.2.1:3260",
    ),
    (
        "a monitor of Ceph",
        custom("v1", "PersistentVolume", cephfs={"monitors": ["192.0.2.1"]}),
        "192.0.2.1",
    ),
    (
        "a URL where names stand",
        custom("networking.k8s.io/v1", "IngressClass", controller="https://example.com/ingress"),
        "example.com:443",
    ),
)  # fmt: skip

PROGRAM = """
import scipy.io, torch.nn as nn
from transformers import pipeline

def main(self) -> None:
    self.model.to(device)
    app.run(host=self.settings.name)
    logger.info("ready in %s", torch.distributed.run)
"""

KAFKA = """
broker.id=0
group.id = labels
listeners=PLAINTEXT://0.0.0.0:9092
advertised.listeners=PLAINTEXT://kafka.serving.svc:9092
key.deserializer=org.apache.kafka.common.serialization.StringDeserializer
spring.application.name=labels
"""

INSIDE: tuple[tuple[str, JsonObject], ...] = (
    ("an API version in an argument", args("--watch=networking.k8s.io/v1")),
    ("an API group in an argument", args("--groups=serving.kserve.io,batch")),
    (
        "API versions and groups",
        custom(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            scaleTargetRef={"apiVersion": "serving.kserve.io/v1beta1", "apiGroup": "example.com"},
        ),
    ),
    ("labels of a template", deployment(pod_spec(), labels={"team": "ml.example.com"})),
    ("a label selector in an argument", args("-l", "app.kubernetes.io/name=web,example in (a)")),
    ("a resource of a node", args("--resource=nvidia.com/gpu", "--mig=nvidia.com/mig-1g.10gb")),
    ("files", args("server.py", "run.sh", "config.json", "/opt/app/get.helm.sh", "./lib.so")),
    ("weights", args("--weights=models/nli.pt", "model.safetensors", "tokenizer.model")),
    ("a module after -m", args("python", "-m", "torch.distributed.run", "--nnodes=2")),
    ("a module after -m in a script", args("sh", "-c", "python -m torch.distributed.run x.py")),
    ("an application's object", args("uvicorn", "app.main:app", "web.app:app", "--port=8000")),
    ("quantities", env("LIMITS", "cpu=500m memory=1.5Gi")),
    ("versions", args("--version=1.27.3", "--cuda", "12.4.1", "v2.0.0-rc.1")),
    ("addresses to listen on", args("--bind", "0.0.0.0:8080", "[::]:8080", "http://0.0.0.0:80")),
    ("loopback", env("REDIS", "127.0.0.1:6379 localhost:8000 http://[::1]:80/ http://2130706433")),
    ("a Service of the namespace", env("REDIS_URL", "redis://:$(PASSWORD)@redis:6379/0")),
    ("a Service of another namespace", env("REDIS", "redis.serving.svc:6379")),
    ("a Service by its whole name", env("KAFKA", "kafka.serving.svc.cluster.local:9092")),
    ("a Service with a trailing dot", env("URL", "http://web.serving.svc.cluster.local.:80/x")),
    ("a class of Java", args("-Dlogger=org.apache.kafka.common.utils.AppInfoParser")),
    ("properties of Kafka", config_map(server_properties=KAFKA)),
    ("a program", config_map(server_py=PROGRAM)),
    ("a program as an argument", args("python", "-c", "import numpy.ma; print(numpy.ma.core)")),
    ("names of metrics", args("--metric=vllm:num_requests_running", "http.server.requests")),
    ("finalizers", {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c", "finalizers": ["kubernetes.io/pvc-protection", "a.example.com"]},
    }),
    ("a schedule", custom("batch/v1", "CronJob", schedule="30 12 * * 1-5", timeZone="Etc/UTC")),
    ("times", annotated("at", "2026-01-31T12:30:05.930-08:00, 12:30")),
    ("a place in a source", annotated("note", "panic at server.go:1048, config.yaml:12")),
    ("mount paths", deployment(pod_spec(volumeMounts=[{"mountPath": "/mnt/models.d/x.io"}]))),
    ("a service account", annotated("user", "system:serviceaccount:serving:web")),
    ("ranges of addresses", custom(
        "networking.k8s.io/v1", "NetworkPolicy",
        egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.96.0.0/16"]}}]}],
    )),
    ("fields for the downward API", deployment(pod_spec(
        volumes=[{"downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.name"}}]}}],
    ))),
    ("a path for kubectl", args("-o", "jsonpath={.items[0].metadata.name}")),
    ("storage", custom("storage.k8s.io/v1", "StorageClass", provisioner="ebs.csi.example.com")),
    (
        "a load balancer's class",
        custom("v1", "Service", spec={"loadBalancerClass": "lb.example.com/nlb"}),
    ),
    (
        "a service account of Google Cloud",
        annotated("iam.gke.io/gcp-service-account", "server@a-1.iam.gserviceaccount.com"),
    ),
    ("tolerations", deployment(pod_spec(tolerations=[{"key": "gpu.example.com", "value": "a"}]))),
    ("a claim and a socket", args("pvc://my.models/nli", "unix:///run/x.example.com/s.sock")),
    ("a variable for a host", args("http://$(REDIS_HOST):6379/", "https://${A}.${B}/")),
    ("what schemas say to people", schema(
        description="See https://kserve.github.io/website",
        properties={"name": {"description": "as in example.com", "type": "string"}},
        **{"x-kubernetes-validations": [{"rule": "self.metadata.name == self.host.com"}]},
    )),
    ("ways that stay inside", custom("v1", "Service", externalName="web.serving.svc")),
    ("an alias for loopback", deployment(pod_spec(hostAliases=[{"ip": "127.0.0.1"}]))),
    ("a Service with a variable at its end", args("http://web.serving.svc${DOMAIN}/")),
    ("a name with a variable at its end", args("http://web${SUFFIX}/", "https://a.${DOMAIN}/")),
    ("a path that begins twice", args("///var/lib/x", "//etc/hosts")),
    ("a file of settings", args("gunicorn", "-c", "gunicorn.conf.py")),
    ("a key", args("kafka.cluster.id", "spring.application.name")),
    ("an annotation as a value", args("prometheus.io/scrape")),
    ("a list of words in a program", config_map(server_py='F = "a,b".join(os.path.name)\n')),
    ("a scheme's path", args("path:/data/x", "http:/metrics")),
    ("placeholders", args("oci://registry.airbundle.invalid/models/zero-shot")),
    ("nothing but base64", secret("\x00\x01\x02")),
)  # fmt: skip
