"""Jobs and their attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from embedded.airbyte.store.database import Connection, Row, one

ACTIVE = ("pending", "running", "incomplete")
TERMINAL = ("succeeded", "failed", "cancelled")
STATUSES = (*ACTIVE, *TERMINAL, "queued")
TYPES = ("sync", "reset", "clear")
ORDERS: Mapping[str, str] = {"createdAt": "created_at", "updatedAt": "updated_at"}

_TOTALS = sql.SQL(
    "SELECT j.*, t.* FROM airbyte_job j, LATERAL (SELECT "
    "coalesce(sum(records_emitted), 0)::bigint AS records_emitted, "
    "coalesce(sum(bytes_emitted), 0)::bigint AS bytes_emitted, "
    "coalesce(sum(records_committed), 0)::bigint AS records_committed, "
    "coalesce(sum(bytes_committed), 0)::bigint AS bytes_committed "
    "FROM airbyte_attempt WHERE job_id = j.id) t "
)


class AlreadyRunning(Exception):
    """The connection has a job that has not ended."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Empty fields do not filter. order: a key of ORDERS, and whether it descends."""

    connection_id: UUID | None = None
    workspace_ids: list[UUID] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    created_from: str | None = None
    created_to: str | None = None
    updated_from: str | None = None
    updated_to: str | None = None
    order: tuple[str, bool] = ("createdAt", True)


def create(db: Connection, connection_id: UUID, job_type: str) -> int:
    """Raises AlreadyRunning."""
    try:
        row = one(
            db.execute(
                "INSERT INTO airbyte_job (connection_id, job_type, status) "
                "VALUES (%s, %s, 'pending') RETURNING id",
                [connection_id, job_type],
            )
        )
    except psycopg.errors.UniqueViolation:
        raise AlreadyRunning from None
    return int(row["id"])


def get(db: Connection, id_: int) -> Row | None:
    """The job with the totals of its attempts."""
    return db.execute(_TOTALS + sql.SQL("WHERE j.id = %s"), [id_]).fetchone()


def active(db: Connection, connection_id: UUID) -> Row | None:
    return db.execute(
        "SELECT * FROM airbyte_job WHERE connection_id = %s AND status = ANY(%s)",
        [connection_id, list(ACTIVE)],
    ).fetchone()


def page(db: Connection, wanted: Filter, limit: int, offset: int) -> list[Row]:
    column, descending = wanted.order
    order = sql.SQL("ORDER BY {} {}, j.id {} LIMIT %(limit)s OFFSET %(offset)s").format(
        sql.Identifier("j", ORDERS[column]), *[sql.SQL("DESC" if descending else "ASC")] * 2
    )
    where = sql.SQL(
        "WHERE (%(connection)s::uuid IS NULL OR j.connection_id = %(connection)s) "
        "AND (%(statuses)s::text[] = '{}' OR j.status = ANY(%(statuses)s)) "
        "AND (%(types)s::text[] = '{}' OR j.job_type = ANY(%(types)s)) "
        "AND (%(workspaces)s::uuid[] = '{}' OR j.connection_id IN (SELECT c.id "
        "FROM airbyte_connection c JOIN airbyte_actor a ON a.id = c.source_id "
        "WHERE a.workspace_id = ANY(%(workspaces)s))) "
        "AND (%(created_from)s::timestamptz IS NULL OR j.created_at >= %(created_from)s) "
        "AND (%(created_to)s::timestamptz IS NULL OR j.created_at <= %(created_to)s) "
        "AND (%(updated_from)s::timestamptz IS NULL OR j.updated_at >= %(updated_from)s) "
        "AND (%(updated_to)s::timestamptz IS NULL OR j.updated_at <= %(updated_to)s) "
    )
    parameters = {
        "connection": wanted.connection_id,
        "statuses": wanted.statuses,
        "types": wanted.types,
        "workspaces": wanted.workspace_ids,
        "created_from": wanted.created_from,
        "created_to": wanted.created_to,
        "updated_from": wanted.updated_from,
        "updated_to": wanted.updated_to,
        "limit": limit,
        "offset": offset,
    }
    return list(db.execute(_TOTALS + where + order, parameters))


