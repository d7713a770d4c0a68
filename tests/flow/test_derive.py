"""What follows from a stream."""

import dataclasses

from flow.commerce import FLOW
from flow.derive import (
    bronze_path,
    bronze_view,
    connection_stream,
    dbt_sources,
    dremio_format,
    physical_dataset,
    retention,
)
from flow.model import Stream, SyncMode

ORDERS = next(stream for stream in FLOW.streams if stream.name == "orders")


def test_paths_are_those_of_the_specification():
    assert bronze_path(ORDERS) == "bronze/postgres/orders"
    assert physical_dataset(ORDERS) == ["lake", "bronze", "postgres", "orders"]
    assert bronze_view(ORDERS) == ["bronze", "orders"]


def test_deduplication_is_left_to_dbt_because_the_s3_destination_cannot():
    assert ORDERS.sync_mode is SyncMode.INCREMENTAL_DEDUP
    assert connection_stream(ORDERS) == {
        "name": "orders",
        "syncMode": "incremental_append",
        "cursorField": ["updated_at"],
        "primaryKey": [["order_id"]],
    }


def test_a_stream_without_cursor_or_key_names_neither():
    stream = Stream(source="postgres", name="t", sync_mode=SyncMode.FULL_REFRESH_APPEND)
    assert connection_stream(stream) == {"name": "t", "syncMode": "full_refresh_append"}


def test_files_of_an_api_are_json_lines():
    formats = {source.name: dremio_format(source) for source in FLOW.sources}
    assert formats == {"postgres": "Parquet", "api": "JSON"}


def test_each_stream_is_a_dbt_source_with_freshness():
    stricter = dataclasses.replace(
        FLOW,
        streams=tuple(dataclasses.replace(stream, max_age_hours=2) for stream in FLOW.streams),
    )
    [source] = dbt_sources(stricter)["sources"]
    assert source["name"] == "bronze"
    tables = {table["name"]: table for table in source["tables"]}
    assert set(tables) == {"customers", "orders", "products"}
    assert tables["orders"]["config"]["freshness"]["error_after"] == {
        "count": 2,
        "period": "hour",
    }
    assert tables["customers"]["meta"]["pii"] == ["name", "email", "phone", "address"]


def test_files_of_a_stream_expire_after_its_retention():
    customers, *others = FLOW.streams
    kept = dataclasses.replace(customers, retention_days=None)
    assert retention(FLOW) == {"bronze/postgres/customers/": 3650}
    assert retention(dataclasses.replace(FLOW, streams=(kept, *others))) == {}
