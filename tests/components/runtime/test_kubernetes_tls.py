"""TLS of the whole platform on a cluster, by the mocks: who is certified, and who verifies."""

import base64
import json
import re
import socket
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import yaml

from components.runtime.catalog import place
from components.runtime.kubernetes.prometheus import OPERATED
from dynamic_providers.credentials import derive
from tests.components.runtime.test_kubernetes_runtime import (
    CLUSTER,
    of_kind,
    plain,
    pods,
    runtime,
    variables,
)
from tests.support.declaring import SEED, Recorder, declared, production
from tests.tls.test_authority import verify
from tls.authority import SECRET_NAME, authority
from tls.truststore import truststore

AUTHORITY = authority(derive(SEED, SECRET_NAME), domain=CLUSTER.domain)
CERTIFIED = {
    *("airbyte", "dremio", "elasticsearch", "minio", "pipeline", "postgres", "prometheus"),
    *("superset", "superset-cache"),
}
FILES = re.compile(r"/dataflow/[\w./-]+\.(?:crt|key|p12)")


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tls") / "stack" / "ca.crt"


@pytest.fixture(scope="module", params=[True, False], ids=["preview", "up"])
def resources(request, ca_file):
    cluster = replace(CLUSTER, ca_file=ca_file)
    chosen = production(domain=CLUSTER.domain)
    found = declared(lambda: runtime(cluster), preview=request.param, chosen=chosen)
    return {name: (token, plain(inputs)) for name, (token, inputs) in found.items()}


@pytest.fixture(scope="module")
def certificates(resources) -> dict[str, dict]:
    """dict service -> the specification of its certificate."""
    return {
        one["metadata"]["name"]: one["spec"]
        for one in of_kind(resources, "Certificate").values()
        if one["spec"]["issuerRef"]["kind"] == "Issuer"
    }


def provided(resources, pod) -> set[str]:
    """The paths of all files that volumes bring into a pod."""
    keys = {
        (inputs["metadata"]["namespace"], inputs["metadata"]["name"]): [
            *inputs.get("data", {}),
            *inputs.get("binaryData", {}),
        ]
        for inputs in of_kind(resources, "ConfigMap").values()
    }
    (namespace,) = {
        inputs["metadata"]["namespace"]
        for inputs in of_kind(resources, "ServiceAccount").values()
        if inputs["metadata"]["name"] == pod["spec"]["serviceAccountName"]
    }
    paths = {}
    for volume in pod["spec"]["volumes"]:
        paths[volume["name"]] = [
            item["path"]
            for source in volume.get("projected", {}).get("sources", [])
            for kind in source.values()
            for item in kind["items"]
        ]
        if "configMap" in volume:
            paths[volume["name"]] = keys[namespace, volume["configMap"]["name"]]
    (container,) = pod["spec"]["containers"]
    return {
        f"{mount['mountPath']}/{path}"
        for mount in container["volumeMounts"]
        for path in paths.get(mount["name"], [])
    }


def told(resources, name: str, pod) -> str:
    """All that a program reads: its command, variables and files."""
    service = name.removesuffix("-pods").removesuffix("-run")
    parts = [pod["spec"]["containers"][0]]
    for part, content in (("files", "data"), ("secrets", "stringData")):
        if f"{service}-{part}" in resources:
            parts.append(resources[f"{service}-{part}"][1][content])
    return json.dumps(parts)


def test_every_service_has_a_certificate_that_is_renewed(certificates):
    assert set(certificates) == CERTIFIED
    for name, spec in certificates.items():
        assert spec["secretName"] == f"{name}-tls"
        assert (spec["duration"], spec["renewBefore"]) == ("2160h", "720h"), name
        assert spec["privateKey"]["rotationPolicy"] == "Always", name


def test_the_authority_can_certify_each_of_its_names(tmp_path, certificates):
    for name, spec in certificates.items():
        hosts = [*spec["dnsNames"], *spec["ipAddresses"]]
        assert all(host.count(".") > 1 or host == "localhost" for host in hosts), name
        issued = AUTHORITY.issue(name, hosts, now=datetime.now(UTC), days=90)
        for host in (host.replace("*", "minio-0") for host in hosts):
            said = verify(tmp_path, AUTHORITY.certificate, issued.certificate, host)
            assert said == "", (name, host)


