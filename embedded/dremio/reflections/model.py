"""Reflections: their definition, checked and completed, and their state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from embedded.dremio.catalog.model import Entity
from embedded.dremio.errors import invalid

TYPES = ("RAW", "AGGREGATION")
MEASURE_TYPES = ("SUM", "COUNT", "MIN", "MAX", "APPROX_COUNT_DISTINCT")
TRANSFORMS = ("IDENTITY", "YEAR", "MONTH", "DAY", "HOUR", "BUCKET", "TRUNCATE")
STRATEGIES = ("CONSOLIDATED", "STRIPED")
NUMERIC = ("INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")
MAX_FAILURES = 3  # the product gives up after about as many

DEFINITION = (
    "name",
    "type",
    "datasetId",
    "enabled",
    "arrowCachingEnabled",
    "displayFields",
    "dimensionFields",
    "measureFields",
    "distributionFields",
    "partitionFields",
    "sortFields",
    "partitionDistributionStrategy",
)


@dataclass(frozen=True, kw_only=True)
class Reflection:
    """definition: DEFINITION's keys. created_at, updated_at: ms since 1970."""

    id: str
    tag: str
    created_at: int
    updated_at: int
    definition: dict[str, Any]
    failures: int = 0
    last_failure: str = ""
    config_error: str = ""


@dataclass(frozen=True, kw_only=True)
class Materialization:
    """One refresh's outcome. state: RUNNING, DONE, FAILED, DEPRECATED. Times: ms since 1970.

    depends: dataset id -> [dotted path, definition version, generation]; see `service`.
    """

    id: str
    reflection_id: str
    state: str
    created: int
    started: int
    expires: int
    job_id: str
    rows: int = 0
    size_bytes: int = 0
    failure: str = ""
    files: list[str] = field(default_factory=list)
    depends: dict[str, list[Any]] = field(default_factory=dict)


def normalize(raw: Mapping[str, Any], anchor: Entity) -> dict[str, Any]:
    """The definition, complete. Raises EngineError naming the field."""
    if raw.get("type") not in TYPES:
        raise invalid(f"Reflection type [{raw.get('type')}]: expected one of {', '.join(TYPES)}")
    if not isinstance(raw.get("enabled"), bool):
        raise invalid("Reflections must have the enabled field set")
    if not raw.get("name"):
        raise invalid("Reflections must have a name")
    types = {name.lower(): type_ for name, type_ in anchor.columns}
    names = {name.lower(): name for name, _ in anchor.columns}
    strategy = raw.get("partitionDistributionStrategy") or "CONSOLIDATED"
    if strategy not in STRATEGIES:
        raise invalid(f"partitionDistributionStrategy [{strategy}]: expected {STRATEGIES}")
    definition: dict[str, Any] = {
        "name": raw["name"],
        "type": raw["type"],
        "datasetId": anchor.id,
        "enabled": raw["enabled"],
        "arrowCachingEnabled": bool(raw.get("arrowCachingEnabled", False)),
        "displayFields": [],
        "dimensionFields": [],
        "measureFields": [],
        "partitionDistributionStrategy": strategy,
        "distributionFields": _named(raw, "distributionFields", names),
        "sortFields": _named(raw, "sortFields", names),
        "partitionFields": [
            {**item, "transform": _transform(given)}
            for item, given in zip(
                _named(raw, "partitionFields", names),
                raw.get("partitionFields") or [],
                strict=True,
            )
        ],
    }
    if raw["type"] == "RAW":
        definition["displayFields"] = _named(raw, "displayFields", names)
        if not definition["displayFields"]:
            raise invalid("RAW reflections must have at least one display field")
    else:
        definition |= _aggregation(raw, names, types)
    _check_layout(definition)
    return definition


def _aggregation(
    raw: Mapping[str, Any], names: Mapping[str, str], types: Mapping[str, str]
) -> dict[str, Any]:
    dimensions = _named(raw, "dimensionFields", names)
    measures = _named(raw, "measureFields", names)
    if not dimensions and not measures:
        raise invalid("AGGREGATION reflections must have dimension or measure fields")
    for item, given in zip(dimensions, raw.get("dimensionFields") or [], strict=True):
        granularity = given.get("granularity") or "DATE"
        if granularity not in ("DATE", "NORMAL"):
            raise invalid(f"granularity [{granularity}]: expected DATE or NORMAL")
        item["granularity"] = granularity
    for item, given in zip(measures, raw.get("measureFields") or [], strict=True):
        item["measureTypeList"] = _measure_types(given, types[item["name"].lower()])
    return {"dimensionFields": dimensions, "measureFields": measures}


def _measure_types(given: Mapping[str, Any], type_: str) -> list[str]:
    numeric = type_.startswith(NUMERIC)
    default = ["SUM", "COUNT"] if numeric else ["COUNT"]
    wanted = [str(name).strip() for name in given.get("measureTypeList") or default]
    for name in wanted:
        if name not in MEASURE_TYPES:
            raise invalid(f"measure type [{name}]: expected one of {', '.join(MEASURE_TYPES)}")
        if name == "SUM" and not numeric:
            raise invalid(f"measure SUM needs a number, but [{given['name']}] is {type_}")
    return wanted


def _named(raw: Mapping[str, Any], field_: str, names: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for item in raw.get(field_) or []:
        name = str(item.get("name", ""))
        if name.lower() not in names:
            raise invalid(f"{field_}: column [{name}] does not exist in the dataset")
        found.append({"name": names[name.lower()]})
    return found


def _transform(given: Mapping[str, Any]) -> dict[str, Any]:
    transform = given.get("transform") or {"type": "IDENTITY"}
    if transform.get("type") not in TRANSFORMS:
        raise invalid(
            f"partition transform [{transform.get('type')}]: "
            f"expected one of {', '.join(TRANSFORMS)}"
        )
    return dict(transform)


def _check_layout(definition: Mapping[str, Any]) -> None:
    stored = {
        item["name"].lower()
        for key in ("displayFields", "dimensionFields")
        for item in definition[key]
    }
    for key in ("sortFields", "partitionFields"):
        for item in definition[key]:
            if item["name"].lower() not in stored:
                raise invalid(f"{key}: [{item['name']}] is not among the reflection's columns")


def rest_body(reflection: Reflection, status: Mapping[str, Any]) -> dict[str, Any]:
    """As REST shows it: empty lists are omitted."""
    definition = {k: v for k, v in reflection.definition.items() if v != []}
    return {
        "entityType": "reflection",
        "id": reflection.id,
        "tag": reflection.tag,
        **definition,
        "createdAt": iso(reflection.created_at),
        "updatedAt": iso(reflection.updated_at),
        **status,
    }


def iso(ms: int) -> str:
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
