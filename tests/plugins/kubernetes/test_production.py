"""The platform for a cluster, all objects of it, on a real API server: admitted, ready, kept.

The kinds of the operators are declared with no more than their names, and `operators` says of
each object that it is ready. What talks to the products' own APIs is left out: no product runs.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from components.runtime.catalog import LAYERS
from components.runtime.kubernetes import ClusterSettings, KubernetesRuntime
from components.sizing import PROFILES
from plugins.kubernetes.plugin import PLUGIN
from plugins.kubernetes.provider import TOKEN
from plugins.kubernetes.readiness import WAIT_FOR, annotation
from tests.components.runtime.test_kubernetes_runtime import plain
from tests.plugins.engine import Stack
from tests.plugins.kubernetes_cases import definition
from tests.support.declaring import declared, pinned_images

pytestmark = [pytest.mark.engine, pytest.mark.service]
PROGRAM = Path(__file__).parent / "production"
STACK = "proof"
OPERATOR_POLL_S = 0.5
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLUSTER = ClusterSettings(
    stack=STACK,
    domain="dataflow.test",
    gateway_class="envoy",
    issuer="letsencrypt",
    api_server="10.0.0.1/32",
    urls={},
)
IMAGE = "spec.template.spec.containers[0].image"


def _runtime() -> KubernetesRuntime:
    return KubernetesRuntime(
        "runtime",
        settings=CLUSTER,
        images=pinned_images(),
        sizes=PROFILES["small"],
        keep_data=False,
    )


@pytest.fixture(scope="module")
def objects() -> list[dict]:
    """All that the platform declares in the cluster."""
    return [
        {
            "name": name,
            "token": token,
            "inputs": plain(inputs),
            "custom": "." in token and not _is_built_in(token),
        }
        for name, (token, inputs) in declared(_runtime).items()
        if token.startswith("kubernetes:")
    ]


def _is_built_in(token: str) -> bool:
    group = token.split(":")[1].partition("/")[0]
    return group.endswith(".k8s.io") and group != "gateway.networking.k8s.io"


@contextmanager
def _operators(cluster, objects) -> Iterator[None]:
    """Their kinds, and their words that each object is as it was asked to be."""
    kinds = {TOKEN.fullmatch(one["token"]).groups()[1:] for one in objects if one["custom"]}
    made = [
        definition(*version.split("/")[:1], kind, version.split("/")[1]) for version, kind in kinds
    ]
    for one in made:
        assert cluster.send("POST", DEFINITIONS, one)
    ended = threading.Event()
    working = threading.Thread(target=_operate, args=(cluster, kinds, ended))
    working.start()
    try:
        yield
    finally:
        ended.set()
        working.join()
        for one in made:
            cluster.send("DELETE", f"{DEFINITIONS}/{one['metadata']['name']}")


def _operate(cluster, kinds, ended: threading.Event) -> None:
    while not ended.wait(OPERATOR_POLL_S):
        for version, kind in kinds:
            # For a moment after a definition the API asks to try again.
            with suppress(AssertionError, httpx.HTTPError):
                _make_ready(cluster, version, f"{kind.lower()}s")


def _make_ready(cluster, version: str, plural: str) -> None:
    listed = cluster.send("GET", f"/apis/{version}/{plural}") or {"items": []}
    for one in listed["items"]:
        wanted = annotation(one, WAIT_FOR).partition("=")[2]
        if wanted and "status" not in one:
            metadata = one["metadata"]
            path = f"/apis/{version}/namespaces/{metadata['namespace']}/{plural}"
            state = {"conditions": [{"type": wanted, "status": "True"}]}
            cluster.send("PATCH", f"{path}/{metadata['name']}/status", {"status": state})


def test_the_platform_on_a_cluster(tmp_path, kubernetes_cluster, objects):
    cluster, stack = kubernetes_cluster, Stack(tmp_path, PROGRAM)
    written = stack.folder / "objects.json"
    written.write_text(json.dumps(objects))
    stack.run("stack", "init", "test")
    values = {"kubeconfig": str(cluster.kubeconfig), "version": PLUGIN.version}
    stack.configure({f"production-test:{key}": value for key, value in values.items()})
    with _operators(cluster, objects):
        stack.run("up", "--yes", "--skip-preview")
        try:
            _all_admitted_and_ready(cluster, objects)
            stack.run("preview", "--expect-no-changes")
            stack.run("refresh", "--yes", "--expect-no-changes")
            _rolling_update(stack, cluster, objects, written)
            _drift(stack, cluster)
            _a_privileged_pod_is_refused(cluster)
        finally:
            stack.run("destroy", "--yes", "--skip-preview")
    for layer in LAYERS:
        assert cluster.send("GET", f"/api/v1/namespaces/{_namespace(layer)}") is None


def _namespace(layer: str) -> str:
    return f"dataflow-{STACK}-{layer}"


def _listed(cluster, prefix: str, plural: str) -> list[dict]:
    found = (cluster.send("GET", f"{prefix}/{plural}"))["items"]
    return [one for one in found if one["metadata"]["namespace"].startswith(f"dataflow-{STACK}-")]


def _all_admitted_and_ready(cluster, objects) -> None:
    workloads = {
        one["inputs"]["metadata"]["name"]
        for one in objects
        if one["token"].rpartition(":")[2] in ("Deployment", "Job", "StatefulSet")
    }
    pods = _listed(cluster, "/api/v1", "pods")
    assert {pod["status"]["phase"] for pod in pods} <= {"Running", "Succeeded"}
    assert {pod["metadata"]["labels"]["dataflow/service"] for pod in pods} == workloads
    warnings = [e for e in _listed(cluster, "/api/v1", "events") if e["type"] == "Warning"]
    refused = [event["message"] for event in warnings if "forbidden" in event["message"]]
    assert refused == [], "neither Pod Security nor a quota is in the way"
    for kind in ("deployments", "statefulsets"):
        for one in _listed(cluster, "/apis/apps/v1", kind):
            assert one["status"]["readyReplicas"] == one["spec"]["replicas"], kind


def _rolling_update(stack, cluster, objects, written: Path) -> None:
    before = next(one for one in objects if one["name"] == "superset-pods")
    changed = json.loads(json.dumps(before))
    (container,) = changed["inputs"]["spec"]["template"]["spec"]["containers"]
    container["image"] = f"{container['image'].partition('@')[0]}@sha256:{'1' * 64}"
    written.write_text(json.dumps([changed if one is before else one for one in objects]))
    assert stack.changes() == {"Deployment superset-pods update": {IMAGE: "update"}}
    stack.run("up", "--yes", "--skip-preview")
    path = f"/apis/apps/v1/namespaces/{_namespace('presentation')}/deployments/superset"
    status = cluster.send("GET", path)["status"]
    assert status["updatedReplicas"] == status["availableReplicas"] == status["replicas"]


def _drift(stack, cluster) -> None:
    storage = _namespace("storage")
    cluster.send(
        "PATCH",
        f"/apis/apps/v1/namespaces/{storage}/statefulsets/minio",
        {"spec": {"replicas": 3}},
    )
    policies = f"/apis/networking.k8s.io/v1/namespaces/{storage}/networkpolicies"
    cluster.send("DELETE", f"{policies}/deny-all")
    stack.run("refresh", "--yes")
    assert stack.changes() == {
        "StatefulSet minio-pods update": {"spec.replicas": "update"},
        "NetworkPolicy runtime-storage-deny-all create": {},
    }
    stack.run("up", "--yes", "--skip-preview")
    assert cluster.send("GET", f"{policies}/deny-all")
    stack.run("preview", "--expect-no-changes")


def _a_privileged_pod_is_refused(cluster) -> None:
    container = {"name": "x", "image": "x:1", "securityContext": {"privileged": True}}
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [container]}}
    for layer in LAYERS:
        answer = cluster.http.post(f"/api/v1/namespaces/{_namespace(layer)}/pods", json=pod)
        assert answer.status_code == 403 and "violates PodSecurity" in answer.json()["message"]
