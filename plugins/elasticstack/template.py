"""The part that index templates and component templates share: aliases, mappings, settings."""

import json
from collections.abc import Mapping
from typing import Any

from dynamic_providers.handler import UNKNOWN, Props
from plugins.kind import Fields, compact

ALIAS = {  # input -> field of the API
    "filter": "filter",
    "indexRouting": "index_routing",
    "searchRouting": "search_routing",
    "isHidden": "is_hidden",
    "isWriteIndex": "is_write_index",
}


def template(fields: Fields) -> None:
    fields.each("aliases", _alias, lambda alias: str(alias["name"]))
    fields.document("mappings")
    fields.document("settings", flat_settings)


def _alias(fields: Fields) -> None:
    fields.text("name", required=True)
    fields.document("filter")
    both = fields.text("routing")  # short for the next two: the server knows only those
    fields.values.pop("routing", None)
    fields.text("indexRouting", both)
    fields.text("searchRouting", both)
    fields.flag("isHidden", False)
    fields.flag("isWriteIndex", False)


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> Props:
    """Settings as the server keeps them: `index.` before each name, values as text."""
    found: Props = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat_settings(value, f"{name}.")
        else:
            full = name if name.startswith("index.") else f"index.{name}"
            found[full] = (
                [_text(item) for item in value] if isinstance(value, list) else _text(value)
            )
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_api(spec: Props) -> Props:
    body: Props = {
        field: json.loads(spec[field]) for field in ("mappings", "settings") if field in spec
    }
    if "aliases" in spec:
        body["aliases"] = {alias["name"]: _alias_to_api(alias) for alias in spec["aliases"]}
    return body


def _alias_to_api(alias: Props) -> Props:
    found = {field: alias[name] for name, field in ALIAS.items() if name in alias}
    if "filter" in found:
        found["filter"] = json.loads(found["filter"])
    return found


def from_api(live: Mapping[str, Any], known: Mapping[str, Any]) -> Props:
    """Inputs of a live template; an empty part shows only where the program has it."""
    found: Props = {}
    for field in ("mappings", "settings"):
        if live.get(field) or field in known:
            found[field] = compact(live.get(field, {}))
    if live.get("aliases") or "aliases" in known:
        found["aliases"] = [
            _alias_from_api(name, alias) for name, alias in live.get("aliases", {}).items()
        ]
    return found


def _alias_from_api(name: str, alias: Mapping[str, Any]) -> Props:
    found = {own: alias[field] for own, field in ALIAS.items() if field in alias}
    if "filter" in found:
        found["filter"] = compact(found["filter"])
    return found | {"name": name}


def known_part(known: Props, name: str) -> Mapping[str, Any]:
    part = known.get(name, {})
    return part if part != UNKNOWN else {}
