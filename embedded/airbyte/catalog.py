"""Catalogs: what a source has, what a connection takes of it, what connectors get.

A connection keeps its streams as the Config API shows them: [{stream, config}], camelCase.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from embedded.airbyte.jobs.gate import Route
from embedded.airbyte.protocol import StreamKey, stream_key

Entry = dict[str, Any]

# Public API syncMode -> (source mode, destination mode) of the protocol.
SYNC_MODES: Mapping[str, tuple[str, str]] = {
    "full_refresh_overwrite": ("full_refresh", "overwrite"),
    "full_refresh_append": ("full_refresh", "append"),
    "full_refresh_overwrite_deduped": ("full_refresh", "overwrite_dedup"),
    "full_refresh_update": ("full_refresh", "update"),
    "full_refresh_soft_delete": ("full_refresh", "soft_delete"),
    "incremental_append": ("incremental", "append"),
    "incremental_deduped_history": ("incremental", "append_dedup"),
    "incremental_update": ("incremental", "update"),
    "incremental_soft_delete": ("incremental", "soft_delete"),
}
DEFAULT_MODE = "full_refresh_overwrite"
KEYED = frozenset({"append_dedup", "overwrite_dedup", "update", "soft_delete"})
STREAM_KEYS = {
    "name": "name",
    "namespace": "namespace",
    "json_schema": "jsonSchema",
    "supported_sync_modes": "supportedSyncModes",
    "source_defined_cursor": "sourceDefinedCursor",
    "default_cursor_field": "defaultCursorField",
    "source_defined_primary_key": "sourceDefinedPrimaryKey",
    "is_resumable": "isResumable",
    "is_file_based": "isFileBased",
}
CONFIGURABLE = frozenset(
    {
        "name",
        "namespace",
        "syncMode",
        "cursorField",
        "primaryKey",
        "selectedFields",
        "mappers",
        "includeFiles",
        "destinationObjectName",
    }
)


class CatalogError(ValueError):
    """Streams that do not fit the source or the destination."""


def to_config(stream: Mapping[str, Any]) -> dict[str, Any]:
    """AirbyteStream as the Config API shows it."""
    return {ours: stream[theirs] for theirs, ours in STREAM_KEYS.items() if theirs in stream}


def from_config(stream: Mapping[str, Any]) -> dict[str, Any]:
    return {theirs: stream[ours] for theirs, ours in STREAM_KEYS.items() if ours in stream}


def allowed_modes(stream: Mapping[str, Any], destination_modes: Iterable[str]) -> list[str]:
    """Public sync modes that the source and the destination both know."""
    source = set(stream.get("supported_sync_modes") or ["full_refresh"]) | {"full_refresh"}
    destination = set(destination_modes)
    if "append_dedup" in destination and "overwrite" in destination:
        destination.add("overwrite_dedup")
    return [m for m, (s, d) in SYNC_MODES.items() if s in source and d in destination]


def every_stream(discovered: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """What a connection takes when its streams are left out."""
    return [_entry(stream, DEFAULT_MODE, [], [], None) for stream in discovered]


def select(
    wanted: Sequence[Mapping[str, Any]],
    discovered: Sequence[Mapping[str, Any]],
    destination_modes: Sequence[str],
) -> list[Entry]:
    """`configurations.streams` of the public API against the source. Raises CatalogError."""
    entries = [_select_one(stream, discovered, destination_modes) for stream in wanted]
    counts = Counter(stream_key(entry["stream"]) for entry in entries)
    for key, count in counts.items():
        if count > 1:
            raise CatalogError(f"Duplicate stream found in configuration for: {key[1]}.")
    return entries


def _select_one(
    wanted: Mapping[str, Any],
    discovered: Sequence[Mapping[str, Any]],
    destination_modes: Sequence[str],
) -> Entry:
    unknown = set(wanted) - CONFIGURABLE
    if unknown:
        raise CatalogError(f"Stream {wanted.get('name')!r}: unknown keys {sorted(unknown)}.")
    stream = _find(wanted, discovered)
    name = stream["name"]
    for option in ("mappers", "includeFiles", "destinationObjectName"):
        if wanted.get(option):
            raise CatalogError(f"Stream {name}: {option} is not covered by the embedded engine.")
    mode = wanted.get("syncMode") or DEFAULT_MODE
    allowed = allowed_modes(stream, destination_modes)
    if mode not in SYNC_MODES or (mode != DEFAULT_MODE and mode not in allowed):
        raise CatalogError(
            f"Cannot set sync mode to {mode} for stream {name}. Valid sync modes are: "
            f"{', '.join(allowed)}."
        )
    cursor = _cursor(wanted.get("cursorField") or [], stream, mode)
    key = _primary_key(wanted.get("primaryKey") or [], stream, mode)
    fields = _selected(wanted.get("selectedFields"), stream, cursor, key, mode)
    return _entry(stream, mode, cursor, key, fields)


def _find(wanted: Mapping[str, Any], discovered: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    name = wanted.get("name")
    same = [stream for stream in discovered if stream["name"] == name]
    ambiguous = len(same) > 1
    if ambiguous:
        same = [stream for stream in same if stream.get("namespace") == wanted.get("namespace")]
    if len(same) == 1:
        return same[0]
    known = ", ".join(sorted(".".join(filter(None, stream_key(s))) for s in discovered)) or "none"
    problem = "Ambiguous" if ambiguous else "Invalid"
    raise CatalogError(f"{problem} stream found: {name!r}. The source has: {known}.")


def _cursor(given: list[str], stream: Mapping[str, Any], mode: str) -> list[str]:
    name = stream["name"]
    default = list(stream.get("default_cursor_field") or [])
    if SYNC_MODES[mode][0] != "incremental":
        return given
    if stream.get("source_defined_cursor"):
        if given and given != default:
            raise CatalogError(
                f"Cursor Field {given} cannot be set for stream {name}: "
                f"the source defines {default}."
            )
        return default
    cursor = given or default
    if not cursor:
        raise CatalogError(f"No default cursor field for stream {name}. Please specify one.")
    if not _has_field(stream, cursor):
        raise CatalogError(
            f"Invalid cursor field {cursor} for stream {name}. Possible: {_field_names(stream)}."
        )
    return cursor


def _primary_key(given: list[list[str]], stream: Mapping[str, Any], mode: str) -> list[list[str]]:
    name = stream["name"]
    defined = [list(path) for path in stream.get("source_defined_primary_key") or []]
    if given and defined and sorted(given) != sorted(defined):
        raise CatalogError(
            f"Primary key for stream {name} is defined by the source: {defined}, not {given}."
        )
    for path in given:
        if not _has_field(stream, path):
            raise CatalogError(
                f"Invalid primary key {path} for stream {name}. Possible: {_field_names(stream)}."
            )
    key = given or defined
    if SYNC_MODES[mode][1] in KEYED and not key:
        raise CatalogError(f"No primary key for stream {name}: sync mode {mode} needs one.")
    return key


def _selected(
    given: Sequence[Mapping[str, Any]] | None,
    stream: Mapping[str, Any],
    cursor: list[str],
    key: list[list[str]],
    mode: str,
) -> list[str] | None:
    """Names of the fields to keep, or None for all."""
    if given is None:
        return None
    name = stream["name"]
    if not given:
        raise CatalogError(f"Stream {name}: selectedFields: expected at least one field.")
    paths = [list(field.get("fieldPath") or []) for field in given]
    for path in paths:
        if len(path) != 1:
            raise CatalogError(f"Stream {name}: selected field {path}: nested fields cannot be.")
        if not _has_field(stream, path):
            raise CatalogError(
                f"Stream {name}: selected field {path}: expected one of {_field_names(stream)}."
            )
    source_mode, destination_mode = SYNC_MODES[mode]
    needed = [cursor] if source_mode == "incremental" else []
    needed += key if destination_mode in KEYED else []
    for path in needed:
        if path not in paths:
            raise CatalogError(f"Stream {name}: selectedFields: must contain {path}.")
    return [path[0] for path in paths]


def _has_field(stream: Mapping[str, Any], path: Sequence[str]) -> bool:
    schema: Any = stream.get("json_schema") or {}
    for step in path:
        schema = (schema.get("properties") or {}).get(step)
        if schema is None:
            return False
    return bool(path)


def _field_names(stream: Mapping[str, Any]) -> list[str]:
    return sorted((stream.get("json_schema") or {}).get("properties") or {})


def _entry(
    stream: Mapping[str, Any],
    mode: str,
    cursor: list[str],
    key: list[list[str]],
    fields: list[str] | None,
) -> Entry:
    source_mode, destination_mode = SYNC_MODES[mode]
    return {
        "stream": to_config(stream),
        "config": {
            "syncMode": source_mode,
            "destinationSyncMode": destination_mode,
            "cursorField": cursor,
            "primaryKey": key or [list(k) for k in stream.get("source_defined_primary_key") or []],
            "aliasName": stream["name"],
            "selected": True,
            "suggested": False,
            "fieldSelectionEnabled": fields is not None,
            "selectedFields": [{"fieldPath": [name]} for name in fields or ()],
            "mappers": [],
        },
    }


def to_public(entry: Entry) -> dict[str, Any]:
    """An element of `configurations.streams`."""
    stream, config = entry["stream"], entry["config"]
    modes = (config["syncMode"], config["destinationSyncMode"])
    shown: dict[str, Any] = {
        "name": stream["name"],
        "syncMode": next(name for name, pair in SYNC_MODES.items() if pair == modes),
        "cursorField": config["cursorField"],
        "primaryKey": config["primaryKey"],
        "selectedFields": config["selectedFields"],
        "mappers": config["mappers"],
    }
    if stream.get("namespace") is not None:
        shown["namespace"] = stream["namespace"]
    return shown


def target_of(key: StreamKey, connection: Mapping[str, Any]) -> StreamKey:
    """The stream's name at the destination: namespace rule and prefix of the connection."""
    namespace, name = key
    rule = connection["namespace_definition"]
    if rule == "destination":
        target = None
    elif rule == "source":
        target = namespace
    else:
        form = connection["namespace_format"] or ""
        target = form.replace("${SOURCE_NAMESPACE}", namespace or "") or None
    return (target, f"{connection['prefix']}{name}")


