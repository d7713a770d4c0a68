"""Superset dataset: a table of a database, with its metrics."""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient, identity

KIND: Final = "superset/Dataset"
REPLACE_ON = objects.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

TEXTS: Mapping[str, str] = {  # input -> API's name
    "description": "description",
    "mainDttmCol": "main_dttm_col",
}
METRIC: Mapping[str, str] = {
    "name": "metric_name",
    "expression": "expression",
    "verboseName": "verbose_name",
    "d3format": "d3format",
    "description": "description",
}


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(
        raw,
        ("databaseUuid", "schema", "tableName"),
        ("uuid", "metrics", "alwaysFilterMainDttm", *TEXTS),
    )
    spec["databaseUuid"] = objects.uuid(spec["databaseUuid"], "databaseUuid")
    for key in ("schema", "tableName", *TEXTS):
        if key in spec:
            inputs.text(spec[key], key)
    # PUT without it makes it false.
    spec.setdefault("alwaysFilterMainDttm", False)
    inputs.flag(spec["alwaysFilterMainDttm"], "alwaysFilterMainDttm")
    if "metrics" in spec:
        spec["metrics"] = _metrics(spec["metrics"])
    name = f"{spec['databaseUuid']}/{spec['schema']}/{spec['tableName']}"
    return {**spec, "uuid": objects.uuid(spec.get("uuid", identity("dataset", name)), "uuid")}


def natural_key(spec: Props) -> str:
    return str(spec["uuid"])


def create(client: SupersetClient, spec: Props) -> Live:
    database = client.number_of("database", spec["databaseUuid"], "databaseUuid")
    body = {"database": database, "schema": spec["schema"], "table_name": spec["tableName"]}
    return objects.create(client, "dataset", spec, body, lambda number: _put(client, number, spec))


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
            for key, api_name in TEXTS.items()
            if live.get(api_name) and (key in known or not known)
        },
    }
    if "metrics" in known or not known:
        found["metrics"] = [
            {key: metric[api_name] for key, api_name in METRIC.items() if metric.get(api_name)}
            for metric in live["metrics"]
        ]
    return Live(id=id_, inputs=normalize(found))


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    return objects.update(client, "dataset", id_, spec, lambda number: _put(client, number, spec))


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    """Refuses as long as charts use it: Superset would delete it and leave them broken."""
    number = client.number("dataset", id_)
    if number is None:
        return
    users = client.send("GET", f"/dataset/{number}/related_objects") or {}
    charts = (users.get("charts") or {}).get("result") or []
    if charts:
        names = ", ".join(sorted(str(chart["slice_name"]) for chart in charts))
        raise InputError("uuid", f"charts still use the dataset: {names}: delete them first")
    objects.delete(client, "dataset", id_)


def _put(client: SupersetClient, number: int, spec: Props) -> None:
    live = client.require("GET", f"/dataset/{number}")["result"]
    body = {
        "database_id": client.number_of("database", spec["databaseUuid"], "databaseUuid"),
        "schema": spec["schema"],
        "table_name": spec["tableName"],
        "always_filter_main_dttm": spec["alwaysFilterMainDttm"],
        **{api_name: spec[key] for key, api_name in TEXTS.items() if key in spec},
    }
    if "metrics" in spec:
        # Without its number, a metric that exists is refused as a duplicate.
        ids = {metric["metric_name"]: metric["id"] for metric in live["metrics"]}
        # Every field is sent, or one that the server or a person once set would stay.
        body["metrics"] = [
            {
                **{api_name: metric.get(key) for key, api_name in METRIC.items()},
                **({"id": ids[metric["name"]]} if metric["name"] in ids else {}),
            }
            for metric in spec["metrics"]
        ]
    objects.put(client, "dataset", number, body)


def _metrics(raw: Any) -> Any:
    items = inputs.listing(raw, "metrics", empty=True)
    if inputs.is_unknown(items):
        return items
    metrics = [_metric(item, f"metrics[{at}]") for at, item in enumerate(items)]
    names = [m["name"] for m in metrics if isinstance(m, dict) and m["name"] != UNKNOWN]
    for name in names:
        if names.count(name) > 1:
            raise InputError("metrics", f"metric {name!r} is listed twice")
    return sorted(metrics, key=lambda m: str(m["name"] if isinstance(m, dict) else m))


def _metric(raw: Any, at: str) -> Any:
    if inputs.is_unknown(raw):
        return raw
    metric = inputs.known_keys(
        inputs.mapping(raw, at),
        ("name", "expression"),
        ("verboseName", "d3format", "description"),
        at=at,
    )
    for key, value in metric.items():
        inputs.text(value, f"{at}.{key}")
    return metric
