"""Records of runs in PostgreSQL, and the lock by which runs of a stack exclude each other."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from pipeline.dbt import DbtRun

POLL_S = 1.0

# The first as in the specification, "PostgreSQL Metadata Storage". Times are UTC.
SCHEMA = """
CREATE TABLE IF NOT EXISTS dbt_run_history (
    run_id UUID PRIMARY KEY,
    project_name VARCHAR(255),
    started_at TIMESTAMP,
    completed_at TIMESTAMP,
    status VARCHAR(50),
    models_run INTEGER,
    tests_run INTEGER,
    metadata JSONB
);
CREATE TABLE IF NOT EXISTS pipeline_run_history (
    run_id UUID PRIMARY KEY,
    stack VARCHAR(255) NOT NULL,
    started_at TIMESTAMP NOT NULL,
    completed_at TIMESTAMP NOT NULL,
    status VARCHAR(50) NOT NULL,
    cause TEXT,
    steps JSONB NOT NULL
);
"""


class RunInProgress(Exception):  # noqa: N818 - a state, not a fault
    """Another run of the stack holds the lock."""


def utc(moment: datetime) -> datetime:
    """For a TIMESTAMP column."""
    return moment.astimezone(UTC).replace(tzinfo=None)


class History:
    """One connection to the pipeline's database. Use as a context manager."""

    def __init__(self, login: Mapping[str, Any], purpose: str) -> None:
        """login: of the role that owns the tables, as psycopg takes it. purpose: told to others
        who wait for the lock. Raises psycopg.Error."""
        self._db: psycopg.Connection[DictRow] = psycopg.connect(
            **login,
            application_name=purpose,
            autocommit=True,
            row_factory=dict_row,
        )

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def create_tables(self) -> None:
        # IF NOT EXISTS does not cover two sessions that create the same table at once.
        with self._db.transaction():
            self._db.execute("SELECT pg_advisory_xact_lock(hashtextextended('schema', 0))")
            self._db.execute(SCHEMA)

    @contextmanager
    def lock(self, stack: str, wait_s: float) -> Iterator[None]:
        """Excludes other runs of the stack. Ends with the connection, so a run that dies leaves
        no lock. Raises RunInProgress after `wait_s`."""
        deadline = time.monotonic() + wait_s
        while not self._try_lock(stack):
            if time.monotonic() >= deadline:
                raise RunInProgress(self._holder(stack))
            time.sleep(POLL_S)
        self.create_tables()
        yield

    def _try_lock(self, stack: str) -> bool:
        row = self._one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS got", stack)
        return bool(row and row["got"])

    def _holder(self, stack: str) -> str:
        row = self._one(
            """
            SELECT application_name, backend_start AT TIME ZONE 'UTC' AS since
            FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'advisory' AND granted
                AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
            """,
            stack,
        )
        who = f"{row['application_name']}, since {row['since']:%H:%M:%S} UTC" if row else "unknown"
        return f"stack {stack!r}: another run is in progress ({who})"

    def record_dbt(self, run: DbtRun) -> None:
        self._db.execute(
            "INSERT INTO dbt_run_history VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                run.id,
                run.project,
                utc(run.started_at),
                utc(run.completed_at),
                run.status,
                run.count("model"),
                run.count("test"),
                Jsonb({"fault": run.fault, "nodes": [asdict(node) for node in run.nodes]}),
            ],
        )

    def record_run(
        self,
        stack: str,
        started_at: datetime,
        steps: Sequence[tuple[str, float, str]],
        cause: str | None,
    ) -> None:
        """cause: why the run failed, or None. steps: name, seconds, summary."""
        self._db.execute(
            "INSERT INTO pipeline_run_history VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                uuid4(),
                stack,
                utc(started_at),
                utc(datetime.now(UTC)),
                "failed" if cause else "success",
                cause,
                Jsonb([{"step": n, "seconds": s, "summary": text} for n, s, text in steps]),
            ],
        )

    def last_dbt_run(self) -> DictRow | None:
        return self._one("SELECT * FROM dbt_run_history ORDER BY started_at DESC LIMIT 1")

    def last_run(self, stack: str, status: str | None = None) -> DictRow | None:
        """The newest run of the stack, or the newest with a status."""
        return self._one(
            """
            SELECT * FROM pipeline_run_history
            WHERE stack = %s AND status = coalesce(%s, status)
            ORDER BY started_at DESC LIMIT 1
            """,
            stack,
            status,
        )

    def connections(self) -> dict[str, int]:
        """dict database -> open connections of the server."""
        rows = self._db.execute(
            "SELECT datname, numbackends FROM pg_stat_database WHERE datname IS NOT NULL"
        )
        return {row["datname"]: row["numbackends"] for row in rows}

    def connection_limit(self) -> int:
        """Connections of the server that are not kept for superusers."""
        row = self._one(
            """
            SELECT current_setting('max_connections')::int
                - current_setting('superuser_reserved_connections')::int AS most
            """
        )
        return int(row["most"]) if row else 0

    def archived(self) -> tuple[float, float]:
        """When a part of the server's write-ahead log was archived last, and when that last
        failed: seconds since 1970, 0 for never."""
        row = self._one(
            """
            SELECT coalesce(extract(epoch FROM last_archived_time), 0)::float AS done,
                coalesce(extract(epoch FROM last_failed_time), 0)::float AS failed
            FROM pg_stat_archiver
            """
        )
        return (row["done"], row["failed"]) if row else (0.0, 0.0)

    def _one(self, query: str, *parameters: Any) -> DictRow | None:
        return self._db.execute(query.encode(), parameters).fetchone()
