"""Connections, the generations of their streams, and their state."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from embedded.airbyte.protocol import StreamKey
from embedded.airbyte.store.database import Connection, Row, one

COLUMNS = (
    "name",
    "source_id",
    "destination_id",
    "streams",
    "cron_expression",
    "namespace_definition",
    "namespace_format",
    "prefix",
    "schema_updates",
    "status",
)
_SELECT = sql.SQL(
    "SELECT c.*, a.workspace_id FROM airbyte_connection c "
    "JOIN airbyte_actor a ON a.id = c.source_id "
)


def create(db: Connection, values: Mapping[str, Any]) -> UUID:
    """values: one per COLUMNS."""
    statement = sql.SQL("INSERT INTO airbyte_connection ({}) VALUES ({}) RETURNING id").format(
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        sql.SQL(", ").join(sql.Placeholder() * len(COLUMNS)),
    )
    row = one(db.execute(statement, [_adapt(values[column]) for column in COLUMNS]))
    id_: UUID = row["id"]
    return id_


def update(db: Connection, id_: UUID, values: Mapping[str, Any]) -> None:
    """values: any of COLUMNS."""
    unknown = set(values) - set(COLUMNS)
    if unknown:
        raise ValueError(f"no column of a connection: {unknown}")
    assignments = [
        sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder()) for column in values
    ]
    statement = sql.SQL("UPDATE airbyte_connection SET {} WHERE id = {}").format(
        sql.SQL(", ").join([*assignments, sql.SQL("updated_at = NOW()")]), sql.Placeholder()
    )
    db.execute(statement, [*(_adapt(value) for value in values.values()), id_])


def get(db: Connection, id_: UUID) -> Row | None:
    return db.execute(_SELECT + sql.SQL("WHERE c.id = %s"), [id_]).fetchone()


def page(
    db: Connection, workspace_ids: list[UUID], include_deleted: bool, limit: int, offset: int
) -> list[Row]:
    """Of all workspaces when `workspace_ids` is empty."""
    return list(
        db.execute(
            _SELECT
            + sql.SQL(
                "WHERE (%(ids)s::uuid[] = '{{}}' OR a.workspace_id = ANY(%(ids)s)) "
                "AND (%(deleted)s OR c.status <> 'deprecated') "
                "ORDER BY c.created_at, c.id LIMIT %(limit)s OFFSET %(offset)s"
            ).format(),
            {
                "ids": workspace_ids,
                "deleted": include_deleted,
                "limit": limit,
                "offset": offset,
            },
        )
    )


def scheduled(db: Connection) -> list[Row]:
    """Active connections with a cron schedule: id and expression."""
    return list(
        db.execute(
            "SELECT id, cron_expression FROM airbyte_connection "
            "WHERE status = 'active' AND cron_expression IS NOT NULL"
        )
    )


def generations(db: Connection, id_: UUID) -> dict[StreamKey, int]:
    rows = db.execute("SELECT * FROM airbyte_generation WHERE connection_id = %s", [id_])
    return {(row["namespace"] or None, row["name"]): row["generation_id"] for row in rows}


def raise_generations(db: Connection, id_: UUID, streams: Sequence[StreamKey]) -> None:
    """Starts a new generation of the streams' data and forgets their state."""
    for namespace, name in streams:
        db.execute(
            "INSERT INTO airbyte_generation VALUES (%s, %s, %s, 1) "
            "ON CONFLICT (connection_id, namespace, name) "
            "DO UPDATE SET generation_id = airbyte_generation.generation_id + 1",
            [id_, namespace or "", name],
        )
    saved = state(db, id_)
    if saved is not None and saved.get("stateType") == "stream":
        gone = set(streams)
        kept = [s for s in saved["streamState"] if _key(s["streamDescriptor"]) not in gone]
        save_state(db, id_, {**saved, "streamState": kept})


def state(db: Connection, id_: UUID) -> dict[str, Any] | None:
    """{stateType, streamState, globalState} as in the Config API, or None."""
    row = db.execute("SELECT state FROM airbyte_state WHERE connection_id = %s", [id_]).fetchone()
    return dict(row["state"]) if row else None


def save_state(db: Connection, id_: UUID, value: Mapping[str, Any]) -> None:
    db.execute(
        "INSERT INTO airbyte_state (connection_id, state) VALUES (%s, %s) "
        "ON CONFLICT (connection_id) DO UPDATE SET state = excluded.state, updated_at = NOW()",
        [id_, Jsonb(value)],
    )


def delete_state(db: Connection, id_: UUID) -> None:
    db.execute("DELETE FROM airbyte_state WHERE connection_id = %s", [id_])


def _key(descriptor: Mapping[str, Any]) -> StreamKey:
    return (descriptor.get("namespace"), descriptor["name"])


def _adapt(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, list | dict) else value
