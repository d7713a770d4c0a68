"""Names of objects: `${...}` variables in the path, `{...}` variables in the file name.

https://docs.airbyte.com/integrations/destinations/s3#configuration
"""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

PATH_FORMAT = "${NAMESPACE}/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_"
# Airbyte's own default starts at part 0 in every sync, so a sync at the same path would
# overwrite the objects of an earlier one.
FILE_NAME_PATTERN = "data_{sync_id}_{part_number}{format_extension}"

STREAM_VARIABLES = frozenset({"NAMESPACE", "STREAM_NAME"})
PATH_VARIABLES = STREAM_VARIABLES | {
    "YEAR",
    "MONTH",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
    "EPOCH",
    "UUID",
}
FILE_VARIABLES = frozenset({"date", "timestamp", "part_number", "sync_id", "format_extension"})
# Java's DateTimeFormatter letters, as Airbyte documents them, to strftime.
_DATE_LETTERS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}

_PATH_VARIABLE = re.compile(r"\$\{(\w+)\}")
_FILE_VARIABLE = re.compile(r"\{(\w+)(?::([^}]*))?\}")
_UNSAFE = re.compile(r"[^\w\-.!*'()=]", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the names are made of. at: start of the sync, UTC."""

    namespace: str | None
    stream: str
    at: datetime
    sync_id: int
    extension: str


def validate(path_format: str, file_name_pattern: str) -> None:
    """Raises ValueError naming an unknown variable and the known ones."""
    for name in _PATH_VARIABLE.findall(path_format):
        if name not in PATH_VARIABLES:
            raise ValueError(
                f"s3_path_format: ${{{name}}}: expected one of {', '.join(sorted(PATH_VARIABLES))}"
            )
    for name, argument in _FILE_VARIABLE.findall(file_name_pattern):
        if name not in FILE_VARIABLES:
            raise ValueError(
                f"file_name_pattern: {{{name}}}: expected one of "
                f"{', '.join(sorted(FILE_VARIABLES))}"
            )
        if name == "timestamp" and argument not in ("", "millis", "micros"):
            raise ValueError(f"file_name_pattern: timestamp:{argument}: expected millis or micros")
    if "/" in file_name_pattern:
        raise ValueError(f"file_name_pattern: {file_name_pattern!r}: expected no '/'")


def path(path_format: str, target: Target) -> str:
    """The path up to the file name: a folder when the format ends with '/'."""

    def value(match: re.Match[str]) -> str:
        return _path_value(match.group(1), target)

    rendered = _PATH_VARIABLE.sub(value, path_format)
    return re.sub(r"/{2,}", "/", rendered).lstrip("/")


def static_prefix(path_format: str, target: Target) -> str:
    """The part of every path of the stream that is the same in every sync."""
    for match in _PATH_VARIABLE.finditer(path_format):
        if match.group(1) not in STREAM_VARIABLES:
            return path(path_format[: match.start()], target)
    return path(path_format, target)


def file_name(pattern: str, target: Target, part_number: int) -> str:
    def value(match: re.Match[str]) -> str:
        name, argument = match.group(1), match.group(2) or ""
        if name == "date":
            return _date(target.at, argument or "yyyy_MM_dd")
        if name == "timestamp":
            micros = int(target.at.timestamp()) * 1_000_000 + target.at.microsecond
            return str(micros if argument == "micros" else micros // 1000)
        values = {"part_number": part_number, "sync_id": target.sync_id}
        return str(values.get(name, target.extension))

    return _FILE_VARIABLE.sub(value, pattern)


def numbered(name: str, number: int, extension: str) -> str:
    """`name` with a number before its extension: for patterns without {part_number}."""
    if extension and name.endswith(extension):
        return f"{name.removesuffix(extension)}-{number}{extension}"
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}-{number}.{suffix}" if dot else f"{name}-{number}"


def has_part_number(pattern: str) -> bool:
    return "{part_number}" in pattern


def _path_value(name: str, target: Target) -> str:
    at = target.at.astimezone(UTC)
    values = {
        "NAMESPACE": lambda: _safe(target.namespace or ""),
        "STREAM_NAME": lambda: _safe(target.stream),
        "YEAR": lambda: f"{at:%Y}",
        "MONTH": lambda: f"{at:%m}",
        "DAY": lambda: f"{at:%d}",
        "HOUR": lambda: f"{at:%H}",
        "MINUTE": lambda: f"{at:%M}",
        "SECOND": lambda: f"{at:%S}",
        "MILLISECOND": lambda: f"{at.microsecond // 1000:03d}",
        "EPOCH": lambda: str(int(at.timestamp() * 1000)),
        "UUID": lambda: str(uuid.uuid4()),
    }
    return values[name]()


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)


def _date(at: datetime, pattern: str) -> str:
    for letters, directive in _DATE_LETTERS.items():
        pattern = pattern.replace(letters, directive)
    return at.strftime(pattern)
