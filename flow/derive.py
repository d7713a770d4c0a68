"""What follows from a flow: paths, dataset names and dbt sources. Pure functions."""

from typing import Any

from flow.model import DataFlow, FileFormat, Layer, Source, Stream, SyncMode

BUCKET = "datalake"
LAKE = "lake"  # the Dremio source over the bucket

# Airbyte's S3 destination appends: it cannot merge by key. Removing duplicates is left to the
# staging models (docs/specification.md).
_AIRBYTE_MODES = {SyncMode.INCREMENTAL_DEDUP: "incremental_append"}


def landing_prefix(source: Source) -> str:
    """Folder of a source in the bucket, such as `bronze/postgres`."""
    return f"{Layer.BRONZE}/{source.name}"


def bronze_path(stream: Stream) -> str:
    """Folder of a stream in the bucket, such as `bronze/postgres/customers`."""
    return f"{Layer.BRONZE}/{stream.source}/{stream.name}"


def physical_dataset(stream: Stream) -> list[str]:
    """Dremio path of a stream's files: `lake.bronze.postgres.customers`."""
    return [LAKE, *bronze_path(stream).split("/")]


def bronze_view(stream: Stream) -> list[str]:
    """Dremio path of the short name: `bronze.customers`."""
    return [Layer.BRONZE.value, stream.dataset]


def dremio_format(source: Source) -> str:
    return {FileFormat.PARQUET: "Parquet", FileFormat.JSONL: "JSON"}[source.file_format]


def retention(flow: DataFlow) -> dict[str, int]:
    """Folder of a stream in the bucket -> days after which its files are deleted."""
    return {
        f"{bronze_path(stream)}/": stream.retention_days
        for stream in flow.streams
        if stream.retention_days is not None
    }


def connection_stream(stream: Stream) -> dict[str, Any]:
    """The stream as an entry of an Airbyte connection's `configurations.streams`."""
    entry: dict[str, Any] = {
        "name": stream.name,
        "syncMode": _AIRBYTE_MODES.get(stream.sync_mode, stream.sync_mode.value),
    }
    if stream.cursor:
        entry["cursorField"] = [stream.cursor]
    if stream.primary_key:
        entry["primaryKey"] = [[column] for column in stream.primary_key]
    return entry


def dbt_sources(flow: DataFlow) -> dict[str, Any]:
    """Content of dbt's sources file: source `bronze`, one table a stream, with freshness."""
    return {
        "version": 2,
        "sources": [
            {
                "name": Layer.BRONZE.value,
                "database": Layer.BRONZE.value,
                "schema": "no_schema",  # dbt-dremio: the table lies directly in the space
                "tables": [_dbt_source_table(stream) for stream in flow.streams],
            }
        ],
    }


def _dbt_source_table(stream: Stream) -> dict[str, Any]:
    return {
        "name": stream.dataset,
        "description": f"{stream.source}.{stream.name}, as Airbyte delivered it",
        "config": {
            "loaded_at_field": "_airbyte_extracted_at",
            "freshness": {"error_after": {"count": stream.max_age_hours, "period": "hour"}},
        },
        "meta": {"pii": list(stream.pii), "primary_key": list(stream.primary_key)},
    }
