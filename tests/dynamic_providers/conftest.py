"""Services that the handlers are tested against: in-process fakes, and the real things."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import psycopg
import pytest

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.dremio import first_user
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.superset.client import SupersetClient
from services.superset import config as superset_config
from tests.dynamic_providers.cases import Service
from tests.fakes.airbyte import Airbyte
from tests.fakes.dremio import Dremio
from tests.fakes.serving import serving
from tests.services.running import free_ports, installed
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


@pytest.fixture(scope="session")
def superset(postgres_server, service_place) -> Iterator[Service]:
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
        yield Service(client=client, facts={"uri": uri, "url": url})
        client.close()
