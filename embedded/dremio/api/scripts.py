"""Scripts: /api/v3/scripts (26.x). Each user has their own."""

import secrets
from typing import Any

from embedded.dremio.api.call import Call, Reply, rule
from embedded.dremio.errors import conflict, invalid, not_found
from embedded.dremio.reflections.model import iso
from embedded.dremio.users import now_ms

KIND = "script"
FIELDS = ("name", "content", "context", "description")
LONGEST_NAME = 128
DEFAULT_PAGE, LARGEST_PAGE = 25, 1000


def _list(call: Call) -> Reply:
    wanted = call.query.get("search", "").lower()
    found = [script for script in _own(call) if wanted in script["name"].lower()]
    start = call.number("offset", 0, 0, 10**9)
    size = call.number("maxResults", DEFAULT_PAGE, 1, LARGEST_PAGE)
    return Reply({"total": len(found), "data": found[start : start + size]})


def _get(call: Call) -> Reply:
    return Reply(_one(call))


def _create(call: Call) -> Reply:
    at = iso(now_ms())
    script = {"id": secrets.token_hex(16), **_fields(call, {"context": [], "description": ""})}
    script |= {"owner": call.caller.id, "createdAt": at, "createdBy": call.caller.id}
    return _save(call, script)


def _change(call: Call) -> Reply:
    known = _one(call)
    return _save(call, {**known, **_fields(call, known)})


def _delete(call: Call) -> Reply:
    call.engine.store.delete(KIND, _one(call)["id"])
    return Reply(status=204)


def _own(call: Call) -> list[dict[str, Any]]:
    scripts = call.engine.store.all(KIND).values()
    own = [script for script in scripts if script["owner"] == call.caller.id]
    return sorted(own, key=lambda script: str(script["name"]))


def _one(call: Call) -> dict[str, Any]:
    for script in _own(call):
        if script["id"] == call.path[0]:
            return script
    raise not_found(f"Script with id [{call.path[0]}] not found.")


def _fields(call: Call, known: dict[str, Any]) -> dict[str, Any]:
    fields = {key: call.body.get(key, known.get(key)) for key in FIELDS}
    if not isinstance(fields["name"], str) or not 0 < len(fields["name"]) <= LONGEST_NAME:
        raise invalid(f"name: expected 1 to {LONGEST_NAME} characters")
    if not isinstance(fields["content"], str) or not fields["content"]:
        raise invalid("content: expected a text that is not empty")
    return fields


def _save(call: Call, script: dict[str, Any]) -> Reply:
    taken = [own["id"] for own in _own(call) if own["name"] == script["name"]]
    if taken not in ([], [script["id"]]):
        raise conflict(f"A script with name [{script['name']}] already exists.")
    script |= {"modifiedAt": iso(now_ms()), "modifiedBy": call.caller.id}
    call.engine.store.put(KIND, script["id"], script)
    return Reply(script)


RULES = (
    rule("GET", "/api/v3/scripts", _list),
    rule("POST", "/api/v3/scripts", _create),
    rule("GET", "/api/v3/scripts/*", _get),
    rule("PATCH", "/api/v3/scripts/*", _change),
    rule("DELETE", "/api/v3/scripts/*", _delete),
)
