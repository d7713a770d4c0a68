"""Metrics that are read from the products' APIs."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from starlette.testclient import TestClient

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.dremio.client import DremioClient
from flow.derive import BUCKET
from pipeline.audit import AuditLog
from pipeline.config import DatabaseConfig, SearchConfig, StoreConfig
from pipeline.exporters import (
    ClusterMetrics,
    DatabaseMetrics,
    JobMetrics,
    ReflectionMetrics,
    SyncMetrics,
    seconds,
)
from pipeline.schedule import longest_interval
from pipeline.serve import Scheduler, application
from tests.pipeline.doubles import Airbyte, Double, Dremio
from tests.services.running import wait_until
from tests.services_fixtures import Server, running_postgres
from tests.support.databases import connect
from tests.support.engines import object_store


def value(collector: Collector, name: str, **labels: str) -> float | None:
    """Of a sample, after one scrape."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry.get_sample_value(name, labels)


class Syncs(Airbyte):
    """Jobs as the public API tells them."""

    def __init__(self) -> None:
        super().__init__("postgres", "api")
        self.listed: list[dict] = []

    def add(self, id_: int, status: str, rows: int = 0, duration: str = "PT1M5S") -> None:
        self.listed.append(
            {
                "jobId": id_,
                "status": status,
                "jobType": "sync",
                "connectionId": "id-postgres",
                "rowsSynced": rows,
                "duration": duration,
                "lastUpdatedAt": f"2026-11-26T01:{id_:02}:00Z",
            }
        )

    def _jobs(self, parameters):
        return self._page(self.listed, parameters)


@pytest.fixture
def syncs():
    with Syncs().running() as double:
        yield double


@pytest.fixture
def sync_metrics(syncs):
    client = AirbyteClient(syncs.url, "s3cret")
    yield SyncMetrics(client)
    client.close()


POSTGRES = {"connection_name": "postgres"}


def test_syncs_are_counted_once(syncs, sync_metrics):
    syncs.add(1, "succeeded", 100)
    assert value(sync_metrics, "airbyte_records_synced_total", **POSTGRES) == 100
    syncs.add(2, "running", 40)  # has not ended
    assert value(sync_metrics, "airbyte_records_synced_total", **POSTGRES) == 100
    syncs.add(3, "succeeded", 7)
    assert value(sync_metrics, "airbyte_records_synced_total", **POSTGRES) == 107
    assert value(sync_metrics, "airbyte_sync_duration_seconds_count", **POSTGRES) == 2
    assert value(sync_metrics, "airbyte_sync_duration_seconds_sum", **POSTGRES) == 130
    again = [q for q in syncs.asked("GET", "/api/public/v1/jobs") if "updatedAtStart" in q]
    assert again, "everything was listed anew"


def test_the_newest_sync_that_ended_counts(syncs, sync_metrics):
    syncs.add(2, "failed")
    syncs.add(1, "succeeded")
    assert value(sync_metrics, "airbyte_connection_last_sync_success", **POSTGRES) == 0
    assert value(sync_metrics, "airbyte_sync_failures_total", **POSTGRES) == 1
    ended = datetime(2026, 11, 26, 1, 1, tzinfo=UTC).timestamp()
    name = "airbyte_connection_last_success_timestamp_seconds"
    assert value(sync_metrics, name, **POSTGRES) == ended
    syncs.add(3, "cancelled")
    assert value(sync_metrics, "airbyte_connection_last_sync_success", **POSTGRES) == 0
    syncs.add(4, "succeeded")
    assert value(sync_metrics, "airbyte_connection_last_sync_success", **POSTGRES) == 1


def test_a_connection_that_was_never_synced_has_no_age(syncs, sync_metrics):
    assert value(sync_metrics, "airbyte_sync_failures_total", connection_name="api") == 0
    name = "airbyte_connection_last_success_timestamp_seconds"
    assert value(sync_metrics, name, connection_name="api") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("PT8H6M12S", 29172), ("PT12S", 12), ("P1DT1M", 86460), ("PT0.5S", 0.5), ("soon", 0)],
)
def test_durations_are_those_of_iso_8601(text, expected):
    assert seconds(text) == expected


