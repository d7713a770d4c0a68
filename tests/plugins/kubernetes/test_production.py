"""The platform for a cluster, all objects of it, on a real API server: admitted, ready, kept.

The kinds of the operators are declared with no more than their names, and `operators` says of
each object that it is ready. What talks to the products' own APIs is left out: no product runs.
"""

import base64
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from components.runtime.catalog import LAYERS
from components.runtime.kubernetes import ClusterSettings, KubernetesRuntime
from components.sizing import PROFILES
from plugins.kubernetes.plugin import PLUGIN
from plugins.kubernetes.provider import TOKEN
from plugins.kubernetes.readiness import WAIT_FOR, annotation
from tests.components.runtime.test_kubernetes_runtime import plain
from tests.plugins.engine import Stack
from tests.plugins.kubernetes_cases import definition
from tests.support.declaring import Recorder, declared, pinned_images, production
from tls.authority import Authority, hosts, load

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
    ca_file=Path(tempfile.gettempdir()) / "dataflow-tests" / "ca.crt",
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
    """All that the platform declares in the cluster, each after what it waits for."""
    recorder = Recorder()
    program = declared(_runtime, chosen=production(domain=CLUSTER.domain), recorder=recorder)
    names = {name for name, (token, _) in program.items() if token.startswith("kubernetes:")}
    return [
        {
            "name": name,
            "token": token,
            "inputs": plain(inputs),
            "custom": "." in token and not _is_built_in(token),
            "after": sorted(_before(name, recorder.waits_for) & names),
        }
        for name, (token, inputs) in program.items()
        if name in names
    ]


def _before(name: str, waits_for: dict[str, set[str]]) -> set[str]:
    """Directly, or by way of what is not in the cluster, such as a database."""
    found: set[str] = set()
    todo = set(waits_for.get(name, ()))
    while todo - found:
        one = (todo - found).pop()
        found.add(one)
        todo |= waits_for.get(one, set())
    return found


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
            if one["kind"] == "Certificate":
                _issue(cluster, metadata["namespace"], one["spec"])
            path = f"/apis/{version}/namespaces/{metadata['namespace']}/{plural}"
            state = {"conditions": [{"type": wanted, "status": "True"}]}
            cluster.send("PATCH", f"{path}/{metadata['name']}/status", {"status": state})


def _issue(cluster, namespace: str, spec: dict) -> None:
    """As cert-manager does, of an issuer that signs with a Secret. A public one is left out."""
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    issued_before = cluster.send("GET", f"{secrets}/{spec['secretName']}")
    if spec["issuerRef"]["kind"] != "Issuer" or issued_before:
        return
    issuers = f"/apis/cert-manager.io/v1/namespaces/{namespace}/issuers"
    issuer = cluster.send("GET", f"{issuers}/{spec['issuerRef']['name']}")
    signer = _read(cluster.send("GET", f"{secrets}/{issuer['spec']['ca']['secretName']}"))
    authority = Authority(
        _key=load_pem_private_key(signer["tls.key"], None),
        _certificate=load(signer["tls.crt"].decode()),
    )
    names = [*spec["dnsNames"], *spec["ipAddresses"]]
    issued = authority.issue("service", names, now=datetime.now(UTC), days=90)
    files = {
        "tls.crt": issued.certificate,
        "tls.key": issued.key,
        "ca.crt": authority.certificate,
    }
    if store := spec.get("keystores", {}).get("pkcs12"):
        wanted = store["passwordSecretRef"]
        password = _read(cluster.send("GET", f"{secrets}/{wanted['name']}"))[wanted["key"]]
        files["keystore.p12"] = f"opened by {len(password)} characters"
    metadata = {"name": spec["secretName"], **spec.get("secretTemplate", {})}
    body = {"metadata": metadata, "type": "kubernetes.io/tls", "stringData": files}
    cluster.send("POST", secrets, body)


def _read(secret: dict) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


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
            _a_job_fills_its_secret(cluster)
            _pods_have_their_files(cluster)
            _services_are_certified(cluster)
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


def _a_job_fills_its_secret(cluster) -> None:
    """As Airbyte's bootloader does, which no kubelet runs here."""
    path = f"/api/v1/namespaces/{_namespace('ingestion')}/secrets/airbyte-auth-secrets"
    secret = cluster.send("GET", path)
    value = base64.b64encode(b"filled by the job").decode()
    filled = {"dataplane-client-id": value, "dataplane-client-secret": value}
    cluster.send("PUT", path, {**secret, "data": filled})


def _pods_have_their_files(cluster) -> None:
    """A kubelet would wait for each of them before it starts a container."""
    held = {
        (kind, one["metadata"]["namespace"], one["metadata"]["name"]): {
            *one.get("data", {}),
            *one.get("binaryData", {}),
        }
        for kind in ("secret", "configMap")
        for one in _listed(cluster, "/api/v1", f"{kind.lower()}s")
    }
    for pod in _listed(cluster, "/api/v1", "pods"):
        namespace = pod["metadata"]["namespace"]
        for volume in pod["spec"]["volumes"]:
            for source in volume.get("projected", {"sources": [volume]})["sources"] or []:
                for kind in {"secret", "configMap"} & set(source):
                    wanted = {item["key"] for item in source[kind].get("items", [])}
                    assert wanted <= held[kind, namespace, source[kind]["name"]], volume


def _services_are_certified(cluster) -> None:
    """By the authority that clients in the same namespace trust, for the name they ask for."""
    certificates = _listed(cluster, "/apis/cert-manager.io/v1", "certificates")
    inside = [one for one in certificates if one["spec"]["issuerRef"]["kind"] == "Issuer"]
    assert len(inside) == 9
    for one in inside:
        prefix = f"/api/v1/namespaces/{one['metadata']['namespace']}"
        trusted = cluster.send("GET", f"{prefix}/configmaps/authority")["data"]["ca.crt"]
        served = _read(cluster.send("GET", f"{prefix}/secrets/{one['spec']['secretName']}"))
        leaf = load(served["tls.crt"].decode())
        leaf.verify_directly_issued_by(load(trusted))
        assert set(hosts(leaf)) >= set(one["spec"]["dnsNames"])


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
