"""Configuration of the PostgreSQL source, and the connection that it describes."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow

from embedded.airbyte.connectors.runtime import ConnectorError

BATCH_SIZE = 10_000  # records; specification, "Ingestion Optimization": batch_size
CONNECT_TIMEOUT_S = 15
VERIFYING = frozenset({"verify-ca", "verify-full"})
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# Text forms of values depend on these settings; a state must mean the same in the next sync.
_SESSION: LiteralString = """
    SET TIME ZONE 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
    SET bytea_output = 'hex'; SET extra_float_digits = 1; SET statement_timeout = 0
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False, default="")
    schemas: tuple[str, ...] = ("public",)
    ssl_mode: str = "prefer"
    ca_certificate: str = field(repr=False, default="")
    batch_size: int = BATCH_SIZE

    def __post_init__(self) -> None:
        if self.ssl_mode not in SSL_MODES:
            raise ConnectorError(
                f"ssl_mode.mode: {self.ssl_mode!r}: expected one of {', '.join(SSL_MODES)}"
            )
        if self.ssl_mode in VERIFYING and not self.ca_certificate:
            raise ConnectorError(f"ssl_mode.ca_certificate: {self.ssl_mode} needs it")


def parse(config: Mapping[str, Any]) -> Settings:
    """Raises ConnectorError naming the key; also for what is not built yet."""
    missing = [key for key in ("host", "port", "database", "username") if not config.get(key)]
    if missing:
        raise ConnectorError(f"{', '.join(missing)}: required")
    _refuse_unbuilt(config)
    ssl = config.get("ssl_mode") or {}
    return Settings(
        host=str(config["host"]),
        port=int(config["port"]),
        database=str(config["database"]),
        username=str(config["username"]),
        password=str(config.get("password") or ""),
        schemas=tuple(config.get("schemas") or ("public",)),
        ssl_mode=str(ssl.get("mode", "prefer")),
        ca_certificate=str(ssl.get("ca_certificate") or ""),
        batch_size=int(config.get("batch_size") or BATCH_SIZE),
    )


def _refuse_unbuilt(config: Mapping[str, Any]) -> None:
    method = (config.get("replication_method") or {}).get("method", "Standard")
    if method != "Standard":
        raise ConnectorError(
            f"replication_method.method: {method!r} is not built yet: use 'Standard', "
            "and a cursor field per incremental stream"
        )
    tunnel = (config.get("tunnel_method") or {}).get("tunnel_method", "NO_TUNNEL")
    if tunnel != "NO_TUNNEL":
        raise ConnectorError(f"tunnel_method: {tunnel!r} is not built yet: use 'NO_TUNNEL'")


@contextmanager
def connect(settings: Settings) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection whose transactions are read-only snapshots."""
    with _ca_file(settings) as ca_file:
        connection = psycopg.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.database,
            user=settings.username,
            password=settings.password,
            sslmode=settings.ssl_mode,
            sslrootcert=ca_file,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="airbyte/source-postgres",
            client_encoding="UTF8",
            autocommit=True,
        )
    with connection:
        connection.execute(_SESSION)
        connection.autocommit = False
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection


@contextmanager
def _ca_file(settings: Settings) -> Iterator[str | None]:
    """libpq takes the certificate authority from a file only."""
    if not settings.ca_certificate:
        yield None
        return
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(settings.ca_certificate)
        yield path
    finally:
        Path(path).unlink()


def classify(fault: Exception) -> ConnectorError | None:
    """The user's view of a database error. libpq's texts hold no password."""
    if not isinstance(fault, psycopg.Error):
        return None
    text = str(fault).strip()
    if isinstance(fault, psycopg.errors.InsufficientPrivilege):
        return ConnectorError(f"The database user lacks a privilege: {text}")
    if isinstance(fault, psycopg.OperationalError):
        wrong = any(word in text for word in ("authentication failed", "does not exist", "pg_hba"))
        kind = "config_error" if wrong else "transient_error"
        return ConnectorError(f"Could not connect to, or lost, the database: {text}", kind)
    return None
