"""The Flight SQL messages in use, declared without generated code.

Field numbers: https://github.com/apache/arrow/blob/main/format/FlightSql.proto
"""

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

PACKAGE = "arrow.flight.protocol.sql"
TYPE_PREFIX = f"type.googleapis.com/{PACKAGE}."

_F = descriptor_pb2.FieldDescriptorProto
# message -> fields as (name, number, type, repeated)
_MESSAGES: dict[str, list[tuple[str, int, Any, bool]]] = {
    "CommandStatementQuery": [
        ("query", 1, _F.TYPE_STRING, False),
        ("transaction_id", 2, _F.TYPE_BYTES, False),
    ],
    "CommandStatementUpdate": [("query", 1, _F.TYPE_STRING, False)],
    "CommandPreparedStatementQuery": [("prepared_statement_handle", 1, _F.TYPE_BYTES, False)],
    "CommandPreparedStatementUpdate": [("prepared_statement_handle", 1, _F.TYPE_BYTES, False)],
    "TicketStatementQuery": [("statement_handle", 1, _F.TYPE_BYTES, False)],
    "ActionCreatePreparedStatementRequest": [
        ("query", 1, _F.TYPE_STRING, False),
        ("transaction_id", 2, _F.TYPE_BYTES, False),
    ],
    "ActionCreatePreparedStatementResult": [
        ("prepared_statement_handle", 1, _F.TYPE_BYTES, False),
        ("dataset_schema", 2, _F.TYPE_BYTES, False),
        ("parameter_schema", 3, _F.TYPE_BYTES, False),
    ],
    "ActionClosePreparedStatementRequest": [
        ("prepared_statement_handle", 1, _F.TYPE_BYTES, False)
    ],
    "CommandGetSqlInfo": [("info", 1, _F.TYPE_UINT32, True)],
    "CommandGetXdbcTypeInfo": [("data_type", 1, _F.TYPE_INT32, False)],
    "CommandGetCatalogs": [],
    "CommandGetDbSchemas": [
        ("catalog", 1, _F.TYPE_STRING, False),
        ("db_schema_filter_pattern", 2, _F.TYPE_STRING, False),
    ],
    "CommandGetTables": [
        ("catalog", 1, _F.TYPE_STRING, False),
        ("db_schema_filter_pattern", 2, _F.TYPE_STRING, False),
        ("table_name_filter_pattern", 3, _F.TYPE_STRING, False),
        ("table_types", 4, _F.TYPE_STRING, True),
        ("include_schema", 5, _F.TYPE_BOOL, False),
    ],
    "CommandGetTableTypes": [],
    "CommandGetPrimaryKeys": [],
    "CommandGetExportedKeys": [],
    "CommandGetImportedKeys": [],
    "CommandGetCrossReference": [],
}


def _build() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="dataflow/flight_sql.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, type_, repeated in fields:
            label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
            message.field.add(name=field, number=number, type=type_, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _build()


def unpack(data: bytes) -> tuple[str, Any] | None:
    """(message name, message) of a packed Flight SQL message; None for anything else, such as
    SQL text. A Flight SQL message that is not in use comes with None as its message."""
    packed = any_pb2.Any()
    try:
        packed.ParseFromString(data)
    except DecodeError:
        return None
    if not packed.type_url.startswith(TYPE_PREFIX):
        return None
    name = packed.type_url.removeprefix(TYPE_PREFIX)
    if name not in _CLASSES:
        return name, None
    message = _CLASSES[name]()
    message.ParseFromString(packed.value)
    return name, message


def pack(name: str, **fields: Any) -> bytes:
    message = _CLASSES[name](**fields)
    value = message.SerializeToString()
    return any_pb2.Any(type_url=TYPE_PREFIX + name, value=value).SerializeToString()
