"""Dremio space: a top-level container of folders and views."""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import Live, Props

KIND: Final = "dremio/Space"
REPLACE_ON = frozenset({"name"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

FORBIDDEN = '."@'


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name",))
    return {"name": catalog.name(spec["name"], "name", forbidden=FORBIDDEN)}


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: DremioClient, spec: Props) -> Live:
    def find() -> Props | None:
        return catalog.find(client, [spec["name"]], "space", "name")

    if find() is None:
        body = {"entityType": "space", "name": spec["name"]}
        post_once(lambda: client.require("POST", "/catalog", body), find)
    return Live(id=spec["name"], inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = client.by_path([id_])
    if live is None or catalog.kind_of(live) != "space":
        return None
    return Live(id=id_, inputs={"name": live["name"]})


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    return Live(id=id_, inputs=spec)  # the name is all there is


def delete(client: DremioClient, id_: str, known: Props) -> None:
    catalog.remove(client, [id_], "space")
