"""Dremio folder: inside a space, or inside another folder of one. Plain sources refuse it."""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import Live, Props

KIND: Final = "dremio/Folder"
REPLACE_ON = frozenset({"path"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

FORBIDDEN = '."/'


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("path",))
    parts = catalog.path(spec["path"], "path", least=2)
    if not inputs.is_unknown(parts):
        for at, part in enumerate(parts[1:], 1):
            catalog.name(part, f"path[{at}]", forbidden=FORBIDDEN)
    return {"path": parts}


def natural_key(spec: Props) -> str:
    return catalog.dotted(spec["path"])


def create(client: DremioClient, spec: Props) -> Live:
    def find() -> Props | None:
        return catalog.find(client, spec["path"], "folder", "path")

    if find() is None:
        body = {"entityType": "folder", "path": spec["path"]}
        post_once(lambda: client.require("POST", "/catalog", body), find)
    return Live(id=natural_key(spec), inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = client.by_path(catalog.parts_of(id_))
    if live is None or catalog.kind_of(live) != "folder":
        return None
    return Live(id=id_, inputs={"path": list(live["path"])})


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    return Live(id=id_, inputs=spec)  # the path is all there is


def delete(client: DremioClient, id_: str, known: Props) -> None:
    catalog.remove(client, catalog.parts_of(id_), "folder")
