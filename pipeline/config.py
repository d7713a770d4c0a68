"""Settings of a pipeline: one JSON file, rendered from the flow and the stack."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cronsim import CronSimError

from dynamic_providers import inputs
from dynamic_providers.handler import InputError
from pipeline.schedule import quartz
from tls.files import KeyPair, key_pair

T = TypeVar("T")
# Folders of the lake, for marks: when it was copied last, and what has been brought back.
COPIED, RECOVERED = "copied", "recovered"


class ConfigError(ValueError):
    """The settings are wrong: the text names the file, the place and what is expected."""


@dataclass(frozen=True, kw_only=True)
class AirbyteConfig:
    """connections: names of the connections that a run syncs."""

    url: str
    client_id: str
    client_secret_file: Path
    connections: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DremioConfig:
    """datasets: paths of physical datasets whose files a sync adds to.
    reflection_datasets: paths of the datasets that have reflections."""

    url: str
    username: str
    password_file: Path
    datasets: tuple[tuple[str, ...], ...]
    reflection_datasets: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class DbtConfig:
    """sources_dir: folder of the rendered sources file. work_dir: for what dbt writes."""

    executable: Path
    project_dir: Path
    sources_dir: Path
    work_dir: Path


@dataclass(frozen=True, kw_only=True)
class DatabaseConfig:
    host: str
    port: int
    dbname: str
    user: str
    password_file: Path

    def login(self) -> Mapping[str, Any]:
        """As psycopg takes it."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user,
            "password": secret(self.password_file),
            "connect_timeout": 10,
        }


