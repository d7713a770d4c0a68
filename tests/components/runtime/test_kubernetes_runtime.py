"""The whole platform on a cluster, by the mocks: what is admitted, and who meets whom."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pulumi
import pytest

from components.runtime.catalog import LAYERS
from components.runtime.kubernetes import ClusterSettings, KubernetesRuntime, Outside
from components.security.credentials import Credentials
from components.security.tls import CertificateAuthority, CertificateAuthorityArgs
from components.sizing import PROFILES
from components.storage.object_store import ExternalStore
from dynamic_providers.credentials import derive
from pipeline.config import load, load_mirror
from settings import RestorePoint
from tests.support.declaring import (
    SEED,
    Recorder,
    backup_store,
    declared,
    pinned_images,
    production,
)
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
# They work with the API server: one starts connectors, one fills a secret.
WITH_TOKENS = ("airbyte-workload-launcher-pods", "airbyte-bootloader-run")
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
    return declared(runtime, preview=request.param, chosen=production())


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
        assert spec["automountServiceAccountToken"] is (name in WITH_TOKENS), name
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
        ("airbyte", "airbyte"),
        ("airbyte", "airbyte-temporal"),
        ("airbyte", "minio"),
        ("airbyte", "postgres"),
        ("airbyte-bootloader", "postgres"),
        ("airbyte-connector", "airbyte"),
        ("airbyte-connector", "airbyte-workload-api"),
        ("airbyte-connector", "postgres"),
        ("airbyte-cron", "airbyte"),
        ("airbyte-cron", "airbyte-temporal"),
        ("airbyte-cron", "airbyte-workload-api"),
        ("airbyte-cron", "postgres"),
        ("airbyte-temporal", "postgres"),
        ("airbyte-temporal-namespace", "airbyte-temporal"),
        ("airbyte-temporal-schema", "postgres"),
        ("airbyte-worker", "airbyte"),
        ("airbyte-worker", "airbyte-temporal"),
        ("airbyte-worker", "airbyte-workload-api"),
        ("airbyte-worker", "minio"),
        ("airbyte-worker", "postgres"),
        ("airbyte-workload-api", "airbyte-temporal"),
        ("airbyte-workload-api", "minio"),
        ("airbyte-workload-api", "postgres"),
        ("airbyte-workload-launcher", "airbyte"),
        ("airbyte-workload-launcher", "airbyte-workload-api"),
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
        ("airbyte-bootloader-to-others-policy", "10.96.0.1/32"),
        ("airbyte-connector-to-others-policy", "0.0.0.0/0"),
        ("airbyte-workload-launcher-to-others-policy", "10.96.0.1/32"),
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


def test_airbytes_rights_are_those_that_it_needs(resources):
    rules = {name: role["rules"] for name, role in of_kind(resources, "Role").items()}
    assert rules["airbyte-workload-launcher-rights"] == [
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
        }
    ]
    assert rules["airbyte-bootloader-rights"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["airbyte-auth-secrets"],
            "verbs": ["get", "update"],
        }
    ]
    for name in ("airbyte-workload-launcher", "airbyte-bootloader"):
        binding = resources[f"{name}-binding"][1]
        assert binding["metadata"]["namespace"] == "dataflow-test-ingestion"
        assert binding["roleRef"]["name"] == name
        assert [subject["name"] for subject in binding["subjects"]] == [name]
    others = {name for name in rules if not name.startswith("prometheus-discovery-")}
    assert others == {"airbyte-workload-launcher-rights", "airbyte-bootloader-rights"}


def variables(resources, name: str) -> dict[str, str]:
    (container,) = pods(resources)[name]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_connectors_are_pods_that_the_namespace_admits_and_policies_know(resources):
    told = variables(resources, "airbyte-workload-launcher-pods")
    assert told["ROOTLESS_WORKLOAD"] == "true"
    assert told["JOB_KUBE_NAMESPACE"] == "dataflow-test-ingestion"
    labels = dict(entry.split("=") for entry in told["JOB_KUBE_LABELS"].split(","))
    egress = resources["airbyte-connector-to-others-policy"][1]["spec"]
    assert egress["podSelector"]["matchLabels"] == labels
    account = resources[f"{told['JOB_KUBE_SERVICEACCOUNT']}-account"][1]
    assert account["automountServiceAccountToken"] is False
    bindings = of_kind(resources, "RoleBinding").values()
    assert all("airbyte-connector" != s["name"] for b in bindings for s in b["subjects"])
    for image in ("CONTAINER_ORCHESTRATOR", "CONNECTOR_SIDECAR", "WORKLOAD_INIT"):
        assert "@sha256:" in told[f"{image}_IMAGE"]


def test_airbyte_starts_in_its_order(resources):
    """What a part needs is there before it: the order of an update, too."""
    declared_as = list(resources)
    order = [
        *("airbyte-temporal-schema-run", "airbyte-temporal-pods"),
        *("airbyte-temporal-namespace-run", "airbyte-bootloader-run", "airbyte-pods"),
        *("airbyte-workload-api-pods", "airbyte-worker-pods", "airbyte-cron-pods"),
        "airbyte-workload-launcher-pods",
    ]
    assert sorted(order, key=declared_as.index) == order


def test_airbyte_gets_its_secrets_from_files(resources):
    """A variable in a description would show them to everybody who may read it."""
    mounted = resources["airbyte-pods"][1]["spec"]["template"]["spec"]["volumes"][0]
    paths = [
        item["path"] for s in mounted["projected"]["sources"] for item in s["secret"]["items"]
    ]
    assert {path.removeprefix("env/") for path in paths if path.startswith("env/")} == {
        *("AB_INSTANCE_ADMIN_CLIENT_ID", "AB_INSTANCE_ADMIN_CLIENT_SECRET"),
        *("AB_INSTANCE_ADMIN_PASSWORD", "AB_JWT_SIGNATURE_SECRET"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DATABASE_PASSWORD"),
        "MICRONAUT_SERVER_SSL_KEY_STORE_PASSWORD",
    }
    given = plain(resources["airbyte-secrets"][1]["stringData"])
    assert given["env.AB_INSTANCE_ADMIN_CLIENT_ID"] == "dataflow"
    assert given["env.AB_INSTANCE_ADMIN_CLIENT_SECRET"] == derive(SEED, "airbyte-client")
    launcher = resources["airbyte-workload-launcher-pods"][1]["spec"]["template"]["spec"]
    filled = [
        (source["secret"]["name"], source["secret"]["items"])
        for source in launcher["volumes"][0]["projected"]["sources"]
        if source["secret"]["name"] == "airbyte-auth-secrets"
    ]
    assert filled == [
        (
            "airbyte-auth-secrets",
            [{"key": "dataplane-client-id", "path": "env/DATAPLANE_CLIENT_ID"}],
        ),
        (
            "airbyte-auth-secrets",
            [{"key": "dataplane-client-secret", "path": "env/DATAPLANE_CLIENT_SECRET"}],
        ),
    ]


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


def test_elasticsearch_deletes_its_logs_by_itself():
    recorder = Recorder()
    resources = declared(runtime, chosen=production(), recorder=recorder)
    life_cycle = resources["search-life-cycle"][1]
    assert life_cycle["delete"] == {"minAge": "90d", "delete": {}}
    for logs in ("airbyte-logs", "audit"):
        template = resources[f"search-{logs}-template"][1]["template"]
        assert json.loads(template["settings"])["index.lifecycle.name"] == life_cycle["name"]
        assert "search-life-cycle" in recorder.waits_for[f"search-{logs}-template"]
    # The server would refuse: indices are under it.
    assert "search-life-cycle" in recorder.left_behind
    assert "search-airbyte-logs-template" not in recorder.left_behind
    # Nobody else does.
    assert not [name for name in resources if "cleaner" in name]
    for service in ("pipeline", "dbt-build"):
        assert "logs" not in json.loads(resources[f"{service}-files"][1]["data"]["pipeline.json"])
        assert "logs-password" not in resources[f"{service}-secrets"][1]["stringData"]


def test_the_object_store_is_spread_over_its_members(resources):
    (container,) = resources["minio-pods"][1]["spec"]["template"]["spec"]["containers"]
    disks = [part for part in container["command"] if part.endswith("/data")]
    assert disks == [
        f"https://minio-{n}.minio-members.dataflow-test-storage.svc:9000/dataflow/minio/data"
        for n in range(4)
    ]


STORE_URL = "https://s3.eu-central-1.amazonaws.com"
STORE_NETWORK = "52.219.0.0/16"


def external_store() -> ExternalStore:
    return ExternalStore(
        bucket="example-datalake",
        region="eu-central-1",
        access_key=pulumi.Output.secret("the access key"),
        secret_key=pulumi.Output.secret("the secret key"),
    )


def with_external_store(url: str = STORE_URL) -> dict:
    """All that is declared where the object store is there already."""
    cluster = replace(CLUSTER, outside={"minio": Outside(url=url, network=STORE_NETWORK)})
    return declared(lambda: runtime(cluster), chosen=production(), external_store=external_store())


def test_an_external_object_store_takes_the_place_of_minio():
    resources = with_external_store()
    assert not [name for name, (token, _) in resources.items() if token.startswith("minio:")]
    assert not [name for name in resources if name.startswith("minio")]
    text = json.dumps({name: plain(inputs) for name, (_, inputs) in resources.items()})
    assert "minio-members" not in text and "minio.dataflow-test-storage" not in text
    assert "datalake/" not in text.replace("example-datalake/", "")


def test_everything_that_uses_the_store_follows_to_an_external_one():
    resources = with_external_store()
    lake = plain(resources["dremio-source-lake"][1]["config"])
    assert (lake["rootPath"], lake["secure"]) == ("/example-datalake", True)
    assert (lake["accessKey"], lake["accessSecret"]) == ("the access key", "the secret key")
    options = {entry["name"]: entry["value"] for entry in lake["propertyList"]}
    assert options["fs.s3a.endpoint"] == "s3.eu-central-1.amazonaws.com:443"
    assert options["fs.s3a.endpoint.region"] == "eu-central-1"
    core = plain(resources["dremio-secrets"][1]["stringData"])["core-site.xml"]
    for value in ("the access key", "the secret key", "eu-central-1", ">true<"):
        assert value in core
    config = resources["dremio-files"][1]["data"]["dremio.conf"].splitlines()
    assert 'paths.dist: "dremioS3:///example-datalake/accelerator"' in config
    for name in ("dremio-pods", "dremio-executor-pods"):  # it trusts whom Java trusts
        assert "DREMIO_JAVA_SERVER_EXTRA_OPTS" not in variables(resources, name)
    archive = resources["postgres-archive-store"][1]["spec"]["configuration"]
    assert archive["endpointURL"] == f"{STORE_URL}:443"
    assert "endpointCA" not in archive
    assert archive["destinationPath"] == "s3://example-datalake/backups/postgres"
    account = plain(resources["postgres-archive"][1]["stringData"])
    assert account == {
        "user": "the access key",
        "key": "the secret key",
        "region": "eu-central-1",
    }
    destination = plain(resources["connections-postgres-destination"][1]["configuration"])
    assert destination["s3_endpoint"] == f"{STORE_URL}:443"
    assert destination["s3_bucket_name"] == "example-datalake"
    assert destination["s3_bucket_region"] == "eu-central-1"
    assert destination["secret_access_key"] == "the secret key"
    logs = variables(resources, "airbyte-pods")
    assert (logs["STORAGE_TYPE"], logs["AWS_DEFAULT_REGION"]) == ("s3", "eu-central-1")
    assert logs["STORAGE_BUCKET_LOG"] == "example-datalake"
    scraped = {m["metadata"]["name"] for m in of_kind(resources, "ServiceMonitor").values()}
    assert "minio" not in scraped and "pipeline" in scraped


def test_policies_let_out_to_an_external_store_who_uses_it():
    resources = with_external_store()
    there = {"to": [{"ipBlock": {"cidr": STORE_NETWORK}}]}
    users = {
        name.removesuffix("-to-others-policy")
        for name, policy in of_kind(resources, "NetworkPolicy").items()
        for rule in policy["spec"].get("egress", [])
        if rule == {**there, "ports": [{"protocol": "TCP", "port": 443}]}
    }
    assert users == {
        *("airbyte", "airbyte-connector", "airbyte-worker", "airbyte-workload-api"),
        *("airbyte-workload-launcher", "dremio", "dremio-executor", "postgres"),
    }


def test_another_s3_service_is_reached_by_its_endpoint():
    resources = with_external_store("https://store.example.org:9000")
    logs = variables(resources, "airbyte-pods")
    assert logs["STORAGE_TYPE"] == "minio"
    assert logs["MINIO_ENDPOINT"] == "https://store.example.org:9000"


def test_the_keys_of_an_external_store_are_in_secrets_alone():
    shown = {
        name
        for name, (token, inputs) in with_external_store().items()
        if token.startswith("kubernetes:") and "the secret key" in json.dumps(plain(inputs))
    }
    assert shown and all(name.endswith(("-secrets", "-archive")) for name in shown)


BACKUP_URL, BACKUP_NETWORK = "https://backups.example.org:9000", "192.0.2.0/24"


RESTORED = "2026-11-27T05:00:03Z"


def with_backup_store(
    *,
    external: bool = False,
    recover: RestorePoint | None = None,
    recorder: Recorder | None = None,
) -> dict:
    """All that is declared with a backup store. external: the object store is there too."""
    outside = {"backup-store": Outside(url=BACKUP_URL, network=BACKUP_NETWORK)}
    if external:
        outside["minio"] = Outside(url=STORE_URL, network=STORE_NETWORK)
    cluster = replace(CLUSTER, outside=outside)
    return declared(
        lambda: runtime(cluster),
        chosen=production(recover=recover),
        external_store=external_store() if external else None,
        backup_store=backup_store(),
        recorder=recorder,
    )


@pytest.fixture(scope="module")
def backed_up():
    return with_backup_store()


def test_postgresqls_archive_goes_to_the_backup_store(backed_up):
    archive = backed_up["postgres-archive-store"][1]["spec"]["configuration"]
    assert archive["endpointURL"] == BACKUP_URL
    assert "endpointCA" not in archive
    assert archive["destinationPath"] == "s3://example-backups/test/postgres"
    account = plain(backed_up["postgres-archive"][1]["stringData"])
    assert account == {
        "user": "the backup's access key",
        "key": "the backup's secret key",
        "region": "eu-west-1",
    }
    assert ("postgres", "minio") not in edges(backed_up)
    users = [name for name, (token, _) in backed_up.items() if token.endswith(":IamUser")]
    assert "object-store-user-backup" not in users  # nobody would use it


def test_elasticsearchs_snapshots_go_to_the_backup_store(backed_up):
    store = backed_up["search-backups"][1]["s3"]
    assert (store["bucket"], store["basePath"]) == ("example-backups", "test/elasticsearch")
    schedule = backed_up["search-nightly-snapshots"][1]
    assert schedule["repository"] == backed_up["search-backups"][1]["name"]
    assert schedule["indices"] == ["airbyte-logs-*", "audit-*"]
    assert (schedule["expireAfter"], schedule["minCount"]) == ("30d", 7)
    config = json.loads(backed_up["pipeline-files"][1]["data"]["pipeline.json"])
    assert config["search"]["snapshots"] == schedule["name"]  # it tells when one is overdue
    assert backed_up["search-metrics-role"][1]["clusters"] == ["monitor", "read_slm"]
    cluster = backed_up["elasticsearch-cluster"][1]["spec"]
    (nodes,) = cluster["nodeSets"]
    client = f"s3.client.{store['client']}"
    assert nodes["config"] == {
        "node.store.allow_mmap": False,
        f"{client}.endpoint": BACKUP_URL,
        f"{client}.region": "eu-west-1",
        f"{client}.path_style_access": True,
    }
    ((keystore,),) = (one.values() for one in cluster["secureSettings"])
    assert plain(backed_up[keystore][1]["stringData"]) == {
        f"{client}.access_key": "the backup's access key",
        f"{client}.secret_key": "the backup's secret key",
    }
    egress = backed_up["elasticsearch-to-others-policy"][1]["spec"]["egress"]
    peers = [peer for rule in egress for peer in rule["to"]]
    assert _services(peers) == ["elasticsearch"]
    assert [peer["ipBlock"]["cidr"] for peer in peers if "ipBlock" in peer] == [BACKUP_NETWORK]


def test_without_a_backup_store_there_are_no_snapshots(resources):
    assert not [
        name for name in resources if name.startswith(("search-backups", "search-nightly"))
    ]
    assert "secureSettings" not in resources["elasticsearch-cluster"][1]["spec"]
    assert "elasticsearch-archive" not in resources


def test_the_bucket_is_copied_each_night(backed_up):
    (job,) = of_kind(backed_up, "CronJob").values()
    assert (job["spec"]["schedule"], job["spec"]["timeZone"]) == ("0 5 * * *", "Etc/UTC")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    limits = ("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds")
    assert all(job["spec"][limit] > 0 for limit in limits)
    run = job["spec"]["jobTemplate"]["spec"]
    assert all(run[limit] > 0 for limit in ("activeDeadlineSeconds", "backoffLimit"))
    pod = run["template"]["spec"]
    assert list(violations(pod)) == []
    assert (pod["automountServiceAccountToken"], pod["restartPolicy"]) == (False, "Never")
    assert backed_up["lake-backup-account"][1]["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["command"][-4:-1] == ["pipeline.mirror", "save", "--config"]
    assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_the_copy_reads_the_bucket_and_reaches_the_backup_store_alone(backed_up):
    egress = backed_up["lake-backup-to-others-policy"][1]["spec"]["egress"]
    peers = [peer for rule in egress for peer in rule["to"]]
    assert _services(peers) == ["minio"]
    assert [peer["ipBlock"]["cidr"] for peer in peers if "ipBlock" in peer] == [BACKUP_NETWORK]
    assert egress[1]["ports"] == [{"protocol": "TCP", "port": 9000}]
    assert ("lake-backup", "minio") in edges(backed_up)
    *reading, writing = statements(backed_up, "lake-backup")
    actions = {action for one in reading for action in one["Action"]}
    assert actions == {"s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"}
    assert writing["Resource"] == ["arn:aws:s3:::datalake/copied/*"]


def statements(resources: dict, user: str) -> list[dict]:
    """Of the policy of a user of the object store."""
    policy = json.loads(resources[f"object-store-policy-{user}"][1]["policy"])
    found: list[dict] = policy["Statement"]
    return found


def test_the_pipeline_tells_the_age_of_the_copy_by_what_the_bucket_says(backed_up, tmp_path):
    """By a user who sees marks alone, and none of the backup store."""
    (tmp_path / "pipeline.json").write_text(
        backed_up["pipeline-files"][1]["data"]["pipeline.json"]
    )
    lake = load(tmp_path / "pipeline.json").lake
    assert lake.url == "https://minio.dataflow-test-storage.svc:9000"
    secrets = plain(backed_up["pipeline-secrets"][1]["stringData"])
    assert secrets[lake.user_file.name] == "lake-watch"
    assert secrets[lake.password_file.name] == derive(SEED, "minio-lake-watch")
    objects = [one["Resource"] for one in statements(backed_up, "lake-watch")[2:]]
    assert objects == [["arn:aws:s3:::datalake/copied/*"]]
    assert ("pipeline", "minio") in edges(backed_up)
    (endpoint,) = backed_up["prometheus-monitor-lake-backup"][1]["spec"]["endpoints"]
    assert endpoint["path"] == "/metrics/lake-backup"


def test_without_a_backup_store_no_age_of_a_copy_is_told(resources):
    assert "lake" not in json.loads(resources["pipeline-files"][1]["data"]["pipeline.json"])
    assert "prometheus-monitor-lake-backup" not in resources


def test_the_copys_settings_are_those_that_it_reads(backed_up, tmp_path):
    text = backed_up["lake-backup-files"][1]["data"]["mirror.json"]
    (tmp_path / "mirror.json").write_text(text)
    config = load_mirror(tmp_path / "mirror.json")
    assert config.lake.url == "https://minio.dataflow-test-storage.svc:9000"
    assert str(config.lake.ca_file) == "/dataflow/tls/ca.crt"
    assert (config.backup.url, config.backup.ca_file) == (BACKUP_URL, None)
    assert (config.prefix, config.folders) == ("test", ("bronze", "silver", "gold"))
    secrets = plain(backed_up["lake-backup-secrets"][1]["stringData"])
    held = {
        file.name for c in (config.lake, config.backup) for file in (c.user_file, c.password_file)
    }
    assert set(secrets) == held
    assert secrets["backup-password"] == "the backup's secret key"
    assert secrets["lake-password"] == derive(SEED, "minio-lake-backup")


def test_the_copy_follows_to_an_external_object_store():
    resources = with_backup_store(external=True)
    config = json.loads(resources["lake-backup-files"][1]["data"]["mirror.json"])
    assert config["lake"]["url"] == f"{STORE_URL}:443"
    assert config["lake"]["bucket"] == "example-datalake"
    egress = resources["lake-backup-to-others-policy"][1]["spec"]["egress"]
    assert [rule["to"][0]["ipBlock"]["cidr"] for rule in egress] == [STORE_NETWORK, BACKUP_NETWORK]
    pipeline = resources["pipeline-to-others-policy"][1]["spec"]["egress"]
    assert STORE_NETWORK in [rule["to"][0].get("ipBlock", {}).get("cidr") for rule in pipeline]


def test_the_keys_of_a_backup_store_are_in_secrets_alone(backed_up):
    shown = {
        name
        for name, (token, inputs) in backed_up.items()
        if token.startswith("kubernetes:") and "the backup's" in json.dumps(plain(inputs))
    }
    assert shown == {"elasticsearch-archive", "lake-backup-secrets", "postgres-archive"}
    for name in shown:
        assert pulumi.runtime.rpc.is_rpc_secret(backed_up[name][1]["stringData"]), name


@pytest.fixture(scope="module")
def recovering():
    return with_backup_store(recover=RestorePoint(archive="postgres", time=RESTORED))


def test_a_recovered_database_begins_with_the_archive_and_writes_another(recovering, backed_up):
    spec = recovering["postgres-cluster"][1]["spec"]
    assert spec["bootstrap"] == {
        "recovery": {
            "database": "dataflow",
            "owner": "dataflow",
            "source": "former",
            "recoveryTarget": {"targetTime": RESTORED},
        }
    }
    (former,) = spec["externalClusters"]
    (plugin,) = spec["plugins"]
    assert former["name"] == "former"
    assert former["plugin"]["parameters"] == {
        "barmanObjectName": "postgres-archive",
        "serverName": "postgres",
    }
    assert plugin["parameters"]["serverName"] == "postgres-20261127t050003z"
    assert plugin["isWALArchiver"] and former["plugin"]["name"] == plugin["name"]
    first = backed_up["postgres-cluster"][1]["spec"]
    assert "externalClusters" not in first and "initdb" in first["bootstrap"]


def test_copies_of_a_recovered_stack_know_its_archive(recovering):
    config = json.loads(recovering["lake-backup-files"][1]["data"]["mirror.json"])
    assert config["archive"] == "postgres-20261127t050003z"


def test_bronze_is_brought_back_before_anybody_uses_the_bucket():
    recorder = Recorder()
    resources = with_backup_store(
        recover=RestorePoint(archive="postgres", time=RESTORED), recorder=recorder
    )
    config = json.loads(resources["lake-recovery-files"][1]["data"]["mirror.json"])
    assert (config["folders"], config["restorePoint"]) == (["bronze"], RESTORED)
    (container,) = pods(resources)["lake-recovery-run"]["spec"]["containers"]
    assert container["command"][-4:-1] == ["pipeline.mirror", "recover", "--config"]
    for name in ("dremio-source-lake", "connections-postgres-destination"):
        assert "lake-recovery-run" in recorder.waits_for[name], name
    policy = json.loads(resources["object-store-policy-lake-recovery"][1]["policy"])
    written = {
        resource
        for one in policy["Statement"]
        if "s3:PutObject" in one["Action"]
        for resource in one["Resource"]
    }
    assert written == {"arn:aws:s3:::datalake/bronze/*", "arn:aws:s3:::datalake/recovered/*"}
    assert ("lake-recovery", "minio") in edges(resources)


def test_a_stack_that_recovers_nothing_has_no_part_of_it(backed_up):
    assert not [name for name in backed_up if "recovery" in name]


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
