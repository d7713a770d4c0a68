"""Tags of the public API."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from embedded.airbyte.api.call import Call, Handler, Plane, Reply
from embedded.airbyte.api.errors import RequestError, bad_request, not_found
from embedded.airbyte.store import tags, workspaces
from embedded.airbyte.store.database import Connection, Row

COLOR = re.compile(r"[0-9A-Fa-f]{6}")


def create(plane: Plane, call: Call) -> Reply:
    name, color = call.text("name"), _color(call)
    with plane.pool.connection() as db:
        workspace = call.body_id("workspaceId")
        if workspaces.get(db, workspace) is None:
            raise not_found("workspace", workspace)
        tag = tags.create(db, workspace, name, color)
    if tag is None:
        raise RequestError(409, f"A tag named {name!r} already exists.")
    return Reply(200, shown(tag))


def list_tags(plane: Plane, call: Call) -> Reply:
    """All at once: the list knows no pages."""
    with plane.pool.connection() as db:
        found = tags.every(db, call.ids("workspaceIds"))
    return Reply(200, {"data": [shown(tag) for tag in found]})


def get(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        return Reply(200, shown(_required(db, call.id("id", "tag"))))


def patch(plane: Plane, call: Call) -> Reply:
    name, color = call.text("name"), _color(call)
    with plane.pool.connection() as db:
        tag = _required(db, call.id("id", "tag"))
        same = tags.named(db, tag["workspace_id"], name)
        if same is not None and same["id"] != tag["id"]:
            raise RequestError(409, f"A tag named {name!r} already exists.")
        return Reply(200, shown(tags.update(db, tag["id"], name, color)))


def delete(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        tags.delete(db, _required(db, call.id("id", "tag"))["id"])
    return Reply(204)


def wanted_ids(db: Connection, call: Call, workspace_id: UUID) -> list[UUID] | None:
    """Ids of the tags that a connection's request names; None when it names no list."""
    given = call.optional("tags", list)
    if given is None:
        return None
    found = []
    for index, tag in enumerate(given):
        id_ = tag.get("tagId") if isinstance(tag, Mapping) else None
        try:
            row = tags.get(db, UUID(str(id_)))
        except ValueError:
            raise bad_request(f"tags[{index}].tagId: {id_!r}: expected a UUID") from None
        if row is None or row["workspace_id"] != workspace_id:
            raise bad_request(f"tags[{index}].tagId: {id_}: no such tag in the workspace")
        found.append(row["id"])
    return list(dict.fromkeys(found))


def shown(tag: Row) -> dict[str, Any]:
    return {
        "tagId": str(tag["id"]),
        "workspaceId": str(tag["workspace_id"]),
        "name": tag["name"],
        "color": tag["color"],
    }


def _required(db: Connection, id_: UUID) -> Row:
    tag = tags.get(db, id_)
    if tag is None:
        raise not_found("tag", id_)
    return tag


def _color(call: Call) -> str:
    color = call.text("color")
    if not COLOR.fullmatch(color):
        raise bad_request(f"color: {color!r}: expected six hexadecimal digits")
    return color


def routes() -> dict[tuple[str, str], Handler]:
    return {
        ("POST", "/tags"): create,
        ("GET", "/tags"): list_tags,
        ("GET", "/tags/{id}"): get,
        ("PATCH", "/tags/{id}"): patch,
        ("DELETE", "/tags/{id}"): delete,
    }
