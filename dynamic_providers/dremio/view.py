"""Dremio view (virtual dataset): a query with a name, in a space or a folder of one.

Dremio keeps the text of the query as it was sent. A text that differs from it in layout or
comments alone is no drift. A view must be created after those that it reads: see `in_order`.
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio import sql as queries
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "dremio/View"
REPLACE_ON = frozenset({"path"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

# Ours alone: whether a delete may break views that read this one.
LOCAL = frozenset({catalog.ALLOW_BREAK})


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("path", "sql"), ("sqlContext", catalog.ALLOW_BREAK))
    spec["path"] = catalog.path(spec["path"], "path", least=2)
    spec["sql"] = _statement(inputs.text(spec["sql"], "sql"))
    if "sqlContext" in spec:
        spec["sqlContext"] = inputs.texts(spec["sqlContext"], "sqlContext", empty=True)
    if catalog.ALLOW_BREAK in spec:
        inputs.flag(spec[catalog.ALLOW_BREAK], catalog.ALLOW_BREAK)
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
    if "sql" in known and queries.canonical(found["sql"]) == queries.canonical(known["sql"]):
        found["sql"] = known["sql"]
    found |= {key: known[key] for key in LOCAL if key in known}
    return Live(id=id_, inputs=normalize(found))


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = catalog.find(client, spec["path"], "view", "path")
    if live is None:
        raise LookupError(f"view {id_} is gone")
    return _bring_to(client, live, spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    """Raises InputError if other views read it, unless allowBreakViews is set."""
    breaks = bool(known.get(catalog.ALLOW_BREAK))
    catalog.remove(client, catalog.parts_of(id_), "view", breaks=breaks)


def in_order(views: Sequence[Props]) -> list[Props]:
    """`views` (inputs of views), each after those that it reads. InputError for a circle."""
    by_key = {natural_key(spec): spec for spec in views}
    reads = {
        key: [
            other
            for other, read_one in by_key.items()
            if other != key
            and queries.reads(spec["sql"], spec.get("sqlContext", ()), read_one["path"])
        ]
        for key, spec in by_key.items()
    }
    try:
        return [by_key[key] for key in TopologicalSorter(reads).static_order()]
    except CycleError as circle:
        raise InputError("sql", f"views read each other: {' <- '.join(circle.args[1])}") from None


def secured_sql(
    dataset_path: Sequence[str], columns: Sequence[str], condition: str | None = None
) -> str:
    """The query of a secured view: only `columns` of a dataset, only rows that meet `condition`.

    It is what Community edition leaves of GRANT, and it is no access control: every user of
    Community is an administrator, and may read the dataset itself. It protects only against
    tools that are shown nothing but the view, so the store, PostgreSQL and Superset have to
    refuse the rest. condition: SQL of the author's own, never of a user.
    """
    inputs.texts(columns, "columns")
    names = ", ".join(catalog.quoted(column) for column in columns)
    where = f" WHERE {condition}" if condition else ""
    table = ".".join(catalog.quoted(part) for part in dataset_path)
    return f"SELECT {names} FROM {table}{where}"  # noqa: S608 - every name is quoted


def _bring_to(client: DremioClient, live: Props, spec: Props) -> Live:
    def body(at: Props) -> Props:
        return {**_body(spec), "id": at["id"]}

    client.put_tagged(entity(live["id"]), live, body)
    return Live(id=natural_key(spec), inputs=spec)


def _body(spec: Props) -> Props:
    sent = {key: value for key, value in spec.items() if key not in LOCAL}
    return {"entityType": "dataset", "type": "VIRTUAL_DATASET", **sent}


def _statement(sql: str) -> str:
    # A semicolon at the end is one statement's end to people and a syntax error in a view.
    text = sql.strip()
    while text.endswith(";"):
        text = text[:-1].rstrip()
    return text
