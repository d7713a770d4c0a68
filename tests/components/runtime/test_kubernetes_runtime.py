"""The whole platform on a cluster, by the mocks: what is admitted, and who meets whom."""

import json
import tempfile
from pathlib import Path

import pulumi
import pytest

from components.runtime.catalog import LAYERS
from components.runtime.kubernetes import ClusterSettings, KubernetesRuntime
from components.security.credentials import Credentials
from components.security.tls import CertificateAuthority, CertificateAuthorityArgs
from components.sizing import PROFILES
from dynamic_providers.credentials import derive
from tests.support.declaring import SEED, Recorder, declared, pinned_images
from tests.support.pod_security import violations

CLUSTER = ClusterSettings(
    stack="test",
    domain="dataflow.test",
    gateway_class="envoy",
    issuer="letsencrypt",
    api_server="10.96.0.1/32",
    storage_class="encrypted-retain",
    urls={"dremio": "https://127.0.0.1:19047"},
    ca_file=Path(tempfile.gettempdir()) / "dataflow-tests" / "ca.crt",
)
WORKLOADS = ("Deployment", "StatefulSet", "Job")


def runtime(cluster: ClusterSettings = CLUSTER) -> KubernetesRuntime:
    return KubernetesRuntime(
        "runtime",
        settings=cluster,
        images=pinned_images(),
        sizes=PROFILES["small"],
        keep_data=True,
    )


@pytest.fixture(scope="module", params=[True, False], ids=["preview", "up"])
def resources(request):
    return declared(runtime, preview=request.param)


def of_kind(resources, *kinds: str) -> dict[str, dict]:
    """dict resource name -> its inputs, of kinds such as Deployment."""
    return {
        name: inputs
        for name, (token, inputs) in resources.items()
        if token.startswith("kubernetes:") and token.rpartition(":")[2] in kinds
    }


def pods(resources) -> dict[str, dict]:
    return {
        name: inputs["spec"]["template"] for name, inputs in of_kind(resources, *WORKLOADS).items()
    }


def plain(value):
    if pulumi.runtime.rpc.is_rpc_secret(value):
        return plain(value["value"])
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_every_pod_is_admitted_by_restricted_namespaces(resources):
    namespaces = of_kind(resources, "Namespace")
    assert len(namespaces) == len(LAYERS) + 1
    for namespace in namespaces.values():
        assert (
            namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        )
    found = {name: list(violations(pod["spec"])) for name, pod in pods(resources).items()}
    assert len(found) >= 8
    assert found == dict.fromkeys(found, [])
    search = resources["elasticsearch-cluster"][1]["spec"]["nodeSets"][0]["podTemplate"]["spec"]
    assert list(violations(search)) == []


def test_pods_have_accounts_without_tokens_and_pinned_images(resources):
    accounts = of_kind(resources, "ServiceAccount")
    assert all(a["automountServiceAccountToken"] is False for a in accounts.values())
    for name, pod in pods(resources).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert f"{spec['serviceAccountName']}-account" in accounts, name
        assert spec["enableServiceLinks"] is False, name
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert "@sha256:" in container["image"], name


def test_probes_are_three_and_distinct(resources):
    for name, inputs in of_kind(resources, "Deployment", "StatefulSet").items():
        (container,) = inputs["spec"]["template"]["spec"]["containers"]
        start, ready, alive = (
            container[probe] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        )
        assert start["failureThreshold"] > ready["failureThreshold"], name
        assert alive["failureThreshold"] > ready["failureThreshold"], name
        assert ready != alive, name


