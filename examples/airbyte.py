"""Airbyte's resources, one of each: a shop's orders copied into the bucket of a data lake."""

import pulumi

from dynamic_providers.airbyte.resources import (
    Connection,
    DeclarativeDefinition,
    Destination,
    DestinationDefinition,
    Source,
    SourceDefinition,
    Sync,
    Tag,
    Workspace,
)

secrets = pulumi.Config("examples")

workspace = Workspace("shops", name="Shops")

shop = Source(
    "shop",
    name="shop",
    workspace_id=workspace.workspace_id,
    configuration={
        "sourceType": "postgres",
        "host": "db.example",
        "port": 5432,
        "database": "shop",
        "username": "reader",
        "password": secrets.require_secret("shopPassword"),
    },
)

lake = Destination(
    "lake",
    name="lake",
    workspace_id=workspace.workspace_id,
    configuration={
        "destinationType": "s3",
        "s3_bucket_name": "datalake",
        "s3_bucket_path": "bronze/shop",
        "s3_bucket_region": "us-east-1",
        "s3_endpoint": "http://store.example:9000",
        "access_key_id": "airbyte",
        "secret_access_key": secrets.require_secret("storeKey"),
        "s3_path_format": "${STREAM_NAME}/date=${YEAR}-${MONTH}-${DAY}/",
        "format": {"format_type": "Parquet"},
    },
)

nightly = Tag("nightly", name="nightly", color="336699", workspace_id=workspace.workspace_id)

connection = Connection(
    "shop-to-lake",
    name="shop to lake",
    source_id=shop.source_id,
    destination_id=lake.destination_id,
    destination_type="s3",
    streams=[
        {"name": "orders", "syncMode": "incremental_append", "cursorField": ["updated_at"]},
        {"name": "products", "syncMode": "full_refresh_overwrite"},
    ],
    schedule={"scheduleType": "cron", "cronExpression": "0 0 1 * * ?"},
    tags=[nightly.id],
)

first_sync = Sync(
    "first-sync",
    connection_id=connection.connection_id,
    triggers={"streams": "orders,products"},
)

tills = SourceDefinition(
    "tills",
    name="Tills",
    docker_repository="registry.example/source-tills",
    docker_image_tag="1.2.0",
)

archive = DestinationDefinition(
    "archive",
    name="Archive",
    docker_repository="registry.example/destination-archive",
    docker_image_tag="0.4.1",
)

weather = DeclarativeDefinition(
    "weather",
    name="Weather",
    manifest={
        "type": "DeclarativeSource",
        "version": "6.0.0",
        "check": {"type": "CheckStream", "stream_names": ["days"]},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "days",
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {
                        "type": "HttpRequester",
                        "url_base": "https://weather.example",
                        "path": "/days",
                    },
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": []},
                    },
                },
            }
        ],
    },
)
