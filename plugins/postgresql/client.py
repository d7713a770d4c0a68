"""Connections to one PostgreSQL server whose errors say what to do next."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dynamic_providers.handler import InputError, Props
from plugins.kind import Fields, ServiceError

CONNECT_TIMEOUT_S = 30
DEFAULT_PORT = 5432
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
ADVICE = {
    "28P01": "check postgresql:username and postgresql:password",
    "28000": "check postgresql:username and the server's pg_hba.conf",
    "42501": "the plugin's user needs this right: use a superuser, or the owner",
    "2BP01": "remove what depends on it, or let it be dropped too",
    "55006": "close the sessions that use it",
}


# Two changes of privileges at once fail with "tuple concurrently updated" (XX000).
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('dataflow privileges'))"


class Session:
    """One connection, committing each statement unless inside `transaction`."""

    def __init__(self, connection: "psycopg.Connection[dict[str, Any]]") -> None:
        self._connection = connection
        self.transaction = connection.transaction

    @contextmanager
    def privileges(self) -> Iterator[None]:
        """A transaction that changes privileges, alone among such on this database."""
        with self.transaction():
            self.run(ONE_AT_A_TIME)
            yield

    def run(self, statement: str, *names: Any, **values: Any) -> None:
        """`statement` with each {} replaced: a text is quoted as an identifier, a list of
        texts as a list of them, a sql.Composable is put in as it is."""
        filled = sql.SQL(statement).format(*(_part(name) for name in names))
        self._connection.execute(filled, values or None)

    def rows(self, query: str, values: Props | None = None) -> list[dict[str, Any]]:
        return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Props | None = None) -> dict[str, Any] | None:
        found = self.rows(query, values)
        return found[0] if found else None

    def verifier(self, password: str, role: str) -> str:
        """What the server stores for `password` (SCRAM-SHA-256), computed here, so that the
        password itself is in no statement and no log."""
        encrypted = self._connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        )
        return encrypted.decode()


def _part(name: Any) -> sql.Composable:
    if isinstance(name, sql.Composable):
        return name
    if isinstance(name, str):
        return sql.Identifier(name)
    return sql.SQL(", ").join(sql.Identifier(item) for item in name)


class PostgresClient:
    def __init__(self, parameters: Props) -> None:
        self._parameters = parameters
        self.database = str(parameters["dbname"])
        self._place = f"postgresql at {parameters['host']}:{parameters['port']}"

    @contextmanager
    def session(self, database: str | None = None) -> Iterator[Session]:
        """A connection for one piece of work: an idle one would block DROP DATABASE."""
        options = self._parameters | {"dbname": database or self.database}
        try:
            with psycopg.connect(**options, autocommit=True, row_factory=dict_row) as connection:
                yield Session(connection)
        except psycopg.Error as error:
            raise ServiceError(f"{self._place}: {_text(error)}") from None

    def has_database(self, name: str) -> bool:
        with self.session() as session:
            found = session.row("SELECT 1 FROM pg_database WHERE datname = %(n)s", {"n": name})
        return found is not None


def _text(error: psycopg.Error) -> str:
    # str(error) of a syntax error quotes the statement.
    primary = error.diag.message_primary
    if primary is None:
        return f"{error}: is the server up, and postgresql:host and port its address?"
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    advice = ADVICE.get(error.sqlstate or "")
    return f"{primary}{detail}{': ' + advice if advice else ''}"


def connect(settings: Props) -> PostgresClient:
    """Settings of pulumi_postgresql.Provider; PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE
    stand in for those that are not set, as with the official plugin."""
    fields = Fields(settings)
    fields.text("scheme", among=("postgres",))
    host = fields.text("host", os.environ.get("PGHOST"), required=True)
    port = fields.integer("port", int(os.environ.get("PGPORT", DEFAULT_PORT)), least=1)
    user = fields.text("username", os.environ.get("PGUSER", "postgres"))
    password = fields.secret("password") or os.environ.get("PGPASSWORD")
    if not password:
        raise InputError("password", "is missing: expected the password of username")
    parameters = {
        "host": host,
        "port": port,
        "user": user,
        "password": password,
        "dbname": fields.text("database", os.environ.get("PGDATABASE", "postgres")),
        "connect_timeout": fields.integer("connectTimeout", CONNECT_TIMEOUT_S, least=1),
    }
    old_mode = fields.text("sslMode", among=SSL_MODES)
    if mode := fields.text("sslmode", old_mode, among=SSL_MODES):
        parameters["sslmode"] = mode
    if root := fields.text("sslrootcert"):
        parameters["sslrootcert"] = root
    for unused in ("expectedVersion", "version", "pluginDownloadURL"):
        fields.text(unused)  # of the plugin; the server tells its own version
    fields.integer("maxConnections")
    fields.flag("superuser", True)
    fields.done()
    return PostgresClient(parameters)
