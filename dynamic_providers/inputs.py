"""Checks of raw inputs: each returns the canonical value or raises InputError.

All of them let UNKNOWN pass: in a preview it may stand for any value.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dynamic_providers.canonical import whole_floats_to_int, without_nulls
from dynamic_providers.handler import UNKNOWN, InputError, Props


def known_keys(
    raw: Mapping[str, Any], required: Iterable[str], optional: Iterable[str] = (), at: str = ""
) -> Props:
    """`raw` without nulls and with whole numbers as int. A missing or an unknown key is an
    error; `at` is the path of `raw` for the message."""
    props: Props = whole_floats_to_int(without_nulls(raw))
    valid = [*required, *optional]
    for key in props:
        if key not in valid:
            raise InputError(_join(at, key), f"no such input: expected one of {', '.join(valid)}")
    for key in required:
        if key not in props:
            raise InputError(_join(at, key), "missing")
    return props


def is_unknown(value: Any) -> bool:
    """True if no part of `value` can be checked yet."""
    return isinstance(value, str) and value == UNKNOWN


def text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(field, f"{value!r}: expected a text that is not empty")
    return value


def one_of(value: Any, choices: Iterable[str], field: str) -> str:
    listed = sorted(choices)
    if not isinstance(value, str) or (not is_unknown(value) and value not in listed):
        raise InputError(field, f"{value!r}: expected one of {', '.join(listed)}")
    return value


def flag(value: Any, field: str) -> Any:
    if not isinstance(value, bool) and not is_unknown(value):
        raise InputError(field, f"{value!r}: expected true or false")
    return value


def whole(value: Any, field: str, *, least: int) -> Any:
    if is_unknown(value):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(field, f"{value!r}: expected a whole number, {least} or more")
    return value


def mapping(value: Any, field: str) -> Any:
    if not isinstance(value, Mapping) and not is_unknown(value):
        raise InputError(field, f"expected an object, got {type(value).__name__}")
    return value


def listing(value: Any, field: str, *, empty: bool = False) -> Any:
    if is_unknown(value):
        return value
    if not isinstance(value, list | tuple) or not (value or empty):
        raise InputError(field, "expected a list" + ("" if empty else " with one entry or more"))
    return list(value)


def texts(value: Any, field: str, *, empty: bool = False) -> Any:
    """A list of texts, order kept."""
    items = listing(value, field, empty=empty)
    if is_unknown(items):
        return items
    return [text(item, f"{field}[{index}]") for index, item in enumerate(items)]


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key