class Jobs(Dremio):
    def __init__(self) -> None:
        super().__init__()
        self.listed: list[dict] = []

    def add(self, id_: str, status: str, took_ms: int | None, kind: str = "FLIGHT") -> None:
        ended = None if took_ms is None else 1000 + took_ms
        self.listed.append(
            {
                "job_id": id_,
                "status": status,
                "query_type": kind,
                "accelerated": True,
                "submitted_epoch_millis": 1000,
                "final_state_epoch_millis": ended,
            }
        )

    def _rows(self, number, body):
        return 200, {"rowCount": len(self.listed), "rows": self.listed}


@pytest.fixture
def jobs():
    with Jobs().running() as double:
        yield double


@pytest.fixture
def dremio_client(jobs):
    client = DremioClient(jobs.url, "s3cret")
    yield client
    client.close()


def test_queries_are_counted_once_and_those_under_way_are_told(jobs, dremio_client):
    metrics = JobMetrics(dremio_client)
    labels = {"query_type": "FLIGHT", "outcome": "COMPLETED", "accelerated": "true"}
    jobs.add("a", "COMPLETED", 1500)
    jobs.add("b", "QUEUED", None)
    jobs.add("c", "RUNNING", None)
    jobs.add("d", "COMPLETED", 300, kind="ACCELERATOR_CREATE")
    assert value(metrics, "dremio_query_duration_seconds_sum", **labels) == 1.5
    assert value(metrics, "dremio_jobs_waiting") == 1
    assert value(metrics, "dremio_jobs_active") == 1
    assert value(metrics, "dremio_query_duration_seconds_count", **labels) == 1
    name = "dremio_reflection_refresh_seconds_sum"
    assert value(metrics, name, outcome="COMPLETED") == pytest.approx(0.3)


def test_reflections_tell_their_state(jobs, dremio_client):
    jobs.refreshes = 1
    jobs.reflection_status = {"combinedStatus": "FAILED"}
    metrics = ReflectionMetrics(dremio_client, [["gold", "fct_orders"]])
    state = {"dataset": "gold.fct_orders", "status": "FAILED"}
    name = "r-gold.fct_orders"
    assert value(metrics, "dremio_reflection_status", reflection=name, **state) == 1


class Elasticsearch(Double):
    """snapshots: what it says of the policy that takes them."""

    snapshots: tuple[int, dict] = (404, {"status": 404})

    def routes(self):
        disk = {"available_in_bytes": 30, "total_in_bytes": 100}
        return {
            "GET /_cluster/health": lambda _: (200, {"status": "red", "number_of_nodes": 1}),
            "GET /_nodes/stats/fs": lambda _: (
                200,
                {"nodes": {"x": {"name": "one", "fs": {"total": disk}}}},
            ),
            "GET /_slm/policy/nightly": lambda _: self.snapshots,
        }


def cluster_metrics(double, tmp_path, snapshots=None):
    file = tmp_path / "password"
    file.write_text("s3cret")
    return ClusterMetrics(
        SearchConfig(url=double.url, username="m", password_file=file, snapshots=snapshots)
    )


@pytest.mark.parametrize(
    ("told", "ended"),
    [
        ({"modified_date_millis": 5000, "last_success": {"time": 9000}}, 9),
        ({"modified_date_millis": 5000, "last_failure": {"time": 9000}}, 5),
        (None, 0),
    ],
    ids=["taken", "none yet", "no policy"],
)
def test_elasticsearch_tells_of_its_last_snapshot(tmp_path, told, ended):
    made = Elasticsearch()
    if told:
        made.snapshots = (200, {"nightly": told})
    with made.running() as double:
        metrics = cluster_metrics(double, tmp_path, "nightly")
        assert value(metrics, "elasticsearch_snapshot_timestamp_seconds") == ended


