"""Whose fields of an object are whose, and how the live ones differ from those declared.

The server writes down, for each field manager, the fields that it set (FieldsV1): `f:<name>` is
a field, `k:{...}` an item of a list by its key, `v:<value>` one of a set. A field without parts
below is set as a whole.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

import json
from collections.abc import Mapping
from typing import Any

from dynamic_providers.handler import Props

Owned = Mapping[str, Any]


def owned(live: Props, manager: str) -> Owned | None:
    """The fields that `manager` set by applying, None where it set none."""
    for entry in live.get("metadata", {}).get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation")) == (manager, "Apply"):
            return dict(entry["fieldsV1"])
    return None


def observed(declared: Any, predicted: Any, live: Any, fields: Owned | None) -> Any:
    """`declared` with the live values where they differ from the predicted ones.

    predicted: the object as the server would make it from `declared`, so that its defaults and
    its own spelling of values are no difference. fields: those of our manager in it, None where
    it has none, as of names. What others added to the object does not show. None where the live
    object has nothing.
    """
    if predicted == live:
        return declared
    if fields is None:
        both = isinstance(declared, Mapping) and isinstance(live, Mapping)
        return _observed_object(declared, predicted, live, {}) if both else live
    if not any(part != "." for part in fields):
        return _observed_whole(declared, predicted, live)
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        return _observed_object(declared, predicted, live, fields)
    if isinstance(declared, list) and isinstance(live, list):
        if any(part.startswith("k:") for part in fields):
            return _observed_items(declared, predicted, live, fields)
        return [item for item in declared if item in live]
    return live


def _observed_whole(declared: Any, predicted: Any, live: Any) -> Any:
    """Of a field that is set as a whole: what others added to it shows too."""
    if predicted == live:
        return declared
    if all(isinstance(value, Mapping) for value in (declared, predicted, live)):
        return {
            key: _observed_whole(declared.get(key), predicted.get(key), value)
            for key, value in live.items()
            if key in declared or predicted.get(key) != value
        }
    if all(isinstance(value, list) for value in (declared, predicted, live)):
        if len(declared) == len(predicted) == len(live):
            return [
                _observed_whole(*values) for values in zip(declared, predicted, live, strict=True)
            ]
    return live


def _observed_object(
    declared: Mapping[str, Any], predicted: Any, live: Mapping[str, Any], fields: Owned
) -> Props:
    found = {}
    for key, value in declared.items():
        before = predicted.get(key) if isinstance(predicted, Mapping) else None
        seen = observed(value, before, live.get(key), fields.get(f"f:{key}"))
        if seen is not None:
            found[key] = seen
    return found


def _observed_items(declared: list[Any], predicted: Any, live: Any, fields: Owned) -> list[Any]:
    keys = [part for part in fields if part.startswith("k:")]
    found = []
    for item in declared:
        part = next((key for key in keys if _fits(item, json.loads(key[2:]))), None)
        if part is None:
            found.append(item)
            continue
        keys.remove(part)
        chosen = json.loads(part[2:])
        before, now = (_item(items, chosen) for items in (predicted, live))
        if now is not None:
            found.append(observed(item, before, now, fields[part]))
    return found


def _fits(item: Any, key: Props) -> bool:
    """Whether a declared item is the one of this key, of which it may leave defaults out."""
    return isinstance(item, Mapping) and all(item.get(k, v) == v for k, v in key.items())


def _item(items: Any, key: Props) -> Any:
    for item in items or ():
        if isinstance(item, Mapping) and all(item.get(k) == v for k, v in key.items()):
            return item
    return None
