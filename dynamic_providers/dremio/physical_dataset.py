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

# Settings per format. https://docs.dremio.com/current/reference/api/catalog/table/
_SHEET = ("sheetName", "extractHeader", "hasMergedCells")
FORMATS: Mapping[str, tuple[str, ...]] = {
    "Parquet": ("autoCorrectCorruptDates", "ignoreOtherFileFormats"),
    "JSON": (),
    "Text": (
        "fieldDelimiter",
        "lineDelimiter",
        "quote",
        "escape",
        "comment",
        "skipFirstLine",
        "extractHeader",
        "trimHeader",
        "autoGenerateColumnNames",
    ),
    "Excel": _SHEET,
    "XLS": _SHEET,
    "Iceberg": (),
    "Delta": (),
}
MARKS = ("fieldDelimiter", "lineDelimiter", "quote", "escape", "comment")  # may be white space
POLICIES = ("NEVER", "PERIOD", "REFRESH_ON_DATA_CHANGES", "SCHEDULE")
METHODS = ("AUTO", "FULL", "INCREMENTAL")
LEAST_REFRESH_MS = 3_600_000  # the server refuses less than one hour
READY_TIMEOUT_S = 120.0
_POLICY = "accelerationRefreshPolicy"
POLICY_KEYS = (
    "activePolicyType",
    "refreshPeriodMs",
    "refreshSchedule",
    "gracePeriodMs",
    "method",
    "refreshField",
    "neverExpire",
    "neverRefresh",
    "sourceRefreshOnDataChanges",
)
# Ours alone: whether a delete may break views that read this table.
LOCAL = frozenset({catalog.ALLOW_BREAK})


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("path", "format"), (_POLICY, catalog.ALLOW_BREAK))
    spec["path"] = catalog.path(spec["path"], "path", least=2)
    _check_format(inputs.mapping(spec["format"], "format"))
    if _POLICY in spec:
        _check_policy(inputs.mapping(spec[_POLICY], _POLICY))
    if catalog.ALLOW_BREAK in spec:
        inputs.flag(spec[catalog.ALLOW_BREAK], catalog.ALLOW_BREAK)
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
        return _bring_to(client, live, {}, spec)
    sent = {key: value for key, value in spec.items() if key not in LOCAL}
    body = {"entityType": "dataset", "type": "PHYSICAL_DATASET", "id": live["id"], **sent}
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
    if not known:
        settings = FORMATS.get(str(found["format"].get("type")), ()) if "format" in found else ()
        kept = {k: v for k, v in found.get("format", {}).items() if k in ("type", *settings)}
        return Live(id=id_, inputs={**found, "format": kept})
    local = {key: known[key] for key in LOCAL if key in known}
    return Live(id=id_, inputs={**only_known_keys(found, known), **local})


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = client.by_path(spec["path"])
    if live is None or catalog.kind_of(live) != "table":  # un-promoted, it is a folder again
        raise LookupError(f"table {id_} is gone")
    return _bring_to(client, live, old, spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    """Un-promotes it: the files stay. Raises InputError if views read it, unless
    allowBreakViews is set."""
    breaks = bool(known.get(catalog.ALLOW_BREAK))
    catalog.remove(client, catalog.parts_of(id_), "table", breaks=breaks)


def _bring_to(client: DremioClient, live: Props, old: Props, spec: Props) -> Live:
    def body(at: Props) -> Props:
        shape, policy = at.get("format") or {}, at.get(_POLICY)
        same = shape.get("type") == spec["format"]["type"]
        policy = catalog.merged(policy, old.get(_POLICY), spec.get(_POLICY))
        return {
            "entityType": "dataset",
            "type": "PHYSICAL_DATASET",
            "id": at["id"],
            "path": spec["path"],
            # The settings of another format mean nothing to this one.
            "format": catalog.merged(shape if same else {}, old.get("format"), spec["format"]),
            **({_POLICY: policy} if policy else {}),
        }

    client.put_tagged(entity(live["id"]), live, body)
    _wait_for_fields(client, spec)
    return Live(id=natural_key(spec), inputs=spec)


def _wait_for_fields(client: DremioClient, spec: Props) -> None:
    def fields() -> bool | None:
        return True if (client.by_path(spec["path"]) or {}).get("fields") else None

    wait_for(fields, READY_TIMEOUT_S, f"columns of {natural_key(spec)}")


def _check_format(shape: Any) -> None:
    if inputs.is_unknown(shape):
        return
    kind = inputs.one_of(shape.get("type"), FORMATS, "format.type")
    if inputs.is_unknown(kind):
        return
    inputs.known_keys(shape, ("type",), FORMATS[kind], at="format")
    for key, value in shape.items():
        if key in MARKS or inputs.is_unknown(value):
            if not isinstance(value, str):
                raise InputError(f"format.{key}", f"{value!r}: expected a text")
        elif key not in ("type", "sheetName"):
            inputs.flag(value, f"format.{key}")


def _check_policy(policy: Any) -> None:
    if inputs.is_unknown(policy):
        return
    inputs.known_keys(policy, (), POLICY_KEYS, at=_POLICY)
    choices = {"activePolicyType": POLICIES, "method": METHODS}
    for key, value in policy.items():
        at = f"{_POLICY}.{key}"
        if key in choices:
            inputs.one_of(value, choices[key], at)
        elif key in ("refreshPeriodMs", "gracePeriodMs"):
            inputs.whole(value, at, least=LEAST_REFRESH_MS)
        elif key in ("refreshSchedule", "refreshField"):
            inputs.text(value, at)
        else:
            inputs.flag(value, at)