def test_elasticsearch_tells_colour_and_disks(tmp_path):
    with Elasticsearch().running() as double:
        metrics = cluster_metrics(double, tmp_path)
        assert value(metrics, "elasticsearch_snapshot_timestamp_seconds") is None
        name = "elasticsearch_cluster_health_status"
        assert value(metrics, name, color="red") == 1
        assert value(metrics, name, color="green") == 0
        assert value(metrics, "elasticsearch_disk_available_bytes", node="one") == 30


@pytest.fixture
def served(whole):
    with TestClient(application(whole, Scheduler(None, []), AuditLog(whole))) as client:
        yield client


@pytest.mark.service
def test_postgresql_tells_its_connections(served, whole):
    text = served.get("/metrics/postgres").text
    assert f'postgres_connections_active{{database="{whole.database.dbname}"}} ' in text
    [limit] = [line for line in text.splitlines() if line.startswith("postgres_connections_limit")]
    assert float(limit.split()[1]) > 10


@pytest.mark.service
def test_postgresql_tells_when_its_archive_fails(service_place, tmp_path):
    place = service_place("archiving-postgresql")
    archive = place.tmp / "archive-is-there"
    lines = f"archive_mode = on\narchive_command = 'test -e {archive}'\n"
    with running_postgres(place, lines) as server, connect(server) as db:

        def fill() -> None:
            """A part of the log to be archived."""
            db.execute("SELECT pg_logical_emit_message(true, 'test', 'something')")
            db.execute("SELECT pg_switch_wal()")

        def told() -> tuple[float, float]:
            names = ("success", "failure")
            seen = (value(metrics, f"postgres_archive_{one}_timestamp_seconds") for one in names)
            return tuple(seen)

        db.execute("CREATE ROLE pipeline LOGIN PASSWORD 'of-the-test'")
        metrics = DatabaseMetrics(role_of(server, tmp_path))
        fill()
        wait_until(lambda: 0 == told()[0] < told()[1], 60)
        archive.touch()
        fill()
        wait_until(lambda: told()[0] > told()[1], 60)


def role_of(server: Server, folder: Path) -> DatabaseConfig:
    """One without any right of its own, as the pipeline's is."""
    password_file = folder / "password"
    password_file.write_text("of-the-test")
    return DatabaseConfig(
        host=server.host,
        port=server.port,
        dbname="postgres",
        user="pipeline",
        password_file=password_file,
    )


@pytest.mark.service
def test_the_age_of_the_copy_is_served_where_there_is_one(served, whole, minio_server, tmp_path):
    assert served.get("/metrics/lake-backup").status_code == 404
    object_store(minio_server)
    account = {"user": minio_server.user, "password": minio_server.password}
    for name, text in account.items():
        (tmp_path / name).write_text(text)
    lake = StoreConfig(
        url=minio_server.url,
        bucket=BUCKET,
        region="us-east-1",
        user_file=tmp_path / "user",
        password_file=tmp_path / "password",
        ca_file=None,
    )
    config = dataclasses.replace(whole, lake=lake)
    with TestClient(application(config, Scheduler(None, []), AuditLog(config))) as client:
        assert "\nlake_backup_timestamp_seconds 1." in client.get("/metrics/lake-backup").text


@pytest.mark.service
def test_a_product_that_is_down_is_a_failed_scrape(whole):
    nowhere = dataclasses.replace(whole.database, port=1)
    config = dataclasses.replace(whole, database=nowhere)
    with TestClient(application(config, Scheduler(None, []), AuditLog(config))) as client:
        answer = client.get("/metrics/postgres")
        assert (answer.status_code, answer.text) == (
            503,
            "postgres does not answer: OperationalError",
        )
        assert client.get("/metrics/elsewhere").status_code == 404


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [("0 0 1 * * ?", 24), ("0 0 6-18 ? * 2-6", 60), ("0 0/15 * * * ?", 0.25)],
)
def test_the_longest_time_between_two_runs(schedule, hours):
    assert longest_interval(schedule, datetime(2026, 11, 26, tzinfo=UTC)) == hours * 3600
