"""The whole platform as containers, under the engine's mocks: each of them limited and closed."""

import json
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pulumi
import pytest

from components.runtime.catalog import LAYERS, PLACES, place
from components.runtime.docker import PROBE, DockerRuntime
from dynamic_providers.credentials import derive
from tests.support.declaring import SEED, Recorder, declared, pinned_images
from tests.tls.test_authority import verify
from tls.authority import SECRET_NAME, authority, fingerprint, load

CERTIFICATE = "pulumi-python:dynamic/dataflow/local:IssuedCertificate"
CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
ON_CLUSTERS = {"zookeeper", "airbyte-temporal", "airbyte-workload-api"}


def runtime() -> DockerRuntime:
    return DockerRuntime(
        "runtime",
        stack="test",
        images=pinned_images(),
        port_offset=100,
        keep_data=True,
        ca_file=Path(tempfile.gettempdir()) / "dataflow-tests" / "docker" / "ca.crt",
    )


@pytest.fixture(scope="module", params=[True, False], ids=["preview", "up"])
def resources(request):
    return declared(runtime, preview=request.param)


def of_kind(resources, wanted: str) -> dict[str, dict]:
    return {name: inputs for name, (kind, inputs) in resources.items() if kind == wanted}


def plain(value):
    """Inputs as they are, secrets unwrapped."""
    if pulumi.runtime.rpc.is_rpc_secret(value):
        return plain(value["value"])
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def known(upload) -> str:
    """The text of an upload; that of a certificate is none before it is issued."""
    content = upload.get("content")
    return content if isinstance(content, str) else ""


def test_every_container_is_closed(resources):
    for name, inputs in of_kind(resources, CONTAINER).items():
        user = inputs["user"].split(":")
        assert len(user) == 2 and all(int(part) > 0 for part in user), name
        # Nothing can be copied into a read-only root: what takes files is never started.
        assert inputs.get("readOnly") is True or inputs["start"] is False, name
        assert not (inputs.get("readOnly") and inputs.get("uploads")), name
        assert not inputs.get("privileged"), name
        assert inputs["capabilities"] == {"drops": ["ALL"]}, name
        assert inputs["securityOpts"] == ["no-new-privileges:true"], name
        assert float(inputs["cpus"]) > 0, name
        assert inputs["memory"] == inputs["memorySwap"] > 0, name
        assert {mount["type"] for mount in inputs["mounts"]} == {"volume"}, name
        assert "pidMode" not in inputs and "ipcMode" not in inputs, name


def test_every_service_is_watched_and_comes_back(resources):
    services = [n for n, (kind, _) in resources.items() if kind == "dataflow:runtime:Service"]
    found = of_kind(resources, CONTAINER)
    assert {"dremio-service", "superset-worker-service", "minio-service"} <= set(services)
    for service in services:
        inputs = found[service.removesuffix("-service") + "-container"]
        assert inputs["healthcheck"]["tests"][0] == "CMD", service
        assert inputs["restart"] == "unless-stopped", service
        assert inputs["wait"] is True, service
        assert {limit["name"] for limit in inputs["ulimits"]} == {"nofile", "nproc"}, service


def test_ports_are_published_on_this_machine_alone(resources):
    published = {
        port["external"]: port["ip"]
        for inputs in of_kind(resources, CONTAINER).values()
        for port in inputs.get("ports", [])
    }
    assert set(published.values()) == {"127.0.0.1"}
    assert set(published) == {
        *(5532, 8101, 8188, 9100, 9101, 9147, 9190, 9208, 9300, 32110),
    }


def test_layers_are_closed_and_services_meet_where_data_flows(resources):
    networks = of_kind(resources, NETWORK)
    for layer in LAYERS:
        assert networks[f"runtime-network-{layer}"]["internal"] is True
    access = networks["runtime-network-access"]["options"]
    assert access["com.docker.network.bridge.enable_icc"] == "false"
    assert access["com.docker.network.bridge.enable_ip_masquerade"] == "false"

    def joined(service: str) -> set[str]:
        found = of_kind(resources, CONTAINER)[f"{service}-container"]["networksAdvanced"]
        return {network["name"].removeprefix("dataflow-test-") for network in found}

    assert joined("minio") == {"access", "storage"}
    assert joined("airbyte") == {"access", "ingestion", "outside", "storage"}
    assert joined("superset") == {"access", "presentation", "processing", "storage"}
    assert joined("superset-cache") == {"presentation"}


def test_images_are_pinned(resources):
    for name, inputs in of_kind(resources, IMAGE).items():
        assert "@sha256:" in inputs["name"], name


def test_secrets_are_files_that_only_the_service_reads(resources):
    passwords = [derive(SEED, name) for name in ("minio-root", "postgres-airbyte", "minio-dremio")]
    seen = set()
    for name, inputs in of_kind(resources, CONTAINER).items():
        rest = json.dumps({key: value for key, value in inputs.items() if key != "uploads"})
        for password in passwords:
            assert password not in rest, name
        for upload in plain(inputs.get("uploads", [])):
            public = upload["file"].startswith("/dataflow/tls/")
            assert upload["permissions"] == ("0444" if public else "0400"), upload["file"]
            assert upload["owner"] == inputs["user"].split(":")[0], upload["file"]
            seen.update(p for p in passwords if p in known(upload))
        if any(p in known(one) for one in plain(inputs.get("uploads", [])) for p in passwords):
            assert pulumi.runtime.rpc.is_rpc_secret(inputs["uploads"]), name
    assert seen == set(passwords)


def files_of(found, service: str) -> dict[str, str]:
    """Path below config/ -> content."""
    uploads = plain(found[f"{service}-files"]["uploads"])
    return {upload["file"].partition("/config/")[2]: upload["content"] for upload in uploads}


