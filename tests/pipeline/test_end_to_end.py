"""The whole batch on real services: shop, Airbyte, MinIO, Dremio, dbt, PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from rich.console import Console

from components.storage.search import AUDIT_INDICES, AUDIT_MAPPINGS
from dynamic_providers.airbyte import sync
from dynamic_providers.dremio import aggregation_reflection
from flow.commerce import FLOW
from pipeline import audit, batch, summary
from pipeline.config import LogsConfig, parse
from pipeline.progress import Progress, StepError
from services.shop.__main__ import change, read_config, seed
from tests.support.databases import connect, new_database, source_system
from tests.support.engines import (
    declare_bronze,
    declare_connection,
    declare_lake,
    make,
    object_store,
    pipeline_settings,
    running_airbyte,
    running_dremio,
)

pytestmark = pytest.mark.service

ORDERS = 3_000
SOURCE = FLOW.sources[0]
STREAMS = FLOW.streams_of("postgres")


@pytest.fixture(scope="module")
def shop(postgres_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    config = read_config(
        new_database(postgres_server, "test-e2e-shop", folder) | {"orders": ORDERS}
    )
    seed(config, datetime.now(UTC).date())
    return config


@pytest.fixture(scope="module")
def airbyte(service_place, postgres_server, minio_server, shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("airbyte")
    database = new_database(postgres_server, "test-e2e-airbyte", folder)
    object_store(minio_server)
    with running_airbyte(
        service_place("airbyte-of-pipeline"), database, postgres_server.password
    ) as (url, client):
        system = source_system(postgres_server, shop.dbname)
        connection = declare_connection(client, SOURCE, STREAMS, system, minio_server)
        make(sync, client, connectionId=connection)  # datasets need files
        yield url


@pytest.fixture(scope="module")
def dremio(service_place, airbyte, minio_server):
    with running_dremio(service_place("dremio-of-pipeline")) as (url, client):
        declare_lake(client, minio_server)
        declare_bronze(client, STREAMS)
        yield url, client


@pytest.fixture(scope="module")
def config(airbyte, dremio, postgres_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("end-to-end")
    settings = pipeline_settings(
        folder,
        FLOW,
        STREAMS,
        airbyte_url=airbyte,
        dremio_url=dremio[0],
        database=new_database(postgres_server, "test-e2e-pipeline", folder),
    )
    settings["dremio"]["reflectionDatasets"] = [["gold", "fct_orders"]]
    return parse(settings)


def run(verb, config):
    progress = Progress(Console(width=200))
    try:
        verb(config, progress)
    except StepError as error:
        pytest.fail(f"{error.cause}\n{error.remedy}")
    return {name: summary for name, _, summary in progress.steps}


def rows(config):
    return {f"{c.layer}.{c.dataset}": c.rows for c in summary.row_counts(config)}


def test_a_change_in_the_shop_reaches_gold_with_the_next_run(config, shop, dremio):
    run(batch.build, config)  # as at deployment: reflections need their dataset
    client = dremio[1]
    make(
        aggregation_reflection,
        client,
        name="agg_daily_revenue",
        datasetPath=["gold", "fct_orders"],
        dimensionFields=[{"name": "order_date", "granularity": "DATE"}],
        measureFields=[{"name": "amount", "measureTypeList": ["SUM", "COUNT"]}],
    )
    before = rows(config)
    assert before["silver.stg_customers"] == ORDERS // 10
    assert before["gold.fct_orders"] == before["silver.stg_orders"]
    assert ORDERS * 0.99 < before["gold.fct_orders"] < ORDERS
    assert before["bronze.orders"] > ORDERS

    change(shop, 40)
    done = run(batch.run, config)
    after = rows(config)
    assert after["gold.fct_orders"] == before["gold.fct_orders"] + 40
    # Incremental: what changed, and rows with the newest cursor of the last sync.
    assert 50 <= after["bronze.orders"] - before["bronze.orders"] < 100
    assert done["reflections"] == "1 reflections"

    total = "SELECT SUM(amount) AS amount, COUNT(*) AS orders FROM gold.fct_orders"
    [fast] = client.rows(total)
    [slow] = client.rows(total.replace("SELECT", "SELECT /*+ no_reflections */", 1))
    assert fast == slow and fast["orders"] == after["gold.fct_orders"]


def test_revenue_and_customer_values_add_up(config, dremio):
    [sums] = dremio[1].rows(
        """
        SELECT
            CAST((SELECT SUM(daily_revenue) FROM gold.fct_daily_revenue) AS DOUBLE) AS revenue,
            CAST((SELECT SUM(lifetime_value) FROM gold.customer_metrics) AS DOUBLE) AS customers,
            CAST((
                SELECT SUM(amount) FROM gold.fct_orders
                WHERE status = 'completed' AND customer_id IS NULL
            ) AS DOUBLE) AS guests
        """
    )
    assert sums["revenue"] == pytest.approx(sums["customers"] + sums["guests"])


def test_queries_and_syncs_are_in_the_audit_log(config, elasticsearch_server, tmp_path):
    server, file = elasticsearch_server, tmp_path / "search-password"
    file.write_text(server.password)
    settings = LogsConfig(
        url=server.url, username=server.user, password_file=file, retention_days=90
    )
    audited = replace(config, audit=settings)
    template = {"index_patterns": [AUDIT_INDICES], "template": {"mappings": AUDIT_MAPPINGS}}
    with httpx.Client(base_url=server.url, auth=(server.user, server.password)) as search:
        search.put("/_index_template/audit", json=template).raise_for_status()
        for service in ("airbyte", "dremio"):
            assert audit.collect(audited, service, datetime.now(UTC)) > 0
        search.post("/audit-*/_refresh").raise_for_status()
        hits = search.get("/audit-*/_search", params={"size": 1000}).json()["hits"]["hits"]
        for service in ("airbyte", "dremio"):
            assert audit.collect(audited, service, datetime.now(UTC)) == 0
    documents = [hit["_source"] for hit in hits]
    syncs = [d for d in documents if d["service"] == "airbyte"]
    assert {(d["action"], d["object"], d["outcome"]) for d in syncs} == {
        ("sync", SOURCE.name, "succeeded")
    }
    queries = [d for d in documents if d["service"] == "dremio"]
    assert {d["actor"] for d in queries} >= {"admin"}
    assert "gold.fct_orders" in {name for d in queries for name in d.get("object", ())}
    assert all(d["statement"] == audit.redact(d["statement"]) for d in queries)


def test_the_runs_are_recorded(config, postgres_server):
    with connect(postgres_server, "test-e2e-pipeline") as db:
        [built] = db.execute(
            "SELECT DISTINCT status, models_run, tests_run, project_name FROM dbt_run_history"
        ).fetchall()
    assert built == ("success", len(FLOW.models), built[2], "dataflow")
    assert built[2] > 20
