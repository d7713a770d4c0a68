"""Superset row-level security: a condition that Superset adds to the queries of some roles.

Superset fails open: a rule that loses its roles or its tables filters nothing, and it loses
them by any PUT that leaves them out. So both are always sent, and read again after each write.
"""

from collections.abc import Mapping
from typing import Any, Final

import sqlglot
from sqlglot import exp

from dynamic_providers import inputs
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient
from dynamic_providers.waiting import WorkFailedError

KIND: Final = "superset/RowLevelSecurity"
REPLACE_ON = frozenset({"name"})  # the name is the only identity that a rule has
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

PATH = "rowlevelsecurity"
FILTER_TYPES = ("Base", "Regular")  # Base: for all but the roles; Regular: for the roles
OPTIONAL: Mapping[str, str] = {"groupKey": "group_key", "description": "description"}


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(
        raw, ("name", "roles", "datasetUuids", "clause"), ("filterType", *OPTIONAL)
    )
    inputs.text(spec["name"], "name")
    spec["filterType"] = inputs.one_of(
        spec.get("filterType", "Regular"), FILTER_TYPES, "filterType"
    )
    spec["roles"] = objects.names(spec["roles"], "roles")
    spec["datasetUuids"] = objects.uuids(spec["datasetUuids"], "datasetUuids")
    spec["clause"] = _clause(spec["clause"])
    for key in OPTIONAL.keys() & spec.keys():
        inputs.text(spec[key], key)
    return spec


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: SupersetClient, spec: Props) -> Live:
    body = _body(client, spec)
    return objects.create_named(
        client,
        PATH,
        _key(spec["name"]),
        spec,
        body,
        lambda number: _put(client, number, body),
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    number = client.number_named(PATH, *_key(id_))
    answer = None if number is None else client.send("GET", f"/{PATH}/{number}")
    if answer is None:
        return None
    live = answer["result"]
    found = {
        "name": live["name"],
        "filterType": live["filter_type"],
        # Empty ones, and a clause that does not parse, are drift to show, not an error.
        "roles": sorted(role["name"] for role in live["roles"]),
        "datasetUuids": sorted(client.uuid_of("dataset", t["id"]) for t in live["tables"]),
        "clause": live["clause"].strip(),
        **{
            key: live[api_name]
            for key, api_name in OPTIONAL.items()
            if live.get(api_name) and (key in known or not known)
        },
    }
    return Live(id=id_, inputs=found)


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    number = objects.number_to_update(client, PATH, _key(id_))
    _put(client, number, _body(client, spec))
    return Live(id=id_, inputs=spec)


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    objects.delete_named(client, PATH, _key(id_))


def _key(name: str) -> tuple[str, str]:
    return "name", name


def _clause(value: Any) -> str:
    """The clause, if it is one condition. Superset takes any text, and then every query of the
    roles fails, or is filtered by less than it looks like."""
    text = inputs.text(value, "clause").strip()
    if UNKNOWN in text:
        return text
    if "{{" in text or "{%" in text:
        raise InputError("clause", f"{text!r}: templates are off: expected plain SQL")
    try:
        parsed = sqlglot.parse(text)
    except sqlglot.errors.SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise InputError("clause", f"{text!r}: expected one SQL condition: {reason}") from None
    condition = parsed[0] if len(parsed) == 1 else None
    if not isinstance(condition, exp.Condition) or isinstance(condition, exp.Query):
        raise InputError("clause", f"{text!r}: expected one SQL condition, as after WHERE")
    if any(node.comments for node in condition.walk()):
        raise InputError("clause", f"{text!r}: expected no comment: Superset adds SQL behind it")
    return text


def _body(client: SupersetClient, spec: Props) -> Props:
    return {
        "name": spec["name"],
        "filter_type": spec["filterType"],
        "clause": spec["clause"],
        "roles": objects.role_numbers(client, spec["roles"], "roles"),
        "tables": [client.number_of("dataset", u, "datasetUuids") for u in spec["datasetUuids"]],
        **{api_name: spec.get(key) for key, api_name in OPTIONAL.items()},
    }


def _put(client: SupersetClient, number: int, body: Props) -> None:
    """Raises WorkFailedError if the rule does not hold what was sent."""
    objects.put_named(client, PATH, number, body)
    live = client.require("GET", f"/{PATH}/{number}")["result"]
    for key in ("roles", "tables"):
        found = {item["id"] for item in live[key]}
        if found != set(body[key]):
            raise WorkFailedError(
                f"rule {body['name']!r}: Superset keeps {key} {sorted(found)} of "
                f"{sorted(body[key])}: rows may be visible that should not be: look at it now"
            )
