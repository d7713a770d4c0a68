"""Superset's configuration on a stack, read by SUPERSET_CONFIG_PATH. Superset takes the
upper-case names only.

https://superset.apache.org/docs/configuration/configuring-superset
"""

import hmac
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# After everything else, so that no folder of the project hides a package of Superset's.
if (root := str(Path(__file__).resolve().parents[2])) not in sys.path:
    sys.path.append(root)

from flask import Blueprint, Response  # noqa: E402
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest  # noqa: E402
from sqlalchemy.engine import URL  # noqa: E402
from superset.stats_logger import BaseStatsLogger  # noqa: E402
from superset.utils.log import DBEventLogger  # noqa: E402

from services.superset import metrics, settings  # noqa: E402
from services.superset.redaction import redact  # noqa: E402

CACHE_SECONDS = 24 * 3600  # from one nightly run to the next; a run warms the cache anew
_settings = settings.load()
_key = settings.secret_key(_settings)
_cache_hits, _load_times = metrics.CacheHits(), metrics.LoadTimes()
_registry = metrics.registry([_cache_hits, _load_times])


def _derived(name: str) -> str:
    return hmac.digest(_key.encode(), name.encode(), "sha256").hex()


def _redis_url(database: int) -> str:
    redis = _settings.redis
    if redis is None:
        raise ValueError(f"{settings.REDIS_FILE} is missing")
    return settings.redis_url(redis, database)


def _cache(name: str) -> dict[str, str | int]:
    if _settings.redis is not None:
        return {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_URL": _redis_url(0),
            "CACHE_KEY_PREFIX": f"{name}-",
            "CACHE_DEFAULT_TIMEOUT": CACHE_SECONDS,
        }
    return {
        "CACHE_TYPE": "FileSystemCache",
        "CACHE_DIR": str(_settings.cache_dir / name),
        "CACHE_DEFAULT_TIMEOUT": CACHE_SECONDS,
        "CACHE_THRESHOLD": 10_000,  # entries: beyond, each write looks through all files
    }


class _AuditLog(DBEventLogger):
    """The audit log in Superset's database, without the credentials that requests carry, and
    the source of the dashboards' load times."""

    def log(
        self,
        *args: Any,
        records: Sequence[Any] = (),
        curated_payload: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for record in records:
            if isinstance(record, Mapping):
                _load_times.add(record)
        super().log(
            *args,
            records=redact(list(records)),
            curated_payload=redact(curated_payload),
            **kwargs,
        )


class _Stats(BaseStatsLogger):
    """Picks the two counters of the hit rate out of what Superset counts."""

    def incr(self, key: str) -> None:
        if key in ("loaded_from_cache", "loaded_from_source"):
            _cache_hits.add(hit=key == "loaded_from_cache")

    def decr(self, key: str) -> None:
        pass

    def timing(self, key: str, value: float) -> None:
        pass

    def gauge(self, key: str, value: float) -> None:
        pass


_metrics = Blueprint("dataflow_metrics", __name__)


@_metrics.get("/metrics")
def _serve_metrics() -> Response:
    # No login: the server listens on loopback alone.
    return Response(generate_latest(_registry), content_type=CONTENT_TYPE_LATEST)


SECRET_KEY = _key
# Unused while embedding and asynchronous queries are off, but the defaults are public texts.
GUEST_TOKEN_JWT_SECRET = _derived("guest-token")
GLOBAL_ASYNC_QUERIES_JWT_SECRET = _derived("async-queries")
SQLALCHEMY_DATABASE_URI = URL.create(
    "postgresql+psycopg2",
    username=_settings.metadata.user,
    password=settings.secret(_settings.metadata.password_file),
    host=_settings.metadata.host,
    port=_settings.metadata.port,
    database=_settings.metadata.dbname,
).render_as_string(hide_password=False)
SUPERSET_WEBSERVER_PORT = _settings.port

CACHE_CONFIG = _cache("metadata")
DATA_CACHE_CONFIG = _cache("data")

STATS_LOGGER = _Stats()
EVENT_LOGGER = _AuditLog()
BLUEPRINTS = [_metrics]

if _settings.redis is not None:

    class _Celery:
        """Tasks of workers, and when beat starts them."""

        broker_url = _redis_url(2)
        result_backend = _redis_url(3)
        imports = ("superset.sql_lab", "superset.tasks.scheduler")
        worker_prefetch_multiplier = 1
        task_acks_late = True
        beat_schedule = {
            "reports.scheduler": {"task": "reports.scheduler", "schedule": 60.0},
            "reports.prune_log": {"task": "reports.prune_log", "schedule": 24 * 3600.0},
        }

    CELERY_CONFIG = _Celery

FEATURE_FLAGS = {
    "RLS_IN_SQLLAB": True,  # else row-level security does not hold in SQL Lab
    "EMBEDDED_SUPERSET": False,
}
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False
WTF_CSRF_ENABLED = True
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://" if _settings.redis is None else _redis_url(1)
SHOW_STACKTRACE = False
FAB_API_SWAGGER_UI = False
ENABLE_CORS = False
PREVENT_UNSAFE_DB_CONNECTIONS = True
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []

# Over clear text a cookie marked secure would never be sent back, and a redirect to https would
# lead nowhere.
_tls = _settings.tls is not None
SESSION_COOKIE_SECURE = _tls
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "force_https": _tls,
    "session_cookie_secure": _tls,
    # Superset's own policy less its outside hosts: maps, fonts and a telemetry pixel.
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": ["'self'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
}
