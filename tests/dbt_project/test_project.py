"""The dbt project against the flow that declares it: `dbt parse`, no engine."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from flow.commerce import FLOW
from flow.derive import LAKE, dbt_sources
from flow.model import Layer, Stream, SyncMode
from tools.paths import Paths

pytestmark = pytest.mark.service

PROJECT = Path(__file__).parents[2] / "dbt_project"
DBT = Paths.find().venvs / "dbt" / "bin" / "dbt"
PRODUCTS = Stream(
    source="postgres",
    name="products",
    dataset="shop_products",
    sync_mode=SyncMode.FULL_REFRESH_OVERWRITE,
)
WIDER_FLOW = replace(FLOW, streams=(*FLOW.streams, PRODUCTS))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """dbt's own account of the project: https://docs.getdbt.com/reference/artifacts/manifest-json"""
    if not DBT.exists():
        pytest.skip(f"no dbt in {DBT.parent}: run the bootstrap (make up)")
    folder = tmp_path_factory.mktemp("dbt")
    (folder / "sources.yml").write_text(yaml.safe_dump(dbt_sources(WIDER_FLOW)))
    before = sorted(PROJECT.rglob("*"))
    done = subprocess.run(
        [DBT, "parse", "--warn-error", f"--project-dir={PROJECT}", f"--profiles-dir={PROJECT}"],
        env={
            "PATH": os.defpath,
            "HOME": str(folder),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "DATAFLOW_DBT_SOURCES": str(folder),
            "DATAFLOW_SNAPSHOT": "2026-03-01",
            "DREMIO_HOST": "127.0.0.1",
            "DREMIO_PORT": "1",
            "DREMIO_USER": "nobody",
            "DBT_ENV_SECRET_DREMIO_PASSWORD": "none",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert sorted(PROJECT.rglob("*")) == before  # the project may be read-only
    return json.loads((folder / "target" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def models(manifest):
    return {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "model"}


def names(unique_ids):
    return {unique_id.split(".")[-1] for unique_id in unique_ids}


def test_the_flow_declares_the_lineage_that_dbt_has(models):
    declared = {model.name: set(model.inputs) for model in FLOW.models}
    assert declared == {name: names(node["depends_on"]["nodes"]) for name, node in models.items()}


def test_models_lie_in_the_layer_that_the_flow_declares(models):
    for model in FLOW.models:
        node = models[model.name]
        space = node["config"]["database"]
        assert space == model.layer, model.name
        first, second = node["relation_name"].replace('"', "").split(".")[:2]
        assert (first, second) in {(LAKE, model.layer), (model.layer, model.name)}, model.name


def test_the_exposure_names_what_the_dashboard_shows(manifest):
    exposures = {
        e["name"]: names(e["depends_on"]["nodes"]) for e in manifest["exposures"].values()
    }
    shown = {
        "customer_analytics": {
            chart.dataset.removeprefix(f"{Layer.GOLD}.") for chart in FLOW.dashboards[0].charts
        }
    }
    assert exposures == shown
    assert (
        FLOW.dashboards[0].title
        == manifest["exposures"]["exposure.dataflow.customer_analytics"]["label"]
    )


def test_a_stream_becomes_a_source_with_freshness_and_nothing_else_to_write(manifest):
    sources = {source["name"]: source for source in manifest["sources"].values()}
    assert set(sources) == {stream.dataset for stream in WIDER_FLOW.streams}
    added = sources["shop_products"]
    assert added["relation_name"] == '"bronze"."shop_products"'
    assert added["freshness"]["error_after"] == {"count": PRODUCTS.max_age_hours, "period": "hour"}


def test_files_lie_where_the_specification_wants_them(models):
    paths = {
        name: node["relation_name"].replace('"', "").split(".", 1)[1]
        for name, node in models.items()
        if node["config"]["materialized"] == "table"
    }
    assert paths == {
        "stg_customers": "silver.customers.version=v1",
        "stg_orders": "silver.orders.version=v1",
        "fct_orders": "gold.orders",
        "fct_daily_revenue": "gold.daily_revenue",
        "fct_customer_lifetime_value": "gold.customer_lifetime_value",
        "customer_metrics": "gold.customer_metrics.snapshot=2026-03-01",
    }


def test_every_model_and_column_is_described_and_every_key_tested(manifest, models):
    for name, node in models.items():
        assert node["description"], name
        assert all(column["description"] for column in node["columns"].values()), name
    tested = {
        node["test_metadata"]["name"] + "." + node["attached_node"].split(".")[-1]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node.get("test_metadata")
    }
    assert {f"{test}.{name}" for name in models for test in ("unique", "not_null")} <= tested
