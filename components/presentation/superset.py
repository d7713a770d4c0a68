"""Superset: the server of dashboards, with its metadata in PostgreSQL."""

from dataclasses import dataclass

import pulumi

from components.context import Context
from components.runtime.products.superset import Superset as SupersetProduct
from components.runtime.service import Certificate, Endpoint, Readiness, RunningService, Service
from components.storage.postgres import Postgres
from components.storage.search import AUDIT
from services.superset import config as superset_config

ADMIN = "admin"
DATABASE = "superset"
CERTIFICATE = Certificate()
OTHER_KEY = "other-secret-key"  # while it is replaced
FIRST_START_S = 300  # migrations and permissions of an empty metadata database


@dataclass(frozen=True, kw_only=True)
class SupersetArgs:
    context: Context
    postgres: Postgres


class Superset(pulumi.ComponentResource):
    endpoint: Endpoint
    service: RunningService

    def __init__(
        self, name: str, args: SupersetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:presentation:Superset", name, None, opts)
        self.service = args.context.runtime.service(
            _service(args), parent=self, depends_on=[args.postgres.databases[DATABASE]]
        )
        self.endpoint = self.service.endpoints["http"]
        self.register_outputs({"url": self.endpoint.url})


def _service(args: SupersetArgs) -> Service:
    runtime = args.context.runtime
    secret, others = args.context.credentials.secret, args.context.credentials.others
    directory = runtime.directory("superset")
    config, data = directory / "config", directory / "data"
    ports = runtime.ports("superset")
    return Service(
        name="superset",
        program="superset",
        command=superset_config.command(runtime.installed("superset"), runtime.project),
        environment=superset_config.environment(
            config_dir=config, data_dir=data, project=runtime.project
        ),
        files=superset_config.files(
            host=runtime.bind_host,
            port=ports["http"],
            metadata={
                "host": args.postgres.endpoint.host,
                "port": args.postgres.endpoint.port,
                "dbname": DATABASE,
                "user": DATABASE,
                "passwordFile": str(config / "database-password"),
            },
            secret_key_file=config / "secret-key",
            other_secret_key_file=config / OTHER_KEY if others else None,
            admin_user=ADMIN,
            admin_password_file=config / "admin-password",
            data_dir=data,
            tls=runtime.certificate_files("superset", CERTIFICATE),
        ),
        secret_files={
            "admin-password": secret("superset-admin"),
            "database-password": secret(f"postgres-{DATABASE}"),
            "secret-key": secret("superset-secret-key"),
            **({OTHER_KEY: others[0].secret("superset-secret-key")} if others else {}),
        },
        ports=ports,
        size=args.context.sizes["superset"],
        audit=AUDIT,
        certificate=CERTIFICATE,
        readiness=Readiness(
            kind="http",
            port=ports["http"],
            path=superset_config.READY_PATH,
            timeout_s=FIRST_START_S,
        ),
        connects_to=("dremio", "postgres"),
        product=SupersetProduct(cache_password=secret("superset-cache")),
    )