def test_replicas_survive_a_node(resources):
    disruptions = of_kind(resources, "PodDisruptionBudget")
    for name, inputs in of_kind(resources, "Deployment", "StatefulSet").items():
        service = name.removesuffix("-pods")
        replicas = PROFILES["small"].get(service)
        if replicas and replicas.replicas > 1:
            assert f"{service}-disruptions" in disruptions, name
            spread = inputs["spec"]["template"]["spec"]["topologySpreadConstraints"]
            assert {rule["topologyKey"] for rule in spread} == {
                "kubernetes.io/hostname",
                "topology.kubernetes.io/zone",
            }, name
    web = resources["superset-pods"][1]["spec"]
    assert web["replicas"] == 2
    assert resources["superset-autoscaler"][1]["spec"]["minReplicas"] == 2


def test_each_namespace_is_closed_and_has_a_quota(resources):
    for layer in LAYERS:
        deny = resources[f"runtime-{layer}-deny-all"][1]
        assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        assert resources[f"runtime-{layer}-quota"][1]["spec"]["hard"]["services.nodeports"] == "0"


def edges(resources) -> set[tuple[str, str]]:
    """(from, to) of every connection that policies let through at both ends."""
    into, out = set(), set()
    for name, inputs in of_kind(resources, "NetworkPolicy").items():
        here = inputs["spec"]["podSelector"].get("matchLabels", {}).get("dataflow/service")
        for rule in inputs["spec"].get("ingress", []):
            into |= {(there, here) for there in _services(rule["from"])}
        for rule in inputs["spec"].get("egress", []):
            out |= {(here, there) for there in _services(rule.get("to", []))}
        assert name
    assert into == out
    return into


def _services(peers) -> list[str]:
    labels = [peer.get("podSelector", {}).get("matchLabels", {}) for peer in peers]
    return [found["dataflow/service"] for found in labels if "dataflow/service" in found]


def test_only_the_edges_of_the_flow_are_open(resources):
    assert edges(resources) == {
        ("airbyte", "elasticsearch"),
        ("airbyte", "minio"),
        ("airbyte", "postgres"),
        ("dbt-build", "airbyte"),
        ("dbt-build", "dremio"),
        ("dbt-build", "postgres"),
        ("dbt-build", "superset"),
        ("dremio", "dremio-executor"),
        ("dremio", "minio"),
        ("dremio", "zookeeper"),
        ("dremio-executor", "dremio"),
        ("dremio-executor", "dremio-executor"),
        ("dremio-executor", "minio"),
        ("dremio-executor", "zookeeper"),
        ("elasticsearch", "elasticsearch"),
        ("minio", "minio"),
        ("pipeline", "airbyte"),
        ("pipeline", "dremio"),
        ("pipeline", "elasticsearch"),  # whose certificate it watches, as of the next two
        ("pipeline", "minio"),
        ("pipeline", "prometheus"),
        ("pipeline", "postgres"),
        ("pipeline", "superset"),
        ("postgres", "minio"),
        ("postgres", "postgres"),
        ("prometheus", "minio"),
        ("prometheus", "pipeline"),
        ("prometheus", "prometheus"),
        ("prometheus", "superset"),
        ("shop-seed", "postgres"),
        ("superset", "dremio"),
        ("superset", "postgres"),
        ("superset", "superset-cache"),
        ("superset-beat", "dremio"),
        ("superset-beat", "postgres"),
        ("superset-beat", "superset-cache"),
        ("superset-worker", "dremio"),
        ("superset-worker", "postgres"),
        ("superset-worker", "superset-cache"),
    }


def test_ways_out_are_named(resources):
    ways = {
        (name, peer["ipBlock"]["cidr"])
        for name, inputs in of_kind(resources, "NetworkPolicy").items()
        for rule in inputs["spec"].get("egress", [])
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    }
    assert ways == {
        ("airbyte-to-others-policy", "0.0.0.0/0"),
        ("postgres-to-others-policy", "10.96.0.1/32"),
        ("prometheus-to-others-policy", "10.96.0.1/32"),
    }


