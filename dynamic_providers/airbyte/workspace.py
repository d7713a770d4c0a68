"""Airbyte workspace: what sources, destinations, connections and tags live in.

https://reference.airbyte.com/reference/createworkspace
"""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.api import post_once
from dynamic_providers.canonical import only_known_keys
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "airbyte/Workspace"
REPLACE_ON: frozenset[str] = frozenset()  # deleting a workspace deletes all that is in it
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()
FIXED = ("organizationId", "regionId")  # the API takes them once, and does not return them
CONTENTS = ("sources", "destinations")


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name",), ("notifications", *FIXED))
    inputs.text(spec["name"], "name")
    for key in FIXED:
        if key in spec:
            inputs.text(spec[key], key)
    if "notifications" in spec:
        inputs.mapping(spec["notifications"], "notifications")
    return spec


def review(old: Props, new: Props) -> None:
    for key in FIXED:
        if old.get(key) != new.get(key):
            raise InputError(
                key,
                f"from {old.get(key)!r} to {new.get(key)!r}: a workspace cannot move, and "
                "replacing it would delete everything in it: make another workspace",
            )


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: AirbyteClient, spec: Props) -> Live:
    if found := _find(client, spec):
        return update(client, found, spec, spec)
    made = post_once(
        lambda: str(client.require("POST", "/workspaces", spec)["workspaceId"]),
        lambda: _find(client, spec),
    )
    return Live(id=made, inputs=spec)


def read(client: AirbyteClient, id_: str, known: Props) -> Live | None:
    live = client.public("GET", f"/workspaces/{id_}")
    if live is None:
        return None
    found: Props = {"name": live["name"], **{key: known[key] for key in FIXED if key in known}}
    if "notifications" in known:
        shown = live.get("notifications") or {}
        found["notifications"] = only_known_keys(shown, known["notifications"])
    return Live(id=id_, inputs=normalize(found))


def update(client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
    body = {key: value for key, value in spec.items() if key not in FIXED}
    client.change("PATCH", f"/workspaces/{id_}", body, f"workspace {id_}")
    return Live(id=id_, inputs=spec)


def delete(client: AirbyteClient, id_: str, known: Props) -> None:
    """Only of an empty workspace: the API would delete what others made in it."""
    if client.public("GET", f"/workspaces/{id_}") is None:
        return
    for kind in CONTENTS:
        names = [live["name"] for live in client.every(f"/{kind}", {"workspaceIds": id_})]
        if names:
            raise InputError("name", f"the workspace still has {kind}: {', '.join(names)}")
    client.public("DELETE", f"/workspaces/{id_}")


def _find(client: AirbyteClient, spec: Props) -> str | None:
    same = client.named("/workspaces", {}, spec["name"])
    return client.only_one(same, "workspaceId")
