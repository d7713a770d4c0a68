"""The PostgreSQL server as a whole: a base backup over the replication protocol, and its return.

Physical on purpose: roles, all databases and their sequences at one moment, without a dump
program of the server's version. The write-ahead log that makes the copy consistent is in it.

https://www.postgresql.org/docs/17/protocol-replication.html#PROTOCOL-REPLICATION-BASE-BACKUP
"""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from operations.archive import SEALED, BackupError
from operations.sealed import Keys, sealing, unsealing

SERVICE = "postgres"
CLUSTER = "cluster"  # in its data
FILE = f"postgres{SEALED}"
BASE_BACKUP = b"BASE_BACKUP (LABEL 'dataflow', CHECKPOINT 'fast', WAL true, MANIFEST 'no')"
DATA, OTHERS = b"d", b"nmp"  # kinds of messages: content; start of an archive, manifest, progress
COMPRESSION = 1  # of gzip: the disk is slower than that
TABLES = """
SELECT schemaname, tablename FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"

Login = Mapping[str, Any]  # host, port, user, password and TLS options of the superuser


def save(login: Login, folder: Path, keys: Keys) -> dict[str, Any]:
    """What it holds: server version, and rows of each table that did not change meanwhile."""
    before = rows(login)
    with (
        sealing(folder / FILE, keys) as sealed,
        gzip.GzipFile(fileobj=cast(BinaryIO, sealed), mode="wb", compresslevel=COMPRESSION) as out,
    ):
        _copy(login, cast(BinaryIO, out))
    after = rows(login)
    return {
        "version": _version(login),
        "rows": {table: n for table, n in before.items() if after.get(table) == n},
    }


@contextmanager
def saved(folder: Path, keys: Keys) -> Iterator[BinaryIO]:
    """A tar archive of the cluster's folder, for a server that has not started."""
    with (
        unsealing(folder / FILE, keys) as sealed,
        gzip.GzipFile(fileobj=cast(BinaryIO, sealed), mode="rb") as plain,
    ):
        yield cast(BinaryIO, plain)


def rows(login: Login) -> dict[str, int]:
    """`database.schema.table` -> rows."""
    found = {}
    with _connect(login, "postgres") as server:
        databases = [str(row[0]) for row in server.execute(DATABASES)]
    for database in databases:
        with _connect(login, database) as db:
            for schema, table in db.execute(TABLES).fetchall():
                count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
                [number] = db.execute(count).fetchone() or (0,)
                found[f"{database}.{schema}.{table}"] = int(number)
    return found


def _connect(login: Login, database: str) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(**{**login, "dbname": database}, autocommit=True)


def _version(login: Login) -> int:
    """The major one: files of another cannot be read."""
    with _connect(login, "postgres") as server:
        return server.info.server_version // 10_000


def _copy(login: Login, out: BinaryIO) -> None:
    # Below psycopg's connection, which knows no replication: no more than libpq does.
    server = pq.PGconn.connect(make_conninfo(**login, dbname="", replication="true").encode())
    try:
        if server.status != pq.ConnStatus.OK:
            raise BackupError(f"postgres: {server.get_error_message()}")
        result = server.exec_(BASE_BACKUP)
        if result.status != pq.ExecStatus.COPY_OUT:
            raise BackupError(f"postgres: {result.get_error_message()}")
        while True:
            size, message = server.get_copy_data(0)
            if size < 0:
                break
            kind = bytes(message[:1])
            if kind == DATA:
                out.write(message[1:])
            elif kind not in OTHERS:
                raise BackupError(f"postgres: message {kind!r} in a base backup: expected data")
        while end := server.get_result():
            if end.status == pq.ExecStatus.FATAL_ERROR:
                raise BackupError(f"postgres: {end.get_error_message()}")
    finally:
        server.finish()
