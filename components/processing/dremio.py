"""Dremio: one query layer over the lake.

Creates the engine (on the process runtime the embedded, API-compatible one), its first user,
the S3 source `lake` over the bucket, and one space per layer for short names such as
`gold.fct_daily_revenue`.
"""

import json
from dataclasses import dataclass

import pulumi

from components.context import Context
from components.options import child_of
from components.runtime.products.dremio import Dremio as DremioProduct
from components.runtime.service import Certificate, Endpoint, Readiness, RunningService, Service
from components.storage.object_store import REGION, ObjectStore
from components.storage.search import AUDIT
from dynamic_providers.dremio.resources import FirstUser, Source, Space
from dynamic_providers.dremio.source import minio_config
from flow.derive import LAKE
from flow.model import DataFlow, Layer

ADMIN = "admin"
STORE_USER = "dremio"
CERTIFICATE = Certificate()
HOUR_MS = 3_600_000
# Specification, "Storage Format Strategy". A setting of the embedded engine, since dbt-dremio
# cannot name a codec; Dremio ignores properties that it does not know.
GOLD_CODEC = {"name": "dremio.parquet.compression.gold", "value": "zstd"}


@dataclass(frozen=True, kw_only=True)
class DremioArgs:
    context: Context
    flow: DataFlow
    object_store: ObjectStore


class Dremio(pulumi.ComponentResource):
    rest: Endpoint
    flight: Endpoint
    service: RunningService
    lake: Source
    spaces: dict[Layer, Space]

    def __init__(
        self, name: str, args: DremioArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:processing:Dremio", name, None, opts)
        self.service = args.context.runtime.service(_service(args), parent=self)
        self.rest = self.service.endpoints["rest"]
        self.flight = self.service.endpoints["flight"]
        first_user = FirstUser(
            f"{name}-first-user",
            user_name=ADMIN,
            opts=child_of(self, depends_on=[self.service.resource]),
        )
        self.lake = Source(
            f"{name}-source-{LAKE}",
            name=LAKE,
            type="S3",
            config=_lake_config(args),
            policy=_refresh_policy(args.flow),
            opts=child_of(
                self,
                depends_on=[first_user, *args.object_store.ready(STORE_USER)],
            ),
        )
        self.spaces = {
            layer: Space(
                f"{name}-space-{layer}",
                name=layer.value,
                opts=child_of(self, depends_on=[first_user]),
            )
            for layer in Layer
        }
        self.register_outputs({"rest": self.rest.url, "flight": self.flight.url})


def _service(args: DremioArgs) -> Service:
    directory = args.context.runtime.directory("dremio")
    ports = args.context.runtime.ports("dremio")
    tls = args.context.runtime.certificate_files("dremio", CERTIFICATE)
    config = {
        "host": args.context.runtime.bind_host,
        "restPort": ports["rest"],
        "flightPort": ports["flight"],
        "dataDir": str(directory / "data"),
        "edition": "community",
        **({"tls": tls.config()} if tls else {}),
    }
    return Service(
        name="dremio",
        command=args.context.runtime.python(
            "embedded.dremio", "--config", str(directory / "config" / "dremio.json")
        ),
        files={"dremio.json": json.dumps(config, indent=2)},
        ports=ports,
        size=args.context.sizes["dremio"],
        audit=AUDIT,
        certificate=CERTIFICATE,
        readiness=Readiness(kind="tcp", port=ports["flight"]),
        connects_to=("minio",),
        product=DremioProduct(
            bucket=args.object_store.bucket(STORE_USER),
            keystore_password=args.context.credentials.secret("dremio-keystore"),
            executor=args.context.sizes["dremio-executor"],
        ),
    )


def _lake_config(args: DremioArgs) -> dict[str, object]:
    bucket = args.object_store.bucket(STORE_USER)
    settings = minio_config(
        f"{bucket.endpoint.host}:{bucket.endpoint.port}",
        bucket.access_key,
        bucket.secret_key,
        [bucket.name],
        tls=bucket.endpoint.scheme == "https",
    )
    # MinIO's own is the client's default.
    region = {"name": "fs.s3a.endpoint.region", "value": bucket.region}
    regions = [] if bucket.region == REGION else [region]
    return {
        **settings,
        "rootPath": f"/{bucket.name}",  # so that paths begin with the layer
        "defaultCtasFormat": "PARQUET",
        "propertyList": [*settings["propertyList"], *regions, GOLD_CODEC],
    }


def _refresh_policy(flow: DataFlow) -> dict[str, object]:
    """Dremio keeps the policy with the source: all its tables share the shortest period."""
    hours = min((reflection.refresh_hours for reflection in flow.reflections), default=1)
    return {
        "accelerationActivePolicyType": "PERIOD",
        "accelerationRefreshPeriodMs": hours * HOUR_MS,
        "accelerationGracePeriodMs": 3 * hours * HOUR_MS,
    }
