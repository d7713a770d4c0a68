"""Dremio role, with the roles that it belongs to. Enterprise edition.

Its members are set where they are declared: `roles` of a user, or of another role.
https://docs.dremio.com/current/reference/api/roles/
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.dremio import edition
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "dremio/Role"
REPLACE_ON = frozenset({"name"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

IMPLIED = frozenset({"PUBLIC"})  # every user and role has it


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name",), ("description", "roles"))
    inputs.text(spec["name"], "name")
    if "description" in spec:
        inputs.text(spec["description"], "description")
    if "roles" in spec:
        spec["roles"] = role_names(spec["roles"], "roles")
    return {key: value for key, value in spec.items() if value != []}


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: DremioClient, spec: Props) -> Live:
    live = _find(client, spec["name"])
    if live is None:
        body = _body(client, spec)
        post_once(
            lambda: edition.asked(client, "POST", "/role", body),
            lambda: _find(client, spec["name"]),
        )
    elif live.get("type", "INTERNAL") != "INTERNAL":
        raise InputError(
            "name", f"{spec['name']!r}: taken by a role of type {live['type']}, not INTERNAL"
        )
    else:
        _bring_to(client, live, spec)
    return Live(id=spec["name"], inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = _find(client, id_)
    if live is None:
        return None
    found = {"name": live["name"], "description": live.get("description") or None}
    return Live(id=id_, inputs=normalize({**found, "roles": names_of(live)}))


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = _find(client, id_)
    if live is None:
        raise LookupError(f"role {id_!r} is gone")
    _bring_to(client, live, spec)
    return Live(id=id_, inputs=spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    if live := _find(client, id_):
        client.send("DELETE", f"/role/{live['id']}")


def role_names(value: Any, field: str) -> Any:
    """Names of roles as a set, without the one that everybody has."""
    names = inputs.texts(value, field, empty=True)
    return names if inputs.is_unknown(names) else sorted(set(names) - IMPLIED)


def names_of(live: Props) -> list[str]:
    """The roles that a live role or user belongs to."""
    return [role["name"] for role in live.get("roles") or []]


def role_ids(client: DremioClient, names: list[str]) -> list[Props]:
    """Roles as a body refers to them. Raises InputError for one that does not exist."""
    return [
        {"id": edition.member(client, "ROLE", name, f"roles[{at}]")["id"], "name": name}
        for at, name in enumerate(names)
    ]


def _find(client: DremioClient, name: str) -> Props | None:
    found: Props | None = client.send("GET", f"/role/by-name/{quote(name, safe='')}")
    return found


def _bring_to(client: DremioClient, live: Props, spec: Props) -> None:
    body = {"id": live["id"], **_body(client, spec)}
    edition.asked(client, "PUT", f"/role/{live['id']}", body)


def _body(client: DremioClient, spec: Props) -> Props:
    return {
        "name": spec["name"],
        "description": spec.get("description", ""),
        "roles": role_ids(client, spec.get("roles", [])),
    }
