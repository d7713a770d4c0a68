"""Airbyte tag: a coloured label for connections.

https://reference.airbyte.com/reference/createtag
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.api import post_once
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "airbyte/Tag"
REPLACE_ON = frozenset({"workspaceId"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()
COLOR = re.compile(r"[0-9A-F]{6}")
DEFAULT_COLOR = "75DCFF"


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = {"color": DEFAULT_COLOR, **inputs.known_keys(raw, ("name",), ("color", "workspaceId"))}
    for key in ("name", "workspaceId"):
        if key in spec:
            inputs.text(spec[key], key)
    spec["color"] = _color(spec["color"])
    return spec


def _color(value: Any) -> Any:
    if inputs.is_unknown(value):
        return value
    color = inputs.text(value, "color").removeprefix("#").upper()
    if not COLOR.fullmatch(color):
        raise InputError("color", f"{value!r}: expected six hexadecimal digits, such as 75DCFF")
    return color


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: AirbyteClient, spec: Props) -> Live:
    body = {**spec, "workspaceId": client.workspace(spec.get("workspaceId"))}
    if found := _find(client, body):
        return update(client, found, spec, spec)
    made = post_once(
        lambda: str(client.require("POST", "/tags", body)["tagId"]), lambda: _find(client, body)
    )
    return Live(id=made, inputs=spec)


def read(client: AirbyteClient, id_: str, known: Props) -> Live | None:
    live = client.public("GET", f"/tags/{id_}")
    if live is None:
        return None
    found = {"name": live["name"], "color": live["color"]}
    if "workspaceId" in known or not known:
        found["workspaceId"] = live["workspaceId"]
    return Live(id=id_, inputs=normalize(found))


def update(client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
    body = {key: spec[key] for key in ("name", "color")}
    client.change("PATCH", f"/tags/{id_}", body, f"tag {id_}")
    return Live(id=id_, inputs=spec)


def delete(client: AirbyteClient, id_: str, known: Props) -> None:
    client.public("DELETE", f"/tags/{id_}")


def _find(client: AirbyteClient, body: Props) -> str | None:
    same = client.named("/tags", {"workspaceIds": body["workspaceId"]}, body["name"])
    return client.only_one(same, "tagId")
