"""Airbyte connection: which streams go from a source to a destination, how and when.

https://reference.airbyte.com/reference/createconnection
"""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.airbyte import schedule
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
    "schedule": schedule.MANUAL,
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
# Checked here, never sent: the server learns a destination's type from its id.
LOCAL = frozenset({"destinationType", "allowReset"})
# A change of these makes the server clear the stream, or lets its state fit no longer.
RESETTING = ("syncMode", "cursorField", "primaryKey")
GONE = "deprecated"  # the status of a deleted connection, which GET still shows


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = {
        **DEFAULTS,
        **inputs.known_keys(
            raw,
            ("name", "sourceId", "destinationId", "streams"),
            (*DEFAULTS, "namespaceFormat", "tags", *LOCAL),
        ),
    }
    for key in ("name", "sourceId", "destinationId"):
        inputs.text(spec[key], key)
    for key, choices in CHOICES.items():
        inputs.one_of(spec[key], choices, key)
    _check_namespace(spec)
    spec["schedule"] = schedule.normalize(spec["schedule"])
    if "tags" in spec:
        tags = inputs.texts(spec["tags"], "tags", empty=True)
        spec["tags"] = tags if inputs.is_unknown(tags) else sorted(set(tags))
    # False is left out: it must not show as a change of what was recorded before.
    if inputs.flag(spec.pop("allowReset", False), "allowReset"):
        spec["allowReset"] = raw["allowReset"]
    spec["streams"] = _streams(spec["streams"], spec.get("destinationType"))
    return spec


def _check_namespace(spec: Props) -> None:
    definition = spec["namespaceDefinition"]
    if definition == "custom_format" and not spec.get("namespaceFormat"):
        raise InputError("namespaceFormat", "missing: custom_format needs one")
    if definition in ("source", "destination") and "namespaceFormat" in spec:
        raise InputError(
            "namespaceFormat", f"not used with namespaceDefinition {definition!r}: leave it out"
        )


def review(old: Props, new: Props) -> None:
    """Refuses what makes Airbyte forget how far an incremental stream was read: it would be
    read again from its start, and cleared or doubled at the destination."""
    if new.get("allowReset") not in (None, False):
        return
    lost = [f"{key} changes: the connection is replaced" for key in _moved(old, new)]
    lost = lost or lost_streams(old.get("streams"), new["streams"])
    if lost:
        field = "streams" if not _moved(old, new) else _moved(old, new)[0]
        raise InputError(
            field,
            f"the state of incremental streams would be lost ({'; '.join(lost)}), and they would "
            "be synced from the start: set allowReset to accept that",
        )


def _moved(old: Props, new: Props) -> list[str]:
    # An id that is unknown belongs to an object that is made anew.
    has_state = any(_is_incremental(stream) for stream in old.get("streams") or [])
    return [key for key in sorted(REPLACE_ON) if has_state and old.get(key) != new[key]]


def lost_streams(old: Any, new: Any) -> list[str]:
    """What each incremental stream of `old` loses. Unknown parts of `new` are judged by the
    check of the update, which knows them."""
    if inputs.is_unknown(new) or any(map(inputs.is_unknown, new)):
        return []
    wanted = {_stream_key(stream): stream for stream in new}
    lost = []
    for stream in filter(_is_incremental, old or []):
        label = ".".join(filter(None, _stream_key(stream)))
        kept = wanted.get(_stream_key(stream))
        if kept is None:
            lost.append(f"{label} is removed")
            continue
        for key in RESETTING:
            if kept.get(key) != stream.get(key) and not inputs.is_unknown(kept.get(key)):
                lost.append(f"{label}: {key} {stream.get(key)} becomes {kept.get(key)}")
    return lost


def _is_incremental(stream: Props) -> bool:
    return str(stream.get("syncMode")).startswith("incremental")


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: AirbyteClient, spec: Props) -> Live:
    workspace = _workspace(client, spec)
    if found := _find(client, spec, workspace):
        return update(client, found, spec, spec)
    _require_schedule(client, spec, workspace)
    body = _body(client, spec)
    id_ = post_once(
        lambda: str(client.require("POST", "/connections", body)["connectionId"]),
        lambda: _find(client, spec, workspace),
    )
    _set_schedule(client, id_, spec)
    return Live(id=id_, inputs=spec)


