"""The models on real engines: MinIO, the embedded Dremio, dbt. Input by hand, results exact."""

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from minio import Minio
from rich.console import Console

from dynamic_providers.dremio.client import DremioClient
from flow.commerce import FLOW
from flow.derive import BUCKET, bronze_path
from pipeline import batch, summary
from pipeline import dremio as dremio_steps
from pipeline.config import parse
from pipeline.progress import Progress, StepError
from tests.support.databases import connect, new_database
from tests.support.engines import (
    declare_bronze,
    declare_lake,
    object_store,
    pipeline_settings,
    running_dremio,
)
from tools.paths import ROOT

pytestmark = pytest.mark.service

DATABASE = "test-dbt"
EXTRACTED = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
STREAMS = {stream.dataset: stream for stream in FLOW.streams_of("postgres")}


def at(day, hour=0):
    return datetime(2026, 2, day, hour)


def customer(key, name, email, updated_at, **more):
    return {
        "customer_id": key, "name": name, "email": email, "phone": None, "address": "1 Oak Street",
        "city": "Austin", "state": "TX", "zip_code": "02104", "created_at": at(1),
        "updated_at": updated_at, **more,
    }  # fmt: skip


def order(key, customer_id, day, amount, status, updated_at):
    return {
        "order_id": key, "customer_id": customer_id, "product_id": 7, "amount": amount,
        "order_date": date(2026, *day), "status": status, "updated_at": updated_at,
    }  # fmt: skip


CUSTOMERS = [
    customer(1, "  Ada LOVELACE ", "Ada@Example.com", at(1), address="before she moved"),
    customer(1, "  Ada LOVELACE ", "Ada@Example.com", at(2)),
    customer(2, "grace hopper", None, at(1)),
    customer(3, "Never Bought", "never@example.com", at(1)),
    customer(None, "Lost Key", "lost@example.com", at(1)),
]
ORDERS = [
    order(10, 1, (1, 31), 10.25, "completed", at(1)),
    order(11, 1, (2, 10), 20.5, " COMPLETED", at(10)),
    order(12, 1, (2, 10), 5.0, "cancelled", at(10)),
    order(13, 2, (2, 10), 7.75, "pending", at(10)),
    order(13, 2, (2, 10), 7.75, "completed", at(11)),  # the newer version
    order(13, 2, (2, 10), 7.75, "completed", at(11)),  # and its copy
    order(14, None, (2, 11), 100.0, "completed", at(11)),  # a guest
    order(15, 2, (2, 12), 0.0, "completed", at(12)),
    order(16, 2, (2, 12), -3.0, "completed", at(12)),
]


@pytest.fixture(scope="module")
def bucket(minio_server) -> Minio:
    return object_store(minio_server)


