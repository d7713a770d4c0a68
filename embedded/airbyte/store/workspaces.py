"""Workspaces."""

from uuid import UUID

from psycopg.types.json import Jsonb

from embedded.airbyte.store.database import Connection, Row, one

DEFAULT_NAME = "Default Workspace"


def ensure_default(db: Connection) -> None:
    db.execute(
        "INSERT INTO airbyte_workspace (name) SELECT %s "
        "WHERE NOT EXISTS (SELECT FROM airbyte_workspace)",
        [DEFAULT_NAME],
    )


def create(db: Connection, name: str, notifications: object) -> Row:
    return one(
        db.execute(
            "INSERT INTO airbyte_workspace (name, notifications) VALUES (%s, %s) RETURNING *",
            [name, Jsonb(notifications)],
        )
    )


def get(db: Connection, id_: UUID) -> Row | None:
    return db.execute("SELECT * FROM airbyte_workspace WHERE id = %s", [id_]).fetchone()


def page(db: Connection, ids: list[UUID], limit: int, offset: int) -> list[Row]:
    """All workspaces when `ids` is empty."""
    return list(
        db.execute(
            "SELECT * FROM airbyte_workspace WHERE %(ids)s::uuid[] = '{}' OR id = ANY(%(ids)s) "
            "ORDER BY created_at, id LIMIT %(limit)s OFFSET %(offset)s",
            {"ids": ids, "limit": limit, "offset": offset},
        )
    )


def update(db: Connection, id_: UUID, name: str | None, notifications: object | None) -> Row:
    return one(
        db.execute(
            "UPDATE airbyte_workspace SET name = coalesce(%s, name), "
            "notifications = coalesce(%s, notifications) WHERE id = %s RETURNING *",
            [name, None if notifications is None else Jsonb(notifications), id_],
        )
    )


def delete(db: Connection, id_: UUID) -> None:
    db.execute("DELETE FROM airbyte_workspace WHERE id = %s", [id_])
