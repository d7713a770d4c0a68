"""Objects of Airbyte and Dremio, for the engine's test of the adapter."""

import pulumi

from dynamic_providers.airbyte import resources as airbyte
from dynamic_providers.dremio import resources as dremio
from dynamic_providers.dremio.source import minio_config

config = pulumi.Config()
password = config.require_secret("shopPassword")
suffix = config.get("suffix") or ""

source = airbyte.Source(
    "shop",
    name="shop",
    configuration={
        "sourceType": "postgres",
        "host": "127.0.0.1",
        "port": 5432,
        "database": "shop",
        "username": "reader",
        "password": password,
    },
)
lake = airbyte.Destination(
    "lake",
    name=f"lake{suffix}",
    configuration={
        "destinationType": "s3",
        "s3_bucket_name": "datalake",
        "s3_bucket_path": "bronze",
        "s3_bucket_region": "us-east-1",
        "secret_access_key": password,
        "format": {"format_type": "Parquet"},
    },
)
connection = airbyte.Connection(
    "shop-to-lake",
    name="shop to lake",
    source_id=source.source_id,
    destination_id=lake.destination_id,
    streams=[
        {
            "name": "orders",
            "syncMode": "incremental_append",
            "cursorField": config.get("cursor") or "updated_at",
        }
    ],
    schedule={"scheduleType": "cron", "cronExpression": "0 0 1 * * ?"},
)
sync = airbyte.Sync(
    "first-sync", connection_id=connection.connection_id, triggers={"of": "orders"}
)

user = dremio.FirstUser("user")
after_user = pulumi.ResourceOptions(depends_on=[user])
store = dremio.Source(
    "store",
    name="store",
    type="S3",
    config=minio_config("127.0.0.1:9000", "dremio", password, ["datalake"]),
    opts=after_user,
)
space = dremio.Space(f"gold{suffix}", name=f"gold{suffix}", opts=after_user)
table = dremio.PhysicalDataset(
    "orders",
    path=["store", "datalake", "orders"],
    format={"type": "Parquet"},
    opts=pulumi.ResourceOptions(depends_on=[store, sync]),
)
view = dremio.View(
    "view",
    path=[space.output("name"), "orders"],
    sql="SELECT id FROM store.datalake.orders",
    opts=pulumi.ResourceOptions(depends_on=[table]),
)
dremio.RawReflection(
    "raw",
    name="raw",
    dataset_path=view.output("path"),
    display_fields=["id"],
    opts=pulumi.ResourceOptions(depends_on=[view]),
)
