"""Reading: the server writes each row as JSON (COPY), Python only frames the lines.

Incremental reads by cursor, `>=` the saved value: rows that share it may have come since. When
the rows at that value are exactly those already sent (same count and hash), they are skipped.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from embedded.airbyte import protocol
from embedded.airbyte.connectors.runtime import ConnectorError, emit, now_ms, write
from embedded.airbyte.connectors.source_postgres.catalog import Column, Table

STATE_VERSION = 2  # of the cursor_based state in Airbyte's own connector
FLUSH_ROWS = 500
FLUSH_BYTES = 1 << 18
CLOCK_ROWS = 5_000  # emitted_at is taken once per so many rows
SEPARATOR = b"\x02"
ROW = "r"  # alias of the table in every query below

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """A saved position. count and hash describe the rows at `value`; None: not known."""

    field: str
    value: str | None
    count: int | None = None
    hash: str | None = None

    def stream_state(self, table: Table) -> dict[str, Any]:
        state: dict[str, Any] = {
            "version": STATE_VERSION,
            "state_type": "cursor_based",
            "stream_name": table.name,
            "stream_namespace": table.schema,
            "cursor_field": [self.field],
            "cursor": self.value,
        }
        if self.count is not None:
            state |= {"cursor_record_count": self.count, "cursor_record_hash": self.hash}
        return state


def saved_cursor(state: Mapping[str, Any] | None, field: str) -> Cursor | None:
    """The position in a stream state; None when there is none, or it is of another field."""
    if not state or state.get("cursor_field") != [field] or state.get("cursor") is None:
        return None
    return Cursor(
        field=field,
        value=str(state["cursor"]),
        count=state.get("cursor_record_count"),
        hash=state.get("cursor_record_hash"),
    )


class StreamReader:
    """Reads one configured stream in one snapshot of the database."""

    def __init__(self, connection: Connection, table: Table, batch_size: int) -> None:
        self._connection = connection
        self._table = table
        self._batch_size = batch_size
        self._key: protocol.StreamKey = (table.schema, table.name)
        self._head = protocol.record_head(*self._key)
        self._since_state = 0

    def full_refresh(self, fields: list[str]) -> None:
        columns = self._columns(fields)
        with self._connection.transaction():
            query = self._copy(columns, cursor=None, where=sql.SQL(""))
            self._send(row for row in self._rows(query))
        self._state({"state_type": "full_refresh_complete"})

    def incremental(self, fields: list[str], field: str, saved: Cursor | None) -> None:
        cursor = self._cursor_column(field)
        with self._connection.transaction():
            where = self._after(cursor, saved) if saved else sql.SQL("")
            last = self._send_by_cursor(self._copy(self._columns(fields), cursor, where), cursor)
            value = last if last is not None else (saved.value if saved else None)
            count, digest = self._at(cursor, value) if value is not None else (0, None)
        position = Cursor(field=field, value=value, count=count, hash=digest)
        self._state(position.stream_state(self._table))

    def _columns(self, fields: list[str]) -> list[Column]:
        """Those of the catalog that the table still has; a dropped column is not fatal."""
        return [column for column in self._table.columns if column.name in set(fields)]

    def _cursor_column(self, field: str) -> Column:
        for column in self._table.columns:
            if column.name == field:
                return column
        raise ConnectorError(
            f"cursor field {field!r}: not a column of {self._table.schema}.{self._table.name}"
        )

    def _copy(
        self, columns: list[Column], cursor: Column | None, where: sql.Composable
    ) -> sql.Composed:
        """COPY of `[cursor as JSON text,] row as JSON[,"meta":...]`.

        CSV with control characters as quote and delimiter leaves JSON untouched: JSON escapes
        them, and every newline.
        """
        version = self._connection.info.server_version
        selected = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column.select(ROW, version), sql.Identifier(column.name))
            for column in columns
        )
        line: sql.Composable = sql.SQL("row_to_json(v)::text") + self._changes(columns, version)
        order: sql.Composable = sql.SQL("")
        if cursor is not None:
            position = sql.Identifier(ROW, cursor.name)
            line = sql.SQL("to_json({}::text), {}").format(position, line)
            # Rows without a cursor value come first: no state may stand before them.
            order = sql.SQL("ORDER BY {} ASC NULLS FIRST").format(position)
        return sql.SQL(
            "COPY (SELECT {line} FROM {table} AS {row}, LATERAL (SELECT {selected}) AS v "
            "{where} {order}) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
        ).format(
            line=line,
            table=sql.Identifier(self._table.schema, self._table.name),
            row=sql.Identifier(ROW),
            selected=selected,
            where=where,
            order=order,
        )

    def _changes(self, columns: list[Column], version: int) -> sql.Composable:
        """`,"meta":{"changes":[...]}` for rows that lost a NaN or an infinity, else nothing."""
        parts: list[sql.Composable] = []
        for column in columns:
            condition = column.unsayable(ROW, version)
            if condition is not None:
                change = {
                    "field": column.name,
                    "change": "NULLED",
                    "reason": "SOURCE_SERIALIZATION_ERROR",
                }
                text = sql.Literal("," + orjson.dumps(change).decode())
                parts.append(sql.SQL("CASE WHEN {} THEN {} END").format(condition, text))
        if not parts:
            return sql.SQL("")
        return sql.SQL(
            """ || coalesce(',"meta":{{"changes":[' || nullif(substr(concat({}), 2), '') || ']}}',
            '')"""
        ).format(sql.SQL(", ").join(parts))

    def _after(self, cursor: Column, saved: Cursor) -> sql.Composable:
        unchanged = saved.count is not None and self._at(cursor, saved.value) == (
            saved.count,
            saved.hash,
        )
        return sql.SQL("WHERE {} {} {}::{}").format(
            sql.Identifier(ROW, cursor.name),
            sql.SQL(">" if unchanged else ">="),
            sql.Literal(saved.value),
            sql.SQL(_trusted(cursor.sql_type)),
        )

    def _at(self, cursor: Column, value: str | None) -> tuple[int, str | None]:
        """Number and hash (independent of order) of the rows at a cursor value."""
        query = sql.SQL(
            "SELECT count(*), sum(hashtextextended({row}::text, 0))::text FROM {table} AS {row} "
            "WHERE {cursor} = {value}::{type}"
        ).format(
            row=sql.Identifier(ROW),
            table=sql.Identifier(self._table.schema, self._table.name),
            cursor=sql.Identifier(ROW, cursor.name),
            value=sql.Literal(value),
            type=sql.SQL(_trusted(cursor.sql_type)),
        )
        found = self._connection.execute(query).fetchone()
        return (int(found[0]), found[1]) if found else (0, None)

    def _rows(self, query: sql.Composed) -> Iterator[bytes]:
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for row in copy:
                yield bytes(row)[:-1]

    def _send_by_cursor(self, query: sql.Composed, cursor: Column) -> str | None:
        """Sends the rows, and a state wherever the cursor changes after batch_size records.
        Returns the last cursor value."""
        last = b""
        rows: list[bytes] = []
        for row in self._rows(query):
            position, _, line = row.partition(SEPARATOR)
            if position != last:
                if last and self._since_state + len(rows) >= self._batch_size:
                    self._send(iter(rows))
                    rows = []
                    here = Cursor(field=cursor.name, value=orjson.loads(last))
                    self._state(here.stream_state(self._table))
                last = position
            rows.append(line)
            if len(rows) >= CLOCK_ROWS:
                self._send(iter(rows))
                rows = []
        self._send(iter(rows))
        return str(orjson.loads(last)) if last else None

    def _send(self, rows: Iterator[bytes]) -> None:
        """Frames rows as RECORD lines: one join per block, no work per row."""
        block: list[bytes] = []
        size = 0
        for row in rows:
            block.append(row)
            size += len(row)
            if len(block) >= FLUSH_ROWS or size >= FLUSH_BYTES:
                self._flush(block)
                block, size = [], 0
        self._flush(block)

    def _flush(self, block: list[bytes]) -> None:
        if not block:
            return
        tail = b',"emitted_at":%d}}\n' % int(time.time() * 1000)
        write(self._head + (tail + self._head).join(block) + tail)
        self._since_state += len(block)

    def _state(self, stream_state: dict[str, Any]) -> None:
        emit(
            {
                "type": "STATE",
                "state": {
                    "type": "STREAM",
                    "stream": {
                        "stream_descriptor": protocol.descriptor(self._key),
                        "stream_state": stream_state,
                    },
                    "sourceStats": {"recordCount": float(self._since_state)},
                },
            }
        )
        self._since_state = 0


def _trusted(sql_type: str) -> Any:
    """format_type() quotes the names it returns; psycopg asks for a literal."""
    return sql_type


def read_stream(
    connection: Connection,
    found: Mapping[tuple[str, str], Table],
    configured: Mapping[str, Any],
    state: Mapping[str, Any] | None,
    batch_size: int,
) -> None:
    """Reads one stream between its STARTED and COMPLETE statuses."""
    stream = configured["stream"]
    key = protocol.stream_key(stream)
    table = found.get((str(key[0]), key[1]))
    if table is None:
        raise ConnectorError(f"stream {key[0]}.{key[1]}: no such table, or no right to read it")
    emit(protocol.stream_status(key, "STARTED", now_ms()))
    reader = StreamReader(connection, table, batch_size)
    fields = list((stream.get("json_schema") or {}).get("properties") or {})
    if configured["sync_mode"] == "incremental":
        field = _cursor_field(configured)
        reader.incremental(fields, field, saved_cursor(state, field))
    else:
        reader.full_refresh(fields)
    emit(protocol.stream_status(key, "COMPLETE", now_ms()))


def _cursor_field(configured: Mapping[str, Any]) -> str:
    path = configured.get("cursor_field") or configured["stream"].get("default_cursor_field") or []
    if len(path) != 1:
        raise ConnectorError(
            f"stream {configured['stream']['name']}: cursor_field {path!r}: expected one column"
        )
    return str(path[0])