def deliver(bucket: Minio, dataset: str, rows: list[dict], part: str, extracted=EXTRACTED) -> None:
    """Rows as the S3 destination of Airbyte leaves them."""
    complete = [
        row
        | {
            "_airbyte_raw_id": f"{part}-{number:04d}",
            "_airbyte_extracted_at": extracted,
            "_airbyte_generation_id": 0,
        }
        for number, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(complete)
    for name in ("created_at", "updated_at", "_airbyte_extracted_at"):
        if name in table.column_names:
            index = table.column_names.index(name)
            table = table.set_column(index, name, table[name].cast(pa.timestamp("ms")))
    file = io.BytesIO()
    pq.write_table(table, file, compression="snappy")
    name = f"{bronze_path(STREAMS[dataset])}/date=2026-03-01/{part}.parquet"
    bucket.put_object(BUCKET, name, io.BytesIO(file.getvalue()), len(file.getvalue()))


@pytest.fixture(scope="module")
def engine(service_place, bucket, minio_server) -> Iterator[tuple[str, DremioClient]]:
    """Dremio with bronze, as the platform's components declare it."""
    deliver(bucket, "customers", CUSTOMERS, "first")
    deliver(bucket, "orders", ORDERS, "first")
    with running_dremio(service_place("dremio-of-dbt")) as (url, client):
        declare_lake(client, minio_server)
        declare_bronze(client, list(STREAMS.values()))
        yield url, client


@pytest.fixture(scope="module")
def config(engine, postgres_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dbt-build")
    return parse(
        pipeline_settings(
            folder,
            FLOW,
            list(STREAMS.values()),
            airbyte_url="http://127.0.0.1:1",
            dremio_url=engine[0],
            database=new_database(postgres_server, DATABASE, folder),
        )
    )


@pytest.fixture(scope="module")
def built(config, engine):
    progress = Progress(Console(width=200))
    try:
        batch.build(config, progress)
    except StepError as error:
        pytest.fail(f"{error.cause}\n{error.remedy}")
    return engine[1]


def rows(client, sql):
    return [tuple(row.values()) for row in client.rows(sql)]


def test_customers_are_cleaned_and_the_newest_version_counts(built):
    query = "SELECT customer_id, customer_name, email, address, zip_code FROM silver.stg_customers"
    assert rows(built, f"{query} ORDER BY 1") == [
        (1, "ADA LOVELACE", "ada@example.com", "1 Oak Street", "02104"),
        (2, "GRACE HOPPER", None, "1 Oak Street", "02104"),
        (3, "NEVER BOUGHT", "never@example.com", "1 Oak Street", "02104"),
    ]


def test_orders_are_one_row_each_with_a_positive_amount(built):
    query = "SELECT order_id, customer_id, CAST(amount AS DOUBLE), status FROM gold.fct_orders"
    assert rows(built, f"{query} ORDER BY 1") == [
        (10, 1, 10.25, "completed"),
        (11, 1, 20.5, "completed"),
        (12, 1, 5.0, "cancelled"),
        (13, 2, 7.75, "completed"),
        (14, None, 100.0, "completed"),
    ]


def test_revenue_of_a_day_is_that_of_its_completed_orders(built):
    query = """
        SELECT order_date, CAST(daily_revenue AS DOUBLE), total_orders, total_customers,
            "year", "month", "day"
        FROM gold.fct_daily_revenue ORDER BY order_date
    """
    assert rows(built, query) == [
        ("2026-01-31", 10.25, 1, 1, 2026, 1, 31),
        ("2026-02-10", 28.25, 2, 2, 2026, 2, 10),
        ("2026-02-11", 100.0, 1, 0, 2026, 2, 11),
    ]


def test_the_specifications_dashboard_query_has_an_answer(built):
    query = """
        SELECT order_date, SUM(amount) AS daily_revenue FROM gold.fct_daily_revenue
        WHERE order_date >= CURRENT_DATE - INTERVAL '36500' DAY
        GROUP BY order_date ORDER BY order_date
    """
    assert [Decimal(str(value)) for _, value in rows(built, query)] == [
        Decimal("10.25"),
        Decimal("28.25"),
        Decimal(100),
    ]


@pytest.mark.parametrize("table", ["fct_customer_lifetime_value", "customer_metrics"])
def test_lifetime_values_leave_out_guests_and_open_orders(built, table):
    query = f"""
        SELECT customer_id, customer_name, total_orders, CAST(lifetime_value AS DOUBLE),
            CAST(average_order_value AS DOUBLE), first_order_date, last_order_date,
            customer_lifespan_days
        FROM gold.{table} ORDER BY customer_id
    """
    assert rows(built, query) == [
        (1, "ADA LOVELACE", 2, 30.75, 15.375, "2026-01-31", "2026-02-10", 10),
        (2, "GRACE HOPPER", 1, 7.75, 7.75, "2026-02-10", "2026-02-10", 0),
    ]


def test_files_lie_in_the_folders_of_the_specification(built, bucket):
    today = datetime.now(UTC).date()
    listed = {
        item.object_name.rpartition("/")[0]
        for layer in ("silver", "gold")
        for item in bucket.list_objects(BUCKET, prefix=f"{layer}/", recursive=True)
        if item.object_name.endswith(".parquet")
    }
    assert listed == {
        "silver/customers/version=v1",
        "silver/orders/version=v1",
        "gold/orders/year=2026/month=1",
        "gold/orders/year=2026/month=2",
        "gold/daily_revenue/year=2026/month=1",
        "gold/daily_revenue/year=2026/month=2",
        "gold/customer_lifetime_value",
        f"gold/customer_metrics/snapshot={today}",
    }


def test_files_are_compressed_as_the_specification_says(built, bucket):
    codecs = {}
    for item in bucket.list_objects(BUCKET, recursive=True):
        layer = item.object_name.partition("/")[0]
        content = bucket.get_object(BUCKET, item.object_name).read()
        column = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(0)
        codecs.setdefault(layer, set()).add(column.compression)
    assert codecs == {"bronze": {"SNAPPY"}, "silver": {"SNAPPY"}, "gold": {"ZSTD"}}


def test_the_documented_columns_are_those_that_exist(built):
    for file in (ROOT / "dbt_project" / "models").rglob("*.yml"):
        for model in yaml.safe_load(file.read_text()).get("models", []):
            layer = next(m.layer for m in FLOW.models if m.name == model["name"])
            query = f"""
                SELECT COLUMN_NAME FROM INFORMATION_SCHEMA."COLUMNS"
                WHERE TABLE_SCHEMA = '{layer}' AND TABLE_NAME = '{model["name"]}'
            """
            documented = {column["name"] for column in model["columns"]}
            assert {name for (name,) in rows(built, query)} == documented, model["name"]


def test_the_summary_counts_every_layer(built, config):
    counted = {(c.layer, c.dataset): c.rows for c in summary.row_counts(config)}
    assert counted == {
        ("bronze", "customers"): 5,
        ("bronze", "orders"): 9,
        ("silver", "stg_customers"): 3,
        ("silver", "stg_orders"): 5,
        ("silver", "int_customer_orders"): 4,
        ("gold", "fct_orders"): 5,
        ("gold", "fct_daily_revenue"): 3,
        ("gold", "fct_customer_lifetime_value"): 2,
        ("gold", "customer_metrics"): 2,
    }


def test_a_later_delivery_replaces_what_it_changes(built, config, bucket):
    later = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    changes = [
        order(12, 1, (2, 10), 5.0, "completed", at(20)),
        order(17, 3, (2, 13), 1.0, "completed", at(20)),
    ]
    deliver(bucket, "orders", changes, "second", later)
    progress = Progress(Console(width=200))
    with progress.step("metadata", "Metadata") as step:
        dremio_steps.refresh_metadata(built, config.dremio.datasets, step)
    batch.build(config, progress)
    query = "SELECT customer_id, total_orders FROM gold.fct_customer_lifetime_value ORDER BY 1"
    assert rows(built, query) == [(1, 3), (2, 1), (3, 1)]


def test_data_that_breaks_a_test_stops_what_depends_on_it(built, config, bucket, postgres_server):
    wrong = [order(18, 1, (2, 14), 1.0, "teleported", at(21))]
    deliver(bucket, "orders", wrong, "third", datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    progress = Progress(Console(width=200))
    with progress.step("metadata", "Metadata") as step:
        dremio_steps.refresh_metadata(built, config.dremio.datasets, step)
    with pytest.raises(StepError, match="accepted_values_stg_orders_status"):
        batch.build(config, progress)
    assert rows(built, "SELECT COUNT(*) FROM gold.fct_orders WHERE order_id = 18") == [(0,)]
    with connect(postgres_server, DATABASE) as db:
        history = db.execute("SELECT status FROM dbt_run_history ORDER BY started_at").fetchall()
    assert history == [("success",), ("success",), ("failed",)]