@dataclass(frozen=True, kw_only=True)
class SupersetConfig:
    """dashboards: slugs of the dashboards to warm."""

    url: str
    username: str
    password_file: Path
    dashboards: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LogsConfig:
    """Where logs are, as a user who may delete them or add to them, and for how many days they
    are kept."""

    url: str
    username: str
    password_file: Path
    retention_days: int


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Elasticsearch, as a user with the right `monitor`. snapshots: policy that takes some, which
    asks for the right `read_slm`."""

    url: str
    username: str
    password_file: Path
    snapshots: str | None


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """A bucket and an account of it. ca_file: the authority that vouches for the service; None:
    one that this machine knows."""

    url: str
    bucket: str
    region: str
    user_file: Path
    password_file: Path
    ca_file: Path | None


@dataclass(frozen=True, kw_only=True)
class Config:
    """schedule: Quartz cron in UTC, or None. host, port: where `serve` listens. tls: the
    certificate that it serves with; None: clear text. certificates: name -> URL of what is asked
    for how long its certificate is valid. logs: what a run deletes. audit: where `serve` collects
    what users did. lake: where copies of it are noted, None where nobody makes any."""

    stack: str
    host: str
    port: int
    airbyte: AirbyteConfig
    dremio: DremioConfig
    dbt: DbtConfig
    database: DatabaseConfig
    superset: SupersetConfig | None
    logs: LogsConfig | None
    audit: LogsConfig | None
    search: SearchConfig | None
    schedule: str | None
    tls: KeyPair | None
    certificates: Mapping[str, str]
    lake: StoreConfig | None


@dataclass(frozen=True, kw_only=True)
class MirrorConfig:
    """lake: what is copied. backup: where to, below `prefix`. folders: of the lake.
    archive: of PostgreSQL, which belongs to the copy. restore_point: what is brought back."""

    lake: StoreConfig
    backup: StoreConfig
    prefix: str
    folders: tuple[str, ...]
    archive: str
    restore_point: str


def load(path: Path) -> Config:
    """Raises ConfigError."""
    return _load(path, parse)


def load_mirror(path: Path) -> MirrorConfig:
    """Raises ConfigError."""
    return _load(path, parse_mirror)


def _load(path: Path, read: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        raw = json.loads(path.read_text())
        return read(inputs.mapping(raw, "the file"))
    except OSError as fault:
        raise ConfigError(f"{path}: {fault.strerror}") from None
    except ValueError as fault:  # not JSON, or an InputError
        raise ConfigError(f"{path}: {fault}") from None


def secret(path: Path) -> str:
    """Content of a secret file. Raises ConfigError without showing any of it."""
    try:
        return path.read_text().strip()
    except OSError as fault:
        raise ConfigError(f"{path}: {fault.strerror}") from None


def parse(raw: Mapping[str, Any]) -> Config:
    """Raises InputError."""
    sections = ("airbyte", "dremio", "dbt", "database")
    optional = ("superset", "logs", "audit", "search", "lake")
    found = inputs.known_keys(
        raw,
        ("stack", "host", "port", *sections),
        optional=(*optional, "schedule", "tls", "certificates"),
    )
    superset, logs, search = found.get("superset"), found.get("logs"), found.get("search")
    audit, lake = found.get("audit"), found.get("lake")
    return Config(
        stack=inputs.text(found["stack"], "stack"),
        host=inputs.text(found["host"], "host"),
        port=_port(found["port"], "port"),
        airbyte=_airbyte(found["airbyte"]),
        dremio=_dremio(found["dremio"]),
        dbt=_dbt(found["dbt"]),
        database=_database(found["database"]),
        superset=None if superset is None else _superset(superset),
        logs=None if logs is None else _logs(logs, "logs"),
        audit=None if audit is None else _logs(audit, "audit"),
        search=None if search is None else _search(search),
        schedule=_schedule(found.get("schedule")),
        tls=key_pair(found.get("tls")),
        certificates=_certificates(found.get("certificates", {})),
        lake=None if lake is None else _store(lake, "lake"),
    )


def parse_mirror(raw: Mapping[str, Any]) -> MirrorConfig:
    """Raises InputError."""
    names = ("prefix", "archive")
    found = inputs.known_keys(raw, ("lake", "backup", "folders", *names), ("restorePoint",))
    prefix, archive = (inputs.text(found[name], name) for name in names)
    return MirrorConfig(
        lake=_store(found["lake"], "lake"),
        backup=_store(found["backup"], "backup"),
        prefix=prefix,
        folders=tuple(inputs.texts(found["folders"], "folders")),
        archive=archive,
        restore_point=str(found.get("restorePoint", "")),
    )


def _store(raw: Any, at: str) -> StoreConfig:
    keys = ("url", "bucket", "region", "userFile", "passwordFile")
    found = inputs.known_keys(inputs.mapping(raw, at), keys, ("caFile",), at)
    authority = found.get("caFile")
    return StoreConfig(
        url=_url(found["url"], f"{at}.url"),
        bucket=inputs.text(found["bucket"], f"{at}.bucket"),
        region=inputs.text(found["region"], f"{at}.region"),
        user_file=_path(found["userFile"], f"{at}.userFile"),
        password_file=_path(found["passwordFile"], f"{at}.passwordFile"),
        ca_file=None if authority is None else _path(authority, f"{at}.caFile"),
    )


def _airbyte(raw: Any) -> AirbyteConfig:
    at = "airbyte"
    found = _section(raw, at, "url", "clientId", "clientSecretFile", "connections")
    return AirbyteConfig(
        url=_url(found["url"], f"{at}.url"),
        client_id=inputs.text(found["clientId"], f"{at}.clientId"),
        client_secret_file=_path(found["clientSecretFile"], f"{at}.clientSecretFile"),
        connections=tuple(inputs.texts(found["connections"], f"{at}.connections", empty=True)),
    )


def _dremio(raw: Any) -> DremioConfig:
    at = "dremio"
    found = _section(raw, at, "url", "username", "passwordFile", "datasets", "reflectionDatasets")
    return DremioConfig(
        **_login(found, at),
        datasets=_dataset_paths(found["datasets"], f"{at}.datasets"),
        reflection_datasets=_dataset_paths(
            found["reflectionDatasets"], f"{at}.reflectionDatasets"
        ),
    )


def _dbt(raw: Any) -> DbtConfig:
    at = "dbt"
    keys = ("executable", "projectDir", "sourcesDir", "workDir")
    found = _section(raw, at, *keys)
    executable, project, sources, work = (_path(found[key], f"{at}.{key}") for key in keys)
    return DbtConfig(
        executable=executable, project_dir=project, sources_dir=sources, work_dir=work
    )


def _database(raw: Any) -> DatabaseConfig:
    at = "database"
    found = _section(raw, at, "host", "port", "dbname", "user", "passwordFile")
    return DatabaseConfig(
        host=inputs.text(found["host"], f"{at}.host"),
        port=_port(found["port"], f"{at}.port"),
        dbname=inputs.text(found["dbname"], f"{at}.dbname"),
        user=inputs.text(found["user"], f"{at}.user"),
        password_file=_path(found["passwordFile"], f"{at}.passwordFile"),
    )


def _superset(raw: Any) -> SupersetConfig:
    at = "superset"
    found = _section(raw, at, "url", "username", "passwordFile", "dashboards")
    return SupersetConfig(
        **_login(found, at),
        dashboards=tuple(inputs.texts(found["dashboards"], f"{at}.dashboards", empty=True)),
    )


def _logs(raw: Any, at: str) -> LogsConfig:
    found = _section(raw, at, "url", "username", "passwordFile", "retentionDays")
    return LogsConfig(
        **_login(found, at),
        retention_days=inputs.whole(found["retentionDays"], f"{at}.retentionDays", least=1),
    )


def _search(raw: Any) -> SearchConfig:
    at = "search"
    keys = ("url", "username", "passwordFile")
    found = inputs.known_keys(inputs.mapping(raw, at), keys, ("snapshots",), at)
    policy = found.get("snapshots")
    return SearchConfig(
        **_login(found, at),
        snapshots=None if policy is None else inputs.text(policy, f"{at}.snapshots"),
    )


def _certificates(raw: Any) -> dict[str, str]:
    found = inputs.mapping(raw, "certificates")
    return {name: inputs.text(url, f"certificates.{name}") for name, url in found.items()}


def _login(found: dict[str, Any], at: str) -> dict[str, Any]:
    """Where a service is, and as whom it is called: fields of its configuration."""
    return {
        "url": _url(found["url"], f"{at}.url"),
        "username": inputs.text(found["username"], f"{at}.username"),
        "password_file": _path(found["passwordFile"], f"{at}.passwordFile"),
    }


def _section(raw: Any, at: str, *keys: str) -> dict[str, Any]:
    return inputs.known_keys(inputs.mapping(raw, at), keys, at=at)


def _url(value: Any, at: str) -> str:
    url = inputs.text(value, at).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise InputError(at, f"{value!r}: expected http://host:port or https://host:port")
    return url


def _path(value: Any, at: str) -> Path:
    path = Path(inputs.text(value, at))
    if not path.is_absolute():
        raise InputError(at, f"{value!r}: expected an absolute path")
    return path


def _port(value: Any, at: str) -> int:
    port: int = inputs.whole(value, at, least=1)
    if port > 65535:
        raise InputError(at, f"{value!r}: expected 1 to 65535")
    return port


def _dataset_paths(value: Any, at: str) -> tuple[tuple[str, ...], ...]:
    paths = inputs.listing(value, at, empty=True)
    return tuple(tuple(inputs.texts(path, f"{at}[{i}]")) for i, path in enumerate(paths))


def _schedule(value: Any) -> str | None:
    if value is None:
        return None
    try:
        quartz(inputs.text(value, "schedule"))
    except CronSimError as fault:
        raise InputError("schedule", f"{value!r}: {fault}") from None
    return str(value)
