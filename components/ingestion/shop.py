"""The sample source system: database `shop`, filled by a standard generator.

Creates the job that fills it and a role for Airbyte that may only read.
"""

import json
from dataclasses import dataclass

import pulumi

from components.context import Context
from components.ingestion.connections import SourceSystem
from components.runtime.service import Job
from components.storage.postgres import Postgres

DATABASE = "shop"
READER = "airbyte_reader"
SEED_TIMEOUT_S = 1800  # measured: 10 s for 150,000 orders, so hours of margin at the largest size


@dataclass(frozen=True, kw_only=True)
class ShopArgs:
    """orders: how many orders the sample database holds."""

    context: Context
    postgres: Postgres
    orders: int


class Shop(pulumi.ComponentResource):
    system: SourceSystem  # how Airbyte reads it

    def __init__(
        self, name: str, args: ShopArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:ingestion:Shop", name, None, opts)
        filled = args.context.runtime.job(
            _seed(args), parent=self, depends_on=[args.postgres.databases[DATABASE]]
        )
        reader = args.postgres.role(READER)
        grants = args.postgres.read_grants(reader, DATABASE, tables_from=filled)
        self.system = SourceSystem(
            configuration={
                "host": args.postgres.endpoint.host,
                "port": args.postgres.endpoint.port,
                "database": DATABASE,
                "schemas": ["public"],
                "username": READER,
                "password": args.context.credentials.secret(f"postgres-{READER}"),
                "ssl_mode": _ssl_mode(args),
                "replication_method": {"method": "Standard"},
            },
            ready=grants,
        )
        self.register_outputs({"database": DATABASE, "orders": args.orders})


def _ssl_mode(args: ShopArgs) -> dict[str, pulumi.Input[str]]:
    if args.postgres.endpoint.ca_file is None:
        return {"mode": "disable"}
    return {"mode": "verify-full", "ca_certificate": args.context.authority}


def _seed(args: ShopArgs) -> Job:
    config = args.context.runtime.directory("shop-seed") / "config"
    settings = {
        "host": args.postgres.endpoint.host,
        "port": args.postgres.endpoint.port,
        "dbname": DATABASE,
        "user": DATABASE,
        "passwordFile": str(config / "database-password"),
        "orders": args.orders,
    }
    return Job(
        name="shop-seed",
        command=args.context.runtime.python(
            "services.shop", "seed", "--config", str(config / "shop.json")
        ),
        files={"shop.json": json.dumps(settings, indent=2)},
        secret_files={
            "database-password": args.context.credentials.secret(f"postgres-{DATABASE}")
        },
        connects_to=("postgres",),
        triggers={"orders": str(args.orders)},
        timeout_s=SEED_TIMEOUT_S,
    )