def test_an_issuer_of_each_layer_signs_with_the_authority(resources, certificates):
    issuers = {one["metadata"]["namespace"]: one for one in of_kind(resources, "Issuer").values()}
    assert len(issuers) == 5
    for namespace, issuer in issuers.items():
        name = issuer["metadata"]["name"]
        assert {spec["issuerRef"]["name"] for spec in certificates.values()} == {name}
        layer = namespace.rpartition("-")[2]
        key = resources[f"runtime-{layer}-authority-key"][1]
        assert key["metadata"] == {
            "name": issuer["spec"]["ca"]["secretName"],
            "namespace": namespace,
        }
        assert key["stringData"] == {"tls.crt": AUTHORITY.certificate, "tls.key": AUTHORITY.key}
        trusted = resources[f"runtime-{layer}-authority"][1]
        assert trusted["data"] == {"ca.crt": AUTHORITY.certificate}
        assert base64.b64decode(trusted["binaryData"]["ca.p12"]) == truststore(
            AUTHORITY.certificate
        )


def test_another_authority_is_another_issuer(resources):
    other = declared(runtime, chosen=production(domain="elsewhere.test"))
    name = other["superset-certificate"][1]["spec"]["issuerRef"]["name"]
    assert name != resources["superset-certificate"][1]["spec"]["issuerRef"]["name"]


def test_certificates_come_before_what_serves_with_them(ca_file):
    recorder = Recorder()
    cluster = replace(CLUSTER, ca_file=ca_file)
    chosen = production(domain=CLUSTER.domain)
    declared(lambda: runtime(cluster), chosen=chosen, recorder=recorder)
    for service in CERTIFIED:
        serves = {f"{service}-pods", f"{service}-cluster"} & set(recorder.resources)
        assert all(f"{service}-certificate" in recorder.waits_for[one] for one in serves), service
        issuer = f"runtime-{place(service).layer}-issuer"
        assert issuer in recorder.waits_for[f"{service}-certificate"]
        assert f"{issuer.removesuffix('issuer')}authority-key" in recorder.waits_for[issuer]


def test_pods_find_the_files_that_their_programs_are_told_of(resources):
    for name, pod in pods(resources).items():
        wanted = set(FILES.findall(told(resources, name, pod)))
        assert "/dataflow/tls/ca.crt" in wanted, name
        assert wanted <= provided(resources, pod), name
        service = name.removesuffix("-pods")
        if service in CERTIFIED:
            sources = pod["spec"]["volumes"][0]["projected"]["sources"]
            assert f"{service}-tls" in {s["secret"]["name"] for s in sources if "secret" in s}


def test_only_airbytes_parts_are_told_of_addresses_in_clear_text(resources):
    """Its connectors' pods, which are told what its launcher is, are given no file of the
    authority."""
    inner = {
        "http://airbyte.dataflow-test-ingestion.svc:8002",
        "http://airbyte-workload-api.dataflow-test-ingestion.svc:8007",
    }
    for name, pod in pods(resources).items():
        text = told(resources, name, pod).replace("http://www.w3.org", "")
        found = set(re.findall(r"http://[\w.:-]+", text))
        assert found <= (inner if name.startswith("airbyte") else set()), name


def test_airbytes_server_speaks_tls_to_all_but_its_own_parts(resources, certificates):
    told_to_server = variables(resources, "airbyte-pods")
    given = {name: told_to_server[name] for name in told_to_server if "MICRONAUT_SERVER" in name}
    assert given == {
        "MICRONAUT_SERVER_PORT": "8002",
        "MICRONAUT_SERVER_DUAL_PROTOCOL": "true",
        "MICRONAUT_SERVER_SSL_ENABLED": "true",
        "MICRONAUT_SERVER_SSL_PORT": "8001",
        "MICRONAUT_SERVER_SSL_KEY_STORE_PATH": "file:/dataflow/airbyte/config/tls/keystore.p12",
        "MICRONAUT_SERVER_SSL_KEY_STORE_TYPE": "PKCS12",
    }
    secrets = resources["airbyte-secrets"][1]["stringData"]
    password = derive(SEED, "airbyte-keystore")
    assert secrets["env.MICRONAUT_SERVER_SSL_KEY_STORE_PASSWORD"] == password
    keystore = certificates["airbyte"]["keystores"]["pkcs12"]["passwordSecretRef"]
    assert keystore == {"name": "airbyte-keystore", "key": "password"}
    opened = {
        name: {port["port"] for rule in one["spec"]["ingress"] for port in rule["ports"]}
        for name, one in of_kind(resources, "NetworkPolicy").items()
        if name.startswith("airbyte-from-")
    }
    inner = {name for name, ports in opened.items() if 8002 in ports}
    assert inner == {
        f"airbyte-from-{name}-policy"
        for name in (
            *("airbyte", "airbyte-connector", "airbyte-cron", "airbyte-worker"),
            "airbyte-workload-launcher",
        )
    }
    assert all(8001 in ports for ports in opened.values())


