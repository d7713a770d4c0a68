"""Services that the handlers are tested against: in-process fakes, and the real things."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pyarrow
import pytest
from minio import Minio
from pyarrow import parquet

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.dremio import first_user
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.superset.client import SupersetClient
from services.superset import config as superset_config
from tests.dynamic_providers.cases import Service
from tests.fakes.airbyte import Airbyte
from tests.fakes.dremio import Dremio
from tests.fakes.serving import serving
from tests.fakes.superset import Superset
from tests.services.running import installed
from tests.support.ports import free_ports
from tools.paths import Paths

SECRET = "5ecret-of-the-application"
PASSWORD = "pa55word-of-the-admin"
POSTGRES = {
    "sourceType": "postgres",
    "host": "127.0.0.1",
    "port": 5432.0,  # as numbers arrive from the engine
    "database": "shop",
    "username": "reader",
    "password": "pa55word-of-the-shop",
}
S3 = {
    "destinationType": "s3",
    "s3_bucket_name": "datalake",
    "s3_bucket_path": "bronze",
    "s3_bucket_region": "us-east-1",
    "access_key_id": "airbyte",
    "secret_access_key": "key-of-the-5tore",
    "format": {"format_type": "Parquet", "compression_codec": "SNAPPY"},
}
STREAMS = (
    {"name": "orders", "syncMode": "incremental_append", "cursorField": "updated_at"},
    {"name": "customers", "syncMode": "full_refresh_overwrite"},
)


@pytest.fixture
def airbyte_fake() -> Iterator[Airbyte]:
    yield Airbyte(SECRET)


@pytest.fixture
def airbyte(airbyte_fake) -> Iterator[Service]:
    with ExitStack() as stack:
        client = AirbyteClient(stack.enter_context(serving(airbyte_fake.app)), SECRET)
        stack.callback(client.close)
        yield Service(
            client=client,
            facts={
                "source": POSTGRES,
                "source_change": {"host": "db.example", "password": "new-pa55word"},
                "destination": S3,
                "streams": STREAMS,
                "connection_change": {"nonBreakingSchemaUpdatesBehavior": "propagate_columns"},
            },
        )


@pytest.fixture
def dremio_fake() -> Iterator[Dremio]:
    yield Dremio()


@pytest.fixture
def dremio(dremio_fake) -> Iterator[Service]:
    with ExitStack() as stack:
        client = DremioClient(stack.enter_context(serving(dremio_fake.app)), PASSWORD)
        stack.callback(client.close)
        first_user.create(client, first_user.normalize({}))

        def put_files(source: str) -> list[str]:
            dremio_fake.files.add((source, "datalake", "orders"))
            return [source, "datalake", "orders"]

        yield Service(
            client=client,
            facts={
                "store": ("127.0.0.1:9000", "dremio", "key-of-the-5tore", ["datalake"]),
                "put_files": put_files,
            },
        )


@pytest.fixture
def superset_fake() -> Iterator[Superset]:
    yield Superset(PASSWORD)


@pytest.fixture
def superset(superset_fake) -> Iterator[Service]:
    with ExitStack() as stack:
        client = SupersetClient(stack.enter_context(serving(superset_fake.app)), PASSWORD)
        stack.callback(client.close)
        uri = f"postgresql://analyst:{PASSWORD}@127.0.0.1:5432/warehouse"
        yield Service(
            client=client, facts={"uri": uri, "schema_of": lambda name: f"[{name}].[public]"}
        )


@pytest.fixture(scope="session")
def real_superset(postgres_server, service_place) -> Iterator[Service]:
    """The real Superset, over a warehouse with one table."""
    where = {"host": postgres_server.host, "port": postgres_server.port}
    admin = {**where, "user": postgres_server.user}
    with psycopg.connect(
        **admin, password=postgres_server.password, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE DATABASE superset_of_handlers")
        connection.execute("CREATE DATABASE warehouse_of_handlers")
        connection.execute(f"CREATE USER analyst PASSWORD '{PASSWORD}'")
    with psycopg.connect(
        **admin, password=postgres_server.password, dbname="warehouse_of_handlers"
    ) as connection:
        connection.execute("CREATE TABLE orders (id int, amount numeric, order_date timestamp)")
        connection.execute("GRANT SELECT ON orders TO analyst")
    place, (port,) = service_place("superset"), free_ports(1)
    venv = installed(Paths.find().venvs / "superset")
    metadata_password = place.write("database", postgres_server.password)
    secret_key, _ = place.secret("secret-key")
    texts = superset_config.files(
        port=port,
        metadata={
            **admin, "dbname": "superset_of_handlers", "passwordFile": str(metadata_password)
        },
        secret_key_file=secret_key,
        admin_user="admin",
        admin_password_file=place.write("admin", PASSWORD),
        data_dir=place.data,
    )  # fmt: skip
    for name, text in texts.items():
        place.write(name, text)
    url = f"http://127.0.0.1:{port}"
    with place.running(
        superset_config.command(venv),
        lambda: httpx.get(url + superset_config.READY_PATH, timeout=30).is_success,
        superset_config.environment(config_dir=place.config, data_dir=place.data),
        timeout_s=240,
    ):
        client = SupersetClient(url, PASSWORD)
        address = f"{postgres_server.address}/warehouse_of_handlers"
        uri = f"postgresql://analyst:{PASSWORD}@{address}"
        yield Service(
            client=client,
            facts={
                "uri": uri,
                "schema_of": lambda name: f"[{name}].[warehouse_of_handlers].[public]",
            },
        )
        client.close()


@pytest.fixture(scope="session")
def store(minio_server) -> tuple[str, str, str, list[str]]:
    """Address, access key, secret key and buckets of a store with one folder of Parquet."""
    client = Minio(minio_server.address, minio_server.user, minio_server.password, secure=False)
    client.make_bucket("handlers")
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": [1, 2], "amount": [1.5, 2.5]}), file)
    file.seek(0)
    client.put_object("handlers", "orders/part-0.parquet", file, len(file.getvalue()))
    return minio_server.address, minio_server.user, minio_server.password, ["handlers"]


@contextmanager
def embedded(place, name: str, config: dict, ready: str) -> Iterator[None]:
    """One of the embedded engines, as a stack runs it. ready: address that answers."""
    path = place.write(f"{name}.json", json.dumps(config))
    with place.running(
        [sys.executable, "-m", f"embedded.{name}", "--config", str(path)],
        lambda: httpx.get(ready, timeout=5).status_code < 500,
        {"PYTHONPATH": str(Path(__file__).parents[2])},
    ):
        yield


@pytest.fixture(scope="session")
def embedded_airbyte(postgres_server, store, service_place) -> Iterator[Service]:
    where = {"host": postgres_server.host, "port": postgres_server.port}
    admin = {**where, "user": postgres_server.user, "password": postgres_server.password}
    with psycopg.connect(**admin, dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE airbyte_of_handlers")
        connection.execute("CREATE DATABASE shop_of_handlers")
    with psycopg.connect(**admin, dbname="shop_of_handlers") as connection:
        for table in ("orders", "customers"):
            connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, updated_at timestamp)")
            connection.execute(f"INSERT INTO {table} VALUES (1, '2026-01-01')")
    place, (port,) = service_place("airbyte"), free_ports(1)
    config = {
        "host": "127.0.0.1",
        "port": port,
        "database": {
            **where,
            "dbname": "airbyte_of_handlers",
            "user": postgres_server.user,
            "passwordFile": str(place.write("database-password", postgres_server.password)),
        },
        "clientId": "dataflow",
        "clientSecretFile": str(place.write("client-secret", SECRET)),
        "workDir": str(place.data),
        "authEnabled": True,
    }
    url = f"http://127.0.0.1:{port}"
    endpoint, access_key, secret_key, (bucket,) = store
    with embedded(place, "airbyte", config, f"{url}/api/public/v1/health"):
        client = AirbyteClient(url, SECRET)
        yield Service(
            client=client,
            facts={
                "source": {
                    **POSTGRES,
                    **where,
                    "database": "shop_of_handlers",
                    "username": postgres_server.user,
                    "password": postgres_server.password,
                },
                "source_change": {"schemas": ["public"]},
                "destination": {
                    **S3,
                    "s3_bucket_name": bucket,
                    "s3_endpoint": f"http://{endpoint}",
                    "access_key_id": access_key,
                    "secret_access_key": secret_key,
                },
                "streams": STREAMS,
                "connection_change": {},
            },
        )
        client.close()


@pytest.fixture(scope="session")
def embedded_dremio(store, service_place) -> Iterator[Service]:
    place, (port, flight_port) = service_place("dremio"), free_ports(2)
    config = {
        "host": "127.0.0.1",
        "restPort": port,
        "flightPort": flight_port,
        "dataDir": str(place.data),
        "edition": "community",
    }
    url = f"http://127.0.0.1:{port}"
    with embedded(place, "dremio", config, f"{url}/apiv2/login"):
        client = DremioClient(url, PASSWORD)
        first_user.create(client, first_user.normalize({}))
        yield Service(
            client=client,
            facts={"store": store, "put_files": lambda source: [source, "handlers", "orders"]},
        )
        client.close()
