"""The pipeline: the service that runs the flow by its schedule, and the first dbt build.

Both get the same configuration, rendered from the flow: what to sync, which datasets to refresh,
dbt's sources.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml

from components.context import Context
from components.ingestion.airbyte import CLIENT_ID, Airbyte
from components.processing.dremio import ADMIN, Dremio
from components.runtime.catalog import OBJECT_STORE
from components.runtime.service import (
    Certificate,
    Job,
    Readiness,
    RunningService,
    Runtime,
    Service,
)
from components.storage.backups import COPY, Backups
from components.storage.object_store import account_files, store_settings
from components.storage.postgres import Postgres
from components.storage.search import (
    AUDIT_WRITER,
    LOG_CLEANER,
    LOG_RETENTION_DAYS,
    MONITOR,
    Search,
)
from flow.dbt import digest, project_files
from flow.derive import dbt_sources, physical_dataset
from flow.model import DataFlow
from tls.authority import SERVICES
from tls.files import CertificateFiles

CERTIFICATE = Certificate()
SERVICE = "pipeline"
CALLED = ("airbyte", "dremio", "postgres", "superset")
# Services whose metrics it reads from their APIs: pipeline/exporters.py.
EXPORTED = ("airbyte", "dremio", "elasticsearch", "postgres")
DATABASE = "pipeline"
SUPERSET_USER = "admin"
DBT_PROJECT = Path(__file__).parents[2] / "dbt_project"
BUILD_TIMEOUT_S = 2 * 3600  # specification, "Performance Benchmarks": dbt, large dataset


@dataclass(frozen=True, kw_only=True)
class PipelineArgs:
    """sources_ready: after which every dbt source can be read. backups: whose age it tells."""

    context: Context
    flow: DataFlow
    postgres: Postgres
    search: Search
    airbyte: Airbyte
    dremio: Dremio
    backups: Backups | None
    sources_ready: Sequence[pulumi.Resource]


class Pipeline(pulumi.ComponentResource):
    service: RunningService
    exported: tuple[str, ...]  # whose metrics the service tells, beside its own
    first_build: pulumi.Resource  # done when the models of silver and gold exist

    def __init__(
        self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:processing:Pipeline", name, None, opts)
        needs = [
            args.postgres.databases[DATABASE],
            *([args.search.log_cleaner] if args.search.log_cleaner else []),
            args.search.audit_writer,
            args.dremio.lake,
            *args.dremio.spaces.values(),
            *(args.backups.noted_ready if args.backups else []),
        ]
        self.exported = (*EXPORTED, *([COPY] if args.backups else []))
        self.service = args.context.runtime.service(_service(args), parent=self, depends_on=needs)
        self.first_build = args.context.runtime.job(
            _first_build(args), parent=self, depends_on=[*needs, *args.sources_ready]
        )
        self.register_outputs({"metrics": self.service.endpoints["metrics"].url})


def _service(args: PipelineArgs) -> Service:
    ports = args.context.runtime.ports(SERVICE)
    tls = args.context.runtime.certificate_files(SERVICE, CERTIFICATE)
    watched = _watched(args.context.runtime) if tls else {}
    asked = {service for service, _label in watched} - {SERVICE}
    return Service(
        name=SERVICE,
        command=_command(args, SERVICE, "serve"),
        files=_files(
            args,
            SERVICE,
            {**_search(args), **_lake(args), **_certificates(args.context.runtime, tls)},
        ),
        secret_files={
            **_secret_files(args),
            "audit-password": args.context.credentials.secret("elasticsearch-audit"),
            "search-password": args.context.credentials.secret("elasticsearch-metrics"),
            **(account_files("lake", args.backups.noted) if args.backups else {}),
        },
        ports=ports,
        size=args.context.sizes["pipeline"],
        certificate=CERTIFICATE,
        readiness=Readiness(kind="http", port=ports["metrics"], path="/health"),
        connects_to=tuple(
            sorted(asked.union(CALLED, EXPORTED, [OBJECT_STORE] if args.backups else []))
        ),
    )


def _first_build(args: PipelineArgs) -> Job:
    return Job(
        name="dbt-build",
        command=_command(args, "dbt-build", "build"),
        files=_files(args, "dbt-build"),
        secret_files=_secret_files(args),
        connects_to=CALLED,
        triggers={"dbtProject": digest(project_files(DBT_PROJECT))},
        timeout_s=BUILD_TIMEOUT_S,
    )


def _command(args: PipelineArgs, name: str, verb: str) -> tuple[str, ...]:
    config = args.context.runtime.directory(name) / "config" / "pipeline.json"
    return args.context.runtime.python("pipeline", verb, "--config", str(config))


def _secret_files(args: PipelineArgs) -> Mapping[str, pulumi.Output[str]]:
    secret = args.context.credentials.secret
    files = {
        "airbyte-secret": secret("airbyte-client"),
        "database-password": secret(f"postgres-{DATABASE}"),
        "dremio-password": secret("dremio-admin"),
        "superset-password": secret("superset-admin"),
    }
    if args.search.log_cleaner:
        files["logs-password"] = secret("elasticsearch-airbyte-logs-cleaner")
    return files


def _files(
    args: PipelineArgs, name: str, more: Mapping[str, Any] | None = None
) -> Mapping[str, str]:
    config = {**_config(args, args.context.runtime.directory(name)), **(more or {})}
    return {
        "pipeline.json": json.dumps(config, indent=2),
        "dbt-sources/sources.yml": yaml.safe_dump(dbt_sources(args.flow), sort_keys=False),
    }


def _logs(args: PipelineArgs, config: Path) -> dict[str, Any]:
    """Whose indices it deletes when they are old, where Elasticsearch does not do so itself."""
    if args.search.log_cleaner is None:
        return {}
    return {
        "logs": {
            "url": args.search.endpoint.url,
            "username": LOG_CLEANER,
            "passwordFile": str(config / "logs-password"),
            "retentionDays": LOG_RETENTION_DAYS,
        }
    }


def _search(args: PipelineArgs) -> dict[str, Any]:
    """Whom it asks for Elasticsearch's state, and where it keeps the audit log, and as whom."""
    config = args.context.runtime.directory(SERVICE) / "config"
    return {
        "audit": {
            "url": args.search.endpoint.url,
            "username": AUDIT_WRITER,
            "passwordFile": str(config / "audit-password"),
            "retentionDays": LOG_RETENTION_DAYS,
        },
        "search": {
            "url": args.search.endpoint.url,
            "username": MONITOR,
            "passwordFile": str(config / "search-password"),
            **({"snapshots": args.search.snapshots} if args.search.snapshots else {}),
        },
    }


