"""Checks and canonical forms of the inputs that the local handlers share."""

import re
import signal
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from dynamic_providers.handler import UNKNOWN, InputError, Props

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# supervisord.conf has no quoting for these: they start a comment, a section or the next line.
PATH_FORBIDDEN = re.compile(r"[\x00-\x1f;#\"'\\]")


def text(raw: Mapping[str, Any], field: str, default: str = "") -> str:
    value = raw.get(field, default)
    if not isinstance(value, str):
        raise InputError(field, f"{value!r}: expected a text")
    return value


def name(raw: Mapping[str, Any]) -> str:
    value = text(raw, "name")
    if value != UNKNOWN and not NAME.fullmatch(value):
        raise InputError(
            "name",
            f"{value!r}: expected 1 to 40 lower-case letters, digits and hyphens, "
            "starting with a letter",
        )
    return value


def stack_dir(raw: Mapping[str, Any]) -> str:
    value = text(raw, "stackDir")
    if value == UNKNOWN:
        return value
    if not PurePosixPath(value).is_absolute() or PATH_FORBIDDEN.search(value):
        raise InputError(
            "stackDir",
            f"{value!r}: expected an absolute path without quotes, backslashes, ';' and '#': "
            "move the project to another folder",
        )
    return str(PurePosixPath(value))


def boolean(raw: Mapping[str, Any], field: str, default: bool) -> Any:
    value = raw.get(field, default)
    if not isinstance(value, bool) and value != UNKNOWN:
        raise InputError(field, f"{value!r}: expected true or false")
    return value


def seconds(raw: Mapping[str, Any], field: str, default: int) -> Any:
    """A whole number of seconds, 1 or more."""
    return whole(raw.get(field, default), field, 1, 86_400)


def port(value: Any, field: str) -> Any:
    return whole(value, field, 1, 65_535)


def whole(value: Any, field: str, low: int, high: int) -> Any:
    """A whole number from `low` to `high`."""
    if value == UNKNOWN:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise InputError(field, f"{value!r}: expected a whole number")
    if not low <= value <= high:
        raise InputError(field, f"{value!r}: expected {low} to {high}")
    return int(value)


def command(raw: Mapping[str, Any], field: str = "command") -> Any:
    """A program and its arguments; no shell reads them."""
    value = raw.get("command")
    if value == UNKNOWN:
        return value
    if not isinstance(value, list | tuple) or not value:
        raise InputError(field, f"{value!r}: expected a program and its arguments as a list")
    for word in value:
        if not isinstance(word, str) or "\0" in word:
            raise InputError(field, f"{word!r}: expected a text")
    return list(value)


def environment(raw: Mapping[str, Any]) -> Any:
    value = texts(raw, "environment")
    if value == UNKNOWN:
        return value
    for key in value:
        if not VARIABLE.fullmatch(key):
            raise InputError("environment", f"{key!r}: expected the name of a variable")
    return value


def files(raw: Mapping[str, Any], field: str) -> Any:
    """Relative path below config/ -> content. Messages never hold a content."""
    value = texts(raw, field)
    if value == UNKNOWN:
        return value
    for path in value:
        relative_path(path, f"{field}.{path}")
    return value


def texts(raw: Mapping[str, Any], field: str) -> Any:
    value = raw.get(field) or {}
    if value == UNKNOWN:
        return value
    if not isinstance(value, Mapping):
        raise InputError(field, f"is a {type(value).__name__}: expected a map of texts")
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str) or "\0" in key + item:
            raise InputError(f"{field}.{key}", "expected a text without null characters")
    return dict(sorted(value.items()))


def relative_path(path: str, field: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or str(pure) != path:
        raise InputError(field, f"{path!r}: expected a relative path without '.' and '..'")
    return path


def signal_name(raw: Mapping[str, Any], field: str, default: str) -> str:
    """default: also "" where there may be none."""
    value = text(raw, field, default)
    if value not in (UNKNOWN, default) and f"SIG{value}" not in signal.Signals.__members__:
        raise InputError(field, f"{value!r}: expected TERM, INT, QUIT or another signal")
    return value


def program(raw: Mapping[str, Any]) -> Props:
    """What processes and jobs have in common."""
    props = {
        "stackDir": stack_dir(raw),
        "name": name(raw),
        "command": command(raw),
        "environment": environment(raw),
        "files": files(raw, "files"),
        "secretFiles": files(raw, "secretFiles"),
        "user": text(raw, "user"),
    }
    if UNKNOWN not in (props["files"], props["secretFiles"]):
        for path in sorted(set(props["files"]) & set(props["secretFiles"])):
            raise InputError(f"secretFiles.{path}", "is among `files` too: expected one of them")
    return props
