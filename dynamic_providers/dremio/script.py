"""Dremio script: a saved text of SQL in the editor of the user who logs in.

https://docs.dremio.com/current/reference/api/scripts (26.x)
"""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "dremio/Script"
REPLACE_ON: frozenset[str] = frozenset()
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

LONGEST_NAME = 128  # characters
PAGE = 100


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name", "content"), ("context", "description"))
    name = inputs.text(spec["name"], "name")
    if len(name) > LONGEST_NAME:
        raise InputError("name", f"{name!r}: expected {LONGEST_NAME} characters or fewer")
    inputs.text(spec["content"], "content")
    if "context" in spec:
        spec["context"] = inputs.texts(spec["context"], "context", empty=True)
    if "description" in spec:
        inputs.text(spec["description"], "description")
    return {key: value for key, value in spec.items() if value != []}


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: DremioClient, spec: Props) -> Live:
    live = _find(client, spec["name"])
    if live is not None:
        return update(client, str(live["id"]), spec, spec)
    made = post_once(
        lambda: client.require("POST", "/scripts", _body(spec)),
        lambda: _find(client, spec["name"]),
    )
    return Live(id=str(made["id"]), inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = client.send("GET", f"/scripts/{id_}")
    if live is None:
        return None
    keys = ("name", "content", "context", "description")
    return Live(id=id_, inputs=normalize({key: live.get(key) or None for key in keys}))


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    if client.send("PATCH", f"/scripts/{id_}", _body(spec)) is None:
        raise LookupError(f"script {spec['name']!r} is gone")
    return Live(id=id_, inputs=spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    client.send("DELETE", f"/scripts/{id_}")


def _find(client: DremioClient, name: str) -> Props | None:
    """The script of that name: names of scripts are unique."""
    seen = 0
    while True:
        page = client.send("GET", "/scripts", search=name, offset=seen, maxResults=PAGE)
        scripts = (page or {}).get("data") or []
        for live in scripts:
            if live["name"] == name:
                return dict(live)
        seen += len(scripts)
        if not scripts or seen >= page["total"]:
            return None


def _body(spec: Props) -> Props:
    return {"context": [], "description": "", **spec}