def attempts(db: Connection, job_id: int) -> list[Row]:
    return list(
        db.execute("SELECT * FROM airbyte_attempt WHERE job_id = %s ORDER BY number", [job_id])
    )


def take(db: Connection) -> Row | None:
    """The next job that is due, now running, with a new attempt `number` (from 0)."""
    job = db.execute(
        "UPDATE airbyte_job SET status = 'running', started_at = coalesce(started_at, NOW()), "
        "updated_at = NOW() WHERE id = (SELECT id FROM airbyte_job "
        "WHERE status IN ('pending', 'incomplete') AND run_at <= NOW() "
        "ORDER BY run_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *"
    ).fetchone()
    if job is None:
        return None
    number = one(
        db.execute(
            "INSERT INTO airbyte_attempt (job_id, number, status) SELECT %(id)s, count(*), "
            "'running' FROM airbyte_attempt WHERE job_id = %(id)s RETURNING number",
            {"id": job["id"]},
        )
    )["number"]
    return {**job, "number": number}


def seconds_to_next(db: Connection) -> float | None:
    """Until the next waiting job is due; None when none waits."""
    row = db.execute(
        "SELECT extract(epoch FROM min(run_at) - NOW())::float AS wait FROM airbyte_job "
        "WHERE status IN ('pending', 'incomplete')"
    ).fetchone()
    return None if row is None or row["wait"] is None else max(float(row["wait"]), 0.0)


def progress(
    db: Connection, job_id: int, number: int, totals: Mapping[str, int], streams: list[Any]
) -> None:
    """totals: records_emitted, bytes_emitted, records_committed, bytes_committed."""
    db.execute(
        "UPDATE airbyte_attempt SET records_emitted = %(records_emitted)s, "
        "bytes_emitted = %(bytes_emitted)s, records_committed = %(records_committed)s, "
        "bytes_committed = %(bytes_committed)s, stream_stats = %(streams)s "
        "WHERE job_id = %(job)s AND number = %(number)s",
        {**totals, "streams": Jsonb(streams), "job": job_id, "number": number},
    )


def end_attempt(
    db: Connection, job_id: int, number: int, status: str, failure: Mapping[str, Any] | None
) -> None:
    db.execute(
        "UPDATE airbyte_attempt SET status = %s, ended_at = NOW(), failure = %s "
        "WHERE job_id = %s AND number = %s",
        [status, Jsonb(failure) if failure else None, job_id, number],
    )


def set_status(db: Connection, job_id: int, status: str) -> bool:
    """False when the job has ended already."""
    done = db.execute(
        "UPDATE airbyte_job SET status = %s, updated_at = NOW() "
        "WHERE id = %s AND status = ANY(%s)",
        [status, job_id, list(ACTIVE)],
    )
    return done.rowcount == 1


def retry_later(db: Connection, job_id: int, wait_s: float, idle_attempts: int) -> None:
    """idle_attempts: consecutive attempts that committed nothing."""
    db.execute(
        "UPDATE airbyte_job SET status = 'incomplete', updated_at = NOW(), "
        "run_at = NOW() + make_interval(secs => %s), idle_attempts = %s "
        "WHERE id = %s AND status = ANY(%s)",
        [wait_s, idle_attempts, job_id, list(ACTIVE)],
    )


def interrupted(db: Connection) -> list[Row]:
    """Running attempts: at start, those that the previous process left."""
    return list(
        db.execute(
            "SELECT a.job_id, a.number, j.connection_id, j.idle_attempts, a.records_committed "
            "FROM airbyte_attempt a JOIN airbyte_job j ON j.id = a.job_id "
            "WHERE a.status = 'running' AND j.status = 'running'"
        )
    )
