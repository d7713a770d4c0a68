"""Labels and other maps, as the SDK writes them and as the engine has them."""

from collections.abc import Mapping
from typing import Any

from dynamic_providers.handler import UNKNOWN, InputError, Props
from plugins.kind import Fields


def read_labels(fields: Fields) -> Any:
    def one(label: Fields) -> None:
        label.text("label", required=True)
        label.text("value", "")

    return fields.each("labels", one, lambda item: str(item["label"]))


def to_map(labels: list[Props] | None) -> dict[str, str]:
    return {item["label"]: item["value"] for item in labels or []}


def from_map(labels: Mapping[str, str] | None) -> list[Props]:
    return [{"label": key, "value": value} for key, value in sorted((labels or {}).items())]


def read_texts(fields: Fields, name: str) -> Any:
    """A map of texts."""

    def convert(value: Any, at: str) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise InputError(at, f"{value!r}: expected an object of texts")
        for key, item in value.items():
            if not isinstance(item, str):
                raise InputError(f"{at}.{key}", f"{item!r}: expected a text")
        return {key: value[key] for key in sorted(value)}

    return fields.field(name, convert, None, False)


def refuse_other(kind: str, name: str, live: Props, spec: Props) -> None:
    """Raises InputError when the object of that name is not the one that `spec` asks for."""
    for field in sorted(live.keys() | spec.keys()):
        if UNKNOWN != spec.get(field) != live.get(field):
            raise InputError(
                field,
                f"{kind} {name!r} exists with another setting, which cannot be changed: remove "
                "it, choose another name, or set the live value and import it",
            )