def read(client: AirbyteClient, id_: str, known: Props) -> Live | None:
    live = alive(client, id_)
    if live is None:
        return None
    found: Props = {key: live[key] for key in ("name", "sourceId", "destinationId")}
    for key, default in DEFAULTS.items():
        value = live.get(key)
        found[key] = default if value is None else value
    found["schedule"] = schedule.shown(live.get("schedule"))
    if live.get("namespaceFormat") and found["namespaceDefinition"] == "custom_format":
        found["namespaceFormat"] = live["namespaceFormat"]
    if "tags" in known or (not known and live.get("tags")):
        found["tags"] = [tag["tagId"] for tag in live.get("tags") or []]
    found |= {key: known[key] for key in LOCAL if key in known}
    found["streams"] = _live_streams(live["configurations"]["streams"], known.get("streams"))
    return Live(id=id_, inputs=_as_it_is(found))


def update(client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
    live = alive(client, id_)
    if live is None:  # a PATCH would bring a deleted one back to life
        raise LookupError(f"connection {id_} is gone")
    _require_schedule(client, spec, str(live["workspaceId"]))
    body = {key: value for key, value in _body(client, spec).items() if key not in REPLACE_ON}
    if "tags" in old and "tags" not in spec:
        body["tags"] = []
    client.change("PATCH", f"/connections/{id_}", body, f"connection {id_}")
    _set_schedule(client, id_, spec)
    return Live(id=id_, inputs=spec)


def delete(client: AirbyteClient, id_: str, known: Props) -> None:
    client.public("DELETE", f"/connections/{id_}")


def alive(client: AirbyteClient, id_: str) -> Props | None:
    """The connection as the server shows it, None if it is deleted."""
    live: Props | None = client.public("GET", f"/connections/{id_}")
    return None if live is None or live["status"] == GONE else live


def _workspace(client: AirbyteClient, spec: Props) -> str:
    return str(client.require("GET", f"/sources/{spec['sourceId']}")["workspaceId"])


def _find(client: AirbyteClient, spec: Props, workspace: str) -> str | None:
    same = [
        live
        for live in client.named("/connections", {"workspaceIds": workspace}, spec["name"])
        if live["status"] != GONE
    ]
    fitting = [live for live in same if all(live[key] == spec[key] for key in REPLACE_ON)]
    if same and not fitting:
        raise InputError(
            "name",
            f"taken by connection {same[0]['connectionId']} between another source and "
            "destination: delete it, or choose another name",
        )
    return str(fitting[0]["connectionId"]) if fitting else None


def _require_schedule(client: AirbyteClient, spec: Props, workspace: str) -> None:
    """Asked before anything changes."""
    if schedule.needs_config_api(spec["schedule"]) and not client.offers_config_api(workspace):
        raise InputError(
            "schedule",
            "this server offers no Config API, which basic schedules and time zones need: use a "
            "cron schedule in UTC",
        )


def _set_schedule(client: AirbyteClient, id_: str, spec: Props) -> None:
    if schedule.needs_config_api(spec["schedule"]):
        wanted = {"connectionId": id_, **schedule.for_config_api(spec["schedule"])}
        if client.config("/connections/update", wanted) is None:
            raise LookupError(f"connection {id_} is gone")


def _body(client: AirbyteClient, spec: Props) -> Props:
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
    if schedule.needs_config_api(spec["schedule"]):
        del body["schedule"]
    if "tags" in spec:  # the API takes whole tags
        body["tags"] = [client.require("GET", f"/tags/{tag}") for tag in spec["tags"]]
    return {**body, "configurations": {"streams": streams}}


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
        _check_selected(stream, at)
    # The server takes an empty list for an absent one, and refuses it for selectedFields.
    return {k: v for k, v in stream.items() if k not in STREAM_LISTS or v}


def _check_selected(stream: Props, at: str) -> None:
    """A cursor, and a key to merge by, must be among the fields that are selected."""
    fields = stream["selectedFields"]
    needed = [stream.get("cursorField")] if _is_incremental(stream) else []
    if stream["syncMode"] in NEEDS_MERGE and not inputs.is_unknown(stream.get("primaryKey")):
        needed += stream.get("primaryKey") or []
    if not fields or inputs.is_unknown(fields) or any(map(inputs.is_unknown, fields)):
        return
    for path in needed:
        if path and not inputs.is_unknown(path) and not inputs.is_unknown(path[0]):
            if path[0] not in fields:
                raise InputError(
                    f"{at}.selectedFields",
                    f"{path[0]!r} is missing: the cursor and the key must be selected",
                )


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
