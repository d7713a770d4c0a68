"""Connector configurations: checked against a specification, their secrets found by it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema

from dynamic_providers import inputs
from dynamic_providers.handler import UNKNOWN, InputError, Props

COMBINED = ("oneOf", "anyOf", "allOf")
# These cannot be decided while a part of the value is unknown.
UNDECIDABLE = frozenset({"oneOf", "anyOf", "const", "enum", "uniqueItems"})
Schema = Mapping[str, Any]
Error = jsonschema.ValidationError


def check(configuration: Props, specification: Schema, field: str) -> None:
    """Raises InputError for the first setting that does not fit. Texts are not shown: a secret
    may have been put in the wrong place."""
    errors = sorted(_errors(configuration, specification), key=lambda error: _path(error, field))
    if errors:
        raise InputError(_path(errors[0], field), _reason(errors[0]))


def marked_secrets(
    value: Mapping[str, Any], schemas: list[Schema], hide: Callable[[Any], Any]
) -> Props:
    """`value` with `hide` applied to each part that is secret, or is not described: what a
    setting holds that the specification does not know, nobody can tell."""
    marked: Props = {}
    for key, item in value.items():
        described = list(_described(schemas, key))
        if item is not None and (not described or any(map(_is_secret, described))):
            marked[key] = hide(item)
        elif isinstance(item, Mapping):
            marked[key] = marked_secrets(item, described, hide)
        elif isinstance(item, str | int | float | list | tuple | None):
            marked[key] = item
        else:  # known later: hidden as a whole if any part of it may be a secret
            marked[key] = hide(item) if any(map(_holds_secret, described)) else item
    return marked


def _errors(value: Any, schema: Schema) -> Iterator[Error]:
    for error in jsonschema.Draft7Validator(schema).iter_errors(value):
        if inputs.is_unknown(error.instance):
            continue
        if error.validator in UNDECIDABLE and _has_unknown(error.instance):
            continue
        yield from _deepest(error)


def _deepest(error: Error) -> Iterator[Error]:
    """Of a choice between variants, what is wrong with the one that was meant: whose constants
    fit. The error itself if none was."""
    if error.validator != "oneOf" or not isinstance(error.instance, Mapping):
        yield error
        return
    for variant in error.schema["oneOf"]:  # type: ignore[index]
        constants = _constants(variant)
        if constants and all(error.instance.get(k) == v for k, v in constants.items()):
            for found in jsonschema.Draft7Validator(variant).iter_errors(error.instance):
                found.parent = error
                yield from _deepest(found)
            return
    yield error


def _constants(variant: Schema) -> dict[str, Any]:
    properties = variant.get("properties") or {}
    return {key: schema["const"] for key, schema in properties.items() if "const" in schema}


def _path(error: Error, field: str) -> str:
    parts = [str(part) for part in error.absolute_path]
    if error.validator == "required":
        parts.append(_missing(error))
    elif error.validator == "oneOf":
        parts += list(_choices(error))[:1]
    return ".".join([field, *parts])


def _reason(error: Error) -> str:
    if error.validator == "required":
        return "missing"
    if error.validator == "oneOf":
        return "; ".join(
            f"expected one of {', '.join(values)}" for values in _choices(error).values()
        )
    if error.validator == "type":
        return f"expected {error.validator_value}, got {type(error.instance).__name__}"
    if error.validator == "enum":
        values: Any = error.validator_value
        return f"expected one of {', '.join(values)}"
    shown = f"{error.instance!r}: " if isinstance(error.instance, int | float) else ""
    return f"{shown}expected {error.validator} {error.validator_value}"


def _missing(error: Error) -> str:
    wanted: Any = error.validator_value
    present: Any = error.instance
    return next(str(name) for name in wanted if name not in present)


def _choices(error: Error) -> dict[str, list[str]]:
    """Setting -> values, by which the variants of a choice are told apart."""
    found: dict[str, list[str]] = {}
    for variant in error.schema["oneOf"]:  # type: ignore[index]
        for key, value in _constants(variant).items():
            found.setdefault(key, []).append(str(value))
    return found


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_has_unknown, value))
    return bool(value == UNKNOWN)


def _described(schemas: list[Schema], key: str) -> Iterator[Schema]:
    for schema in schemas:
        if key in (schema.get("properties") or {}):
            yield schema["properties"][key]
        for word in COMBINED:
            yield from _described(schema.get(word) or [], key)


def _is_secret(schema: Schema) -> bool:
    return schema.get("airbyte_secret") is True


def _holds_secret(schema: Schema) -> bool:
    nested = [*(schema.get("properties") or {}).values()]
    for word in COMBINED:
        nested += schema.get(word) or []
    return _is_secret(schema) or any(map(_holds_secret, nested))
