"""Dremio view (virtual dataset): a query with a name, in a space or a folder of one."""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import Live, Props

KIND: Final = "dremio/View"
REPLACE_ON = frozenset({"path"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("path", "sql"), ("sqlContext",))
    spec["path"] = catalog.path(spec["path"], "path", least=2)
    spec["sql"] = _statement(inputs.text(spec["sql"], "sql"))
    if "sqlContext" in spec:
        spec["sqlContext"] = inputs.texts(spec["sqlContext"], "sqlContext", empty=True)
    return {key: value for key, value in spec.items() if value != []}


def natural_key(spec: Props) -> str:
    return catalog.dotted(spec["path"])


def create(client: DremioClient, spec: Props) -> Live:
    def find() -> Props | None:
        return catalog.find(client, spec["path"], "view", "path")

    if live := find():
        return _bring_to(client, live, spec)
    post_once(lambda: client.require("POST", "/catalog", _body(spec)), find)
    return Live(id=natural_key(spec), inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = client.by_path(catalog.parts_of(id_))
    if live is None or catalog.kind_of(live) != "view":
        return None
    found = {key: live[key] for key in ("path", "sql", "sqlContext") if live.get(key)}
    return Live(id=id_, inputs=normalize(found))


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = catalog.find(client, spec["path"], "view", "path")
    if live is None:
        raise LookupError(f"view {id_} is gone")
    return _bring_to(client, live, spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    catalog.remove(client, catalog.parts_of(id_), "view")


def _bring_to(client: DremioClient, live: Props, spec: Props) -> Live:
    def body(at: Props) -> Props:
        return {**_body(spec), "id": at["id"]}

    client.put_tagged(entity(live["id"]), live, body)
    return Live(id=natural_key(spec), inputs=spec)


def _body(spec: Props) -> Props:
    return {"entityType": "dataset", "type": "VIRTUAL_DATASET", **spec}


def _statement(sql: str) -> str:
    # A semicolon at the end is one statement's end to people and a syntax error in a view.
    text = sql.strip()
    while text.endswith(";"):
        text = text[:-1].rstrip()
    return text
