"""Sources and destinations, and the discovered catalogs of sources."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from embedded.airbyte.store.database import Connection, Row, one


def create(
    db: Connection,
    kind: str,
    workspace_id: UUID,
    definition_id: str,
    name: str,
    configuration: Mapping[str, Any],
) -> Row:
    return one(
        db.execute(
            "INSERT INTO airbyte_actor (kind, workspace_id, definition_id, name, configuration) "
            "VALUES (%s, %s, %s, %s, %s) RETURNING *",
            [kind, workspace_id, definition_id, name, Jsonb(configuration)],
        )
    )


def get(db: Connection, kind: str, id_: UUID) -> Row | None:
    return db.execute(
        "SELECT * FROM airbyte_actor WHERE id = %s AND kind = %s AND NOT deleted", [id_, kind]
    ).fetchone()


def page(
    db: Connection, kind: str, workspace_ids: list[UUID], limit: int, offset: int
) -> list[Row]:
    """Of all workspaces when `workspace_ids` is empty."""
    return list(
        db.execute(
            "SELECT * FROM airbyte_actor WHERE kind = %(kind)s AND NOT deleted "
            "AND (%(ids)s::uuid[] = '{}' OR workspace_id = ANY(%(ids)s)) "
            "ORDER BY created_at, id LIMIT %(limit)s OFFSET %(offset)s",
            {"kind": kind, "ids": workspace_ids, "limit": limit, "offset": offset},
        )
    )


def update(db: Connection, id_: UUID, name: str, configuration: Mapping[str, Any]) -> Row:
    """Also forgets the discovered catalog: another configuration may show other tables."""
    db.execute("DELETE FROM airbyte_catalog WHERE source_id = %s", [id_])
    return one(
        db.execute(
            "UPDATE airbyte_actor SET name = %s, configuration = %s, updated_at = NOW() "
            "WHERE id = %s RETURNING *",
            [name, Jsonb(configuration), id_],
        )
    )


def delete(db: Connection, id_: UUID) -> None:
    """Takes its connections with it. The secrets go at once, the row stays for the jobs."""
    db.execute(
        "UPDATE airbyte_actor SET deleted = TRUE, configuration = '{}', updated_at = NOW() "
        "WHERE id = %s",
        [id_],
    )
    db.execute(
        "UPDATE airbyte_connection SET status = 'deprecated', updated_at = NOW() "
        "WHERE (source_id = %(id)s OR destination_id = %(id)s)",
        {"id": id_},
    )


def catalog(db: Connection, source_id: UUID) -> Row | None:
    return db.execute(
        "SELECT id, catalog FROM airbyte_catalog WHERE source_id = %s", [source_id]
    ).fetchone()


def save_catalog(db: Connection, source_id: UUID, discovered: Mapping[str, Any]) -> Row:
    return one(
        db.execute(
            "INSERT INTO airbyte_catalog (source_id, catalog) VALUES (%s, %s) "
            "ON CONFLICT (source_id) DO UPDATE SET catalog = excluded.catalog, "
            "id = CASE WHEN airbyte_catalog.catalog = excluded.catalog THEN airbyte_catalog.id "
            "ELSE gen_random_uuid() END RETURNING id, catalog",
            [source_id, Jsonb(discovered)],
        )
    )
