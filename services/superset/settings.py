"""Settings of one Superset, read from the JSON file that DATAFLOW_SUPERSET_CONFIG names.

Runs in Superset's environment and in the project's. Shape of the file (paths are absolute, each
...File holds one secret):

    {"host": "127.0.0.1", "port": 8088, "cacheDir": "...", "secretKeyFile": "...",
     "metadata": {"host": "127.0.0.1", "port": 5432, "dbname": "superset", "user": "superset",
                  "passwordFile": "..."},
     "admin": {"user": "admin", "passwordFile": "..."},
     "otherSecretKeyFile": "...", "tls": {"certificateFile": "...", "keyFile": "..."}}

`otherSecretKeyFile` is there while secretKeyFile's key replaces that one. Without `tls` it serves
clear text.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tls.files import KeyPair, key_pair

VARIABLE = "DATAFLOW_SUPERSET_CONFIG"
REDIS_FILE = "redis.json"  # beside the settings: host, port, user, passwordFile, caFile for TLS
SECRET_KEY_MIN_BYTES = 42  # what Superset recommends; it signs sessions and encrypts passwords


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The PostgreSQL database in which Superset keeps its own objects."""

    host: str
    port: int
    dbname: str
    user: str
    password_file: Path


@dataclass(frozen=True, kw_only=True)
class Redis:
    """Where several servers and workers share caches, limits and tasks.

    ca_file: of the authority that vouches for it; None where it speaks clear text."""

    host: str
    port: int
    user: str
    password_file: Path
    ca_file: Path | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """cache_dir: of query results, private to the service's user: it holds pickles.
    redis: None where one process serves all."""

    host: str
    port: int
    cache_dir: Path
    secret_key_file: Path
    other_secret_key_file: Path | None
    metadata: Metadata
    admin_user: str
    admin_password_file: Path
    redis: Redis | None
    tls: KeyPair | None


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises ValueError that names the file and the key when something is missing."""
    if not (name := environ.get(VARIABLE)):
        raise ValueError(f"{VARIABLE} is not set: expected the path of Superset's settings")
    raw = json.loads(Path(name).read_text())
    try:
        return Settings(
            host=raw["host"],
            port=int(raw["port"]),
            cache_dir=Path(raw["cacheDir"]),
            secret_key_file=Path(raw["secretKeyFile"]),
            other_secret_key_file=Path(raw["otherSecretKeyFile"])
            if "otherSecretKeyFile" in raw
            else None,
            metadata=_metadata(raw["metadata"]),
            admin_user=raw["admin"]["user"],
            admin_password_file=Path(raw["admin"]["passwordFile"]),
            redis=_redis(Path(name).with_name(REDIS_FILE)),
            tls=key_pair(raw.get("tls")),
        )
    except KeyError as error:
        raise ValueError(f"{name}: the key {error.args[0]!r} is missing") from None


def secret(file: Path) -> str:
    """The content of a secret's file. Raises ValueError when it is empty."""
    if not (value := file.read_text().strip()):
        raise ValueError(f"{file}: the secret is empty")
    return value


def redis_url(redis: Redis, database: int) -> str:
    """As Redis' own client, Celery and the rate limits read it, the password in it."""
    scheme, query = "redis", ""
    if redis.ca_file is not None:
        verified = {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": "true",  # off by default
            "ssl_ca_certs": str(redis.ca_file),
        }
        scheme, query = "rediss", f"?{urlencode(verified)}"
    account = f"{redis.user}:{quote(secret(redis.password_file), safe='')}"
    return f"{scheme}://{account}@{redis.host}:{redis.port}/{database}{query}"


def secret_key(settings: Settings) -> str:
    key = secret(settings.secret_key_file)
    if len(key.encode()) < SECRET_KEY_MIN_BYTES:
        raise ValueError(
            f"{settings.secret_key_file}: expected {SECRET_KEY_MIN_BYTES} bytes or more"
        )
    return key


def _redis(file: Path) -> Redis | None:
    if not file.exists():
        return None
    raw = json.loads(file.read_text())
    return Redis(
        host=raw["host"],
        port=int(raw["port"]),
        user=raw["user"],
        password_file=Path(raw["passwordFile"]),
        ca_file=Path(raw["caFile"]) if "caFile" in raw else None,
    )


def _metadata(raw: Mapping[str, Any]) -> Metadata:
    return Metadata(
        host=raw["host"],
        port=int(raw["port"]),
        dbname=raw["dbname"],
        user=raw["user"],
        password_file=Path(raw["passwordFile"]),
    )
