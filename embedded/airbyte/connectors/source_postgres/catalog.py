"""Discovery: tables and views as streams, PostgreSQL types as JSON Schema and as SELECT."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

STRING = {"type": "string"}
INTEGER = {"type": "number", "airbyte_type": "integer"}
NUMBER = {"type": "number"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "int2": INTEGER,
    "int4": INTEGER,
    "int8": INTEGER,
    "oid": INTEGER,
    "float4": NUMBER,
    "float8": NUMBER,
    "numeric": NUMBER,
    "money": NUMBER,
    "date": {"type": "string", "format": "date"},
    "timestamp": {
        "type": "string",
        "format": "date-time",
        "airbyte_type": "timestamp_without_timezone",
    },
    "timestamptz": {
        "type": "string",
        "format": "date-time",
        "airbyte_type": "timestamp_with_timezone",
    },
    "time": {"type": "string", "format": "time", "airbyte_type": "time_without_timezone"},
    "timetz": {"type": "string", "format": "time", "airbyte_type": "time_with_timezone"},
}
# Types that to_json writes as the JSON value we want; every other type is cast to text.
PLAIN = (frozenset(SCHEMAS) - {"money"}) | {
    "text",
    "varchar",
    "bpchar",
    "uuid",
    "bytea",
    "name",
    "inet",  # its cast to text would add /32
}
ENDLESS = frozenset({"float4", "float8", "date", "timestamp", "timestamptz"})
NUMERIC_INFINITY_SINCE = 140000  # server_version_num

_COLUMNS: LiteralString = """
WITH RECURSIVE base(oid, root) AS (
    SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
    UNION ALL
    SELECT t.oid, base.root
    FROM pg_type t JOIN base ON t.typtype = 'd' AND t.typbasetype = base.oid
)
SELECT n.nspname, c.relname, a.attname, root.typname, element.typname, a.attndims,
       format_type(a.atttypid, a.atttypmod),
       a.attnotnull,
       (SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index i
         WHERE i.indrelid = c.oid AND i.indisprimary)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN base ON base.oid = a.atttypid
JOIN pg_type root ON root.oid = base.root
LEFT JOIN pg_type element ON element.oid = root.typelem AND root.typcategory = 'A'
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname = ANY(%s) AND has_schema_privilege(n.oid, 'USAGE')
  AND has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY 1, 2, a.attnum
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """type: name of the type below any domain; element: the type of an array's elements."""

    name: str
    type: str
    element: str | None
    dimensions: int
    sql_type: str
    nullable: bool
    key_position: int | None

    def json_schema(self) -> dict[str, Any]:
        schema = self._base_schema()
        if not self.nullable:
            return schema
        return {**schema, "type": ["null", schema["type"]]}

    def _base_schema(self) -> dict[str, Any]:
        if self.element is None:
            return dict(SCHEMAS.get(self.type, STRING))
        if self.dimensions > 1:
            return {"type": "array"}  # the depth is not part of PostgreSQL's type
        items = SCHEMAS.get(self.element, STRING)
        return {"type": "array", "items": {**items, "type": ["null", items["type"]]}}

    def select(self, table: str, server_version: int) -> sql.Composable:
        """The value as to_json shall write it; NULL for what JSON cannot say."""
        column = sql.Identifier(table, self.name)
        if self.element is not None:
            return column if self.element in PLAIN else sql.SQL("{}::text[]").format(column)
        if self.type == "money":
            return sql.SQL("{}::numeric").format(column)
        if self.type not in PLAIN:
            return sql.SQL("{}::text").format(column)
        unsayable = self.unsayable(table, server_version)
        if unsayable is None:
            return column
        return sql.SQL("CASE WHEN {} THEN NULL ELSE {} END").format(unsayable, column)

    def unsayable(self, table: str, server_version: int) -> sql.Composable | None:
        """Condition: the value is a NaN or an infinity. None when the type has neither."""
        values: list[str] = []
        if self.element is None and self.type in ("float4", "float8", "numeric"):
            values.append("NaN")
        if self.element is None and (
            self.type in ENDLESS
            or (self.type == "numeric" and server_version >= NUMERIC_INFINITY_SINCE)
        ):
            values += ["infinity", "-infinity"]
        if not values:
            return None
        return sql.SQL("{} IN ({})").format(
            sql.Identifier(table, self.name), sql.SQL(", ").join(map(sql.Literal, values))
        )


@dataclass(frozen=True, kw_only=True)
class Table:
    schema: str
    name: str
    columns: tuple[Column, ...]

    @property
    def primary_key(self) -> list[str]:
        keyed = [(c.key_position, c.name) for c in self.columns if c.key_position is not None]
        return [name for _, name in sorted(keyed)]

    def stream(self) -> dict[str, Any]:
        """AirbyteStream. Full refresh is not resumable: a retry reads the table again."""
        return {
            "name": self.name,
            "namespace": self.schema,
            "json_schema": {
                "type": "object",
                "properties": {c.name: c.json_schema() for c in self.columns},
            },
            "supported_sync_modes": ["full_refresh", "incremental"],
            "source_defined_cursor": False,
            "default_cursor_field": [],
            "source_defined_primary_key": [[name] for name in self.primary_key],
            "is_resumable": False,
        }


def tables(
    connection: psycopg.Connection[TupleRow], schemas: Iterable[str]
) -> dict[tuple[str, str], Table]:
    """Readable tables, views, materialized views and foreign tables by (schema, name)."""
    found: dict[tuple[str, str], list[Column]] = {}
    for row in connection.execute(_COLUMNS, [list(schemas)]):
        found.setdefault((row[0], row[1]), []).append(
            Column(
                name=row[2],
                type=row[3],
                element=row[4],
                dimensions=row[5],
                sql_type=row[6],
                nullable=not row[7],
                key_position=row[8],
            )
        )
    return {
        (schema, name): Table(schema=schema, name=name, columns=tuple(columns))
        for (schema, name), columns in found.items()
    }
