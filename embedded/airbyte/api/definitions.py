"""Connector definitions of the public API.

The configured connectors are listed and cannot be changed. A custom definition runs when its
image is one of the configured connectors; a manifest is kept and served, but not run.
"""

from typing import Any
from uuid import UUID

from embedded.airbyte.api.call import Call, Handler, Plane, Reply
from embedded.airbyte.api.errors import RequestError, bad_request, not_found
from embedded.airbyte.definitions import DESTINATION, IMAGE_TAG, SOURCE, Definition, custom
from embedded.airbyte.store import definitions, workspaces
from embedded.airbyte.store.database import Connection, Row

BASE = "/workspaces/{workspace}/definitions"


def _workspace(db: Connection, call: Call) -> UUID:
    id_ = call.id("workspace", "workspace")
    if workspaces.get(db, id_) is None:
        raise not_found("workspace", id_)
    return id_


class ImageRoutes:
    """Definitions of sources, or of destinations."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.stored_kind = f"{kind}s"

    def create(self, plane: Plane, call: Call) -> Reply:
        name, repository = call.text("name"), call.text("dockerRepository")
        with plane.pool.connection() as db:
            row = definitions.create(
                db,
                _workspace(db, call),
                self.stored_kind,
                name,
                repository=repository,
                image_tag=call.text("dockerImageTag"),
                documentation_url=call.optional("documentationUrl", str),
            )
        plane.connectors.add(from_row(row))
        return Reply(200, _stored(row))

    def list(self, plane: Plane, call: Call) -> Reply:
        """All at once: the list knows no pages."""
        with plane.pool.connection() as db:
            own = definitions.every(db, _workspace(db, call), self.stored_kind)
        shown = [_configured(d) for d in plane.connectors.configured(self.kind)]
        data = [*shown, *(_stored(row) for row in own)]
        return Reply(200, {"previous": "", "next": "", "data": data})

    def get(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            row = self._row(db, call)
        if row is not None:
            return Reply(200, _stored(row))
        found = self._of_configuration(plane, call)
        if found is None:
            raise not_found(f"{self.kind}Definition", call.path["id"])
        return Reply(200, _configured(found))

    def put(self, plane: Plane, call: Call) -> Reply:
        """Changes the name and the tag; the image stays."""
        name, image_tag = call.text("name"), call.text("dockerImageTag")
        with plane.pool.connection() as db:
            row = self._changeable(plane, db, call)
            row = definitions.update_image(db, row["id"], name, image_tag)
        plane.connectors.add(from_row(row))
        return Reply(200, _stored(row))

    def delete(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            row = self._changeable(plane, db, call)
            definitions.delete(db, row["id"])
        plane.connectors.remove(str(row["id"]))
        return Reply(200, _stored(row))

    def _row(self, db: Connection, call: Call) -> Row | None:
        id_ = call.id("id", f"{self.kind}Definition")
        return definitions.get(db, _workspace(db, call), self.stored_kind, id_)

    def _of_configuration(self, plane: Plane, call: Call) -> Definition | None:
        known = plane.connectors.configured(self.kind)
        return next((d for d in known if d.id == call.path["id"]), None)

    def _changeable(self, plane: Plane, db: Connection, call: Call) -> Row:
        row = self._row(db, call)
        if row is not None:
            return row
        if self._of_configuration(plane, call) is not None:
            raise RequestError(403, "Only custom definitions can be changed.")
        raise not_found(f"{self.kind}Definition", call.path["id"])


class DeclarativeRoutes:
    """Low-code sources."""

    def create(self, plane: Plane, call: Call) -> Reply:
        name, manifest = call.text("name"), _manifest(call)
        with plane.pool.connection() as db:
            workspace = _workspace(db, call)
            row = definitions.create(
                db, workspace, definitions.DECLARATIVE, name, manifest=manifest
            )
        return Reply(200, _declarative(row))

    def list(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            found = definitions.every(db, _workspace(db, call), definitions.DECLARATIVE)
        data = [_declarative(row) for row in found]
        return Reply(200, {"previous": "", "next": "", "data": data})

    def get(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            return Reply(200, _declarative(self._row(db, call)))

    def put(self, plane: Plane, call: Call) -> Reply:
        manifest = _manifest(call)
        with plane.pool.connection() as db:
            row = definitions.update_manifest(db, self._row(db, call)["id"], manifest)
        return Reply(200, _declarative(row))

    def delete(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            row = self._row(db, call)
            definitions.delete(db, row["id"])
        return Reply(200, _declarative(row))

    def _row(self, db: Connection, call: Call) -> Row:
        id_ = call.id("id", "sourceDefinition")
        row = definitions.get(db, _workspace(db, call), definitions.DECLARATIVE, id_)
        if row is None:
            raise not_found("sourceDefinition", id_)
        return row


def from_row(row: Row) -> Definition:
    kind = SOURCE if row["kind"] == definitions.SOURCES else DESTINATION
    return custom(str(row["id"]), kind, row["name"], row["repository"])


def _manifest(call: Call) -> dict[str, Any]:
    manifest: dict[str, Any] | None = call.optional("manifest", dict)
    if not manifest or manifest.get("type") != "DeclarativeSource":
        raise bad_request("manifest: expected an object of type DeclarativeSource")
    return manifest


def _stored(row: Row) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "name": row["name"],
        "dockerRepository": row["repository"],
        "dockerImageTag": row["image_tag"],
        "documentationUrl": row["documentation_url"],
    }


def _configured(definition: Definition) -> dict[str, Any]:
    return {
        "id": definition.id,
        "name": definition.name,
        "dockerRepository": definition.repository,
        "dockerImageTag": IMAGE_TAG,
        "documentationUrl": definition.documentation_url,
    }


def _declarative(row: Row) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "name": row["name"],
        "manifest": row["manifest"],
        "version": row["version"],
    }


def routes() -> dict[tuple[str, str], Handler]:
    found: dict[tuple[str, str], Handler] = {}
    kinds: dict[str, ImageRoutes | DeclarativeRoutes] = {
        definitions.SOURCES: ImageRoutes(SOURCE),
        definitions.DESTINATIONS: ImageRoutes(DESTINATION),
        definitions.DECLARATIVE: DeclarativeRoutes(),
    }
    for kind, of_kind in kinds.items():
        found |= {
            ("POST", f"{BASE}/{kind}"): of_kind.create,
            ("GET", f"{BASE}/{kind}"): of_kind.list,
            ("GET", f"{BASE}/{kind}/{{id}}"): of_kind.get,
            ("PUT", f"{BASE}/{kind}/{{id}}"): of_kind.put,
            ("DELETE", f"{BASE}/{kind}/{{id}}"): of_kind.delete,
        }
    return found
