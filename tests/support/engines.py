"""The embedded Airbyte and Dremio as processes, and what the platform declares in them."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from minio import Minio

from dynamic_providers.airbyte import connection, destination
from dynamic_providers.airbyte import source as airbyte_source
from dynamic_providers.airbyte.client import CLIENT_ID, AirbyteClient
from dynamic_providers.dremio import first_user, physical_dataset, source, space, view
from dynamic_providers.dremio.client import DremioClient
from flow.derive import (
    BUCKET,
    LAKE,
    bronze_view,
    connection_stream,
    dbt_sources,
    landing_prefix,
)
from flow.derive import physical_dataset as path_of
from flow.model import DataFlow, Layer, Source, Stream
from tests.services.running import Place
from tests.services_fixtures import Server
from tests.support.ports import free_ports
from tools.paths import ROOT, Paths

PYTHON_ENV = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
PASSWORD = "of-the-test-1"


def make(handler: Any, client: Any, **inputs: Any) -> str:
    """Creates an object as the platform's components do, and returns its id."""
    return str(handler.create(client, handler.normalize(inputs)).id)


@contextmanager
def running_dremio(place: Place) -> Iterator[tuple[str, DremioClient]]:
    """URL of the REST API, and a client of its first user."""
    rest, flight = free_ports(2)
    settings = {
        "host": "127.0.0.1",
        "restPort": rest,
        "flightPort": flight,
        "dataDir": str(place.data),
        "edition": "community",
    }
    config = place.write("dremio.json", json.dumps(settings))
    url = f"http://127.0.0.1:{rest}"
    command = [sys.executable, "-m", "embedded.dremio", "--config", str(config)]
    with place.running(command, lambda: bool(httpx.get(f"{url}/apiv2/login")), PYTHON_ENV):
        client = DremioClient(url, PASSWORD)
        make(first_user, client)
        yield url, client
        client.close()


@contextmanager
def running_airbyte(
    place: Place, database: dict[str, Any], password: str
) -> Iterator[tuple[str, AirbyteClient]]:
    (port,) = free_ports(1)
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "database": database | {"passwordFile": str(place.write("database-password", password))},
        "clientId": CLIENT_ID,
        "clientSecretFile": str(place.write("client-secret", PASSWORD)),
        "workDir": str(place.data),
        "authEnabled": True,
    }
    config = place.write("airbyte.json", json.dumps(settings))
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "embedded.airbyte", "--config", str(config)]
    health = f"{url}/api/public/v1/health"
    with place.running(command, lambda: httpx.get(health).is_success, PYTHON_ENV):
        client = AirbyteClient(url, PASSWORD)
        yield url, client
        client.close()


def object_store(server: Server) -> Minio:
    """A client of MinIO with an empty bucket of the lake."""
    client = Minio(
        server.address, access_key=server.user, secret_key=server.password, secure=False
    )
    if not client.bucket_exists(BUCKET):
        client.make_bucket(BUCKET)
    for found in client.list_objects(BUCKET, recursive=True):
        client.remove_object(BUCKET, found.object_name)
    return client


def declare_connection(
    client: AirbyteClient,
    origin: Source,
    streams: Sequence[Stream],
    system: dict[str, Any],
    store: Server,
) -> str:
    """Id of a connection from a source system into its folder in bronze."""
    origin_id = make(
        airbyte_source,
        client,
        name=origin.name,
        configuration={"sourceType": origin.connector, **origin.configuration, **system},
    )
    target_id = make(
        destination,
        client,
        name=f"{BUCKET}-{origin.name}",
        configuration={
            "destinationType": "s3",
            "s3_bucket_name": BUCKET,
            "s3_bucket_path": landing_prefix(origin),
            "s3_bucket_region": "us-east-1",
            "s3_endpoint": store.url,
            "access_key_id": store.user,
            "secret_access_key": store.password,
            "s3_path_format": f"${{STREAM_NAME}}/{origin.partition}/",
            "format": {"format_type": "Parquet", "compression_codec": "SNAPPY"},
        },
    )
    return make(
        connection,
        client,
        name=origin.name,
        sourceId=origin_id,
        destinationId=target_id,
        streams=[connection_stream(stream) for stream in streams],
    )


def declare_lake(client: DremioClient, store: Server) -> None:
    config = source.minio_config(store.address, store.user, store.password, [BUCKET])
    config |= {"rootPath": f"/{BUCKET}", "defaultCtasFormat": "PARQUET"}
    config["propertyList"].append({"name": "dremio.parquet.compression.gold", "value": "zstd"})
    make(source, client, name=LAKE, type="S3", config=config)
    for layer in Layer:
        make(space, client, name=layer.value)


def declare_bronze(client: DremioClient, streams: Sequence[Stream]) -> None:
    """Dataset and view of each stream; its files must be there."""
    for stream in streams:
        path = path_of(stream)
        make(physical_dataset, client, path=path, format={"type": "Parquet"})
        select = "SELECT * FROM " + ".".join(f'"{part}"' for part in path)
        make(view, client, path=bronze_view(stream), sql=select)


def pipeline_settings(
    folder: Path,
    flow: DataFlow,
    streams: Sequence[Stream],
    *,
    airbyte_url: str,
    dremio_url: str,
    database: dict[str, Any],
) -> dict[str, Any]:
    """Settings of a pipeline over the engines above. Skips the test when dbt is missing."""
    dbt = Paths.find().venvs / "dbt" / "bin" / "dbt"
    if not dbt.exists():
        pytest.skip(f"{dbt} is missing: install it with `make bootstrap`")
    password = folder / "engine-password"
    password.write_text(PASSWORD)
    sources = folder / "sources"
    sources.mkdir()
    (sources / "sources.yml").write_text(yaml.safe_dump(dbt_sources(flow)))
    return {
        "stack": folder.name,
        "host": "127.0.0.1",
        "port": free_ports(1)[0],
        "airbyte": {
            "url": airbyte_url,
            "clientId": CLIENT_ID,
            "clientSecretFile": str(password),
            "connections": sorted({stream.source for stream in streams}),
        },
        "dremio": {
            "url": dremio_url,
            "username": "admin",
            "passwordFile": str(password),
            "datasets": [path_of(stream) for stream in streams],
            "reflectionDatasets": [],
        },
        "dbt": {
            "executable": str(dbt),
            "projectDir": str(ROOT / "dbt_project"),
            "sourcesDir": str(sources),
            "workDir": str(folder / "work"),
        },
        "database": database,
    }
