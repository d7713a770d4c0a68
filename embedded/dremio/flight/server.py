"""The Flight server: raw SQL commands and Flight SQL on one port.

A command that is a packed Flight SQL message is one; any other is SQL in UTF-8. The same holds
for tickets. DDL travels the query path, as in the product: there is no DoPut.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from embedded.dremio.catalog.model import Path
from embedded.dremio.engine import Engine
from embedded.dremio.errors import EngineError, Kind
from embedded.dremio.flight import metadata
from embedded.dremio.flight.auth import MIDDLEWARE, NoHandshake, Session, SessionFactory
from embedded.dremio.flight.messages import pack, unpack
from embedded.dremio.sql.executor import Prepared
from tls.files import KeyPair

HANDLE_TTL_S = 1800  # how long a ticket or prepared statement may wait
QUERY_MESSAGES = ("CommandStatementQuery", "CommandPreparedStatementQuery", "TicketStatementQuery")
KEY_MESSAGES = ("CommandGetPrimaryKeys", "CommandGetExportedKeys", "CommandGetImportedKeys",
                "CommandGetCrossReference")  # fmt: skip
ACTIONS = ("CreatePreparedStatement", "ClosePreparedStatement", "CloseSession")


def to_flight(fault: EngineError) -> Exception:
    """The error whose gRPC code the product uses for that kind."""
    codes: dict[Kind, type[Exception]] = {
        Kind.PERMISSION: flight.FlightUnauthorizedError,
        Kind.RESOURCE: flight.FlightUnavailableError,
        Kind.IO: flight.FlightUnavailableError,
        Kind.CONFLICT: flight.FlightUnavailableError,
        Kind.CANCELED: flight.FlightCancelledError,
        Kind.SYSTEM: flight.FlightInternalError,
        Kind.DATA_READ: flight.FlightInternalError,
        Kind.FUNCTION: flight.FlightInternalError,
    }
    # ArrowInvalid is INVALID_ARGUMENT on the wire.
    type_ = codes.get(fault.kind, pa.ArrowInvalid)
    error: Exception = type_(f"{fault.kind.label} ERROR: {fault.message}")
    return error


class Handles:
    """Prepared statements by handle, forgotten when nobody comes back for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[bytes, tuple[float, Prepared]] = {}

    def put(self, prepared: Prepared) -> bytes:
        handle = uuid.uuid4().bytes
        now = time.monotonic()
        with self._lock:
            for old in [h for h, (at, _) in self._held.items() if now - at > HANDLE_TTL_S]:
                del self._held[old]
            self._held[handle] = (now, prepared)
        return handle

    def get(self, handle: bytes) -> Prepared:
        with self._lock:
            held = self._held.get(handle)
        if held is None:
            raise EngineError(Kind.VALIDATION, "The prepared statement is closed or unknown.")
        return held[1]

    def close(self, handle: bytes) -> None:
        with self._lock:
            self._held.pop(handle, None)


