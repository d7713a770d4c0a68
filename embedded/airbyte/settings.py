"""Configuration file of the control plane."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import orjson

from tls.files import KeyPair, key_pair

PORT = 8001  # specification, "Airbyte API Integration"
WORKERS = 2  # syncs at the same time
MAX_ATTEMPTS = 4  # specification, "Ingestion Optimization": max_retries 3
TIMEOUT_MINUTES = 60.0  # specification, "Ingestion Optimization": per attempt
BACKOFF_S = (10.0, 30.0, 90.0, 270.0)  # Airbyte's waits after attempts without data
BUILT_IN = {
    "airbyte/source-postgres": "embedded.airbyte.connectors.source_postgres",
    "airbyte/destination-s3": "embedded.airbyte.connectors.destination_s3",
}

_TEXT = {"type": "string", "minLength": 1}
_PORT = {"type": "integer", "minimum": 0, "maximum": 65535}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["database", "workDir"],
    "properties": {
        "host": _TEXT,
        "port": _PORT,
        "database": {
            "type": "object",
            "additionalProperties": False,
            "required": ["host", "port", "dbname", "user", "passwordFile"],
            "properties": {
                "host": _TEXT,
                "port": _PORT,
                "dbname": _TEXT,
                "user": _TEXT,
                "passwordFile": _TEXT,
            },
        },
        "authEnabled": {"type": "boolean"},
        "clientId": _TEXT,
        "clientSecretFile": _TEXT,
        "logs": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                "elasticsearch": {
                    "type": ["object", "null"],
                    "additionalProperties": False,
                    "required": ["url"],
                    "properties": {"url": _TEXT, "username": _TEXT, "passwordFile": _TEXT},
                }
            },
        },
        "connectors": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z0-9-]+/(source|destination)-[a-z0-9-]+$"},
            "additionalProperties": {"type": "array", "minItems": 1, "items": _TEXT},
        },
        "workDir": _TEXT,
        "tls": {
            "type": "object",
            "additionalProperties": False,
            "required": ["certificateFile", "keyFile"],
            "properties": {"certificateFile": _TEXT, "keyFile": _TEXT},
        },
        "engine": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "workers": {"type": "integer", "minimum": 1},
                "maxAttempts": {"type": "integer", "minimum": 1},
                "backoffSeconds": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "number", "minimum": 0},
                },
                "timeoutMinutes": {"type": "number", "exclusiveMinimum": 0},
            },
        },
    },
}


class SettingsError(ValueError):
    """A wrong configuration file; the text names the key and never holds a secret."""


@dataclass(frozen=True, kw_only=True)
class Database:
    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Elasticsearch:
    url: str
    username: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """backoff_s: waits after consecutive attempts without data; the last one repeats."""

    workers: int = WORKERS
    max_attempts: int = MAX_ATTEMPTS
    backoff_s: tuple[float, ...] = BACKOFF_S
    timeout_s: float = TIMEOUT_MINUTES * 60


@dataclass(frozen=True, kw_only=True)
class Settings:
    """connectors: docker repository -> command. tls: None serves clear text."""

    host: str
    port: int
    database: Database
    auth_enabled: bool
    client_id: str
    client_secret: str = field(repr=False)
    elasticsearch: Elasticsearch | None
    connectors: Mapping[str, tuple[str, ...]]
    work_dir: Path
    engine: Engine
    tls: KeyPair | None


def load(path: Path) -> Settings:
    """Raises SettingsError."""
    try:
        raw = orjson.loads(path.read_bytes())
    except OSError as fault:
        raise SettingsError(f"{path}: {fault.strerror}") from None
    except orjson.JSONDecodeError as fault:
        raise SettingsError(f"{path}: line {fault.lineno}: {fault.msg}") from None
    try:
        return parse(raw)
    except SettingsError as fault:
        raise SettingsError(f"{path}: {fault}") from None


def parse(raw: Any) -> Settings:
    """Raises SettingsError."""
    for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(raw):
        raise SettingsError(f"{'.'.join(map(str, error.absolute_path)) or '.'}: {error.message}")
    auth_enabled = raw.get("authEnabled", True)
    if auth_enabled and not (raw.get("clientId") and raw.get("clientSecretFile")):
        raise SettingsError("clientId, clientSecretFile: required while authEnabled is true")
    secret_file = raw.get("clientSecretFile")
    return Settings(
        host=raw.get("host", "127.0.0.1"),
        port=raw.get("port", PORT),
        database=_database(raw["database"]),
        auth_enabled=auth_enabled,
        client_id=raw.get("clientId", ""),
        client_secret=_secret("clientSecretFile", secret_file) if secret_file else "",
        elasticsearch=_elasticsearch((raw.get("logs") or {}).get("elasticsearch")),
        connectors={
            **{name: (sys.executable, "-m", module) for name, module in BUILT_IN.items()},
            **{name: tuple(command) for name, command in raw.get("connectors", {}).items()},
        },
        work_dir=Path(raw["workDir"]).absolute(),  # children run elsewhere
        engine=_engine(raw.get("engine", {})),
        tls=_tls(raw.get("tls")),
    )


def _tls(raw: Mapping[str, Any] | None) -> KeyPair | None:
    try:
        return key_pair(raw)
    except ValueError as fault:
        raise SettingsError(str(fault)) from None


def _database(raw: Mapping[str, Any]) -> Database:
    return Database(
        host=raw["host"],
        port=raw["port"],
        dbname=raw["dbname"],
        user=raw["user"],
        password=_secret("database.passwordFile", raw["passwordFile"]),
    )


def _elasticsearch(raw: Mapping[str, Any] | None) -> Elasticsearch | None:
    if raw is None:
        return None
    name = "logs.elasticsearch.passwordFile"
    password = _secret(name, raw["passwordFile"]) if "passwordFile" in raw else None
    if (raw.get("username") is None) != (password is None):
        raise SettingsError("logs.elasticsearch: username and passwordFile: both or neither")
    return Elasticsearch(
        url=raw["url"].rstrip("/"), username=raw.get("username"), password=password
    )


def _engine(raw: Mapping[str, Any]) -> Engine:
    return Engine(
        workers=raw.get("workers", WORKERS),
        max_attempts=raw.get("maxAttempts", MAX_ATTEMPTS),
        backoff_s=tuple(raw.get("backoffSeconds", BACKOFF_S)),
        timeout_s=raw.get("timeoutMinutes", TIMEOUT_MINUTES) * 60,
    )


def _secret(key: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except OSError as fault:
        raise SettingsError(f"{key}: {path}: {fault.strerror}") from None
    if not value:
        raise SettingsError(f"{key}: {path}: empty")
    return value
