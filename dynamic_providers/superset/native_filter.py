"""The filters of a Superset dashboard: values of a column, a range of numbers, a time range.

Stored in the dashboard's json_metadata, where datasets appear by number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dynamic_providers import inputs
from dynamic_providers.canonical import whole_floats_to_int
from dynamic_providers.handler import UNKNOWN, InputError, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient, identity

TIME = "filter_time"
VALUE = "filter_select"
RANGE = "filter_range"
FILTER_TYPES = (RANGE, VALUE, TIME)
OF_COLUMN: Sequence[str] = ("datasetUuid", "column")  # a time range holds for all charts
COMMON = ("default", "description", "required")


def normalize(raw: Any) -> Any:
    """Filters in their order on the page."""
    items = inputs.listing(raw, "filters", empty=True)
    if inputs.is_unknown(items):
        return items
    filters = [_one(item, f"filters[{at}]") for at, item in enumerate(items)]
    names = [f["name"] for f in filters if isinstance(f, dict) and f["name"] != UNKNOWN]
    for name in names:
        if names.count(name) > 1:
            raise InputError("filters", f"filter {name!r} is listed twice")
    return filters


def stored(client: SupersetClient, filters: Sequence[Props], charts: list[int]) -> list[Props]:
    """As the server keeps them. charts: numbers of all charts of the dashboard."""
    return [_stored(client, item, charts, at) for at, item in enumerate(filters)]


def shown(client: SupersetClient, live: Sequence[Props]) -> list[Props]:
    """Stored filters as inputs. Dividers, which people may add, are left out."""
    return [_shown(client, item) for item in live if item.get("type") != "DIVIDER"]


def _one(raw: Any, at: str) -> Any:
    if inputs.is_unknown(raw):
        return raw
    item = inputs.mapping(raw, at)
    type_ = inputs.one_of(item.get("filterType", VALUE), FILTER_TYPES, f"{at}.filterType")
    needed = () if type_ in (TIME, UNKNOWN) else OF_COLUMN
    extra = {VALUE: ("multiple",), UNKNOWN: ("multiple", *OF_COLUMN)}.get(type_, ())
    found: Props = {"filterType": type_, "required": False} | inputs.known_keys(
        item, ("name", *needed), ("filterType", *COMMON, *extra), at=at
    )
    for key in {"name", "column", "description"} & found.keys():
        inputs.text(found[key], f"{at}.{key}")
    if "datasetUuid" in found:
        found["datasetUuid"] = objects.uuid(found["datasetUuid"], f"{at}.datasetUuid")
    if type_ == VALUE:
        found.setdefault("multiple", True)
    for key in {"required", "multiple"} & found.keys():
        inputs.flag(found[key], f"{at}.{key}")
    if "default" in found:
        _check_default(type_, found["default"], f"{at}.default")
    return found


def _check_default(type_: str, value: Any, at: str) -> None:
    if type_ == TIME:
        inputs.text(value, at)
    elif type_ == VALUE:
        inputs.listing(value, at)
    elif type_ == RANGE and not inputs.is_unknown(value):
        bounds = inputs.listing(value, at)
        if len(bounds) != 2 or not all(
            isinstance(bound, int | float) or inputs.is_unknown(bound) for bound in bounds
        ):
            raise InputError(at, f"{value!r}: expected two numbers, the least and the greatest")


def _stored(client: SupersetClient, item: Props, charts: list[int], at: int) -> Props:
    target: Props = {}
    if item["filterType"] != TIME:
        field = f"filters[{at}].datasetUuid"
        number = client.number_of("dataset", item["datasetUuid"], field)
        target = {"datasetId": number, "column": {"name": item["column"]}}
    return {
        "id": f"NATIVE_FILTER-{identity('filter', item['name'])}",
        "type": "NATIVE_FILTER",
        "filterType": item["filterType"],
        "name": item["name"],
        "description": item.get("description", ""),
        "targets": [target],
        "controlValues": {
            "enableEmptyFilter": item["required"],
            **({"multiSelect": item["multiple"]} if "multiple" in item else {}),
        },
        "defaultDataMask": _mask(item),
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
        "chartsInScope": charts,
        "tabsInScope": [],
    }


def _mask(item: Props) -> Props:
    """The value that a filter starts with, and what it then adds to the queries."""
    if "default" not in item:
        return {"extraFormData": {}, "filterState": {}, "ownState": {}}
    value = item["default"]
    query: Props
    if item["filterType"] == TIME:
        query = {"time_range": value}
    elif item["filterType"] == VALUE:
        query = {"filters": [{"col": item["column"], "op": "IN", "val": value}]}
    else:
        bounds = zip((">=", "<="), value, strict=True)
        query = {"filters": [{"col": item["column"], "op": op, "val": val} for op, val in bounds]}
    return {"extraFormData": query, "filterState": {"value": value}, "ownState": {}}


def _shown(client: SupersetClient, live: Mapping[str, Any]) -> Props:
    controls = live.get("controlValues") or {}
    found: Props = {
        "name": live.get("name", ""),
        "filterType": live.get("filterType", ""),
        "required": bool(controls.get("enableEmptyFilter", False)),
    }
    if found["filterType"] == VALUE:
        found["multiple"] = bool(controls.get("multiSelect", True))
    if live.get("description"):
        found["description"] = live["description"]
    target = (live.get("targets") or [{}])[0]
    if "datasetId" in target:
        found["datasetUuid"] = client.uuid_of("dataset", target["datasetId"])
        found["column"] = (target.get("column") or {}).get("name", "")
    state = (live.get("defaultDataMask") or {}).get("filterState") or {}
    if state.get("value") is not None:
        found["default"] = whole_floats_to_int(state["value"])
    return found
