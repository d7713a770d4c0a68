"""Tags of a workspace."""

from uuid import UUID

from embedded.airbyte.store.database import Connection, Row, one


def create(db: Connection, workspace_id: UUID, name: str, color: str) -> Row | None:
    """None when the workspace has a tag of that name."""
    return db.execute(
        "INSERT INTO airbyte_tag (workspace_id, name, color) VALUES (%s, %s, %s) "
        "ON CONFLICT DO NOTHING RETURNING *",
        [workspace_id, name, color],
    ).fetchone()


def every(db: Connection, workspace_ids: list[UUID]) -> list[Row]:
    """Of all workspaces when `workspace_ids` is empty."""
    return list(
        db.execute(
            "SELECT * FROM airbyte_tag WHERE %(ids)s::uuid[] = '{}' "
            "OR workspace_id = ANY(%(ids)s) ORDER BY name, id",
            {"ids": workspace_ids},
        )
    )


def get(db: Connection, id_: UUID) -> Row | None:
    return db.execute("SELECT * FROM airbyte_tag WHERE id = %s", [id_]).fetchone()


def named(db: Connection, workspace_id: UUID, name: str) -> Row | None:
    return db.execute(
        "SELECT * FROM airbyte_tag WHERE workspace_id = %s AND name = %s", [workspace_id, name]
    ).fetchone()


def update(db: Connection, id_: UUID, name: str, color: str) -> Row:
    return one(
        db.execute(
            "UPDATE airbyte_tag SET name = %s, color = %s WHERE id = %s RETURNING *",
            [name, color, id_],
        )
    )


def delete(db: Connection, id_: UUID) -> None:
    """Also takes it off every connection."""
    db.execute("DELETE FROM airbyte_tag WHERE id = %s", [id_])


def of_connection(db: Connection, connection_id: UUID) -> list[Row]:
    return list(
        db.execute(
            "SELECT t.* FROM airbyte_tag t JOIN airbyte_connection_tag c ON c.tag_id = t.id "
            "WHERE c.connection_id = %s ORDER BY t.name, t.id",
            [connection_id],
        )
    )


def put_on_connection(db: Connection, connection_id: UUID, tag_ids: list[UUID]) -> None:
    """In place of those that it has."""
    db.execute("DELETE FROM airbyte_connection_tag WHERE connection_id = %s", [connection_id])
    for id_ in tag_ids:
        db.execute("INSERT INTO airbyte_connection_tag VALUES (%s, %s)", [connection_id, id_])
