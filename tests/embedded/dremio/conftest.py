"""A running engine: REST and Flight in this process, data in a real MinIO."""

import json
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import minio
import pyarrow as pa
import pyarrow.flight as flight
import pytest
import uvicorn

from embedded.dremio.api.app import build
from embedded.dremio.config import Config
from embedded.dremio.engine import Engine
from embedded.dremio.flight.server import FlightServer
from tests.services_fixtures import Server

USER, PASSWORD = "admin", "correct-horse-1"
FINAL = ("COMPLETED", "FAILED", "CANCELED")


# The smallest configuration of a process.
GOOD = {"host": "127.0.0.1", "restPort": 0, "flightPort": 0, "dataDir": "/tmp/x",
        "edition": "community"}  # fmt: skip


class SqlError(Exception):
    """A job failed; the text is its errorMessage."""


@dataclass
class Dremio:
    """A client of the engine."""

    engine: Engine
    rest_port: int
    flight_port: int
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.rest_port}", timeout=60)

    def log_in(self) -> None:
        answer = self.http.post("/apiv2/login", json={"userName": USER, "password": PASSWORD})
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"_dremio{answer.json()['token']}"

    def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.http.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def job(self, sql: str, context: list[str] | None = None) -> dict[str, Any]:
        """The finished job, with its id."""
        id_ = self.call("POST", "/api/v3/sql", {"sql": sql, "context": context})["id"]
        deadline = time.monotonic() + 60
        while True:
            job = self.call("GET", f"/api/v3/job/{id_}")
            if job["jobState"] in FINAL:
                return {**job, "id": id_}
            assert time.monotonic() < deadline, job
            threading.Event().wait(0.01)

    def rows(self, sql: str, context: list[str] | None = None) -> list[dict[str, Any]]:
        job = self.job(sql, context)
        if job["jobState"] != "COMPLETED":
            raise SqlError(job["errorMessage"])
        return self.call("GET", f"/api/v3/job/{job['id']}/results?limit=500")["rows"]

    def flight(self) -> tuple[flight.FlightClient, flight.FlightCallOptions]:
        client = flight.FlightClient(f"grpc://127.0.0.1:{self.flight_port}")
        token = client.authenticate_basic_token(USER, PASSWORD)
        return client, flight.FlightCallOptions(headers=[token])

    def table(self, sql: str) -> pa.Table:
        client, options = self.flight()
        with client:
            info = client.get_flight_info(flight.FlightDescriptor.for_command(sql), options)
            return client.do_get(info.endpoints[0].ticket, options).read_all()

    def by_path(self, *path: str) -> dict[str, Any]:
        return self.call("GET", "/api/v3/catalog/by-path/" + "/".join(path))

    def promote(self, *path: str, format_: str = "Parquet") -> dict[str, Any]:
        id_ = "dremio%3A%2F" + "%2F".join(path)
        body = {
            "entityType": "dataset",
            "type": "PHYSICAL_DATASET",
            "path": list(path),
            "format": {"type": format_},
        }
        return self.call("POST", f"/api/v3/catalog/{id_}", body)

    def reflect(self, dataset_id: str, **fields: Any) -> dict[str, Any]:
        """A new reflection, once it is available."""
        body = {
            "entityType": "reflection",
            "name": f"r_{uuid.uuid4().hex[:8]}",
            "datasetId": dataset_id,
            "enabled": True,
            **fields,
        }
        made = self.call("POST", "/api/v3/reflection", body)
        return self.available(made["id"])

    def available(self, id_: str, after: str = "") -> dict[str, Any]:
        """The reflection once it has content fetched after the given time."""
        deadline = time.monotonic() + 30
        while True:
            found = self.call("GET", f"/api/v3/reflection/{id_}")
            status = found["status"]
            if status["availability"] == "AVAILABLE" and status["lastDataFetch"] > after:
                return found
            assert status["refresh"] != "GIVEN_UP", status
            assert time.monotonic() < deadline, status
            threading.Event().wait(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Dremio]]:
    """Starts the engine on one data directory; a second start follows a stop of the first."""
    running: list[Callable[[], None]] = []

    def stop() -> None:
        while running:
            running.pop()()

    def begin() -> Dremio:
        stop()
        config = Config(
            host="127.0.0.1",
            rest_port=0,
            flight_port=0,
            data_dir=tmp_path / "data",
            edition="community",
        )
        engine = Engine(config)
        server = FlightServer(engine, config.host, 0)
        engine.start()
        listener = socket.create_server((config.host, 0))
        rest = uvicorn.Server(uvicorn.Config(build(engine), log_config=None, lifespan="off"))
        thread = threading.Thread(target=rest.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()

        def end() -> None:
            rest.should_exit = True
            thread.join()
            server.shutdown()
            engine.stop()

        running.append(end)
        return Dremio(engine, listener.getsockname()[1], server.port)

    yield begin
    stop()


@pytest.fixture
def fresh(start: Callable[[], Dremio]) -> Dremio:
    """An engine nobody has logged in to yet."""
    return start()


@pytest.fixture
def dremio(fresh: Dremio) -> Dremio:
    body = {"userName": USER, "password": PASSWORD, "firstName": "Ada", "lastName": "L",
            "email": "ada@example.com"}  # fmt: skip
    fresh.call("PUT", "/apiv2/bootstrap/firstuser", body)
    fresh.log_in()
    return fresh


@dataclass
class Lake:
    """A bucket of its own in MinIO, and the source `lake` over it."""

    bucket: str
    server: Server
    client: minio.Minio

    def put(self, key: str, data: bytes) -> None:
        import io

        self.client.put_object(self.bucket, key, io.BytesIO(data), len(data))

    def put_parquet(self, key: str, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        self.put(key, sink.getvalue().to_pybytes())

    def keys(self, prefix: str = "") -> list[str]:
        found = self.client.list_objects(self.bucket, prefix=prefix, recursive=True)
        return sorted(str(item.object_name) for item in found)

    def source(self, **config: Any) -> dict[str, Any]:
        return {
            "entityType": "source",
            "name": "lake",
            "type": "S3",
            "config": {
                "credentialType": "ACCESS_KEY",
                "accessKey": self.server.user,
                "accessSecret": self.server.password,
                "secure": False,
                "rootPath": f"/{self.bucket}",
                "compatibilityMode": True,
                "isPartitionInferenceEnabled": True,
                "propertyList": [
                    {"name": "fs.s3a.path.style.access", "value": "true"},
                    {"name": "fs.s3a.endpoint", "value": self.server.address},
                    {"name": "dremio.parquet.compression.gold", "value": "zstd"},
                ],
                **config,
            },
        }


@pytest.fixture
def bucket(minio_server: Server) -> Lake:
    client = minio.Minio(
        minio_server.address, minio_server.user, minio_server.password, secure=False
    )
    name = f"datalake-{uuid.uuid4().hex[:12]}"
    client.make_bucket(name)
    return Lake(name, minio_server, client)


@pytest.fixture
def lake(dremio: Dremio, bucket: Lake) -> Lake:
    dremio.call("POST", "/api/v3/catalog", bucket.source())
    dremio.call("POST", "/api/v3/catalog", {"entityType": "space", "name": "gold"})
    return bucket


ORDERS = pa.table(
    {
        "order_id": pa.array(range(1, 9), pa.int64()),
        "customer_id": pa.array([1, 1, 2, 2, 3, 3, 3, None], pa.int64()),
        "amount": pa.array([10, 20, 30, 40, 50, None, 70, 80], pa.decimal128(12, 2)),
        "status": ["completed"] * 6 + ["open", None],
        "order_date": pa.array(
            [f"2026-0{1 + i % 3}-1{i}T0{i}:30:00.123456" for i in range(8)]
        ).cast(pa.timestamp("us")),
    }
)


@pytest.fixture
def orders(dremio: Dremio, lake: Lake) -> dict[str, Any]:
    """The dataset lake.bronze.postgres.orders: two days of one file each."""
    for day, part in (("2026-01-01", ORDERS.slice(0, 4)), ("2026-01-02", ORDERS.slice(4))):
        lake.put_parquet(f"bronze/postgres/orders/date={day}/part-0.parquet", part)
    return dremio.promote("lake", "bronze", "postgres", "orders")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the process with a configuration of its own."""

    def start(**change: Any) -> subprocess.Popen[str]:
        path = tmp_path / "dremio.json"
        path.write_text(json.dumps({**GOOD, "dataDir": str(tmp_path / "data"), **change}))
        return subprocess.Popen(
            [sys.executable, "-m", "embedded.dremio", "--config", str(path)],
            stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    return start
