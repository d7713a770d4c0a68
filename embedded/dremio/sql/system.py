"""System tables: INFORMATION_SCHEMA and sys."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import pyarrow as pa

from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.model import (
    CONTAINERS,
    DATASETS,
    FOLDER,
    SOURCE,
    TABLE,
    VIEW,
    Entity,
    Path,
    dotted,
)
from embedded.dremio.errors import EngineError, Kind, invalid
from embedded.dremio.sql.types import sql_type

CATALOG_NAME = "DREMIO"
VERSION = "25.2.0"
Row = dict[str, Any]
Build = Callable[[], pa.Table]

_TEXT, _INT, _LONG, _BOOL, _TIME = (
    pa.utf8(),
    pa.int32(),
    pa.int64(),
    pa.bool_(),
    pa.timestamp("ms"),
)


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema(list(types.items()))


_TABLE_NAMES = {"TABLE_CATALOG": _TEXT, "TABLE_SCHEMA": _TEXT, "TABLE_NAME": _TEXT}
SCHEMAS: dict[str, pa.Schema] = {
    "information_schema.catalogs": _schema(
        CATALOG_NAME=_TEXT, CATALOG_DESCRIPTION=_TEXT, CATALOG_CONNECT=_TEXT
    ),
    "information_schema.schemata": _schema(
        CATALOG_NAME=_TEXT, SCHEMA_NAME=_TEXT, SCHEMA_OWNER=_TEXT, TYPE=_TEXT, IS_MUTABLE=_TEXT
    ),
    "information_schema.tables": _schema(**_TABLE_NAMES, TABLE_TYPE=_TEXT),
    "information_schema.views": _schema(**_TABLE_NAMES, VIEW_DEFINITION=_TEXT),
    "information_schema.columns": _schema(
        **_TABLE_NAMES,
        COLUMN_NAME=_TEXT,
        ORDINAL_POSITION=_INT,
        COLUMN_DEFAULT=_TEXT,
        IS_NULLABLE=_TEXT,
        DATA_TYPE=_TEXT,
        COLUMN_SIZE=_INT,
        CHARACTER_MAXIMUM_LENGTH=_INT,
        CHARACTER_OCTET_LENGTH=_INT,
        NUMERIC_PRECISION=_INT,
        NUMERIC_PRECISION_RADIX=_INT,
        NUMERIC_SCALE=_INT,
        DATETIME_PRECISION=_INT,
        INTERVAL_TYPE=_TEXT,
        INTERVAL_PRECISION=_INT,
    ),
    "sys.version": _schema(version=_TEXT, commit_id=_TEXT, commit_message=_TEXT, build_time=_TEXT),
    "sys.options": _schema(name=_TEXT, kind=_TEXT, type=_TEXT, status=_TEXT, string_val=_TEXT),
    "sys.reflections": _schema(
        reflection_id=_TEXT,
        reflection_name=_TEXT,
        type=_TEXT,
        status=_TEXT,
        dataset_id=_TEXT,
        dataset_name=_TEXT,
        dataset_type=_TEXT,
        sort_columns=_TEXT,
        partition_columns=_TEXT,
        distribution_columns=_TEXT,
        dimensions=_TEXT,
        measures=_TEXT,
        display_columns=_TEXT,
        external_reflection=_TEXT,
        num_failures=_INT,
        last_failure_message=_TEXT,
        acceleration_status=_TEXT,
        record_count=_LONG,
        current_footprint_bytes=_LONG,
        total_footprint_bytes=_LONG,
        considered_count=_INT,
        matched_count=_INT,
        accelerated_count=_INT,
        refresh_method=_TEXT,
        refresh_status=_TEXT,
        last_refresh_duration_millis=_LONG,
        last_refresh_from_table=_TIME,
        reflection_mode=_TEXT,
        created_at=_TIME,
        updated_at=_TIME,
        available_until=_TIME,
        arrow_cache=_BOOL,
    ),
    "sys.materializations": _schema(
        reflection_id=_TEXT,
        materialization_id=_TEXT,
        created=_TIME,
        expires=_TIME,
        size_bytes=_LONG,
        series_id=_LONG,
        init_refresh_job_id=_TEXT,
        series_ordinal=_INT,
        join_analysis=_TEXT,
        state=_TEXT,
        failure_msg=_TEXT,
        data_partitions=_TEXT,
        last_refresh_from_pds=_TIME,
    ),
    "sys.jobs_recent": _schema(
        job_id=_TEXT,
        status=_TEXT,
        query_type=_TEXT,
        user_name=_TEXT,
        queried_datasets=_TEXT,
        scanned_datasets=_TEXT,
        attempt_count=_INT,
        submitted_ts=_TIME,
        final_state_ts=_TIME,
        submitted_epoch_millis=_LONG,
        final_state_epoch_millis=_LONG,
        rows_returned=_LONG,
        bytes_returned=_LONG,
        accelerated=_BOOL,
        queue_name=_TEXT,
        engine=_TEXT,
        error_msg=_TEXT,
        query=_TEXT,
    ),
}
# Declared in Community, but reading them fails there.
UNREADABLE = ("sys.privileges", "sys.roles", "sys.membership")

_NUMERIC = {"INTEGER": (32, 2), "BIGINT": (64, 2), "FLOAT": (24, 2), "DOUBLE": (53, 2)}
VARCHAR_LENGTH = 65536


class Reported(Protocol):
    """What reflections and jobs tell: rows keyed by column."""

    def system_rows(self, table: str) -> Iterable[Row]: ...


class SystemTables:
    def __init__(self, catalog: Catalog, options: dict[str, str]) -> None:
        self._catalog = catalog
        self._options = options
        self._reporters: dict[str, Reported] = {}

    def report(self, table: str, reporter: Reported) -> None:
        self._reporters[table] = reporter

    def build(self, path: Path) -> pa.Table | None:
        """The table, or None when `path` names no system table. Raises EngineError."""
        if len(path) != 2 or path[0].lower() not in ("sys", "information_schema"):
            return None
        name = dotted(path).lower()
        if name in UNREADABLE:
            raise EngineError(Kind.SYSTEM, f"Unable to retrieve {name}.")
        if name not in SCHEMAS:
            raise invalid(f"Object '{path[1]}' not found within '{path[0]}'")
        schema = SCHEMAS[name]
        rows = list(self._rows(name))
        columns = [[row.get(field.name) for row in rows] for field in schema]
        return pa.table(
            [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)],
            schema=schema,
        )

    def _rows(self, name: str) -> Iterable[Row]:
        if name in self._reporters:
            return self._reporters[name].system_rows(name)
        builders: dict[str, Callable[[], Iterable[Row]]] = {
            "information_schema.catalogs": lambda: [
                {
                    "CATALOG_NAME": CATALOG_NAME,
                    "CATALOG_DESCRIPTION": "The internal metadata used by Dremio",
                    "CATALOG_CONNECT": "",
                }
            ],
            "information_schema.schemata": self._schemata,
            "information_schema.tables": self._tables,
            "information_schema.views": self._views,
            "information_schema.columns": self._columns,
            "sys.version": lambda: [
                {"version": VERSION, "commit_id": "", "commit_message": "", "build_time": ""}
            ],
            "sys.options": lambda: [
                {
                    "name": k,
                    "kind": "STRING",
                    "type": "SYSTEM",
                    "status": "DEFAULT",
                    "string_val": v,
                }
                for k, v in self._options.items()
            ],
        }
        return builders[name]()

    def schema_names(self) -> list[str]:
        """Dotted paths of everything that holds datasets."""
        names = {dotted(e.path) for e in self._catalog.all(*CONTAINERS)}
        for entity in self._catalog.all(*DATASETS):
            for length in range(1, len(entity.path)):
                names.add(dotted(entity.path[:length]))
        return sorted(names | {"INFORMATION_SCHEMA", "sys"}, key=str.lower)

    def _schemata(self) -> Iterable[Row]:
        kinds = {dotted(e.path): e.kind for e in self._catalog.all(*CONTAINERS)}
        for name in self.schema_names():
            mutable = "YES" if kinds.get(name, FOLDER) in (SOURCE, FOLDER) else "NO"
            yield {
                "CATALOG_NAME": CATALOG_NAME,
                "SCHEMA_NAME": name,
                "SCHEMA_OWNER": "<owner>",
                "TYPE": "SIMPLE",
                "IS_MUTABLE": mutable,
            }

    def datasets(self) -> list[Entity]:
        return self._catalog.all(*DATASETS)

    def _tables(self) -> Iterable[Row]:
        kinds = {TABLE: "TABLE", VIEW: "VIEW"}
        for entity in self.datasets():
            yield {**_named(entity.path), "TABLE_TYPE": kinds[entity.kind]}
        for name in SCHEMAS:
            yield {**_named(_system_path(name)), "TABLE_TYPE": "SYSTEM_TABLE"}

    def _views(self) -> Iterable[Row]:
        for entity in self._catalog.all(VIEW):
            yield {**_named(entity.path), "VIEW_DEFINITION": entity.body["sql"]}

    def _columns(self) -> Iterable[Row]:
        for entity in self.datasets():
            for position, (name, type_) in enumerate(entity.columns, 1):
                yield {**_named(entity.path), **describe_column(name, type_, position)}

    def columns_of(self, path: Path) -> list[tuple[str, str]] | None:
        """(name, DuckDB type) of a system table's columns."""
        schema = SCHEMAS.get(dotted(path).lower())
        if schema is None:
            return None
        names = {
            _TEXT: "VARCHAR",
            _INT: "INTEGER",
            _LONG: "BIGINT",
            _BOOL: "BOOLEAN",
            _TIME: "TIMESTAMP",
        }
        return [(field.name, names[field.type]) for field in schema]


