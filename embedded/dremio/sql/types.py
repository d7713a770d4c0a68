"""Types: DuckDB's names, Dremio's names, and what goes out over Arrow.

Clients accept only int32/int64, float/double, decimal128, utf8, binary, bool, date,
timestamp[ms] without zone and time32[ms]; nested types go out as DuckDB makes them.
"""

import re
from dataclasses import dataclass

import pyarrow as pa

from embedded.dremio.errors import unsupported

_DECIMAL = re.compile(r"^DECIMAL\((\d+),\s*(\d+)\)$")

# DuckDB type -> (type that the engine exposes, SQL that converts column {c})
_NORMAL = {
    "TINYINT": ("INTEGER", "CAST({c} AS INTEGER)"),
    "SMALLINT": ("INTEGER", "CAST({c} AS INTEGER)"),
    "UTINYINT": ("INTEGER", "CAST({c} AS INTEGER)"),
    "USMALLINT": ("INTEGER", "CAST({c} AS INTEGER)"),
    "UINTEGER": ("BIGINT", "CAST({c} AS BIGINT)"),
    "UBIGINT": ("DECIMAL(20,0)", "CAST({c} AS DECIMAL(20,0))"),
    "HUGEINT": ("BIGINT", "CAST({c} AS BIGINT)"),  # DuckDB's SUM of integers
    "UHUGEINT": ("BIGINT", "CAST({c} AS BIGINT)"),
    "TIMESTAMP_S": ("TIMESTAMP", "CAST({c} AS TIMESTAMP)"),
    "TIMESTAMP_MS": ("TIMESTAMP", "CAST({c} AS TIMESTAMP)"),
    "TIMESTAMP_NS": ("TIMESTAMP", "CAST({c} AS TIMESTAMP)"),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP", "({c} AT TIME ZONE 'UTC')"),
    "TIME WITH TIME ZONE": ("TIME", "CAST({c} AS TIME)"),
    "TIME_NS": ("TIME", "CAST({c} AS TIME)"),
    "UUID": ("VARCHAR", "CAST({c} AS VARCHAR)"),
    "JSON": ("VARCHAR", "CAST({c} AS VARCHAR)"),
    "BIT": ("VARCHAR", "CAST({c} AS VARCHAR)"),
    "INTERVAL": ("VARCHAR", "CAST({c} AS VARCHAR)"),
    '"NULL"': ("INTEGER", "CAST({c} AS INTEGER)"),
}
_ARROW = {
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.utf8(),
    "BLOB": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time32("ms"),
    "TIMESTAMP": pa.timestamp("ms"),
}
_DREMIO = {"BLOB": "VARBINARY"}

# What a client may write in DDL -> DuckDB
_DECLARED = {
    "BOOLEAN": "BOOLEAN",
    "INT": "INTEGER",
    "INTEGER": "INTEGER",
    "BIGINT": "BIGINT",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "DECIMAL": "DECIMAL(38,0)",
    "VARCHAR": "VARCHAR",
    "CHAR": "VARCHAR",
    "CHARACTER VARYING": "VARCHAR",
    "VARBINARY": "BLOB",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMP",
}


def normal(type_: str) -> tuple[str, str | None]:
    """(exposed type, conversion SQL or None when there is nothing to convert)."""
    if type_ in _NORMAL:
        return _NORMAL[type_]
    if type_.startswith("ENUM("):
        return "VARCHAR", "CAST({c} AS VARCHAR)"
    return type_, None


def nested(type_: str) -> bool:
    return type_.endswith("]") or type_.startswith(("STRUCT(", "MAP(", "UNION("))


def arrow(type_: str) -> pa.DataType | None:
    """None for a nested type: only a result tells its Arrow type."""
    if match := _DECIMAL.match(type_):
        return pa.decimal128(int(match[1]), int(match[2]))
    return _ARROW.get(type_)


def declared(text: str) -> str:
    """DuckDB's name of a type written in DDL. Raises EngineError."""
    name = re.sub(r"\s+", " ", text.strip().upper())
    if match := re.match(r"^(DECIMAL|NUMERIC)\s?\((\d+)(?:,\s*(\d+))?\s?\)$", name):
        return f"DECIMAL({match[2]},{match[3] or 0})"
    base = re.sub(r"\s?\(.*\)$", "", name)
    if base not in _DECLARED:
        raise unsupported(f"Type [{text}] is not supported")
    return _DECLARED[base]


@dataclass(frozen=True)
class SqlType:
    """A column's type as Dremio reports it. precision, scale: of DECIMAL only."""

    name: str
    precision: int | None = None
    scale: int | None = None

    @property
    def information_schema(self) -> str:
        """Name in INFORMATION_SCHEMA."COLUMNS" and DESCRIBE."""
        return {
            "VARCHAR": "CHARACTER VARYING",
            "VARBINARY": "BINARY VARYING",
            "LIST": "ARRAY",
            "STRUCT": "ROW",
        }.get(self.name, self.name)


def sql_type(type_: str) -> SqlType:
    exposed = normal(type_)[0]
    if match := _DECIMAL.match(exposed):
        return SqlType("DECIMAL", int(match[1]), int(match[2]))
    if exposed.endswith("]"):
        return SqlType("LIST")
    if exposed.startswith(("STRUCT(", "MAP(")):
        return SqlType(exposed.partition("(")[0])
    return SqlType(_DREMIO.get(exposed, exposed))
