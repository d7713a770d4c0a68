"""Configuration of the engine: one JSON file."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tls.files import KeyPair, key_pair

EDITIONS = ("community", "enterprise")
KEYS = ("host", "restPort", "flightPort", "dataDir", "edition", "memoryLimit", "threads", "tls")
REQUIRED = ("host", "restPort", "flightPort", "dataDir", "edition")
MEMORY = re.compile(r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$")


class ConfigError(ValueError):
    """Names the file, the key, the value and the valid choices."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Ports: 0 lets the system choose. memory_limit: such as `2GB`; None: DuckDB's default.
    tls: the certificate of REST and Flight; None: clear text."""

    host: str
    rest_port: int
    flight_port: int
    data_dir: Path
    edition: str
    memory_limit: str | None = None
    threads: int | None = None
    tls: KeyPair | None = None

    @property
    def enterprise(self) -> bool:
        return self.edition == "enterprise"


def load(path: Path) -> Config:
    """Raises ConfigError."""
    try:
        raw = json.loads(path.read_text())
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault.strerror}") from None
    except ValueError as fault:
        raise ConfigError(f"{path}: not JSON: {fault}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a JSON object")
    return parse(raw, str(path))


def parse(raw: Mapping[str, Any], place: str) -> Config:
    """Raises ConfigError."""
    for key in raw:
        if key not in KEYS:
            raise ConfigError(f"{place}: {key}: unknown key; expected one of {', '.join(KEYS)}")
    for key in REQUIRED:
        if key not in raw:
            raise ConfigError(f"{place}: {key}: missing")
    _check_text(raw, "host", place)
    _check_text(raw, "dataDir", place)
    for key in ("restPort", "flightPort"):
        _check_int(raw, key, 0, 65535, place)
    if raw["edition"] not in EDITIONS:
        raise ConfigError(
            f"{place}: edition: {raw['edition']!r}: expected one of {', '.join(EDITIONS)}"
        )
    memory = raw.get("memoryLimit")
    if memory is not None and not (isinstance(memory, str) and MEMORY.match(memory)):
        raise ConfigError(f"{place}: memoryLimit: {memory!r}: expected such as '2GB' or '512MB'")
    if raw.get("threads") is not None:
        _check_int(raw, "threads", 1, 1024, place)
    if raw["restPort"] == raw["flightPort"] != 0:
        raise ConfigError(f"{place}: flightPort: {raw['flightPort']}: is also restPort")
    try:
        tls = key_pair(raw.get("tls"))
    except ValueError as fault:
        raise ConfigError(f"{place}: {fault}") from None
    data_dir = Path(raw["dataDir"])
    if not data_dir.is_absolute():
        raise ConfigError(f"{place}: dataDir: {raw['dataDir']!r}: expected an absolute path")
    if not os.access(_existing_parent(data_dir), os.W_OK):
        raise ConfigError(f"{place}: dataDir: {raw['dataDir']!r}: cannot be written")
    return Config(
        host=raw["host"],
        rest_port=raw["restPort"],
        flight_port=raw["flightPort"],
        data_dir=data_dir,
        edition=raw["edition"],
        memory_limit=memory,
        threads=raw.get("threads"),
        tls=tls,
    )


def _check_text(raw: Mapping[str, Any], key: str, place: str) -> None:
    if not isinstance(raw[key], str) or not raw[key]:
        raise ConfigError(f"{place}: {key}: {raw[key]!r}: expected a text")


def _check_int(raw: Mapping[str, Any], key: str, low: int, high: int, place: str) -> None:
    value = raw[key]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{place}: {key}: {value!r}: expected a number from {low} to {high}")


def _existing_parent(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
