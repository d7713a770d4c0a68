"""What all catalog objects have in common: they are known by their path.

Ids are not kept: Dremio gives a dataset a new one whenever it rediscovers a source.
https://docs.dremio.com/current/reference/api/catalog/
"""

import re
from collections.abc import Sequence
from typing import Any

from dynamic_providers import inputs
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import InputError, Props

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
    quoted = ['"' + part.replace('"', '""') + '"' for part in parts]
    return ".".join(p if PLAIN.fullmatch(p) else q for p, q in zip(parts, quoted, strict=True))


def parts_of(dotted_path: str) -> list[str]:
    """The inverse of `dotted`."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', dotted_path)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]


def kind_of(live: Props) -> str:
    """In one word what an entity is: space, source, folder, home, view or table."""
    if live.get("entityType") == "dataset":
        return "view" if live.get("type") == "VIRTUAL_DATASET" else "table"
    return str(live.get("entityType"))


def find(client: DremioClient, at: Sequence[str], kind: str, field: str) -> Props | None:
    """The entity of that kind at that path; InputError if another kind is there."""
    live = client.by_path(at)
    if live is not None and kind_of(live) != kind:
        raise InputError(field, f"{dotted(list(at))}: taken by a {kind_of(live)}, not a {kind}")
    return live


def remove(client: DremioClient, at: Sequence[str], kind: str) -> None:
    """Deletes the entity of that kind at that path. Another kind there is another's."""
    live = client.by_path(at)
    if live is not None and kind_of(live) == kind:
        params = {"tag": live["tag"]} if live.get("tag") else {}
        client.send("DELETE", entity(live["id"]), **params)
