"""Superset dataset: a table or a query of a database, with its columns and metrics."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient, identity

KIND: Final = "superset/Dataset"
REPLACE_ON = objects.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

OPTIONAL: Mapping[str, str] = {  # input -> API's name
    "description": "description",
    "mainDttmCol": "main_dttm_col",
    "sql": "sql",
    "cacheTimeoutS": "cache_timeout",
}
METRIC: Mapping[str, str] = {
    "name": "metric_name",
    "expression": "expression",
    "verboseName": "verbose_name",
    "d3format": "d3format",
    "description": "description",
    "warningText": "warning_text",
}
COLUMN: Mapping[str, str] = {
    "name": "column_name",
    "expression": "expression",
    "verboseName": "verbose_name",
    "description": "description",
    "pythonDateFormat": "python_date_format",
    "filterable": "filterable",
    "groupby": "groupby",
}
# Read from the table unless they are given, so never cleared.
REFLECTED: Mapping[str, str] = {"type": "type", "isDttm": "is_dttm"}
COLUMN_DEFAULTS: Mapping[str, bool] = {"filterable": True, "groupby": True}


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(
        raw,
        ("databaseUuid", "schema", "tableName"),
        ("uuid", "columns", "metrics", "alwaysFilterMainDttm", "forceDelete", *OPTIONAL),
    )
    spec["databaseUuid"] = objects.uuid(spec["databaseUuid"], "databaseUuid")
    for key in {"schema", "tableName", *OPTIONAL} & spec.keys():
        if key == "cacheTimeoutS":
            inputs.whole(spec[key], key, least=0)
        else:
            inputs.text(spec[key], key)
    # PUT without it makes it false.
    spec.setdefault("alwaysFilterMainDttm", False)
    inputs.flag(spec["alwaysFilterMainDttm"], "alwaysFilterMainDttm")
    for field, one in (("columns", _column), ("metrics", _metric)):
        if field in spec:
            spec[field] = _named(spec[field], field, one)
    name = f"{spec['databaseUuid']}/{spec['schema']}/{spec['tableName']}"
    own = spec.get("uuid", identity("dataset", name))
    return objects.with_force({**spec, "uuid": objects.uuid(own, "uuid")})


def natural_key(spec: Props) -> str:
    return str(spec["uuid"])


def create(client: SupersetClient, spec: Props) -> Live:
    database = client.number_of("database", spec["databaseUuid"], "databaseUuid")
    body = {"database": database, "schema": spec["schema"], "table_name": spec["tableName"]}
    if "sql" in spec:  # else the table would have to exist
        body["sql"] = spec["sql"]
    return objects.create(
        client, "dataset", spec, body, lambda number: _put(client, number, {}, spec)
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    live = client.get("dataset", id_)
    if live is None:
        return None
    found = {
        "uuid": id_,
        "databaseUuid": live["database"]["uuid"],
        "schema": live["schema"],
        "tableName": live["table_name"],
        "alwaysFilterMainDttm": bool(live["always_filter_main_dttm"]),
        # The server chooses a time column and adds a COUNT(*) where the user leaves them open.
        **{
            key: live[api_name]
            for key, api_name in OPTIONAL.items()
            if live.get(api_name) not in (None, "") and (key in known or not known)
        },
    }
    if "metrics" in known or not known:
        found["metrics"] = [_shown(METRIC, metric) for metric in live["metrics"]]
    columns = _shown_columns(live["columns"], known.get("columns") or [])
    if "columns" in known or (columns and not known):
        found["columns"] = columns
    if "forceDelete" in known:
        found["forceDelete"] = known["forceDelete"]
    return Live(id=id_, inputs=normalize(found))


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    return objects.update(
        client, "dataset", id_, spec, lambda number: _put(client, number, old, spec)
    )


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    """Refuses as long as charts or rules use it: Superset would delete it, leave the charts
    broken and take it out of the rules."""
    number = client.number("dataset", id_)
    if number is None:
        return
    users = client.send("GET", f"/dataset/{number}/related_objects") or {}
    charts = (users.get("charts") or {}).get("result") or []
    objects.refuse_if_used(
        "uuid", "charts still use the dataset", (str(c["slice_name"]) for c in charts), known
    )
    rules = client.listing("rowlevelsecurity", ("tables", "rel_m_m", number), "name")
    objects.refuse_if_used(
        "uuid", "row-level security still names the dataset", (r["name"] for r in rules), known
    )
    objects.delete(client, "dataset", id_)


def _put(client: SupersetClient, number: int, old: Props, spec: Props) -> None:
    live = client.require("GET", f"/dataset/{number}")["result"]
    body = {
        "database_id": client.number_of("database", spec["databaseUuid"], "databaseUuid"),
        "schema": spec["schema"],
        "table_name": spec["tableName"],
        "always_filter_main_dttm": spec["alwaysFilterMainDttm"],
        **{api_name: spec[key] for key, api_name in OPTIONAL.items() if key in spec},
        **objects.cleared(OPTIONAL, old, spec),
    }
    # Without its number, a metric or column that exists is refused as a duplicate.
    if "metrics" in spec:
        ids = {metric["metric_name"]: metric["id"] for metric in live["metrics"]}
        body["metrics"] = [_sent(METRIC, metric, ids) for metric in spec["metrics"]]
    if "columns" in spec:
        body["columns"] = _columns_to_send(
            live["columns"], old.get("columns") or [], spec["columns"]
        )
    objects.put(client, "dataset", number, body)


def _columns_to_send(live: list[Props], old: list[Props], wanted: list[Props]) -> list[Props]:
    """All columns, as what is left out is deleted. Those of the table stay as they are, those
    that were described and are no more go back to the defaults, and calculated ones that are
    not wanted vanish."""
    ids = {column["column_name"]: column["id"] for column in live}
    names = {column["name"] for column in wanted}
    given_up = {column["name"] for column in old} - names
    for column in wanted:
        if column["name"] not in ids and "expression" not in column:
            raise InputError(
                "columns",
                f"{column['name']!r}: the table has {', '.join(sorted(ids))}: expected one of "
                "them, or an expression",
            )
    kept = [
        _sent(COLUMN, {"name": column["column_name"], **COLUMN_DEFAULTS}, ids)
        if column["column_name"] in given_up
        else {"id": column["id"], "column_name": column["column_name"]}
        for column in live
        if column["column_name"] not in names and not column.get("expression")
    ]
    return kept + [
        _sent(COLUMN, column, ids)
        | {api_name: column[key] for key, api_name in REFLECTED.items() if key in column}
        for column in wanted
    ]


def _sent(fields: Mapping[str, str], item: Props, ids: Mapping[str, int]) -> Props:
    # Every field is sent, or one that the server or a person once set would stay.
    body = {api_name: item.get(key) for key, api_name in fields.items()}
    return body | ({"id": ids[item["name"]]} if item["name"] in ids else {})


def _shown(fields: Mapping[str, str], live: Props) -> Props:
    return {
        key: live[api_name]
        for key, api_name in fields.items()
        if live.get(api_name) not in (None, "")
    }


def _shown_columns(live: list[Props], known: list[Props]) -> list[Props]:
    """The known columns, and those that somebody changed or calculates."""
    by_name = {column["name"]: column for column in known}
    columns = []
    for column in live:
        given = by_name.get(column["column_name"])
        shown = _shown(COLUMN, column)
        if given is not None:
            shown |= {key: column[REFLECTED[key]] for key in REFLECTED if key in given}
        if given is not None or shown != {"name": shown["name"], **COLUMN_DEFAULTS}:
            columns.append(shown)
    return columns


def _named(raw: Any, field: str, one: Callable[[Any, str], Any]) -> Any:
    """A list of objects with a name each, sorted by it."""
    items = inputs.listing(raw, field, empty=True)
    if inputs.is_unknown(items):
        return items
    checked = [
        item if inputs.is_unknown(item) else one(item, f"{field}[{at}]")
        for at, item in enumerate(items)
    ]
    names = [c["name"] for c in checked if isinstance(c, dict) and c["name"] != UNKNOWN]
    for name in names:
        if names.count(name) > 1:
            raise InputError(field, f"{field.removesuffix('s')} {name!r} is listed twice")
    return sorted(checked, key=lambda c: str(c["name"] if isinstance(c, dict) else c))


def _metric(raw: Any, at: str) -> Props:
    optional = METRIC.keys() - {"name", "expression"}
    metric = inputs.known_keys(
        inputs.mapping(raw, at), ("name", "expression"), sorted(optional), at=at
    )
    for key, value in metric.items():
        inputs.text(value, f"{at}.{key}")
    return metric


def _column(raw: Any, at: str) -> Props:
    optional = sorted((COLUMN.keys() | REFLECTED.keys()) - {"name"})
    column = dict(COLUMN_DEFAULTS) | inputs.known_keys(
        inputs.mapping(raw, at), ("name",), optional, at=at
    )
    for key, value in column.items():
        check = inputs.flag if key in (*COLUMN_DEFAULTS, "isDttm") else inputs.text
        check(value, f"{at}.{key}")
    return column
