"""Airbyte declarative source definition: a low-code connector, as its manifest.

https://reference.airbyte.com/reference/createdeclarativesourcedefinition
"""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.api import post_once
from dynamic_providers.canonical import only_known_keys
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "airbyte/DeclarativeDefinition"
REPLACE_ON = frozenset({"name", "workspaceId"})  # the API's update takes the manifest alone
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()
MANIFEST_TYPE = "DeclarativeSource"


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name", "manifest"), ("workspaceId",))
    for key in ("name", "workspaceId"):
        if key in spec:
            inputs.text(spec[key], key)
    manifest = inputs.mapping(spec["manifest"], "manifest")
    if not inputs.is_unknown(manifest):
        _check(manifest)
    return spec


def _check(manifest: Props) -> None:
    inputs.one_of(manifest.get("type"), (MANIFEST_TYPE,), "manifest.type")
    inputs.text(manifest.get("version"), "manifest.version")
    if not manifest.get("check"):
        raise InputError("manifest.check", "missing: names the streams that prove a connection")
    if not manifest.get("streams") and not manifest.get("dynamic_streams"):
        raise InputError("manifest.streams", "missing: expected streams or dynamic_streams")


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: AirbyteClient, spec: Props) -> Live:
    if found := _find(client, spec):
        return update(client, found, spec, spec)
    body = {"name": spec["name"], "manifest": spec["manifest"]}
    made = post_once(
        lambda: str(client.require("POST", _path(client, spec), body)["id"]),
        lambda: _find(client, spec),
    )
    return Live(id=made, inputs=spec)


def read(client: AirbyteClient, id_: str, known: Props) -> Live | None:
    live = client.public("GET", f"{_path(client, known)}/{id_}")
    if live is None:
        return None
    manifest = live["manifest"]
    if "manifest" in known:  # the server adds metadata of its own
        manifest = only_known_keys(manifest, known["manifest"])
    found: Props = {"name": live["name"], "manifest": manifest}
    if "workspaceId" in known:
        found["workspaceId"] = known["workspaceId"]
    return Live(id=id_, inputs=_as_it_is(found))


def update(client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
    path = f"{_path(client, spec)}/{id_}"
    client.change("PUT", path, {"manifest": spec["manifest"]}, f"definition {id_}")
    return Live(id=id_, inputs=spec)


def delete(client: AirbyteClient, id_: str, known: Props) -> None:
    client.public("DELETE", f"{_path(client, known)}/{id_}")


def _path(client: AirbyteClient, spec: Props) -> str:
    workspace = client.workspace(spec.get("workspaceId"))
    return f"/workspaces/{workspace}/definitions/declarative_sources"


def _find(client: AirbyteClient, spec: Props) -> str | None:
    same = client.named(_path(client, spec), {}, spec["name"])
    return client.only_one(same, "id")


def _as_it_is(found: Props) -> Props:
    """A manifest that somebody broke by hand is drift to show, not an error."""
    try:
        return normalize(found)
    except InputError:
        return found
