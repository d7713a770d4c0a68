"""The platform under the engine's mocks: what is declared, and what one Stream brings."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from components.runtime.process import ProcessRuntime
from dynamic_providers.credentials import derive
from flow.commerce import FLOW
from flow.model import DataFlow, Stream, SyncMode
from tests.support import declaring
from tls.authority import SECRET_NAME, authority

PRODUCTS = Stream(
    source="postgres",
    name="products",
    dataset="shop_products",
    sync_mode=SyncMode.FULL_REFRESH_OVERWRITE,
)
WITH_THIRD_TABLE = dataclasses.replace(FLOW, streams=(*FLOW.streams, PRODUCTS))


def declared(
    flow: DataFlow, tmp_path: Path, *, preview: bool = False, other_seeds: Sequence[str] = ()
) -> dict:
    """All resources that the program declares for `flow` as processes."""
    return declaring.declared(
        lambda: ProcessRuntime(
            "runtime", stack_dir=tmp_path, user="", port_offset=0, keep_data=False
        ),
        flow=flow,
        preview=preview,
        other_seeds=other_seeds,
    )


@pytest.mark.parametrize("preview", [True, False])
def test_every_layer_is_declared(tmp_path, preview):
    resources = declared(FLOW, tmp_path, preview=preview)
    kinds = Counter(kind for kind, _inputs in resources.values())
    assert kinds["minio:index/s3Bucket:S3Bucket"] == 1
    assert kinds["postgresql:index/database:Database"] == 4
    assert kinds["elasticstack:index/indexTemplate:IndexTemplate"] == 2
    assert kinds["pulumi-python:dynamic/dataflow/airbyte:Connection"] == len(FLOW.sources)
    assert kinds["pulumi-python:dynamic/dataflow/dremio:PhysicalDataset"] == len(FLOW.streams)
    assert kinds["pulumi-python:dynamic/dataflow/superset:Dashboard"] == len(FLOW.dashboards)
    services = {
        inputs["name"] for kind, inputs in resources.values() if kind.endswith("local:Process")
    }
    assert services == {
        "airbyte",
        "certificates",
        "dremio",
        "elasticsearch",
        "minio",
        "pipeline",
        "postgres",
        "prometheus",
        "superset",
    }


def test_every_service_has_a_certificate_and_no_address_is_clear_text(tmp_path):
    resources = declared(FLOW, tmp_path)
    inputs = {
        kind: {
            values["name"]: values
            for type_, values in resources.values()
            if type_.endswith(f"local:{kind}")
        }
        for kind in ("Certificate", "Job", "Process")
    }
    assert set(inputs["Certificate"]) == set(inputs["Process"]) - {"certificates"}
    for name, certificate in inputs["Certificate"].items():
        assert certificate["hosts"] == ["127.0.0.1", "localhost", name]
    ca_file = str(tmp_path / "tls" / "ca.crt")
    for name, values in {**inputs["Process"], **inputs["Job"]}.items():
        if name != "certificates":
            assert values["environment"]["PGSSLMODE"] == "verify-full"
            assert values["environment"]["SSL_CERT_FILE"] == ca_file
        if values.get("readiness", {}).get("kind") == "http":
            assert values["readiness"]["caFile"] == ca_file
    assert "http://" not in repr(list(resources.values()))
    database = resources["dashboards-database"][1]["sqlalchemyUri"]
    assert "UseEncryption=true&TrustedCerts=" in repr(database)
    assert resources["postgres-provider"][1]["sslmode"] == "verify-full"
    lake = plain(resources["dremio-source-lake"][1]["config"])
    assert lake["secure"] is True
    source = plain(resources["connections-postgres-source"][1]["configuration"])
    assert source["ssl_mode"]["mode"] == "verify-full"


def plain(value):
    return unwrap_rpc_secret(value) if is_rpc_secret(value) else value


def test_the_authoritys_secret_is_a_secret_everywhere(tmp_path):
    resources = declared(FLOW, tmp_path)
    renewal = resources["certificates-renewal"][1]
    assert is_rpc_secret(renewal["secretFiles"])
    made = authority(derive(declaring.SEED, SECRET_NAME))
    assert resources["certificate-authority"][1]["certificate"] == made.certificate
    texts = repr([v for name, v in resources.items() if name != "certificates-renewal"])
    assert derive(declaring.SEED, SECRET_NAME) not in texts
    assert "PRIVATE KEY" not in texts


def test_while_the_authority_is_replaced_clients_start_anew_with_both(tmp_path):
    before, during = declared(FLOW, tmp_path), declared(FLOW, tmp_path, other_seeds=["next"])
    secrets = [derive(seed, SECRET_NAME) for seed in (declaring.SEED, "next")]
    assert during["certificate-authority"][1]["certificate"] == authority(*secrets).trusted
    assert set(before) == set(during)
    changed = {name for name in before if before[name] != during[name]}
    # Certificates stay, and with them the services that open no connections, and jobs.
    assert changed == {
        "airbyte-process",
        "certificate-authority",
        "connections-postgres-source",
        "dremio-process",
        "pipeline-process",
        "postgres-process",  # its archive is in the object store
        "prometheus-process",
        "search-provider",
        "superset-process",
    }
    assert secrets[1] not in repr(list(during.values()))


def test_a_third_table_is_one_stream(tmp_path):
    before = declared(FLOW, tmp_path)
    after = declared(WITH_THIRD_TABLE, tmp_path)
    assert sorted(set(after) - set(before)) == [
        "datasets-bronze-shop_products",
        "datasets-postgres-products",
    ]
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "connections-postgres",
        "connections-postgres-first-sync",
        "dbt-build-run",
        "pipeline-process",
    }
    streams = [s["name"] for s in after["connections-postgres"][1]["streams"]]
    assert streams == ["customers", "orders", "products"]
    dataset = after["datasets-postgres-products"][1]
    assert dataset["path"] == ["lake", "bronze", "postgres", "products"]
    sources = after["pipeline-process"][1]["files"]["dbt-sources/sources.yml"]
    assert "name: shop_products" in sources
    config = json.loads(after["pipeline-process"][1]["files"]["pipeline.json"])
    assert ["lake", "bronze", "postgres", "products"] in config["dremio"]["datasets"]