def _lake(args: PipelineArgs) -> dict[str, Any]:
    """Where it reads when the lake was copied."""
    if args.backups is None:
        return {}
    config = args.context.runtime.directory(SERVICE) / "config"
    return {"lake": store_settings("lake", args.backups.noted, config)}


def _certificates(runtime: Runtime, tls: CertificateFiles | None) -> dict[str, Any]:
    """The service's own certificate, and the ports whose certificates it watches."""
    if tls is None:
        return {}
    ports = {f"{service}-{label}": url for (service, label), url in _watched(runtime).items()}
    return {"tls": tls.config(), "certificates": ports}


def _watched(runtime: Runtime) -> dict[tuple[str, str], str]:
    """(service, port) -> address, of all that the stack's authority certifies."""
    endpoints = {
        (service, label): runtime.endpoint(service, label)
        for service in SERVICES
        for label in runtime.ports(service)
    }
    return {name: endpoint.url for name, endpoint in endpoints.items() if endpoint.ca_file}


def _config(args: PipelineArgs, directory: Path) -> dict[str, Any]:
    """The shape that pipeline/config.py reads."""
    config = directory / "config"
    flow = args.flow
    schedules = [source.schedule for source in flow.sources if source.schedule]
    return {
        "stack": pulumi.get_stack(),
        "host": args.context.runtime.bind_host,
        "port": args.context.runtime.ports("pipeline")["metrics"],
        "airbyte": {
            "url": args.airbyte.endpoint.url,
            "clientId": CLIENT_ID,
            "clientSecretFile": str(config / "airbyte-secret"),
            "connections": [source.name for source in flow.sources],
        },
        "dremio": {
            "url": args.dremio.rest.url,
            "username": ADMIN,
            "passwordFile": str(config / "dremio-password"),
            "datasets": [physical_dataset(stream) for stream in flow.streams],
            "reflectionDatasets": [
                dataset.split(".") for dataset in sorted({r.dataset for r in flow.reflections})
            ],
        },
        "dbt": {
            "executable": str(args.context.runtime.installed("dbt") / "bin" / "dbt"),
            "projectDir": str(args.context.runtime.project / DBT_PROJECT.name),
            "sourcesDir": str(config / "dbt-sources"),
            "workDir": str(directory / "data"),
        },
        "database": {
            "host": args.postgres.endpoint.host,
            "port": args.postgres.endpoint.port,
            "dbname": DATABASE,
            "user": DATABASE,
            "passwordFile": str(config / "database-password"),
        },
        "superset": {
            "url": args.context.runtime.endpoint("superset", "http").url,
            "username": SUPERSET_USER,
            "passwordFile": str(config / "superset-password"),
            "dashboards": [dashboard.slug for dashboard in flow.dashboards],
        },
        **_logs(args, config),
        # One batch: it begins with the earliest source and runs all of them.
        "schedule": min(schedules, key=_minute_of_day, default=None),
    }


def _minute_of_day(cron: str) -> int:
    _second, minute, hour, *_day = cron.split()
    return int(hour) * 60 + int(minute) if hour.isdigit() and minute.isdigit() else 0
