"""The control plane's tables in PostgreSQL."""

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from embedded.airbyte.settings import Database

Connection = psycopg.Connection[DictRow]
Pool = ConnectionPool[Connection]
Row = Mapping[str, Any]

POOL_SIZE = 10
CONNECT_TIMEOUT_S = 30.0
# One control plane per database: two would run the same job.
INSTANCE_LOCK = 0x61697262797465

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE IF NOT EXISTS airbyte_state (  -- specification, "PostgreSQL Metadata Storage"
        connection_id UUID PRIMARY KEY,
        state JSONB NOT NULL,
        updated_at TIMESTAMP DEFAULT NOW()
    );
    CREATE TABLE airbyte_workspace (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        name TEXT NOT NULL,
        notifications JSONB NOT NULL DEFAULT '{}',
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
    );
    CREATE TABLE airbyte_actor (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        workspace_id UUID NOT NULL REFERENCES airbyte_workspace ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('source', 'destination')),
        definition_id UUID NOT NULL,
        name TEXT NOT NULL,
        configuration JSONB NOT NULL,
        deleted BOOLEAN NOT NULL DEFAULT FALSE,
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
    );
    CREATE TABLE airbyte_catalog (
        source_id UUID PRIMARY KEY REFERENCES airbyte_actor ON DELETE CASCADE,
        id UUID NOT NULL DEFAULT gen_random_uuid(),
        catalog JSONB NOT NULL
    );
    CREATE TABLE airbyte_connection (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        name TEXT NOT NULL,
        source_id UUID NOT NULL REFERENCES airbyte_actor ON DELETE CASCADE,
        destination_id UUID NOT NULL REFERENCES airbyte_actor ON DELETE CASCADE,
        streams JSONB NOT NULL,
        cron_expression TEXT,
        namespace_definition TEXT NOT NULL,
        namespace_format TEXT,
        prefix TEXT NOT NULL,
        schema_updates TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
    );
    CREATE TABLE airbyte_generation (
        connection_id UUID NOT NULL REFERENCES airbyte_connection ON DELETE CASCADE,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        generation_id BIGINT NOT NULL,
        PRIMARY KEY (connection_id, namespace, name)
    );
    CREATE TABLE airbyte_job (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        connection_id UUID NOT NULL REFERENCES airbyte_connection ON DELETE CASCADE,
        job_type TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        started_at TIMESTAMPTZ,
        updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        run_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        idle_attempts INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX airbyte_job_connection ON airbyte_job (connection_id, id);
    CREATE UNIQUE INDEX airbyte_job_active ON airbyte_job (connection_id)
        WHERE status IN ('pending', 'running', 'incomplete');
    CREATE TABLE airbyte_attempt (
        job_id BIGINT NOT NULL REFERENCES airbyte_job ON DELETE CASCADE,
        number INTEGER NOT NULL,
        status TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        ended_at TIMESTAMPTZ,
        records_emitted BIGINT NOT NULL DEFAULT 0,
        bytes_emitted BIGINT NOT NULL DEFAULT 0,
        records_committed BIGINT NOT NULL DEFAULT 0,
        bytes_committed BIGINT NOT NULL DEFAULT 0,
        stream_stats JSONB NOT NULL DEFAULT '[]',
        failure JSONB,
        PRIMARY KEY (job_id, number)
    );
    """,
    """
    CREATE TABLE airbyte_definition (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        workspace_id UUID NOT NULL REFERENCES airbyte_workspace ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('sources', 'destinations', 'declarative_sources')),
        name TEXT NOT NULL,
        repository TEXT,
        image_tag TEXT,
        documentation_url TEXT,
        manifest JSONB,
        version BIGINT NOT NULL DEFAULT 1,
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        CHECK ((kind = 'declarative_sources') = (manifest IS NOT NULL)),
        CHECK ((kind = 'declarative_sources') = (repository IS NULL))
    );
    CREATE TABLE airbyte_tag (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
        workspace_id UUID NOT NULL REFERENCES airbyte_workspace ON DELETE CASCADE,
        name TEXT NOT NULL,
        color TEXT NOT NULL,
        UNIQUE (workspace_id, name)
    );
    CREATE TABLE airbyte_connection_tag (
        connection_id UUID NOT NULL REFERENCES airbyte_connection ON DELETE CASCADE,
        tag_id UUID NOT NULL REFERENCES airbyte_tag ON DELETE CASCADE,
        PRIMARY KEY (connection_id, tag_id)
    );
    """,
)


def open_pool(settings: Database) -> Pool:
    """Raises psycopg.OperationalError or PoolTimeout when the database cannot be reached."""
    pool: Pool = ConnectionPool(
        kwargs={
            "host": settings.host,
            "port": settings.port,
            "dbname": settings.dbname,
            "user": settings.user,
            "password": settings.password,
            "application_name": "airbyte",
            "row_factory": dict_row,
        },
        min_size=1,
        max_size=POOL_SIZE,
        open=False,
        check=ConnectionPool.check_connection,
    )
    pool.open(wait=True, timeout=CONNECT_TIMEOUT_S)
    return pool


def migrate(connection: Connection) -> None:
    """Brings the tables to the newest version. Safe to run again."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [INSTANCE_LOCK + 1])
    connection.execute(
        "CREATE TABLE IF NOT EXISTS airbyte_migration (version INTEGER PRIMARY KEY, "
        "applied_at TIMESTAMPTZ NOT NULL DEFAULT NOW())"
    )
    row = connection.execute("SELECT coalesce(max(version), 0) AS v FROM airbyte_migration")
    done = int(one(row)["v"])
    for version, statements in enumerate(MIGRATIONS, start=1):
        if version > done:
            connection.execute(statements)
            connection.execute("INSERT INTO airbyte_migration (version) VALUES (%s)", [version])


def lock_instance(connection: Connection) -> bool:
    """Held as long as the connection lives. False: another control plane holds it."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s) AS locked", [INSTANCE_LOCK])
    return bool(one(row)["locked"])


def one(cursor: psycopg.Cursor[DictRow]) -> Row:
    row = cursor.fetchone()
    if row is None:
        raise LookupError("the statement returned no row")
    return row
