"""Record lines of one stream as an Arrow table or as JSON lines, with Airbyte's columns."""

import os
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.json as pj

from embedded.airbyte import protocol
from embedded.airbyte.connectors.destination_s3 import types

CHANGE = pa.struct([("field", pa.string()), ("change", pa.string()), ("reason", pa.string())])
META = pa.struct([("sync_id", pa.int64()), ("changes", pa.list_(CHANGE))])
EXTRACTED_AT = pa.timestamp("ms", "UTC")
METADATA: tuple[tuple[str, pa.DataType], ...] = (
    ("_airbyte_raw_id", pa.string()),
    ("_airbyte_extracted_at", EXTRACTED_AT),
    ("_airbyte_generation_id", pa.int64()),
    ("_airbyte_meta", META),
)


class RecordTable:
    """Turns record lines into tables of one schema."""

    def __init__(
        self, json_schema: Mapping[str, Any], *, sync_id: int, generation_id: int
    ) -> None:
        self._fields = types.fields(json_schema)
        self._sync_id = sync_id
        self._generation_id = generation_id
        self.schema = pa.schema([*METADATA, *((f.name, f.arrow) for f in self._fields)])
        self._message = self._message_schema()

    def _message_schema(self) -> pa.Schema | None:
        """Of the whole line, for Arrow's JSON reader; None when it cannot read all columns."""
        if not all(field.kind in types.READABLE for field in self._fields):
            return None
        data = pa.struct([(f.name, types.READABLE[f.kind]) for f in self._fields])
        meta = pa.struct([("changes", pa.list_(CHANGE))])
        record = pa.struct([("data", data), ("emitted_at", pa.int64()), ("meta", meta)])
        return pa.schema([("record", record)])

    def convert(self, lines: bytes, count: int) -> pa.Table:
        """`count` lines. Raises ProtocolError for lines that are not records."""
        table = self._convert_fast(lines, count) if self._fields else None
        return table if table is not None else self._convert_each(lines)

    def _convert_fast(self, lines: bytes, count: int) -> pa.Table | None:
        """By Arrow's JSON reader; None when it meets a value of another type."""
        if self._message is None:
            return None
        try:
            read = pj.read_json(
                pa.BufferReader(lines),
                read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
                parse_options=pj.ParseOptions(
                    explicit_schema=self._message, unexpected_field_behavior="ignore"
                ),
            )
        except pa.ArrowInvalid:
            return None
        if read.num_rows != count:
            return None
        record = read.column("record").combine_chunks()
        data, emitted, meta = record.flatten()
        changes: dict[int, list[types.Change]] = {}
        if meta.null_count < count:
            for row, value in enumerate(meta.to_pylist()):
                if value and value["changes"]:
                    changes[row] = value["changes"]
        parsed = zip(self._fields, data.flatten(), strict=True)
        columns = [self._keep(types.column(values, f), f, changes) for f, values in parsed]
        return self._table(columns, emitted, changes)

    def _convert_each(self, lines: bytes) -> pa.Table:
        records = parse_records(lines)
        changes = {
            row: list(record["meta"]["changes"])
            for row, record in enumerate(records)
            if (record.get("meta") or {}).get("changes")
        }
        columns = []
        for field in self._fields:
            values = [record["data"].get(field.name) for record in records]
            columns.append(self._keep(types.convert_all(values, field), field, changes))
        emitted = pa.array([record.get("emitted_at") for record in records], pa.int64())
        return self._table(columns, emitted, changes)

    @staticmethod
    def _keep(
        converted: tuple[pa.Array, list[int]],
        field: types.Field,
        changes: dict[int, list[types.Change]],
    ) -> pa.Array:
        values, lost = converted
        for row in lost:
            changes.setdefault(row, []).append(types.lost_change(field.name))
        return values

    def _table(
        self, columns: list[pa.Array], emitted: pa.Array, changes: dict[int, list[types.Change]]
    ) -> pa.Table:
        count = len(emitted)
        meta: pa.Array = pa.repeat(
            pa.scalar({"sync_id": self._sync_id, "changes": []}, META), count
        )
        if changes:
            rows = (
                {"sync_id": self._sync_id, "changes": changes.get(r, [])} for r in range(count)
            )
            meta = pa.array(list(rows), META)
        arrays = [
            pa.array(raw_ids(count), pa.string()),
            emitted.cast(EXTRACTED_AT),
            pa.repeat(pa.scalar(self._generation_id, pa.int64()), count),
            meta,
            *columns,
        ]
        return pa.Table.from_arrays(arrays, schema=self.schema)


class RecordLines:
    """Turns record lines into JSON lines with Airbyte's columns."""

    def __init__(self, *, sync_id: int, generation_id: int, flatten: bool) -> None:
        self._sync_id = sync_id
        self._generation_id = generation_id
        self._flatten = flatten

    def convert(self, lines: bytes) -> bytes:
        records = parse_records(lines)
        ids = raw_ids(len(records))
        pairs = zip(records, ids, strict=True)
        return b"".join(self._line(record, raw_id) for record, raw_id in pairs)

    def _line(self, record: Mapping[str, Any], raw_id: str) -> bytes:
        changes = (record.get("meta") or {}).get("changes") or []
        line = {
            "_airbyte_raw_id": raw_id,
            "_airbyte_extracted_at": record.get("emitted_at"),
            "_airbyte_generation_id": self._generation_id,
            "_airbyte_meta": {"sync_id": self._sync_id, "changes": changes},
        }
        line |= record["data"] if self._flatten else {"_airbyte_data": record["data"]}
        return orjson.dumps(line) + b"\n"


def parse_records(lines: bytes) -> list[dict[str, Any]]:
    try:
        return [orjson.loads(line)["record"] for line in lines.split(b"\n") if line]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise protocol.ProtocolError("a broken RECORD message") from None


def raw_ids(count: int) -> list[str]:
    """UUIDs (version 4 in form): random per call in the first 74 bits, counted in the rest."""
    seed = os.urandom(14).hex()
    prefix = f"{seed[:8]}-{seed[8:12]}-4{seed[12:15]}-a{seed[15:18]}-"
    start = int(seed[18:], 16) << 4
    return [f"{prefix}{(start + row) & 0xFFFFFFFFFFFF:012x}" for row in range(count)]