def test_other_files_are_another_container(resources):
    found = of_kind(resources, CONTAINER)
    for name, inputs in found.items():
        if inputs.get("start") is not False:
            (label,) = (one for one in inputs["labels"] if one["label"] == "dataflow.files")
            assert label["value"], name


def test_the_real_products_run(resources):
    found = of_kind(resources, CONTAINER)
    dremio = found["dremio-container"]
    assert dremio["entrypoints"] == ["/opt/dremio/bin/dremio"]
    files = files_of(found, "dremio")
    config = files["dremio.conf"].splitlines()
    assert 'paths.dist: "dremioS3:///datalake/accelerator"' in config
    assert "services.executor.enabled: true" in config
    assert "minio:9000" in files["core-site.xml"]
    settings = json.loads(files_of(found, "superset-worker")["superset.json"])
    assert settings["secretKeyFile"] == "/dataflow/superset-worker/config/secret-key"
    assert settings["metadata"]["host"] == "postgres"


def test_every_listener_has_a_certificate_and_every_container_what_to_verify_with(resources):
    found = of_kind(resources, CONTAINER)
    issued = of_kind(resources, CERTIFICATE)
    listening = {name for name in PLACES if place(name).ports} - ON_CLUSTERS
    assert {name.removesuffix("-certificate") for name in issued} == listening
    for name, inputs in found.items():
        mounts = {mount["target"]: mount for mount in inputs["mounts"]}
        if inputs.get("start") is False:
            continue
        service = name.removesuffix("-container").removesuffix("-run")
        assert mounts["/dataflow/tls"]["readOnly"] is True, name
        assert "SSL_CERT_FILE=/dataflow/tls/ca.crt" in inputs["envs"], name
        own = mounts.get(f"/dataflow/{service}/config/tls")
        assert (own is not None) == (service in listening), name
        if own:
            assert own["readOnly"] is True, name
            assert own["source"] == found[f"{service}-tls-files"]["mounts"][0]["source"], name


def test_the_authority_certifies_the_name_by_which_a_service_is_reached(resources, tmp_path):
    signer = authority(derive(SEED, SECRET_NAME))
    found = of_kind(resources, CONTAINER)
    for inputs in of_kind(resources, CERTIFICATE).values():
        assert inputs["authority"] == fingerprint(load(signer.certificate))
        for network in found[f"{inputs['name']}-container"]["networksAdvanced"]:
            assert set(network.get("aliases", [])) <= set(inputs["hosts"])
        made = signer.issue(inputs["name"], inputs["hosts"], now=datetime.now(UTC), days=90)
        for host in inputs["hosts"]:
            assert verify(tmp_path, signer.certificate, made.certificate, host) == "", host


def test_containers_start_anew_when_they_would_not_see_a_renewed_certificate(resources):
    anew = {
        name.removesuffix("-container")
        for name, inputs in of_kind(resources, CONTAINER).items()
        if any(one["label"] == "dataflow.certificate" for one in inputs.get("labels", []))
    }
    assert anew == {"dremio", "minio", "postgres", "superset-cache"}


def test_nothing_speaks_clear_text(resources):
    for name, inputs in of_kind(resources, CONTAINER).items():
        texts = [known(upload) for upload in plain(inputs.get("uploads", []))]
        told = json.dumps([texts, inputs.get("envs"), inputs.get("healthcheck")])
        assert "http://" not in told, name
        assert "sslmode=disable" not in told, name
    assert resources["postgres-provider"][1]["sslmode"] == "verify-full"
    assert resources["object-store-provider"][1]["minioCacertFile"].endswith("ca.crt")
    ca_file = Path(resources["postgres-provider"][1]["sslrootcert"])
    assert ca_file.read_text() == authority(derive(SEED, SECRET_NAME)).certificate
    files = files_of(of_kind(resources, CONTAINER), "postgres")
    assert files["pg_hba.conf"].startswith("hostnossl  all  all  all  reject\n")


class FailingJobs(Recorder):
    def new_resource(self, args: pulumi.runtime.MockResourceArgs):
        id_, outputs = super().new_resource(args)
        return id_, {**outputs, "exitCode": 3} if args.typ == CONTAINER else outputs


def test_what_depends_on_a_failed_job_is_not_made():
    recorder = FailingJobs()
    with pytest.raises(
        pulumi.RunError, match="job '(shop-seed|dbt-build)': exit status 3: see docker logs"
    ):
        declared(runtime, recorder=recorder)
    kinds = {kind for kind, _ in recorder.resources.values()}
    assert "pulumi-python:dynamic/dataflow/dremio:Source" in kinds
    assert "pulumi-python:dynamic/dataflow/dremio:AggregationReflection" not in kinds


def test_a_probe_asks_all_the_time_until_it_is_answered_and_seldom_then(tmp_path):
    log, answers = tmp_path / "log", tmp_path / "answers"
    for name, script in {
        "sleep": f'echo "$1" >> {log}',
        "ask": f"echo ask >> {log}; grep -q yes {answers}",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def probed(answer: str) -> tuple[int, list[str]]:
        """Exit status, and what it did."""
        answers.write_text(answer)
        log.write_text("")
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
        done = subprocess.run(["/bin/sh", "-c", PROBE, "probe", "ask"], env=env)
        return done.returncode, log.read_text().split()

    assert probed("no") == (1, ["ask", "1"] * 15)
    assert probed("yes") == (0, ["ask"])
    assert probed("yes") == (0, ["15", "ask"])
    assert probed("no") == (1, ["15", "ask"])
    assert probed("yes") == (0, ["ask"]), "what came back is seen at once"