class FlightServer(flight.FlightServerBase):  # type: ignore[misc]
    """tls: None serves clear text. The certificate is read once: see serving.py."""

    def __init__(
        self,
        engine: Engine,
        host: str,
        port: int,
        tls: KeyPair | None = None,
        handles: Handles | None = None,
    ) -> None:
        scheme, certificates = "grpc", []
        if tls is not None:
            scheme = "grpc+tls"
            certificates = [(tls.certificate.read_bytes(), tls.key.read_bytes())]
        super().__init__(
            f"{scheme}://{host}:{port}",
            auth_handler=NoHandshake(),
            tls_certificates=certificates,
            middleware={MIDDLEWARE: SessionFactory(engine.users)},
        )
        self._engine = engine
        self._handles = handles or Handles()

    # -- what a command means ----------------------------------------------------------------

    def _session(self, context: Any) -> Session:
        session = context.get_middleware(MIDDLEWARE)
        assert isinstance(session, Session)  # noqa: S101 (start_call refuses others)
        return session

    def _prepare(self, sql: str, session: Session) -> Prepared:
        try:
            return self._engine.executor.prepare(sql, session.context)
        except EngineError as fault:
            self._engine.jobs.refuse(sql, list(session.context), session.user.name, fault)
            raise

    def _statement(self, name: str, message: Any, session: Session) -> Prepared:
        if name == "CommandStatementQuery":
            return self._prepare(message.query, session)
        if name == "TicketStatementQuery":
            return self._handles.get(message.statement_handle)
        return self._handles.get(message.prepared_statement_handle)

    def _info(self, data: bytes, session: Session, descriptor: Any) -> flight.FlightInfo:
        command = unpack(data)
        if command is None:
            prepared = self._prepare(_sql(data), session)
            ticket = pack("TicketStatementQuery", statement_handle=self._handles.put(prepared))
            return _flight_info(prepared.schema, descriptor, ticket)
        name, message = command
        if message is None or name.endswith("Update"):
            raise NotImplementedError(f"{name} is not supported")
        if name in KEY_MESSAGES:
            return _flight_info(pa.schema([]), descriptor, None)
        if name == "CommandStatementQuery":
            prepared = self._statement(name, message, session)
            ticket = pack("TicketStatementQuery", statement_handle=self._handles.put(prepared))
            return _flight_info(prepared.schema, descriptor, ticket)
        if name in QUERY_MESSAGES:
            return _flight_info(self._statement(name, message, session).schema, descriptor, data)
        found = metadata.table(self._engine, name, message)
        assert found is not None  # noqa: S101 (all other messages are metadata)
        return _flight_info(found.schema, descriptor, data)

    # -- Flight ------------------------------------------------------------------------------

    def get_flight_info(self, context: Any, descriptor: Any) -> flight.FlightInfo:
        try:
            return self._info(descriptor.command or b"", self._session(context), descriptor)
        except EngineError as fault:
            raise to_flight(fault) from None

    def get_schema(self, context: Any, descriptor: Any) -> flight.SchemaResult:
        info = self.get_flight_info(context, descriptor)
        return flight.SchemaResult(info.schema)

    def do_get(self, context: Any, ticket: Any) -> flight.FlightDataStream:
        session = self._session(context)
        try:
            command = unpack(ticket.ticket)
            if command is None:
                prepared = self._prepare(_sql(ticket.ticket), session)
            else:
                name, message = command
                if name not in QUERY_MESSAGES:
                    found = metadata.table(self._engine, name, message) if message else None
                    if found is None:
                        raise NotImplementedError(f"{name} is not supported")
                    return flight.RecordBatchStream(found)
                prepared = self._statement(name, message, session)
                prepared = self._current(prepared, session)
            batches = self._engine.jobs.stream(prepared, session.user.name)
            # The first batch now: a failure is then the call's own error, with its code.
            first = next(batches)
        except EngineError as fault:
            raise to_flight(fault) from None
        return flight.GeneratorStream(prepared.schema, _rest(first, batches))

    def _current(self, prepared: Prepared, session: Session) -> Prepared:
        """Planned anew when the catalog has changed: the plan's tables may have been replaced."""
        if prepared.plan is None:
            return prepared
        fresh = self._prepare_in(prepared.sql, prepared.context, session)
        return fresh if fresh.schema.equals(prepared.schema) else prepared

    def _prepare_in(self, sql: str, context: Path, session: Session) -> Prepared:
        try:
            return self._engine.executor.prepare(sql, context)
        except EngineError as fault:
            self._engine.jobs.refuse(sql, list(context), session.user.name, fault)
            raise

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        return [(name, "Flight SQL") for name in ACTIONS]

    def do_action(self, context: Any, action: Any) -> Iterator[flight.Result]:
        session = self._session(context)
        body = action.body.to_pybytes()
        if action.type == "CreatePreparedStatement":
            yield self._create_prepared(body, session)
        elif action.type == "ClosePreparedStatement":
            command = unpack(body)
            if command is not None and command[1] is not None:
                self._handles.close(command[1].prepared_statement_handle)
        elif action.type != "CloseSession":
            raise NotImplementedError(f"Action {action.type} is not supported")

    def _create_prepared(self, body: bytes, session: Session) -> flight.Result:
        command = unpack(body)
        if command is None or command[1] is None:
            raise pa.ArrowInvalid("CreatePreparedStatement: the request is not understood")
        try:
            prepared = self._prepare(command[1].query, session)
        except EngineError as fault:
            raise to_flight(fault) from None
        return flight.Result(
            pack(
                "ActionCreatePreparedStatementResult",
                prepared_statement_handle=self._handles.put(prepared),
                dataset_schema=prepared.schema.serialize().to_pybytes(),
                parameter_schema=pa.schema([]).serialize().to_pybytes(),
            )
        )


def _sql(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise EngineError(Kind.PARSE, "The command is neither Flight SQL nor UTF-8.") from None


def _flight_info(schema: pa.Schema, descriptor: Any, ticket: bytes | None) -> flight.FlightInfo:
    endpoints = [flight.FlightEndpoint(ticket, [])] if ticket is not None else []
    return flight.FlightInfo(schema, descriptor, endpoints, -1, -1)


def _rest(first: pa.RecordBatch, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield first
        yield from batches
    except EngineError as fault:
        raise to_flight(fault) from None
