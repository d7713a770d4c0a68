"""What all catalog objects have in common: they are known by their path.

Ids are not kept: Dremio gives a dataset a new one whenever it rediscovers a source.
https://docs.dremio.com/current/reference/api/catalog/
"""

import re
from collections.abc import Sequence
from typing import Any

from dynamic_providers import inputs
from dynamic_providers.api import ApiError
from dynamic_providers.dremio import sql
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import InputError, Props

ALLOW_BREAK = "allowBreakViews"
MOST_NAMED = 10  # objects in one message
PLAIN = re.compile(r"[A-Za-z0-9_$-]+")


def name(value: Any, field: str, *, forbidden: str) -> str:
    """One part of a path."""
    text = inputs.text(value, field)
    wrong = sorted(set(forbidden) & set(text)) if not inputs.is_unknown(text) else []
    if wrong:
        raise InputError(field, f"{text!r}: must not contain {' '.join(wrong)}")
    return text


def path(value: Any, field: str, *, least: int) -> Any:
    """A path as a list of parts, space or source first."""
    parts = inputs.texts(value, field)
    if not inputs.is_unknown(parts) and len(parts) < least:
        raise InputError(field, f"{parts!r}: expected {least} parts or more")
    return parts


def dotted(parts: Any) -> str:
    """The path as SQL writes it: parts with other than word characters in double quotes."""
    if not isinstance(parts, list | tuple):
        return str(parts)
    return ".".join(part if PLAIN.fullmatch(part) else quoted(part) for part in parts)


def quoted(part: str) -> str:
    """One name as an SQL identifier."""
    return '"' + part.replace('"', '""') + '"'


def parts_of(dotted_path: str) -> list[str]:
    """The inverse of `dotted`."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', dotted_path)
    return [inner.replace('""', '"') or plain for inner, plain in found]


def kind_of(live: Props) -> str:
    """In one word what an entity is: space, source, folder, home, view or table."""
    if live.get("entityType") == "dataset":
        return "view" if live.get("type") == "VIRTUAL_DATASET" else "table"
    return str(live.get("entityType"))


def merged(live: Any, old: Any, new: Any) -> Props:
    """`new` over the settings that the server has and the user never set: those of `old` that
    `new` lacks go back to the server's defaults, which a PUT without them restores."""
    dropped = set(old or {}) - set(new or {})
    kept = {key: value for key, value in (live or {}).items() if key not in dropped}
    return {**kept, **(new or {})}


def find(client: DremioClient, at: Sequence[str], kind: str, field: str) -> Props | None:
    """The entity of that kind at that path; InputError if another kind is there."""
    live = client.by_path(at)
    if live is not None and kind_of(live) != kind:
        raise InputError(field, f"{dotted(list(at))}: taken by a {kind_of(live)}, not a {kind}")
    return live


def remove(client: DremioClient, at: Sequence[str], kind: str, *, breaks: bool = True) -> None:
    """Deletes the entity of that kind at that path. Another kind there is another's.

    breaks: also when views read it; else InputError names them."""
    live = client.by_path(at)
    if live is None or kind_of(live) != kind:
        return
    users = [] if breaks else dependents(client, at)
    if users:
        raise InputError(
            "path",
            f"{dotted(list(at))} is read by {some(users)}, which would break: delete these first, "
            f"or set {ALLOW_BREAK} to true and run pulumi up",
        )
    try:
        _delete(client, live)
    except ApiError as error:  # changed since it was read: of that kind still, it is ours
        fresh = client.by_path(at) if error.status == 409 else None
        if fresh is None or kind_of(fresh) != kind:
            raise
        _delete(client, fresh)


def _delete(client: DremioClient, live: Props) -> None:
    params = {"tag": live["tag"]} if live.get("tag") else {}
    client.send("DELETE", entity(live["id"]), **params)


def dependents(client: DremioClient, at: Sequence[str]) -> list[str]:
    """Dotted paths of the views that read the dataset at `at`, sorted."""
    last = at[-1].lower().replace('"', '""').replace("'", "''")
    rows = client.rows(
        'SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM INFORMATION_SCHEMA."VIEWS"'  # noqa: S608
        f" WHERE POSITION('{last}' IN LOWER(VIEW_DEFINITION)) > 0"
    )
    found = []
    for row in rows:
        view = [*row["TABLE_SCHEMA"].split("."), row["TABLE_NAME"]]
        if view != list(at) and _view_reads(client, view, row["VIEW_DEFINITION"], at):
            found.append(f"{row['TABLE_SCHEMA']}.{row['TABLE_NAME']}")
    return sorted(found)


def _view_reads(client: DremioClient, view: Sequence[str], query: str, at: Sequence[str]) -> bool:
    if sql.reads(query, (), at):
        return True
    # A shorter name may mean it, by the view's context, which the system table does not tell.
    names = {parts[-1].lower() for parts, may_be in sql.references(query) if may_be}
    if not any(name.split(".")[-1] == at[-1].lower() for name in names):
        return False
    live = client.by_path(view) or {}
    return sql.reads(query, live.get("sqlContext") or (), at)


def some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    left = len(names) - MOST_NAMED
    return f"{shown} and {left} more" if left > 0 else shown
