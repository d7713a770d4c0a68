"""What raw and aggregation reflections have in common.

A reflection is known by its dataset's path and its name: Dremio drops it, and gives the dataset
another id, when it rediscovers a source.
https://docs.dremio.com/current/reference/api/reflections/
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.canonical import only_known_keys
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.waiting import WorkFailedError, wait_for

REPLACE_ON = frozenset({"datasetPath", "name"})

TIMEOUT_S = 600
STRATEGIES = ("CONSOLIDATED", "STRIPED")
TRANSFORMS = ("IDENTITY", "YEAR", "MONTH", "DAY", "HOUR", "BUCKET", "TRUNCATE")
# Transforms with a number: where the API holds it.
TRANSFORM_NUMBERS: Mapping[str, tuple[str, str]] = {
    "BUCKET": ("bucketTransform", "bucketCount"),
    "TRUNCATE": ("truncateTransform", "truncateLength"),
}
DEFAULTS: Mapping[str, Any] = {
    "enabled": True,  # the server refuses a reflection that does not say it
    "arrowCachingEnabled": False,
    "partitionDistributionStrategy": "CONSOLIDATED",
    "timeoutS": TIMEOUT_S,
}
LAYOUT = ("distributionFields", "sortFields", "partitionFields")
# Ours alone: where the dataset is, and how long to wait.
LOCAL = frozenset({"datasetPath", "timeoutS"})


@dataclass(frozen=True)
class Reflection:
    """fields: the lists that say what this type of reflection stores, with their checks."""

    type: str
    fields: Mapping[str, Callable[[Any, str], Any]]
    required: tuple[str, ...]

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        optional = [key for key in self.fields if key not in self.required]
        spec = {
            **DEFAULTS,
            **inputs.known_keys(
                raw, ("name", "datasetPath", *self.required), (*optional, *LAYOUT, *DEFAULTS)
            ),
        }
        inputs.text(spec["name"], "name")
        spec["datasetPath"] = catalog.path(spec["datasetPath"], "datasetPath", least=2)
        for key in ("enabled", "arrowCachingEnabled"):
            inputs.flag(spec[key], key)
        inputs.one_of(
            spec["partitionDistributionStrategy"], STRATEGIES, "partitionDistributionStrategy"
        )
        inputs.whole(spec["timeoutS"], "timeoutS", least=1)
        checks = {**self.fields, **_LAYOUT_CHECKS}
        for key, check in checks.items():
            if key in spec:
                spec[key] = check(spec[key], key)
        return {key: value for key, value in spec.items() if key not in checks or value}

    def natural_key(self, spec: Props) -> str:
        return f"{catalog.dotted(spec['datasetPath'])}/{spec['name']}"

    def create(self, client: DremioClient, spec: Props) -> Live:
        dataset = client.by_path(spec["datasetPath"])
        if dataset is None:
            raise InputError(
                "datasetPath", f"{catalog.dotted(spec['datasetPath'])}: no such dataset"
            )
        id_ = self._find(client, dataset["id"], spec)
        if id_ is not None:
            return self.update(client, id_, spec, spec)
        body = {**self._body(spec), "datasetId": dataset["id"]}
        id_ = post_once(
            lambda: str(client.require("POST", "/reflection", body)["id"]),
            lambda: self._find(client, dataset["id"], spec),
        )
        self._wait_until_available(client, id_, spec)
        return Live(id=id_, inputs=spec)

    def read(self, client: DremioClient, id_: str, known: Props) -> Live | None:
        live = client.send("GET", f"/reflection/{id_}")
        if live is None or live["type"] != self.type:
            return None
        at = self._path_of(client, live["datasetId"], known)
        if at is None:  # its dataset has gone, or has become another one
            return None
        keys = ("name", *self.fields, *LAYOUT, *(k for k in DEFAULTS if k not in LOCAL))
        found = {key: live[key] for key in keys if live.get(key) is not None}
        found |= {"datasetPath": at, "timeoutS": known.get("timeoutS", TIMEOUT_S)}
        found |= {key: _from_api(found[key]) for key in (*self.fields, *LAYOUT) if key in found}
        spec = self.normalize(found)
        # Measures that the user left to the server are no drift.
        shown = {k: only_known_keys(v, known[k]) if k in known else v for k, v in spec.items()}
        return Live(id=id_, inputs=shown)

    def update(self, client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
        live = client.send("GET", f"/reflection/{id_}")
        if live is None:
            raise LookupError(f"reflection {id_} is gone")

        def body(at: Props) -> Props:
            return {**self._body(spec), "id": at["id"], "datasetId": at["datasetId"]}

        client.put_tagged(f"/reflection/{id_}", live, body)
        self._wait_until_available(client, id_, spec)
        return Live(id=id_, inputs=spec)

    def delete(self, client: DremioClient, id_: str, known: Props) -> None:
        client.send("DELETE", f"/reflection/{id_}")

    def _find(self, client: DremioClient, dataset_id: str, spec: Props) -> str | None:
        listed = client.send("GET", f"/dataset/{dataset_id}/reflection") or {}
        for live in listed.get("data") or []:
            if live["name"] == spec["name"]:
                if live["type"] != self.type:
                    raise InputError(
                        "name", f"{spec['name']!r}: taken by a reflection of type {live['type']}"
                    )
                return str(live["id"])
        return None

    def _path_of(self, client: DremioClient, dataset_id: str, known: Props) -> list[str] | None:
        if not known:
            dataset = client.send("GET", f"/catalog/{dataset_id}")
            return list(dataset["path"]) if dataset else None
        dataset = client.by_path(known["datasetPath"])
        same = dataset is not None and dataset["id"] == dataset_id
        return list(known["datasetPath"]) if same else None

    def _body(self, spec: Props) -> Props:
        body = {key: value for key, value in spec.items() if key not in LOCAL}
        lists = {key: _to_api(spec.get(key, [])) for key in (*self.fields, *LAYOUT)}
        return {"entityType": "reflection", "type": self.type, **body, **lists}

    def _wait_until_available(self, client: DremioClient, id_: str, spec: Props) -> None:
        if not spec["enabled"]:  # it never gets available
            return

        def available() -> bool | None:
            status = client.require("GET", f"/reflection/{id_}")["status"]
            if (
                status.get("refresh") == "GIVEN_UP"
                or status.get("config") == "INVALID"
                or status.get("combinedStatus") in ("FAILED", "INVALID")
            ):
                raise WorkFailedError(f"{status.get('combinedStatus')}: {_why(client, id_)}")
            return True if status.get("availability") == "AVAILABLE" else None

        wait_for(available, spec["timeoutS"], f"reflection {self.natural_key(spec)}")


def names(value: Any, field: str) -> Any:
    """Column names as a set."""
    items = inputs.texts(value, field, empty=True)
    return items if inputs.is_unknown(items) else sorted(set(items))


def objects(
    value: Any, field: str, check: Callable[[Props, str], Props], optional: tuple[str, ...]
) -> Any:
    """A list of objects with a name; "a" stands for {"name": "a"}."""
    items = inputs.listing(value, field, empty=True)
    if inputs.is_unknown(items):
        return items
    return [_object(item, f"{field}[{at}]", check, optional) for at, item in enumerate(items)]


def _object(
    item: Any, at: str, check: Callable[[Props, str], Props], optional: tuple[str, ...]
) -> Any:
    if inputs.is_unknown(item):
        return item
    raw = {"name": item} if isinstance(item, str) else inputs.mapping(item, at)
    found = inputs.known_keys(raw, ("name",), optional, at=at)
    inputs.text(found["name"], f"{at}.name")
    return check(found, at)


def sorted_by_name(items: Any) -> Any:
    if inputs.is_unknown(items):
        return items
    return sorted(items, key=lambda item: str(item["name"] if isinstance(item, dict) else item))


def _ordered_names(value: Any, field: str) -> Any:
    return inputs.texts(value, field, empty=True)


def _partitions(value: Any, field: str) -> Any:
    return objects(value, field, _partition, ("transform",))


def _partition(item: Props, at: str) -> Props:
    transform = item.get("transform", {"type": "IDENTITY"})
    if isinstance(transform, str) and not inputs.is_unknown(transform):
        transform = {"type": transform}
    if isinstance(transform, Mapping):
        _check_transform(transform, f"{at}.transform")
    return {**item, "transform": transform}


def _check_transform(transform: Mapping[str, Any], at: str) -> None:
    kind = inputs.one_of(transform.get("type"), TRANSFORMS, f"{at}.type")
    if inputs.is_unknown(kind):
        return
    details, number = TRANSFORM_NUMBERS.get(kind, (None, None))
    inputs.known_keys(transform, ("type", details) if details else ("type",), at=at)
    if details and number:
        inner = inputs.mapping(transform[details], f"{at}.{details}")
        if not inputs.is_unknown(inner):
            inputs.known_keys(inner, (number,), at=f"{at}.{details}")
            inputs.whole(inner[number], f"{at}.{details}.{number}", least=1)


_LAYOUT_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "distributionFields": names,
    "sortFields": _ordered_names,  # the order is the sort order
    "partitionFields": _partitions,
}


def _to_api(items: list[Any]) -> list[Props]:
    return [{"name": item} if isinstance(item, str) else item for item in items]


def _from_api(items: list[Props]) -> list[Any]:
    return [item["name"] if set(item) == {"name"} else item for item in items]


def _why(client: DremioClient, id_: str) -> str:
    """Why the last refresh failed: only a system table tells."""
    literal = id_.replace("'", "''")
    query = f"SELECT last_failure_message FROM sys.reflections WHERE reflection_id = '{literal}'"  # noqa: S608
    rows = client.rows(query)
    return str((rows or [{}])[0].get("last_failure_message") or "the server gives no reason")
