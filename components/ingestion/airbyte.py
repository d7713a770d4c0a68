"""Airbyte: the control plane that runs connections.

The embedded, API-compatible engine (docs/compatibility.md), or the product, which needs a cluster.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pulumi

from components.context import Context
from components.runtime.products import airbyte as product
from components.runtime.service import Certificate, Endpoint, Readiness, RunningService, Service
from components.storage.object_store import Access, ObjectStore
from components.storage.postgres import Owner, Postgres
from components.storage.search import AUDIT, LOG_WRITER, Search

CLIENT_ID = "dataflow"
DATABASE = "airbyte"
CERTIFICATE = Certificate()
PRODUCT = "product"  # of dataflow:airbyte
# What the product needs beside what the embedded engine does.
PRODUCT_STORE_USER = "airbyte-platform"
PRODUCT_ACCESS = Access(user=PRODUCT_STORE_USER, read=product.PREFIXES, write=product.PREFIXES)
EMBEDDED_OWNERS = (Owner(role=DATABASE),)
PRODUCT_OWNERS = (
    Owner(role=DATABASE, connections=60),  # its servers and workers have pools of their own
    Owner(
        role=product.TEMPORAL_ROLE,
        databases=tuple(product.TEMPORAL_DATABASES.values()),
        connections=50,
    ),
)


@dataclass(frozen=True, kw_only=True)
class AirbyteArgs:
    """engine: as `dataflow:airbyte` says it."""

    engine: str
    context: Context
    postgres: Postgres
    search: Search
    object_store: ObjectStore


class Airbyte(pulumi.ComponentResource):
    endpoint: Endpoint
    service: RunningService

    def __init__(
        self, name: str, args: AirbyteArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:ingestion:Airbyte", name, None, opts)
        service = _embedded(args)
        needs: list[pulumi.Resource] = [args.postgres.databases[DATABASE]]
        if args.engine == PRODUCT:
            service = replace(service, product=_product(args))
            databases = product.TEMPORAL_DATABASES.values()
            needs += [args.postgres.databases[database] for database in databases]
            needs += args.object_store.ready(PRODUCT_STORE_USER)
        else:
            needs += [args.search.log_writer]
        self.service = args.context.runtime.service(service, parent=self, depends_on=needs)
        self.endpoint = self.service.endpoints["api"]
        self.register_outputs({"url": self.endpoint.url})


def _product(args: AirbyteArgs) -> product.Airbyte:
    secret = args.context.credentials.secret
    return product.Airbyte(
        database=args.postgres.endpoint,
        user=DATABASE,
        database_password=secret(f"postgres-{DATABASE}"),
        temporal_password=secret(f"postgres-{product.TEMPORAL_ROLE}"),
        store=args.object_store.bucket(PRODUCT_STORE_USER),
        client_id=CLIENT_ID,
        client_secret=secret("airbyte-client"),
        password=secret("airbyte-admin"),
        signature=secret("airbyte-signature"),
        authority=args.context.authority,
        keystore_password=secret("airbyte-keystore"),
        sizes={name: args.context.sizes[name] for name in product.PARTS},
    )


def _embedded(args: AirbyteArgs) -> Service:
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
        # Its jobs are in one process.
        size=replace(args.context.sizes["airbyte"], replicas=1),
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
