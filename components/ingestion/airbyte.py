"""Airbyte: the control plane that runs connections.

On the process runtime it is the embedded, API-compatible engine (docs/compatibility.md).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.context import Context
from components.runtime.service import Certificate, Endpoint, Readiness, RunningService, Service
from components.storage.postgres import Postgres
from components.storage.search import AUDIT, LOG_WRITER, Search

CLIENT_ID = "dataflow"
DATABASE = "airbyte"
CERTIFICATE = Certificate()


@dataclass(frozen=True, kw_only=True)
class AirbyteArgs:
    context: Context
    postgres: Postgres
    search: Search


class Airbyte(pulumi.ComponentResource):
    endpoint: Endpoint
    service: RunningService

    def __init__(
        self, name: str, args: AirbyteArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:ingestion:Airbyte", name, None, opts)
        self.service = args.context.runtime.service(
            _service(args),
            parent=self,
            depends_on=[args.postgres.databases[DATABASE], args.search.log_writer],
        )
        self.endpoint = self.service.endpoints["api"]
        self.register_outputs({"url": self.endpoint.url})


def _service(args: AirbyteArgs) -> Service:
    directory = args.context.runtime.directory("airbyte")
    secret = args.context.credentials.secret
    ports = args.context.runtime.ports("airbyte")
    return Service(
        name="airbyte",
        command=args.context.runtime.python(
            "embedded.airbyte", "--config", str(directory / "config" / "airbyte.json")
        ),
        files={"airbyte.json": json.dumps(_config(args, directory), indent=2)},
        secret_files={
            "client-secret": secret("airbyte-client"),
            "database-password": secret(f"postgres-{DATABASE}"),
            "logs-password": secret("elasticsearch-airbyte-logs"),
        },
        ports=ports,
        size=args.context.sizes["airbyte"],
        audit=AUDIT,
        certificate=CERTIFICATE,
        readiness=Readiness(kind="http", port=ports["api"], path="/api/public/v1/health"),
        connects_to=("elasticsearch", "minio", "postgres"),
        reaches_outside=True,  # sources are anywhere
    )


def _config(args: AirbyteArgs, directory: Path) -> dict[str, object]:
    config = directory / "config"
    tls = args.context.runtime.certificate_files("airbyte", CERTIFICATE)
    return {
        "host": args.context.runtime.bind_host,
        "port": args.context.runtime.ports("airbyte")["api"],
        "database": {
            "host": args.postgres.endpoint.host,
            "port": args.postgres.endpoint.port,
            "dbname": DATABASE,
            "user": DATABASE,
            "passwordFile": str(config / "database-password"),
        },
        "clientId": CLIENT_ID,
        "clientSecretFile": str(config / "client-secret"),
        "logs": {
            "elasticsearch": {
                "url": args.search.endpoint.url,
                "username": LOG_WRITER,
                "passwordFile": str(config / "logs-password"),
            }
        },
        "connectors": {
            "airbyte/source-faker": [
                str(args.context.runtime.installed("source-faker") / "bin" / "source-faker")
            ]
        },
        "workDir": str(directory / "data"),
        "authEnabled": True,
        **({"tls": tls.config()} if tls else {}),
    }
