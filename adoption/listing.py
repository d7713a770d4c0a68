"""The adoption list: objects of one live system with the inputs that take them over.

Stored as JSON, a placeholder stands where the value is only known later:
    {"$id": "<name>"}                    the id of the listed object of that name
    {"$secret": "<name>"}                a secret that the system does not tell
    {"$secret": "<name>", "in": "a{}b"}  the same, percent-encoded inside a text
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dynamic_providers.handler import Props

ID = "$id"
SECRET = "$secret"  # noqa: S105 - a key of the format
WITHIN = "in"
CONFIG_NAMESPACE = "adopted"  # of the stack's configuration, where secrets are put


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """name: of the resource. kind: the handler's KIND. key: its natural key. id: the live one.
    depends_on: names of objects that must exist before it."""

    name: str
    kind: str
    key: str
    id: str
    inputs: Props
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An object that is not taken over, and why."""

    kind: str
    key: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """objects: each after those that it refers to."""

    service: str
    url: str
    objects: tuple[Adopted, ...]
    refused: tuple[Refused, ...] = ()

    @property
    def secrets(self) -> dict[str, str]:
        """dict name of a secret -> the object and the input that need it."""
        return {
            placeholder[SECRET]: f"{adopted.kind} {adopted.key}, {field}"
            for adopted in self.objects
            for field, placeholder in placeholders(adopted.inputs, SECRET)
        }

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str) -> "Listing":
        """Raises KeyError, TypeError or ValueError if it is no adoption list."""
        raw = json.loads(text)
        objects = (
            Adopted(**{**entry, "depends_on": tuple(entry["depends_on"])})
            for entry in raw["objects"]
        )
        return Listing(
            service=raw["service"],
            url=raw["url"],
            objects=tuple(objects),
            refused=tuple(Refused(**entry) for entry in raw["refused"]),
        )


def placeholders(value: Any, kind: str, at: str = "") -> Iterator[tuple[str, Props]]:
    """Every placeholder of that kind (ID or SECRET) in `value`, with its dotted path."""
    if isinstance(value, Mapping):
        if kind in value:
            yield at, dict(value)
            return
        for key, item in value.items():
            yield from placeholders(item, kind, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from placeholders(item, kind, f"{at}[{index}]")


def resolved(value: Any, fill: Callable[[Mapping[str, Any]], Any]) -> Any:
    """`value` with `fill(placeholder)` for every placeholder."""
    if isinstance(value, Mapping):
        if ID in value or SECRET in value:
            return fill(value)
        return {key: resolved(item, fill) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, fill) for item in value]
    return value
