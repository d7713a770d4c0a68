"""Dremio physical dataset: a folder or file of a source, promoted to a table with a format."""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.canonical import only_known_keys
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.waiting import wait_for

KIND: Final = "dremio/PhysicalDataset"
REPLACE_ON = frozenset({"path"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

FORMATS = ("Parquet", "Text", "JSON", "Excel", "XLS", "Iceberg", "Delta")
LEAST_REFRESH_MS = 3_600_000  # the server refuses less than one hour
READY_TIMEOUT_S = 120.0
_POLICY = "accelerationRefreshPolicy"


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("path", "format"), (_POLICY,))
    spec["path"] = catalog.path(spec["path"], "path", least=2)
    shape = inputs.mapping(spec["format"], "format")
    if not inputs.is_unknown(shape):
        inputs.one_of(shape.get("type"), FORMATS, "format.type")
    if _POLICY in spec:
        _check_policy(inputs.mapping(spec[_POLICY], _POLICY))
    return spec


def natural_key(spec: Props) -> str:
    return catalog.dotted(spec["path"])


def create(client: DremioClient, spec: Props) -> Live:
    live = client.by_path(spec["path"])
    if live is None:
        raise InputError(
            "path", f"{natural_key(spec)}: nothing there to promote: sync data into it first"
        )
    if catalog.kind_of(live) == "view":
        raise InputError("path", f"{natural_key(spec)}: taken by a view")
    if catalog.kind_of(live) == "table":
        return _bring_to(client, live, spec)
    body = {"entityType": "dataset", "type": "PHYSICAL_DATASET", "id": live["id"], **spec}
    post_once(
        lambda: client.require("POST", entity(live["id"]), body),
        lambda: catalog.find(client, spec["path"], "table", "path"),
    )
    _wait_for_fields(client, spec)
    return Live(id=natural_key(spec), inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = client.by_path(catalog.parts_of(id_))
    if live is None or catalog.kind_of(live) != "table":
        return None
    found = {
        key: live[key]
        for key in ("path", "format", _POLICY)
        if live.get(key) is not None and (key in known or not known)
    }
    return Live(id=id_, inputs=only_known_keys(found, known) if known else found)


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = client.by_path(spec["path"])
    if live is None or catalog.kind_of(live) != "table":  # un-promoted, it is a folder again
        raise LookupError(f"table {id_} is gone")
    return _bring_to(client, live, spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    """Un-promotes it: the files stay."""
    catalog.remove(client, catalog.parts_of(id_), "table")


def _bring_to(client: DremioClient, live: Props, spec: Props) -> Live:
    def body(at: Props) -> Props:
        policy = {**(at.get(_POLICY) or {}), **spec.get(_POLICY, {})}
        return {
            "entityType": "dataset",
            "type": "PHYSICAL_DATASET",
            "id": at["id"],
            "path": spec["path"],
            "format": {**(at.get("format") or {}), **spec["format"]},
            **({_POLICY: policy} if policy else {}),
        }

    client.put_tagged(entity(live["id"]), live, body)
    _wait_for_fields(client, spec)
    return Live(id=natural_key(spec), inputs=spec)


def _wait_for_fields(client: DremioClient, spec: Props) -> None:
    def fields() -> bool | None:
        return True if (client.by_path(spec["path"]) or {}).get("fields") else None

    wait_for(fields, READY_TIMEOUT_S, f"columns of {natural_key(spec)}")


def _check_policy(policy: Any) -> None:
    if not inputs.is_unknown(policy) and "refreshPeriodMs" in policy:
        inputs.whole(
            policy["refreshPeriodMs"], f"{_POLICY}.refreshPeriodMs", least=LEAST_REFRESH_MS
        )
