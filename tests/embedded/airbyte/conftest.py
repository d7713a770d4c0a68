"""A control plane as a process, its PostgreSQL databases, and a bucket."""

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from minio import Minio
from psycopg import sql

from tests.support.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
FAKES = Path(__file__).parent / "fakes"
CLIENT_ID = "tests"
BUCKET = "datalake"
WAIT_S = 60.0


class ControlPlane:
    """One running `python -m embedded.airbyte`."""

    def __init__(self, directory: Path, database: dict[str, Any], **options: Any) -> None:
        (self.port,) = free_ports(1)
        self.secret = secrets.token_hex(16)
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        config = {
            "host": "127.0.0.1",
            "port": self.port,
            "database": {
                **{key: database[key] for key in ("host", "port", "dbname", "user")},
                "passwordFile": self._file("database-password", database["password"]),
            },
            "clientId": CLIENT_ID,
            "clientSecretFile": self._file("client-secret", self.secret),
            "workDir": str(directory / "work"),
            "engine": {"backoffSeconds": [0.05], "maxAttempts": 3},
            **options,
        }
        self.config = Path(self._file("airbyte.json", json.dumps(config)))
        self.log = directory / "log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def _file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.touch(0o600)
        path.write_text(text)
        return str(path)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "embedded.airbyte", "--config", str(self.config)],
                cwd=ROOT,
                stderr=log,
                stdout=log,
            )
        wait_until(self._answers, "the control plane")
        self.public = self._client("/api/public/v1")
        self.rpc = self._client("/api/v1")
        self.workspace = self.public.get("/workspaces").json()["data"][0]["workspaceId"]

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        try:
            return httpx.get(f"{self.url}/api/public/v1/health").is_success
        except httpx.TransportError:
            return False

    def _client(self, prefix: str) -> httpx.Client:
        body = {"client_id": CLIENT_ID, "client_secret": self.secret}
        answer = httpx.post(f"{self.url}/api/public/v1/applications/token", json=body)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=self.url + prefix, headers=headers, timeout=WAIT_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)

    def made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.public.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def source(self, name: str, configuration: dict[str, Any]) -> str:
        body = {"name": name, "workspaceId": self.workspace, "configuration": configuration}
        return self.made("/sources", body)["sourceId"]

    def destination(self, name: str, configuration: dict[str, Any]) -> str:
        body = {"name": name, "workspaceId": self.workspace, "configuration": configuration}
        return self.made("/destinations", body)["destinationId"]

    def connection(
        self, source: str, destination: str, streams: list[dict[str, Any]], **options: Any
    ) -> str:
        body = {
            "name": "tests",
            "sourceId": source,
            "destinationId": destination,
            "configurations": {"streams": streams},
            **options,
        }
        return self.made("/connections", body)["connectionId"]

    def start_sync(self, connection: str, job_type: str = "sync") -> int:
        return self.made("/jobs", {"connectionId": connection, "jobType": job_type})["jobId"]

    def job(self, id_: int) -> dict[str, Any]:
        return self.public.get(f"/jobs/{id_}").json()

    def wait(self, id_: int) -> dict[str, Any]:
        """The job once it has ended."""
        ended = ("succeeded", "failed", "cancelled")
        wait_until(lambda: self.job(id_)["status"] in ended, f"job {id_}")
        return self.job(id_)

    def sync(self, connection: str, job_type: str = "sync") -> dict[str, Any]:
        return self.wait(self.start_sync(connection, job_type))

    def attempts(self, id_: int) -> list[dict[str, Any]]:
        answer = self.rpc.post("/jobs/get", json={"id": id_}).json()
        return [entry["attempt"] for entry in answer["attempts"]]

    def state(self, connection: str) -> dict[str, Any]:
        return self.rpc.post("/state/get", json={"connectionId": connection}).json()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {WAIT_S} s"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def new_database(postgres_server) -> Callable[[str], dict[str, Any]]:
    """prefix -> a new database with an owner of its own."""

    def create(prefix: str) -> dict[str, Any]:
        name, password = f"{prefix}_{secrets.token_hex(4)}", secrets.token_hex(12)
        server = postgres_server
        with psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            dbname="postgres",
            autocommit=True,
        ) as admin:
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )
            admin.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
        return {
            "host": server.host,
            "port": server.port,
            "dbname": name,
            "user": name,
            "password": password,
        }

    return create


@pytest.fixture(scope="session")
def plane_database(new_database) -> dict[str, Any]:
    return new_database("airbyte")


@pytest.fixture(scope="session")
def crash_marker(tmp_path_factory) -> Path:
    """While this file holds a number, the crashing destination dies after so many records."""
    return tmp_path_factory.mktemp("crash") / "marker"


@pytest.fixture(scope="session")
def connectors(crash_marker) -> dict[str, list[str]]:
    python = sys.executable
    return {
        "tests/destination-crashing": [python, str(FAKES / "crashing.py"), str(crash_marker)],
        "tests/source-endless": [python, str(FAKES / "endless.py")],
        "tests/destination-mute": [python, str(FAKES / "mute.py")],
    }


@pytest.fixture(scope="session")
def plane(tmp_path_factory, plane_database, connectors) -> Iterator[ControlPlane]:
    running = ControlPlane(tmp_path_factory.mktemp("plane"), plane_database, connectors=connectors)
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def bucket(minio_server) -> Minio:
    client = Minio(
        endpoint=minio_server.address,
        access_key=minio_server.user,
        secret_key=minio_server.password,
        secure=False,
    )
    if not client.bucket_exists(bucket_name=BUCKET):
        client.make_bucket(bucket_name=BUCKET)
    return client


@pytest.fixture
def s3_config(minio_server, bucket) -> dict[str, Any]:
    """Parquet in a folder of its own, as the specification asks."""
    return {
        "s3_bucket_name": BUCKET,
        "s3_bucket_path": f"bronze/{secrets.token_hex(4)}",
        "s3_bucket_region": "us-east-1",
        "s3_endpoint": minio_server.url,
        "access_key_id": minio_server.user,
        "secret_access_key": minio_server.password,
        "s3_path_format": "${STREAM_NAME}/date=${YEAR}-${MONTH}-${DAY}/",
        "format": {"format_type": "Parquet", "compression_codec": "SNAPPY"},
    }


@pytest.fixture
def shop(new_database) -> dict[str, Any]:
    """A database with 1,000 customers."""
    database = new_database("shop")
    with connect(database) as db:
        db.execute(
            "CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, "
            "amount numeric(12, 2), updated_at timestamptz)"
        )
        db.execute(
            "INSERT INTO customers SELECT i, 'customer ' || i, i * 1.25, "
            "timestamptz '2025-10-16 00:00Z' + i * interval '1 second' "
            "FROM generate_series(1, 1000) i"
        )
    return database


def connect(database: dict[str, Any]) -> psycopg.Connection:
    return psycopg.connect(**database)


def source_config(database: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "host": database["host"],
        "port": database["port"],
        "database": database["dbname"],
        "username": database["user"],
        "password": database["password"],
        **options,
    }