def test_secrets_are_in_secrets_alone(resources):
    passwords = [derive(SEED, name) for name in ("minio-root", "postgres-airbyte", "minio-dremio")]
    seen = set()
    for name, (token, inputs) in resources.items():
        if not token.startswith("kubernetes:"):
            continue
        text = json.dumps(plain(inputs))
        found = {password for password in passwords if password in text}
        if found:
            assert token == "kubernetes:core/v1:Secret", name
            assert pulumi.runtime.rpc.is_rpc_secret(inputs["stringData"]), name
        seen |= found
    assert seen == set(passwords)


def test_one_gateway_publishes_what_people_use(resources):
    (gateway,) = of_kind(resources, "Gateway").values()
    listeners = {item["name"]: item for item in gateway["spec"]["listeners"]}
    assert listeners["https"]["tls"]["certificateRefs"] == [{"name": "gateway-tls"}]
    routes = of_kind(resources, "HTTPRoute", "GRPCRoute", "TCPRoute")
    hosts = {host for route in routes.values() for host in route["spec"].get("hostnames", [])}
    assert hosts == {
        f"{service}.dataflow.test"
        for service in ("airbyte", "dremio", "elasticsearch", "minio", "superset")
    }
    for service in of_kind(resources, "Service").values():
        assert service["spec"]["type"] == "ClusterIP"


def test_operators_run_the_stores(resources):
    cluster = resources["postgres-cluster"][1]
    assert cluster["spec"]["instances"] == 2
    assert cluster["spec"]["enableSuperuserAccess"] is False
    assert cluster["spec"]["plugins"][0]["isWALArchiver"] is True
    assert resources["postgres-backup"][1]["spec"]["method"] == "plugin"
    assert resources["elasticsearch-cluster"][1]["spec"]["nodeSets"][0]["count"] == 3
    monitors = of_kind(resources, "ServiceMonitor")
    assert {m["metadata"]["name"] for m in monitors.values()} == {
        *("airbyte", "dremio", "elasticsearch", "minio", "pipeline", "postgres", "prometheus"),
        "superset",
    }
    exported = resources["prometheus-monitor-postgres"][1]["spec"]
    assert exported["selector"]["matchLabels"] == {"dataflow/service": "pipeline"}
    (endpoint,) = exported["endpoints"]
    assert endpoint["path"] == "/metrics/postgres"
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "postgres"}]
    (token,) = (m for m in monitors.values() if m["metadata"]["name"] == "minio")
    assert token["spec"]["endpoints"][0]["authorization"]["credentials"] == {
        "name": "prometheus-tokens",
        "key": "minio-token",
    }


def test_the_object_store_is_spread_over_its_members(resources):
    (container,) = resources["minio-pods"][1]["spec"]["template"]["spec"]["containers"]
    disks = [part for part in container["command"] if part.endswith("/data")]
    assert disks == [
        f"https://minio-{n}.minio-members.dataflow-test-storage.svc:9000/dataflow/minio/data"
        for n in range(4)
    ]


def test_addresses_inside_and_out():
    pulumi.runtime.set_mocks(Recorder(), project="dataflow", stack="test", preview=False)

    @pulumi.runtime.test
    def program() -> None:
        made = runtime()
        CertificateAuthority(
            "certificates",
            CertificateAuthorityArgs(
                credentials=Credentials(pulumi.Output.secret(SEED)),
                runtime=made,
                domain=CLUSTER.domain,
            ),
        )
        dremio = made.endpoint("dremio", "rest")
        assert dremio.url == "https://dremio.dataflow-test-processing.svc:9047"
        assert dremio.published.url == "https://127.0.0.1:19047"  # of the configuration
        flight = made.endpoint("dremio", "flight")
        assert flight.published.url == "grpc+tls://dremio.dataflow.test:32010"
        assert made.endpoint("minio", "s3").published.url == "https://minio.dataflow.test:443"
        metrics = made.endpoint("prometheus", "http")
        assert metrics.published.host == "prometheus-operated.dataflow-test-observability.svc"

    program()