def test_airbyte_verifies_database_and_store(resources):
    trust = "-Djavax.net.ssl.trustStore=/dataflow/tls/ca.p12"
    database = (
        "postgresql://postgres-rw.dataflow-test-storage.svc:5432/airbyte?sslmode=verify-full"
    )
    for name in ("airbyte-pods", "airbyte-workload-api-pods", "airbyte-worker-pods"):
        server = variables(resources, name)
        assert server["MINIO_ENDPOINT"] == "https://minio.dataflow-test-storage.svc:9000"
        assert trust in server["JAVA_TOOL_OPTIONS"]
        assert server["DATABASE_URL"] == f"jdbc:{database}&sslrootcert=/dataflow/tls/ca.crt"
    schema = variables(resources, "airbyte-temporal-schema-run")
    assert schema["SQL_TLS"] == "true"
    assert schema["SQL_TLS_CA_FILE"] == "/dataflow/tls/ca.crt"
    assert schema["SQL_TLS_SERVER_NAME"] == "postgres-rw.dataflow-test-storage.svc"
    server = resources["airbyte-temporal-secrets"][1]["stringData"]["server.yaml"]
    for store in yaml.safe_load(server)["persistence"]["datastores"].values():
        assert store["sql"]["tls"] == {
            "enabled": True,
            "enableHostVerification": True,
            "caFile": "/dataflow/tls/ca.crt",
            "serverName": "postgres-rw.dataflow-test-storage.svc",
        }


def test_connectors_verify_without_a_file(resources):
    """Their pods are made by the launcher, with what it is told itself."""
    launcher = variables(resources, "airbyte-workload-launcher-pods")
    assert launcher["MINIO_ENDPOINT"] == f"https://minio.{CLUSTER.domain}:443"
    assert "trustStore" not in launcher["JAVA_TOOL_OPTIONS"]
    url, _, query = launcher["DATABASE_URL"].partition("?")
    assert url == "jdbc:postgresql://postgres-rw.dataflow-test-storage.svc:5432/airbyte"
    assert parse_qs(query) == {
        "sslmode": ["verify-full"],
        "sslfactory": ["org.postgresql.ssl.SingleCertValidatingFactory"],
        "sslfactoryarg": [AUTHORITY.certificate],
    }
    destination = resources["connections-postgres-destination"][1]["configuration"]
    assert destination["s3_endpoint"] == f"https://minio.{CLUSTER.domain}:443"
    gateway = {
        "to": [
            {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": "dataflow-test-gateway"}
                }
            }
        ],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    for name in ("airbyte-connector", "airbyte-workload-launcher"):
        assert gateway in resources[f"{name}-to-others-policy"][1]["spec"]["egress"]


def test_probes_speak_tls(resources):
    asked = 0
    for name, pod in pods(resources).items():
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            get = pod["spec"]["containers"][0].get(probe, {}).get("httpGet")
            if get:
                asked += 1
                assert get["scheme"] == "HTTPS", name
    assert asked >= 8


def test_who_reads_a_certificate_once_starts_again_with_another(resources, tmp_path):
    for name in ("airbyte-pods", "dremio-pods", "superset-cache-pods"):
        (container,) = resources[name][1]["spec"]["template"]["spec"]["containers"]
        alive = container["livenessProbe"]["exec"]["command"]
        assert container["command"][:2] == alive[:2] == ["bash", "-ec"]
        assert container["command"][4] == alive[4], "the certificate"
        assert "exec" not in container["readinessProbe"], name
        certificate, copy = tmp_path / f"{name}.crt", tmp_path / f"{name}.copy"
        certificate.write_text("first\n")
        note = [*container["command"][:3], copy, certificate, "echo", "started"]
        assert subprocess.check_output(note, text=True) == "started\n"
        with socket.create_server(("127.0.0.1", 0)) as listening:
            asks = [*alive[:3], copy, certificate, str(listening.getsockname()[1])]
            assert subprocess.run(asks).returncode == 0
            certificate.write_text("renewed\n")
            assert subprocess.run(asks).returncode != 0
            certificate.write_text("first\n")
        assert subprocess.run(asks).returncode != 0, "nothing listens"