def routes(connection: Mapping[str, Any]) -> dict[StreamKey, Route]:
    found = {}
    for entry in connection["streams"]:
        key = stream_key(entry["stream"])
        found[key] = Route(target=target_of(key, connection), fields=_kept_fields(entry))
    return found


def _kept_fields(entry: Entry) -> frozenset[str] | None:
    if not entry["config"]["fieldSelectionEnabled"]:
        return None
    return frozenset(field["fieldPath"][0] for field in entry["config"]["selectedFields"])


def configured(
    connection: Mapping[str, Any],
    generations: Mapping[StreamKey, int],
    sync_id: int,
    *,
    at_destination: bool,
    clearing: bool = False,
) -> dict[str, Any]:
    """ConfiguredAirbyteCatalog for one of the connectors. clearing: every stream is emptied."""
    streams = []
    for entry in connection["streams"]:
        key = stream_key(entry["stream"])
        config = entry["config"]
        stream = from_config(entry["stream"])
        stream["json_schema"] = _kept_schema(stream.get("json_schema") or {}, _kept_fields(entry))
        if at_destination:
            namespace, stream["name"] = target_of(key, connection)
            stream.pop("namespace", None)
            if namespace is not None:
                stream["namespace"] = namespace
        overwrite = clearing or config["destinationSyncMode"] == "overwrite"
        generation = generations.get(key, 0)
        streams.append(
            {
                "stream": stream,
                "sync_mode": "full_refresh" if clearing else config["syncMode"],
                "destination_sync_mode": "overwrite"
                if overwrite
                else config["destinationSyncMode"],
                "cursor_field": config["cursorField"],
                "primary_key": config["primaryKey"],
                "generation_id": generation,
                "minimum_generation_id": generation if overwrite else 0,
                "sync_id": sync_id,
            }
        )
    return {"streams": streams}


def _kept_schema(schema: Mapping[str, Any], fields: frozenset[str] | None) -> dict[str, Any]:
    if fields is None:
        return dict(schema)
    kept = {name: s for name, s in (schema.get("properties") or {}).items() if name in fields}
    return {**schema, "properties": kept}