def _system_path(name: str) -> Path:
    schema, _, table = name.partition(".")
    if schema == "information_schema":
        return ("INFORMATION_SCHEMA", table.upper())
    return (schema, table)


def _named(path: Path) -> Row:
    return {
        "TABLE_CATALOG": CATALOG_NAME,
        "TABLE_SCHEMA": dotted(path[:-1]),
        "TABLE_NAME": path[-1],
    }


def describe_column(name: str, type_: str, position: int) -> Row:
    kind = sql_type(type_)
    precision, radix = _NUMERIC.get(kind.name, (kind.precision, 10 if kind.precision else None))
    scale = kind.scale if kind.name == "DECIMAL" else (0 if kind.name in _NUMERIC else None)
    length = VARCHAR_LENGTH if kind.name in ("VARCHAR", "VARBINARY") else None
    return {
        "COLUMN_NAME": name,
        "ORDINAL_POSITION": position,
        "IS_NULLABLE": "YES",
        "DATA_TYPE": kind.information_schema,
        "COLUMN_SIZE": precision or length,
        "CHARACTER_MAXIMUM_LENGTH": length,
        "CHARACTER_OCTET_LENGTH": length,
        "NUMERIC_PRECISION": precision,
        "NUMERIC_PRECISION_RADIX": radix,
        "NUMERIC_SCALE": scale,
        "DATETIME_PRECISION": 3 if kind.name in ("TIME", "TIMESTAMP") else None,
    }


def as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
