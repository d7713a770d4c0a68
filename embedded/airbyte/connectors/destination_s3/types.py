"""JSON Schema of a stream as Arrow types, and values that do not fit as NULL plus a change.

https://docs.airbyte.com/platform/understanding-airbyte/supported-data-types
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

INT64 = range(-(2**63), 2**63)
REASON = "DESTINATION_SERIALIZATION_ERROR"

Change = dict[str, str]


class Kind(StrEnum):
    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    TIMESTAMP_TZ = "timestamp_with_timezone"
    TIMESTAMP = "timestamp_without_timezone"
    TIME_TZ = "time_with_timezone"
    TIME = "time_without_timezone"
    LIST = "list"
    STRUCT = "struct"
    JSON = "json"  # a string that holds JSON: unions, and arrays and objects without a schema


@dataclass(frozen=True, kw_only=True)
class Field:
    """fields: the item of a list, or the members of a struct."""

    name: str
    kind: Kind
    fields: tuple["Field", ...] = ()

    @property
    def arrow(self) -> pa.DataType:
        if self.kind is Kind.LIST:
            return pa.list_(self.fields[0].arrow)
        if self.kind is Kind.STRUCT:
            return pa.struct([(field.name, field.arrow) for field in self.fields])
        return _ARROW[self.kind]


_ARROW: dict[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP_TZ: pa.timestamp("us", "UTC"),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIME_TZ: pa.time64("us"),  # in UTC
    Kind.TIME: pa.time64("us"),
    Kind.JSON: pa.string(),
}
# What Arrow's JSON reader fills directly; the temporal ones are read as text first.
READABLE: dict[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    **{
        kind: pa.string()
        for kind in (Kind.DATE, Kind.TIMESTAMP_TZ, Kind.TIMESTAMP, Kind.TIME_TZ, Kind.TIME)
    },
}
_CAST = frozenset({Kind.DATE, Kind.TIMESTAMP_TZ, Kind.TIMESTAMP})


def fields(json_schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """The columns of a stream, in the order of its schema."""
    properties = json_schema.get("properties") or {}
    return tuple(_field(name, schema) for name, schema in properties.items())


def _field(name: str, schema: Any) -> Field:
    if not isinstance(schema, Mapping) or "oneOf" in schema or "anyOf" in schema:
        return Field(name=name, kind=Kind.JSON)
    declared = schema.get("type", [])
    types = set(declared if isinstance(declared, list) else [declared]) - {"null"}
    if len(types) != 1:
        return Field(name=name, kind=Kind.JSON)
    kind = types.pop()
    if kind == "array" and isinstance(schema.get("items"), Mapping) and schema["items"]:
        return Field(name=name, kind=Kind.LIST, fields=(_field("element", schema["items"]),))
    if kind == "object" and schema.get("properties"):
        return Field(name=name, kind=Kind.STRUCT, fields=fields(schema))
    return Field(name=name, kind=_scalar(str(kind), schema))


def _scalar(kind: str, schema: Mapping[str, Any]) -> Kind:
    hint = schema.get("airbyte_type")
    if kind == "integer" or (kind == "number" and hint == "integer"):
        return Kind.INTEGER
    if kind in ("number", "boolean"):
        return Kind(kind)
    if kind != "string":
        return Kind.JSON
    if schema.get("format") == "date":
        return Kind.DATE
    if schema.get("format") == "date-time":
        return Kind.TIMESTAMP if hint == Kind.TIMESTAMP else Kind.TIMESTAMP_TZ
    if schema.get("format") == "time":
        return Kind.TIME_TZ if hint == Kind.TIME_TZ else Kind.TIME
    return Kind.STRING


def column(values: pa.Array, field: Field) -> tuple[pa.Array, list[int]]:
    """A column of Arrow's JSON reader in its final type, and the rows whose value was lost."""
    if field.kind in (Kind.STRING, Kind.BOOLEAN, Kind.INTEGER):
        return values, []
    if field.kind is Kind.NUMBER:
        if pc.all(pc.is_finite(values)).as_py() is not False:
            return values, []
    elif field.kind in _CAST:
        try:
            return pc.cast(values, field.arrow), []
        except pa.ArrowInvalid:
            pass  # some value: look at each
    return convert_all(values.to_pylist(), field)


def convert_all(values: list[Any], field: Field) -> tuple[pa.Array, list[int]]:
    """Parsed JSON values in the field's type, and the rows whose value was lost."""
    converted: list[Any] = []
    lost: list[int] = []
    for row, value in enumerate(values):
        try:
            converted.append(convert(value, field))
        except (ValueError, OverflowError):
            converted.append(None)
            lost.append(row)
    return pa.array(converted, field.arrow), lost


def convert(value: Any, field: Field) -> Any:
    """One JSON value as Arrow takes it. Raises ValueError when it does not fit the type."""
    if value is None:
        return None
    match field.kind:
        case Kind.STRING:
            return value if isinstance(value, str) else orjson.dumps(value).decode()
        case Kind.JSON:
            return orjson.dumps(value).decode()
        case Kind.BOOLEAN:
            if isinstance(value, bool):
                return value
        case Kind.INTEGER:
            return _integer(value)
        case Kind.NUMBER:
            if isinstance(value, int | float) and not isinstance(value, bool):
                if math.isfinite(number := float(value)):
                    return number
        case Kind.LIST:
            if isinstance(value, list):
                return [convert(item, field.fields[0]) for item in value]
        case Kind.STRUCT:
            if isinstance(value, dict):
                return {f.name: convert(value.get(f.name), f) for f in field.fields}
        case _:
            if isinstance(value, str):
                return _temporal(value, field.kind)
    raise ValueError(f"{type(value).__name__} for {field.kind}")


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value in INT64:
        return value
    raise ValueError("no 64-bit integer")


def _temporal(value: str, kind: Kind) -> date | datetime | time:
    if kind is Kind.DATE:
        return datetime.fromisoformat(value).date()
    if kind in (Kind.TIME, Kind.TIME_TZ):
        clock = time.fromisoformat(value)
        if clock.tzinfo is None or kind is Kind.TIME:
            return clock.replace(tzinfo=None)
        return datetime.combine(date(2000, 1, 1), clock).astimezone(UTC).time()
    moment = datetime.fromisoformat(value)
    if kind is Kind.TIMESTAMP_TZ:  # without a zone: UTC
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def lost_change(name: str) -> Change:
    return {"field": name, "change": "NULLED", "reason": REASON}
