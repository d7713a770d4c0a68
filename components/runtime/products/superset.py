"""Superset with a cache, a worker for reports and thumbnails, and the beat that starts them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi

from components.runtime.service import Certificate, Readiness, Runtime, Service
from components.sizing import Size
from services.superset import config as superset_config

CACHE = "superset-cache"
WORKER = "superset-worker"
BEAT = "superset-beat"
CELERY = "superset.tasks.celery_app:app"
REACHES = "import sys,socket; socket.create_connection((sys.argv[1], int(sys.argv[2])), 4)"
SMALL = Size(cores=0.25, memory_mib=512)
CERTIFICATE = Certificate(restarts=True)
# Everything in memory: what is lost with it is computed again.
VALKEY_CONF = """\
bind 0.0.0.0
{listen}
protected-mode no
user default off
user superset on >{password} ~* &* +@all -@admin -@dangerous +info
save ""
appendonly no
maxmemory {memory}mb
maxmemory-policy allkeys-lru
"""
CLEAR_TEXT = "port {port}"
TLS = """\
port 0
tls-port {port}
tls-cert-file {tls.certificate}
tls-key-file {tls.key}
tls-ca-cert-file {tls.ca}
tls-protocols "TLSv1.2 TLSv1.3"
tls-auth-clients no"""  # they log in by name and password


@dataclass(frozen=True, kw_only=True)
class Superset:
    """cache_password: of the user `superset` of the cache."""

    cache_password: pulumi.Output[str]

    def parts(self, runtime: Runtime, stand_in: Service) -> Sequence[Service]:
        web = replace(stand_in, product=None)
        return [
            self._cache(runtime),
            self._with_cache(runtime, web),
            self._celery(runtime, web, WORKER, "worker", "--pool=threads", "--concurrency=4"),
            self._celery(runtime, web, BEAT, "beat", "--schedule=/tmp/beat", "--pidfile="),
        ]

    def _cache(self, runtime: Runtime) -> Service:
        config = runtime.directory(CACHE) / "config"
        ports = runtime.ports(CACHE)
        tls = runtime.certificate_files(CACHE, CERTIFICATE)
        listen = (TLS if tls else CLEAR_TEXT).format(port=ports["redis"], tls=tls)
        return Service(
            name=CACHE,
            program="valkey",
            command=(
                str(runtime.installed("valkey") / "bin/valkey-server"),
                str(config / "valkey.conf"),
            ),
            secret_files={
                "valkey.conf": self.cache_password.apply(
                    lambda password: VALKEY_CONF.format(
                        listen=listen, password=password, memory=SMALL.memory_mib // 2
                    )
                )
            },
            ports=ports,
            size=SMALL,
            certificate=CERTIFICATE,
            readiness=Readiness(kind="tcp", port=ports["redis"]),
        )

    def _with_cache(self, runtime: Runtime, service: Service) -> Service:
        """The same service with its caches, limits and tasks in the cache."""
        config = runtime.directory(service.name) / "config"
        cache = runtime.endpoint(CACHE, "redis")
        redis = {
            "host": cache.host,
            "port": cache.port,
            "user": "superset",
            "passwordFile": str(config / "cache-password"),
            **({"caFile": str(cache.ca_file)} if cache.ca_file else {}),
        }
        return replace(
            service,
            files={**service.files, "redis.json": json.dumps(redis, indent=2)},
            secret_files={**service.secret_files, "cache-password": self.cache_password},
            connects_to=(*service.connects_to, CACHE),
        )

    def _celery(self, runtime: Runtime, web: Service, name: str, *arguments: str) -> Service:
        python = runtime.installed("superset") / "bin/python"
        cache = runtime.endpoint(CACHE, "redis")
        here, there = (str(runtime.directory(n)) for n in (web.name, name))
        moved = {
            path: pulumi.Output.from_input(text).apply(lambda text: _moved(text, here, there))
            for path, text in web.files.items()
        }
        service = replace(
            web,
            name=name,
            command=(str(python), "-m", "celery", "--app", CELERY, *arguments),
            environment=superset_config.environment(
                config_dir=runtime.directory(name) / "config",
                data_dir=runtime.directory(name) / "data",
                project=runtime.project,
            ),
            files=moved,
            ports={},
            certificate=None,
            # Two beats would start everything twice.
            size=web.size if name == WORKER else replace(web.size, replicas=1),
            # It listens on nothing; without the cache it would wait for ever.
            readiness=Readiness(
                kind="command",
                command=(str(python), "-ISc", REACHES, cache.host, str(cache.port)),
                timeout_s=120,
            ),
        )
        return self._with_cache(runtime, service)


def _moved(settings: str, here: str, there: str) -> str:
    """The web server's settings for one that serves nobody, in another folder."""
    kept = {name: value for name, value in json.loads(settings).items() if name != "tls"}
    return json.dumps(kept, indent=2).replace(here, there) + "\n"
