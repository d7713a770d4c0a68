"""Airbyte connection: which streams go from a source to a destination, how and when.

https://reference.airbyte.com/reference/createconnection
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.api import post_once
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "airbyte/Connection"
REPLACE_ON = frozenset({"sourceId", "destinationId"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

SYNC_MODES = (
    "full_refresh_overwrite",
    "full_refresh_overwrite_deduped",
    "full_refresh_append",
    "full_refresh_update",
    "full_refresh_soft_delete",
    "incremental_append",
    "incremental_deduped_history",
    "incremental_update",
    "incremental_soft_delete",
)
NEEDS_MERGE = frozenset(SYNC_MODES) - {
    "full_refresh_overwrite",
    "full_refresh_append",
    "incremental_append",
}
APPEND_ONLY_DESTINATIONS = frozenset({"s3", "elasticsearch"})
DEFAULTS: Mapping[str, Any] = {
    "schedule": {"scheduleType": "manual"},
    "namespaceDefinition": "destination",
    "prefix": "",
    "nonBreakingSchemaUpdatesBehavior": "ignore",
    "status": "active",
}
CHOICES = {
    "namespaceDefinition": ("source", "destination", "custom_format"),
    "nonBreakingSchemaUpdatesBehavior": (
        "ignore",
        "disable_connection",
        "propagate_columns",
        "propagate_fully",
    ),
    "status": ("active", "inactive"),
}
STREAM_LISTS = ("cursorField", "primaryKey", "selectedFields")
# Seconds to day of week, and perhaps the year; a zone does not fit.
QUARTZ = re.compile(r"([0-9A-Z*/,?#-]+ ){5}[0-9A-Z*/,?#-]+( [0-9*/,-]+)?")
# Checked here, never sent: the server learns a destination's type from its id.
LOCAL = frozenset({"destinationType"})
GONE = "deprecated"  # the status of a deleted connection, which GET still shows


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = {
        **DEFAULTS,
        **inputs.known_keys(
            raw,
            ("name", "sourceId", "destinationId", "streams"),
            (*DEFAULTS, "namespaceFormat", "destinationType"),
        ),
    }
    for key in ("name", "sourceId", "destinationId"):
        inputs.text(spec[key], key)
    for key, choices in CHOICES.items():
        inputs.one_of(spec[key], choices, key)
    if spec["namespaceDefinition"] == "custom_format" and not spec.get("namespaceFormat"):
        raise InputError("namespaceFormat", "missing: custom_format needs one")
    spec["schedule"] = _schedule(spec["schedule"])
    spec["streams"] = _streams(spec["streams"], spec.get("destinationType"))
    return spec


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: AirbyteClient, spec: Props) -> Live:
    if found := _find(client, spec):
        return update(client, found, spec, spec)
    id_ = post_once(
        lambda: str(client.require("POST", "/connections", _body(spec))["connectionId"]),
        lambda: _find(client, spec),
    )
    return Live(id=id_, inputs=spec)


def read(client: AirbyteClient, id_: str, known: Props) -> Live | None:
    live = alive(client, id_)
    if live is None:
        return None
    found: Props = {key: live[key] for key in ("name", "sourceId", "destinationId")}
    for key, default in DEFAULTS.items():
        value = live.get(key)
        found[key] = default if value is None else value
    found["schedule"] = {
        key: live["schedule"][key]
        for key in ("scheduleType", "cronExpression")
        if (live.get("schedule") or {}).get(key)
    } or DEFAULTS["schedule"]
    if live.get("namespaceFormat") and ("namespaceFormat" in known or not known):
        found["namespaceFormat"] = live["namespaceFormat"]
    found |= {key: known[key] for key in LOCAL if key in known}
    found["streams"] = _live_streams(live["configurations"]["streams"], known.get("streams"))
    return Live(id=id_, inputs=_as_it_is(found))


def update(client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
    if alive(client, id_) is None:  # a PATCH would bring a deleted one back to life
        raise LookupError(f"connection {id_} is gone")
    body = {key: value for key, value in _body(spec).items() if key not in REPLACE_ON}
    client.require("PATCH", f"/connections/{id_}", body)
    return Live(id=id_, inputs=spec)


def delete(client: AirbyteClient, id_: str, known: Props) -> None:
    client.public("DELETE", f"/connections/{id_}")


def alive(client: AirbyteClient, id_: str) -> Props | None:
    """The connection as the server shows it, None if it is deleted."""
    live: Props | None = client.public("GET", f"/connections/{id_}")
    return None if live is None or live["status"] == GONE else live


def _find(client: AirbyteClient, spec: Props) -> str | None:
    source = client.require("GET", f"/sources/{spec['sourceId']}")
    same = [
        live
        for live in client.every("/connections", {"workspaceIds": source["workspaceId"]})
        if live["name"] == spec["name"] and live["status"] != GONE
    ]
    fitting = [live for live in same if all(live[key] == spec[key] for key in REPLACE_ON)]
    if same and not fitting:
        raise InputError(
            "name",
            f"taken by connection {same[0]['connectionId']} between another source and "
            "destination: delete it, or choose another name",
        )
    return str(fitting[0]["connectionId"]) if fitting else None


def _body(spec: Props) -> Props:
    streams = [
        {
            **{key: value for key, value in stream.items() if key != "selectedFields"},
            **(
                {"selectedFields": [{"fieldPath": [name]} for name in stream["selectedFields"]]}
                if "selectedFields" in stream
                else {}
            ),
        }
        for stream in spec["streams"]
    ]
    body = {k: v for k, v in spec.items() if k not in LOCAL and k != "streams"}
    return {**body, "configurations": {"streams": streams}}


def _schedule(raw: Any) -> Any:
    if inputs.is_unknown(raw):
        return raw
    schedule = inputs.known_keys(
        inputs.mapping(raw, "schedule"), ("scheduleType",), ("cronExpression",), at="schedule"
    )
    kind = inputs.one_of(schedule["scheduleType"], ("manual", "cron"), "schedule.scheduleType")
    if kind == "manual":
        return {"scheduleType": "manual"}
    if "cronExpression" not in schedule:
        raise InputError("schedule.cronExpression", "missing: a cron schedule needs one")
    return {**schedule, "cronExpression": _quartz(schedule["cronExpression"])}


def _quartz(text: Any) -> str:
    """A Quartz expression without the zone, which the server appends to what it returns."""
    field = "schedule.cronExpression"
    expression = " ".join(inputs.text(text, field).split())
    if inputs.is_unknown(expression):
        return expression
    expression = re.sub(r" UTC$", "", expression)
    parts = expression.split(" ")
    if not QUARTZ.fullmatch(expression):
        raise InputError(
            field,
            f"{expression!r}: expected 6 or 7 fields (seconds first, Quartz), all in UTC, such as "
            "'0 0 1 * * ?'",
        )
    if not parts[0].isdigit():
        raise InputError(field, f"{expression!r}: the first field (second) must be a number")
    if (parts[3] == "?") == (parts[5] == "?"):
        raise InputError(
            field, f"{expression!r}: one of day of month (4th) and day of week (6th) must be ?"
        )
    return expression


def _streams(raw: Any, destination_type: Any) -> Any:
    # An empty list would mean "all streams" on create and "no change" on update.
    items = inputs.listing(raw, "streams")
    if inputs.is_unknown(items):
        return items
    streams = [_stream(item, f"streams[{at}]", destination_type) for at, item in enumerate(items)]
    return _unique_and_sorted(streams)


def _unique_and_sorted(streams: list[Any]) -> list[Any]:
    known = [stream for stream in streams if not inputs.is_unknown(stream)]
    keys = [_stream_key(stream) for stream in known if not inputs.is_unknown(stream["name"])]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError("streams", f"stream {'.'.join(filter(None, key))!r} is listed twice")
    rest = [stream for stream in streams if inputs.is_unknown(stream)]
    return [*sorted(known, key=_stream_key), *rest]


def _stream_key(stream: Props) -> tuple[str, str]:
    return (str(stream.get("namespace", "")), str(stream["name"]))


def _stream(raw: Any, at: str, destination_type: Any) -> Any:
    if inputs.is_unknown(raw):
        return raw
    stream = inputs.known_keys(
        inputs.mapping(raw, at), ("name", "syncMode"), ("namespace", *STREAM_LISTS), at=at
    )
    inputs.text(stream["name"], f"{at}.name")
    mode = inputs.one_of(stream["syncMode"], SYNC_MODES, f"{at}.syncMode")
    if mode in NEEDS_MERGE and destination_type in APPEND_ONLY_DESTINATIONS:
        raise InputError(
            f"{at}.syncMode",
            f"{mode!r}: a destination of type {destination_type!r} can only append or overwrite: "
            "use 'incremental_append' and remove duplicates in a dbt model",
        )
    if "cursorField" in stream:
        stream["cursorField"] = _texts(stream["cursorField"], f"{at}.cursorField")
    if "primaryKey" in stream:
        stream["primaryKey"] = _key(stream["primaryKey"], f"{at}.primaryKey")
    if "selectedFields" in stream:
        fields = _texts(stream["selectedFields"], f"{at}.selectedFields")
        stream["selectedFields"] = fields if inputs.is_unknown(fields) else sorted(set(fields))
    # The server takes an empty list for an absent one, and refuses it for selectedFields.
    return {k: v for k, v in stream.items() if k not in STREAM_LISTS or v}


def _texts(value: Any, field: str) -> Any:
    if isinstance(value, str) and not inputs.is_unknown(value):
        value = [value]
    return inputs.texts(value, field, empty=True)


def _key(value: Any, field: str) -> Any:
    """A key as a list of paths: "id" and ["id"] are [["id"]]."""
    if isinstance(value, str) and not inputs.is_unknown(value):
        value = [value]
    parts = inputs.listing(value, field, empty=True)
    if inputs.is_unknown(parts):
        return parts
    return [_texts(part, f"{field}[{at}]") for at, part in enumerate(parts)]


def _live_streams(live: list[Props], known: Any) -> list[Props]:
    """The streams of the server, without what it filled in for keys that the user left out:
    the source's own cursor and key, the namespace, an empty list."""
    by_name: dict[str, list[Props]] = {}
    for stream in known if isinstance(known, list) else []:
        by_name.setdefault(stream["name"], []).append(stream)
    return [_live_stream(stream, by_name, bool(known)) for stream in live]


def _live_stream(live: Props, by_name: Mapping[str, list[Props]], has_known: bool) -> Props:
    stream = {key: live.get(key) for key in ("name", "namespace", "syncMode", *STREAM_LISTS)}
    if stream["selectedFields"]:
        stream["selectedFields"] = [
            ".".join(field["fieldPath"]) for field in stream["selectedFields"]
        ]
    same = by_name.get(str(live["name"]), [])
    fitting = [s for s in same if s.get("namespace") == live.get("namespace")] or same[:1]
    if fitting:
        absent = set(stream) - set(fitting[0])
    else:  # added by hand: what the source defines itself is no choice of the user
        absent = set(STREAM_LISTS) if has_known else set()
    return {key: value for key, value in stream.items() if value and key not in absent}


def _as_it_is(found: Props) -> Props:
    """`found` in canonical form. A live connection may hold what check would refuse, such as a
    basic schedule: that is drift to show, not an error."""
    try:
        return normalize(found)
    except InputError:
        return {**found, "streams": sorted(found["streams"], key=_stream_key)}