def test_operators_serve_with_the_certificates(resources, certificates):
    postgres = resources["postgres-cluster"][1]["spec"]["certificates"]
    assert postgres == {"serverTLSSecret": "postgres-tls", "serverCASecret": "postgres-tls"}
    archive = resources["postgres-archive-store"][1]["spec"]["configuration"]
    assert archive["endpointURL"].startswith("https://minio.")
    assert archive["endpointCA"] == {"name": "postgres-tls", "key": "ca.crt"}
    search = resources["elasticsearch-cluster"][1]["spec"]
    assert search["http"]["tls"]["certificate"]["secretName"] == "elasticsearch-tls"
    web = resources["prometheus-cluster"][1]["spec"]["web"]["tlsConfig"]
    assert web["cert"]["secret"]["name"] == web["keySecret"]["name"] == "prometheus-tls"
    assert certificates["dremio"]["keystores"]["pkcs12"]["passwordSecretRef"] == {
        "name": "dremio-keystore",
        "key": "password",
    }


def test_the_gateway_verifies_what_it_leads_to(resources, certificates):
    policies = {
        (one["metadata"]["namespace"], target["name"]): one["spec"]["validation"]
        for one in of_kind(resources, "BackendTLSPolicy").values()
        for target in one["spec"]["targetRefs"]
    }
    routes = of_kind(resources, "HTTPRoute", "GRPCRoute")
    leads = [
        (one["metadata"]["namespace"], reference["name"], name)
        for name, one in routes.items()
        for rule in one["spec"]["rules"]
        for reference in rule.get("backendRefs", [])
    ]
    assert len(leads) == 6
    for namespace, host, name in leads:
        validation = policies[namespace, host]
        assert validation["hostname"] in certificates[name.partition("-route")[0]]["dnsNames"]
        (trusted,) = validation["caCertificateRefs"]
        assert (trusted["kind"], trusted["name"]) == ("ConfigMap", "authority")


def test_prometheus_verifies_its_targets(resources, certificates):
    monitors = of_kind(resources, "ServiceMonitor")
    assert len(monitors) >= 3
    for one in monitors.values():
        (endpoint,) = one["spec"]["endpoints"]
        assert endpoint["scheme"] == "https"
        labels = one["spec"]["selector"]["matchLabels"]
        # The operator makes the service of its own Prometheus.
        service = "prometheus" if labels in OPERATED.values() else labels["dataflow/service"]
        assert endpoint["tlsConfig"]["serverName"] in certificates[service]["dnsNames"]
        assert endpoint["tlsConfig"]["ca"] == {"configMap": {"name": "authority", "key": "ca.crt"}}


def test_dremio_serves_and_verifies(resources):
    coordinator = resources["dremio-files"][1]["data"]["dremio.conf"].splitlines()
    assert coordinator[0] == 'include file("/dataflow/dremio/config/keystore.conf")'
    for listener in ("services.coordinator.web", "services.flight"):
        assert f"{listener}.ssl.enabled: true" in coordinator
        assert (
            f'{listener}.ssl.keyStore: "/dataflow/dremio/config/tls/keystore.p12"' in coordinator
        )
    password = derive(SEED, "dremio-keystore")
    assert password in resources["dremio-secrets"][1]["stringData"]["keystore.conf"]
    assert password not in "".join(coordinator)
    for name in ("dremio-pods", "dremio-executor-pods"):
        variables = resources[name][1]["spec"]["template"]["spec"]["containers"][0]["env"]
        assert {
            "name": "DREMIO_JAVA_SERVER_EXTRA_OPTS",
            "value": "-Djavax.net.ssl.trustStore=/dataflow/tls/ca.p12 "
            "-Djavax.net.ssl.trustStoreType=PKCS12",
        } in variables
    lake = resources["dremio-source-lake"][1]["config"]
    assert lake["secure"] is True


def test_the_cache_speaks_tls_alone(resources):
    lines = resources["superset-cache-secrets"][1]["stringData"]["valkey.conf"].splitlines()
    assert {"port 0", "tls-port 6379"} <= set(lines)
    for user in ("superset", "superset-worker", "superset-beat"):
        redis = json.loads(resources[f"{user}-files"][1]["data"]["redis.json"])
        assert redis["caFile"] == "/dataflow/tls/ca.crt"


def test_set_up_from_outside_verifies_too(resources, ca_file):
    provider = resources["postgres-provider"][1]
    assert provider["host"] == f"postgres.{CLUSTER.domain}"
    assert provider["sslmode"] == "verify-full"
    assert provider["sslrootcert"] == str(ca_file)
    assert ca_file.read_text() == AUTHORITY.certificate
    store = resources["object-store-provider"][1]
    assert json.loads(str(store["minioSsl"]).lower()) is True
    source = resources["connections-postgres-source"][1]["configuration"]
    assert source["ssl_mode"] == {"mode": "verify-full", "ca_certificate": AUTHORITY.certificate}
