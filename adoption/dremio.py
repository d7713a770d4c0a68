"""Catalog and reflections of a live Dremio, through its REST API."""

from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from adoption.estate import Estate
from dynamic_providers.dremio import (
    aggregation_reflection,
    catalog,
    folder,
    physical_dataset,
    raw_reflection,
    source,
    space,
    view,
)
from dynamic_providers.dremio.client import MASK, DremioClient, entity
from dynamic_providers.handler import Props

PAGE = 100
SYSTEM = ("sys", "INFORMATION_SCHEMA")  # and names that begin with $ or __
REFLECTIONS = {"RAW": raw_reflection, "AGGREGATION": aggregation_reflection}


def read(client: DremioClient) -> Estate:
    """Everything but system and home folders. Raises ApiError."""
    estate = Estate(client=client, mask=MASK, links=False)
    for root in client.require("GET", "/catalog").get("data") or []:
        name = str(root["path"][0])
        if name in SYSTEM or name.startswith(("$", "__")):
            continue
        if root.get("containerType") == "SPACE":
            estate.add(space, name, label=name)
        elif root.get("containerType") == "SOURCE":
            estate.add(source, name, label=name)
        else:
            kind = str(root.get("containerType", "?")).lower()
            estate.refuse(f"dremio/{kind}", name, "a personal folder: move its views to a space")
            continue
        in_space = root["containerType"] == "SPACE"
        for child in _below(client, str(root["id"])):
            _add(estate, child, in_space)
    return estate


def tables_of(sql: str) -> list[tuple[str, ...]]:
    """Paths of the tables that a query reads; none if it cannot be parsed."""
    try:
        tree = sqlglot.parse_one(sql, read="dremio")
    except SqlglotError:
        return []
    own = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    paths = [tuple(part.name for part in table.parts) for table in tree.find_all(exp.Table)]
    return [path for path in paths if len(path) > 1 or path[0].lower() not in own]


def _below(client: DremioClient, id_: str) -> Iterator[Props]:
    """All that is below a container. A dataset that is a folder of files is not opened."""
    for child in _children(client, id_):
        yield child
        if child.get("type") == "CONTAINER":
            yield from _below(client, str(child["id"]))


def _children(client: DremioClient, id_: str) -> Iterator[Props]:
    token: dict[str, str] = {}
    while True:
        page = client.send("GET", entity(id_), maxChildren=PAGE, **token) or {}
        yield from page.get("children") or []
        if not page.get("nextPageToken"):
            return
        token = {"pageToken": page["nextPageToken"]}


def _add(estate: Estate, child: Props, in_space: bool) -> None:
    path = [str(part) for part in child["path"]]
    id_ = catalog.dotted(path)
    above = catalog.dotted(path[:-1])
    if child.get("type") == "CONTAINER" and in_space:
        estate.add(folder, id_, label=id_, after=[above])
    elif child.get("type") == "DATASET":
        if child.get("datasetType") == "VIRTUAL":
            inputs = estate.add(view, id_, label=id_, after=[above, *_read_by(estate, id_)])
            if inputs is None:
                return
        elif child.get("datasetType") == "PROMOTED":
            estate.add(physical_dataset, id_, label=id_, after=[path[0]])
        _add_reflections(estate, child, id_)


def _read_by(estate: Estate, id_: str) -> list[str]:
    """Ids of what a view reads, names completed by its context."""
    live = estate.client.by_path(catalog.parts_of(id_)) or {}
    context = [str(part) for part in live.get("sqlContext") or []]
    paths = tables_of(str(live.get("sql", "")))
    return [catalog.dotted(p) for path in paths for p in ([*path], [*context, *path])]


def _add_reflections(estate: Estate, child: Props, id_: str) -> None:
    listed = estate.client.send("GET", f"/dataset/{child['id']}/reflection") or {}
    for live in listed.get("data") or []:
        label = f"{id_}/{live['name']}"
        if handler := REFLECTIONS.get(str(live["type"])):
            estate.add(handler, str(live["id"]), label=label, after=[id_])
        else:
            estate.refuse("dremio/Reflection", label, f"type {live['type']}: not supported")
