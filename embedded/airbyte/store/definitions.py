"""Custom connector definitions: images, and manifests of low-code sources."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from embedded.airbyte.store.database import Connection, Row, one

SOURCES = "sources"
DESTINATIONS = "destinations"
DECLARATIVE = "declarative_sources"


def create(
    db: Connection,
    workspace_id: UUID,
    kind: str,
    name: str,
    *,
    repository: str | None = None,
    image_tag: str | None = None,
    documentation_url: str | None = None,
    manifest: Any = None,
) -> Row:
    """kind: SOURCES, DESTINATIONS or DECLARATIVE, which alone has a manifest."""
    return one(
        db.execute(
            "INSERT INTO airbyte_definition (workspace_id, kind, name, repository, image_tag, "
            "documentation_url, manifest) VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING *",
            [
                workspace_id,
                kind,
                name,
                repository,
                image_tag,
                documentation_url,
                None if manifest is None else Jsonb(manifest),
            ],
        )
    )


def every(db: Connection, workspace_id: UUID, kind: str) -> list[Row]:
    return list(
        db.execute(
            "SELECT * FROM airbyte_definition WHERE workspace_id = %s AND kind = %s "
            "ORDER BY created_at, id",
            [workspace_id, kind],
        )
    )


def images(db: Connection) -> list[Row]:
    """Those of all workspaces that name an image."""
    return list(db.execute("SELECT * FROM airbyte_definition WHERE kind <> %s", [DECLARATIVE]))


def get(db: Connection, workspace_id: UUID, kind: str, id_: UUID) -> Row | None:
    return db.execute(
        "SELECT * FROM airbyte_definition WHERE workspace_id = %s AND kind = %s AND id = %s",
        [workspace_id, kind, id_],
    ).fetchone()


def update_image(db: Connection, id_: UUID, name: str, image_tag: str) -> Row:
    return one(
        db.execute(
            "UPDATE airbyte_definition SET name = %s, image_tag = %s WHERE id = %s RETURNING *",
            [name, image_tag, id_],
        )
    )


def update_manifest(db: Connection, id_: UUID, manifest: Any) -> Row:
    """Also raises the version of the manifest."""
    return one(
        db.execute(
            "UPDATE airbyte_definition SET manifest = %s, version = version + 1 "
            "WHERE id = %s RETURNING *",
            [Jsonb(manifest), id_],
        )
    )


def delete(db: Connection, id_: UUID) -> None:
    db.execute("DELETE FROM airbyte_definition WHERE id = %s", [id_])
