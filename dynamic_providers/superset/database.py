"""Superset database: a connection to a query engine."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from dynamic_providers import inputs
from dynamic_providers.api import ApiError
from dynamic_providers.canonical import only_known_keys
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient, identity

KIND: Final = "superset/Database"
REPLACE_ON = objects.REPLACE_ON
SECRETS = frozenset({"sqlalchemyUri"})
COMPUTED: frozenset[str] = frozenset()

MASK = "XXXXXXXXXX"
FLAGS: Mapping[str, tuple[str, bool]] = {  # input -> API's name, default
    "exposeInSqllab": ("expose_in_sqllab", True),
    "allowDml": ("allow_dml", False),
    "allowCtas": ("allow_ctas", False),
    "allowCvas": ("allow_cvas", False),
    "allowFileUpload": ("allow_file_upload", False),
}


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = {
        **{key: default for key, (_, default) in FLAGS.items()},
        **inputs.known_keys(raw, ("name", "sqlalchemyUri"), ("uuid", "extra", *FLAGS)),
    }
    name = inputs.text(spec["name"], "name")
    uri = inputs.text(spec["sqlalchemyUri"], "sqlalchemyUri")
    if not inputs.is_unknown(uri) and "://" not in uri:
        raise InputError("sqlalchemyUri", "expected dialect://user:password@host:port/database")
    for key in FLAGS:
        inputs.flag(spec[key], key)
    if "extra" in spec:
        inputs.mapping(spec["extra"], "extra")
    return {**spec, "uuid": objects.uuid(spec.get("uuid", identity("database", name)), "uuid")}


def natural_key(spec: Props) -> str:
    return str(spec["uuid"])


def create(client: SupersetClient, spec: Props) -> Live:
    return objects.create(
        client, "database", spec, _body(spec), lambda number: _put(client, number, spec)
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    number = client.number("database", id_)
    # GET /database/<number> shows neither the URI nor `extra`.
    shown = None if number is None else client.send("GET", f"/database/{number}/connection")
    if shown is None:
        return None
    live = shown["result"]
    uri = str(live["sqlalchemy_uri"])
    found = {
        "name": live["database_name"],
        "sqlalchemyUri": known["sqlalchemyUri"] if _same(uri, known) else uri,
        "uuid": id_,
        **{key: bool(live[api_name]) for key, (api_name, _) in FLAGS.items()},
    }
    extra = live.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    if "extra" in known:
        found["extra"] = only_known_keys(extra, known["extra"])
    elif not known and extra:
        found["extra"] = extra
    return Live(id=id_, inputs=normalize(found))


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    return objects.update(client, "database", id_, spec, lambda number: _put(client, number, spec))


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    """Superset refuses as long as it has datasets; they are named then."""
    number = client.number("database", id_)
    if number is None:
        return
    try:
        client.send("DELETE", f"/database/{number}")
    except ApiError as error:
        if error.status != 422:
            raise
        tables = client.listing("dataset", ("database", "rel_o_m", number), "table_name")
        names = ", ".join(sorted(str(table["table_name"]) for table in tables))
        reason = f"{error.message}: {names}: delete them first" if names else error.message
        raise InputError("name", reason) from error


def _put(client: SupersetClient, number: int, spec: Props) -> None:
    objects.put(client, "database", number, _body(spec))


def _body(spec: Props) -> Props:
    body = {
        "database_name": spec["name"],
        "sqlalchemy_uri": spec["sqlalchemyUri"],
        **{api_name: spec[key] for key, (api_name, _) in FLAGS.items()},
    }
    return {**body, "extra": json.dumps(spec["extra"])} if "extra" in spec else body


def _same(shown: str, known: Props) -> bool:
    """Whether the masked URI may be the known one. A changed password cannot be seen."""
    return "sqlalchemyUri" in known and _without_password(shown) == _without_password(
        known["sqlalchemyUri"]
    )


def _without_password(uri: str) -> tuple[Any, ...]:
    """The parts of a URI that can be compared; SQLAlchemy quotes and orders in its own way."""
    parts = urlsplit(uri)
    return (
        parts.scheme,
        unquote(parts.username or ""),
        parts.password is not None,
        parts.hostname,
        parts.port,
        unquote(parts.path),
        sorted(parse_qsl(parts.query)),
    )
