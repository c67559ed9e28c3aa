"""Weights that come as claims or out of buckets: what is made of the rendered objects."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from bundler.core.digest import Digest
from bundler.core.documents.policy import Policy
from bundler.core.documents.weights import Claim, Egress, ObjectStore, Weights
from bundler.core.errors import PolicyError, UsageError
from bundler.core.modelplace import ModelPlace
from bundler.core.objects.images import references, rewrite
from bundler.core.objects.loaderpods import LABEL, Access, Fetched, fetched, wanted_secrets
from bundler.core.objects.manifests import loads
from bundler.core.objects.weights import Loading, arrange, content_digest
from bundler.core.rules import RuleContext, pod_security
from bundler.core.rules.walk import pods
from tests.making import locked

Object = dict[str, Any]
IMAGE, MODEL = "airbundle.local/loader:1", "airbundle.invalid/models/mini"
FILES = locked({"config.json": b"{}", "model.safetensors": b"x" * 3_000_000})
FOLDER = content_digest(FILES).hex
LOADING = Loading(
    IMAGE, Digest.of(b"loader"), {"mini": FILES, "big": FILES}, ("linux/amd64",), Access()
)
ON_CLAIM = Weights(pvc=Claim(storage_class="fast"))
STORE = ObjectStore(endpoint="https://s3.site", bucket="models", secret_name="keys", region="r-1")
IN_BUCKET = Weights(s3=STORE)


def server(name: str = "server", namespace: str = "search", **spec: Any) -> Object:
    mounts = [{"name": "weights", "mountPath": "/mnt"}, {"name": "tmp", "mountPath": "/tmp"}]
    pod = {
        "containers": [{"name": "server", "image": "a.b/c:1", "volumeMounts": mounts}],
        "volumes": [
            {"name": "weights", "image": {"reference": MODEL, "pullPolicy": "IfNotPresent"}},
            {"name": "tmp", "emptyDir": {}},
        ],
        **spec,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"metadata": {"labels": {"app": name}}, "spec": pod}},
    }


def made(*objects: Object, wanted: Weights = ON_CLAIM, loading: Loading = LOADING) -> list[Object]:
    before = copy.deepcopy(objects)
    found = arrange("site", objects, wanted, loading)
    assert objects == before, "what was rendered is left as it is"
    return list(found)


def of(kind: str, objects: list[Object]) -> Object:
    (found,) = (obj for obj in objects if obj["kind"] == kind)
    return found


def pod_of(obj: Object) -> Object:
    spec: Object = obj["spec"]["template"]["spec"]
    return spec


def test_a_pod_mounts_the_folder_of_a_claim_that_a_job_fills() -> None:
    objects = made(server())
    claim, job = of("PersistentVolumeClaim", objects), of("Job", objects)
    assert [obj["kind"] for obj in objects] == ["PersistentVolumeClaim", "Job", "Deployment"]
    name = claim["metadata"]["name"]
    assert name.startswith("weights-mini-")
    assert {obj["metadata"]["namespace"] for obj in objects} == {"search"}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "68Mi"}},
        "storageClassName": "fast",
    }
    pod = pod_of(of("Deployment", objects))
    assert pod["volumes"][0] == {"name": "weights", "persistentVolumeClaim": {"claimName": name}}
    mounts = pod["containers"][0]["volumeMounts"]
    assert mounts[0] == {
        "name": "weights", "mountPath": "/mnt", "subPath": FOLDER, "readOnly": True,
    }  # fmt: skip
    assert mounts[1] == {"name": "tmp", "mountPath": "/tmp"}
    assert loads(claim)
    assert loads(job)
    container = pod_of(job)["containers"][0]
    assert container["args"] == [MODEL, "--into", f"/weights/{FOLDER}"]
    assert container["image"] == IMAGE
    assert pod_of(job)["volumes"][0]["persistentVolumeClaim"]["claimName"] == name


def test_a_pod_fetches_from_a_bucket_before_it_starts() -> None:
    objects = made(server(), wanted=IN_BUCKET)
    (deployment,) = objects
    pod = pod_of(deployment)
    first = pod["initContainers"][0]
    where = f"s3://models/airbundle/models/mini/{FOLDER}"
    assert first["args"] == [where, "--into", f"/weights/{FOLDER}"]
    assert pod["volumes"][0] == {"name": "weights", "emptyDir": {"sizeLimit": "68Mi"}}
    assert {"name": "airbundle-bucket", "secret": {"secretName": "keys"}} in pod["volumes"]
    assert pod["containers"][0]["volumeMounts"][0]["subPath"] == FOLDER
    assert deployment["spec"]["template"]["metadata"]["labels"] == {"app": "server", LABEL: "true"}
    place = ModelPlace("models", "airbundle", "mini", Digest(FOLDER))
    assert fetched(objects) == (Fetched("https://s3.site", "r-1", place),)
    assert fetched(made(server())) == ()


def test_the_login_of_a_bucket_is_a_secret_of_the_site() -> None:
    objects = made(server(), wanted=IN_BUCKET)
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    (found,) = wanted_secrets((), objects)
    namespace = objects[0]["metadata"]["namespace"]
    assert (found.namespace, found.name, found.keys) == (namespace, "keys", keys)
    own = replace(found, description="our own words")
    other = replace(found, name="other")
    assert wanted_secrets((other, own), objects) == (other, own)
    assert wanted_secrets((other,), made(server())) == (other,)


def test_the_pods_own_init_containers_come_second() -> None:
    own = {"name": "own", "volumeMounts": [{"name": "weights", "mountPath": "/w"}]}
    pod = pod_of(made(server(initContainers=[own]), wanted=IN_BUCKET)[0])
    assert [each["name"] for each in pod["initContainers"]] == ["load-weights", "own"]
    assert pod["initContainers"][1]["volumeMounts"][0]["subPath"] == FOLDER


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ({"subPath": "models"}, {"subPath": f"{FOLDER}/models", "readOnly": True}),
        ({"subPathExpr": "$(A)"}, {"subPathExpr": f"{FOLDER}/$(A)", "readOnly": True}),
        ({"readOnly": False}, {"subPath": FOLDER, "readOnly": True}),
    ],
)
def test_a_mount_keeps_its_place_within_the_model(mount: Object, expected: Object) -> None:
    obj = server()
    pod_of(obj)["containers"][0]["volumeMounts"][0] |= mount
    found = pod_of(made(obj)[-1])["containers"][0]["volumeMounts"][0]
    assert found == {"name": "weights", "mountPath": "/mnt", **expected}


def test_two_pods_of_a_namespace_share_a_claim_and_its_job_and_others_do_not() -> None:
    objects = made(server(), server("second", nodeSelector={"gpu": "yes"}), server("x", "other"))
    kinds = [(obj["kind"], obj["metadata"]["namespace"]) for obj in objects]
    assert kinds.count(("Job", "search")) == kinds.count(("PersistentVolumeClaim", "search")) == 1
    assert kinds.count(("Job", "other")) == kinds.count(("PersistentVolumeClaim", "other")) == 1


def changed_names(first: list[Object], second: list[Object]) -> set[str]:
    before, after = (
        {obj["metadata"]["name"]: obj["kind"] for obj in each} for each in (first, second)
    )
    return {kind for name, kind in before.items() if name not in after}


OTHER_FILES = {"mini": locked({"config.json": b"{ }"})}


@pytest.mark.parametrize(
    ("wanted", "loading", "renamed"),
    [
        (ON_CLAIM, LOADING, set()),
        (ON_CLAIM, Loading(IMAGE, LOADING.pinned, OTHER_FILES, LOADING.platforms, Access()),
         {"Job", "PersistentVolumeClaim"}),
        (Weights(pvc=Claim(storage_class="slow")), LOADING, {"Job", "PersistentVolumeClaim"}),
        (ON_CLAIM, Loading(IMAGE, Digest.of(b"newer"), LOADING.models, ("linux/amd64",), Access()),
         {"Job"}),
        (ON_CLAIM, Loading(IMAGE, LOADING.pinned, LOADING.models, ("linux/arm64",), Access()),
         {"Job"}),
        (ON_CLAIM, Loading(IMAGE, LOADING.pinned, LOADING.models, LOADING.platforms, Access("ca")),
         {"Job"}),
    ],
    ids=["the same", "files", "storage", "loader", "platforms", "site"],
)  # fmt: skip
def test_what_can_not_change_in_a_cluster_has_another_name(
    wanted: Weights, loading: Loading, renamed: set[str]
) -> None:
    assert changed_names(made(server()), made(server(), wanted=wanted, loading=loading)) == renamed


def test_long_names_stay_names() -> None:
    name = "m" * 63
    loading = Loading(IMAGE, LOADING.pinned, {name: FILES}, (), Access())
    obj = server()
    pod_of(obj)["volumes"][0]["image"]["reference"] = f"airbundle.invalid/models/{name}"
    for found in made(obj, wanted=Weights(pvc=Claim(claim="c" * 20)), loading=loading):
        assert len(found["metadata"]["name"]) <= 63


@pytest.mark.parametrize("wanted", [ON_CLAIM, IN_BUCKET])
def test_what_is_made_is_as_restricted_as_pod_security_has_it(wanted: Weights) -> None:
    obj = server(
        securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    )
    pod_of(obj)["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    access = Access(ca="site-ca", login="site-login")
    loading = Loading(IMAGE, LOADING.pinned, LOADING.models, (), access)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    home = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "search", "labels": labels},
    }
    objects = made(home, obj, wanted=wanted, loading=loading)
    assert security_findings(objects) == []
    for each in objects:
        for pod in pods(each):
            for container in (*pod.spec["containers"], *pod.spec.get("initContainers", [])):
                if container["image"] == IMAGE:
                    assert container["securityContext"]["readOnlyRootFilesystem"] is True
                    assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_a_job_is_scheduled_where_its_reader_can_run() -> None:
    affinity = {"nodeAffinity": {"a": 1}, "podAntiAffinity": {"b": 2}}
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    obj = server(
        nodeSelector={"gpu": "yes"}, tolerations=tolerations, affinity=affinity,
        serviceAccountName="server", imagePullSecrets=[{"name": "own"}],
    )  # fmt: skip
    loading = Loading(IMAGE, LOADING.pinned, LOADING.models, (), Access(login="site-login"))
    pod = pod_of(of("Job", made(obj, loading=loading)))
    assert pod["nodeSelector"] == {"gpu": "yes"}
    assert pod["tolerations"] == tolerations
    assert pod["affinity"] == {"nodeAffinity": {"a": 1}}
    assert pod["serviceAccountName"] == "server"
    assert pod["automountServiceAccountToken"] is False
    assert pod["imagePullSecrets"] == [{"name": "own"}, {"name": "site-login"}]


def test_what_a_site_gives_is_mounted_and_may_be_absent() -> None:
    loading = Loading(IMAGE, LOADING.pinned, LOADING.models, (), Access("site-ca", "site-login"))
    pod = pod_of(of("Job", made(server(), loading=loading)))
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes["airbundle-ca"]["configMap"] == {"name": "site-ca", "optional": True}
    assert volumes["airbundle-login"]["secret"]["optional"] is True
    environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert environment["SSL_CERT_FILE"] == "/etc/airbundle/ca/ca.crt"
    assert environment["DOCKER_CONFIG"] == "/etc/airbundle/login"


@pytest.mark.parametrize("wanted", [Weights(pvc=Claim()), IN_BUCKET])
def test_a_network_policy_lets_loaders_out_where_the_spec_says_where_to(wanted: Weights) -> None:
    out = Weights(pvc=wanted.pvc, s3=wanted.s3, egress=(Egress("10.0.0.0/8", 5000),))
    policy = of("NetworkPolicy", made(server(), server("second"), wanted=out))
    assert policy["metadata"]["namespace"] == "search"
    assert policy["spec"]["podSelector"] == {"matchLabels": {LABEL: "true"}}
    assert policy["spec"]["egress"][0] == {
        "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "ports": [{"protocol": "TCP", "port": 5000}],
    }
    assert policy["spec"]["egress"][1]["ports"][0] == {"protocol": "UDP", "port": 53}
    assert not [obj for obj in made(server(), wanted=wanted) if obj["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize(
    ("limits", "expected"), [({}, None), ({"ephemeral-storage": "1Gi"}, "1604Mi")]
)
def test_a_bucket_s_pod_may_write_what_it_fetches(limits: Object, expected: str | None) -> None:
    obj = server()
    pod_of(obj)["containers"][0]["resources"] = {"limits": limits}
    resources = pod_of(made(obj, wanted=IN_BUCKET)[0])["initContainers"][0]["resources"]
    assert resources["limits"].get("ephemeral-storage") == expected
    assert resources["requests"]["ephemeral-storage"] == "580Mi"


def test_a_custom_resource_gets_no_labels_where_it_has_no_place_for_them() -> None:
    inference = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "x", "namespace": "search"},
        "spec": {"predictor": pod_of(server())},
    }
    (found,) = made(inference, wanted=IN_BUCKET)
    assert found["spec"].keys() == {"predictor"}
    assert found["spec"]["predictor"]["initContainers"][0]["name"] == "load-weights"


def test_references_are_those_of_the_model_and_of_the_loader() -> None:
    objects = tuple(made(server()))
    assert references(objects, ()) == ("a.b/c:1", MODEL, IMAGE)
    names = {"a.b/c:1": "r/c", IMAGE: "r/l", MODEL: "registry.airbundle.invalid/models/mini@x"}
    rewritten, places = rewrite("site", objects, names)
    arguments = pod_of(of("Job", list(rewritten)))["containers"][0]["args"]
    assert arguments[0] == names[MODEL]
    assert "/spec/template/spec/containers/0/args/0" in {place.pointer for place in places}


def test_a_model_that_the_bundle_lacks_is_left_to_whoever_resolves_images() -> None:
    obj = server()
    pod_of(obj)["volumes"][0]["image"]["reference"] = "airbundle.invalid/models/mni"
    assert made(obj) == [obj]


def test_a_target_without_image_volumes_of_models_is_refused() -> None:
    obj = server()
    pod_of(obj)["volumes"][0]["image"]["reference"] = "a.b/data:1"
    with pytest.raises(PolicyError, match=r"target site: spec\.weights") as caught:
        made(obj)
    assert "base/deployment.yaml" in str(caught.value.hint)


@pytest.mark.parametrize("size", ["1Mi", "2Mi", "3000000"])
def test_a_volume_has_room_for_its_model(size: str) -> None:
    wanted = Weights(pvc=Claim(size=size))
    with pytest.raises(PolicyError, match=f"has 3,000,002 bytes.*{size}"):
        made(server(), wanted=wanted)
    assert of("PersistentVolumeClaim", made(server(), wanted=Weights(pvc=Claim(size="3Mi"))))


@pytest.mark.parametrize(
    "text", ["s3://models", "s3://models/a/models/m/abc", f"s3://m_x/a/models/m/{FOLDER}", "a"]
)
def test_a_place_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="expected s3://BUCKET"):
        ModelPlace.parse(text)


def test_a_place_is_what_it_says() -> None:
    place = ModelPlace("models", "team/a", "mini", Digest(FOLDER))
    assert ModelPlace.parse(str(place)) == place
    assert place.listing == f"team/a/models/mini/{FOLDER}/files.json"
    assert place.key("a/b") == f"team/a/models/mini/{FOLDER}/files/a/b"


def security_findings(objects: list[Object]) -> list[object]:
    context = RuleContext(Policy(), frozenset(), "site")
    return [found for obj in objects for found in pod_security.check(obj, context)]
