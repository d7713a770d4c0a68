"""Flight SQL's metadata commands, answered as Arrow tables."""

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from embedded.dremio.catalog.model import VIEW, dotted
from embedded.dremio.engine import Engine
from embedded.dremio.sql import types
from embedded.dremio.sql.system import VERSION

_LIST = pa.list_(pa.utf8())
_MAP = pa.map_(pa.int32(), pa.list_(pa.int32()))
_INFO_VALUE = pa.dense_union(
    [
        pa.field("string_value", pa.utf8()),
        pa.field("bool_value", pa.bool_()),
        pa.field("bigint_value", pa.int64()),
        pa.field("int32_bitmask", pa.int32()),
        pa.field("string_list", _LIST),
        pa.field("int32_to_int32_list_map", _MAP),
    ]
)
SQL_INFO = pa.schema([pa.field("info_name", pa.uint32(), nullable=False),
                      pa.field("value", _INFO_VALUE, nullable=False)])  # fmt: skip
CATALOGS = pa.schema([pa.field("catalog_name", pa.utf8(), nullable=False)])
DB_SCHEMAS = pa.schema(
    [pa.field("catalog_name", pa.utf8()), pa.field("db_schema_name", pa.utf8(), nullable=False)]
)
TABLES = pa.schema(
    [
        pa.field("catalog_name", pa.utf8()),
        pa.field("db_schema_name", pa.utf8()),
        pa.field("table_name", pa.utf8(), nullable=False),
        pa.field("table_type", pa.utf8(), nullable=False),
    ]
)
TABLE_TYPES = pa.schema([pa.field("table_type", pa.utf8(), nullable=False)])
XDBC_TYPES = pa.schema(
    [
        pa.field("type_name", pa.utf8(), nullable=False),
        pa.field("data_type", pa.int32(), nullable=False),
        pa.field("column_size", pa.int32()),
    ]
)
# JDBC type codes
_XDBC = {"BOOLEAN": 16, "INTEGER": 4, "BIGINT": -5, "FLOAT": 6, "DOUBLE": 8, "DECIMAL": 3,
         "VARCHAR": 12, "VARBINARY": -3, "DATE": 91, "TIME": 92, "TIMESTAMP": 93}  # fmt: skip
# FlightSql.proto, enum SqlInfo: 0 server name, 1 version, 2 Arrow version, 3 read only, 8 whether
# Flight SQL transactions are supported, 4 SQL, 5 Substrait
_INFO: dict[int, str | bool | int] = {
    0: "Dremio Server",
    1: VERSION,
    2: pa.__version__,
    3: False,
    4: True,
    5: False,
    8: 0,
    504: '"',
}


def table(engine: Engine, name: str, command: Any) -> pa.Table | None:
    """The answer to a metadata command; None when there is nothing to answer (keys)."""
    answers: dict[str, Callable[[], pa.Table]] = {
        "CommandGetSqlInfo": lambda: _sql_info(list(command.info)),
        "CommandGetXdbcTypeInfo": _xdbc,
        "CommandGetCatalogs": lambda: CATALOGS.empty_table(),
        "CommandGetDbSchemas": lambda: _schemas(engine, command.db_schema_filter_pattern),
        "CommandGetTables": lambda: _tables(engine, command),
        "CommandGetTableTypes": lambda: pa.table(
            {"table_type": ["SYSTEM_TABLE", "TABLE", "VIEW"]}, schema=TABLE_TYPES
        ),
    }
    return answers[name]() if name in answers else None


def _sql_info(wanted: list[int]) -> pa.Table:
    codes = [code for code in (wanted or _INFO) if code in _INFO]
    kinds: list[int] = []
    offsets: list[int] = []
    children: list[list[Any]] = [[] for _ in range(_INFO_VALUE.num_fields)]
    for code in codes:
        value = _INFO[code]
        kind = 1 if isinstance(value, bool) else (0 if isinstance(value, str) else 3)
        kinds.append(kind)
        offsets.append(len(children[kind]))
        children[kind].append(value)
    arrays = [
        pa.array(values, _INFO_VALUE.field(index).type) for index, values in enumerate(children)
    ]
    names = [_INFO_VALUE.field(index).name for index in range(_INFO_VALUE.num_fields)]
    union = pa.UnionArray.from_dense(
        pa.array(kinds, pa.int8()), pa.array(offsets, pa.int32()), arrays, names
    )
    return pa.Table.from_arrays([pa.array(codes, pa.uint32()), union], schema=SQL_INFO)


def _xdbc() -> pa.Table:
    return pa.table(
        {
            "type_name": list(_XDBC),
            "data_type": list(_XDBC.values()),
            "column_size": [None] * len(_XDBC),
        },
        schema=XDBC_TYPES,
    )


def _like(text: str, pattern: str) -> bool:
    if not pattern:
        return True
    parts = re.split("([%_])", pattern)
    regex = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(regex, text) is not None


def _schemas(engine: Engine, pattern: str) -> pa.Table:
    names = [name for name in engine.system.schema_names() if _like(name, pattern)]
    return pa.table(
        {"catalog_name": [None] * len(names), "db_schema_name": names}, schema=DB_SCHEMAS
    )


def _tables(engine: Engine, command: Any) -> pa.Table:
    wanted = set(command.table_types)
    rows: list[tuple[str, str, str, bytes]] = []
    for entity in engine.system.datasets():
        schema, kind = dotted(entity.path[:-1]), "VIEW" if entity.kind == VIEW else "TABLE"
        if wanted and kind not in wanted:
            continue
        if not _like(schema, command.db_schema_filter_pattern):
            continue
        if not _like(entity.name, command.table_name_filter_pattern):
            continue
        fields = [(name, types.arrow(type_) or pa.utf8()) for name, type_ in entity.columns]
        rows.append((schema, entity.name, kind, pa.schema(fields).serialize().to_pybytes()))
    data: dict[str, list[Any]] = {
        "catalog_name": [None] * len(rows),
        "db_schema_name": [row[0] for row in rows],
        "table_name": [row[1] for row in rows],
        "table_type": [row[2] for row in rows],
    }
    schema_ = TABLES
    if command.include_schema:
        schema_ = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
        data["table_schema"] = [row[3] for row in rows]
    return pa.table(data, schema=schema_)
