"""Syncs from a real PostgreSQL to a real object store, and everything that can go wrong."""

import io
import os
import signal
import time

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.embedded.airbyte.conftest import (
    BUCKET,
    ControlPlane,
    connect,
    source_config,
    wait_until,
)

pytestmark = pytest.mark.service

INCREMENTAL = {
    "name": "customers",
    "syncMode": "incremental_append",
    "cursorField": ["updated_at"],
}


@pytest.fixture
def objects(bucket, s3_config):
    """() -> names of the objects of this test, and their rows."""

    def read() -> tuple[list[str], list[dict]]:
        prefix = s3_config["s3_bucket_path"] + "/"
        found = bucket.list_objects(bucket_name=BUCKET, prefix=prefix, recursive=True)
        names = sorted(entry.object_name for entry in found)
        tables = []
        for name in names:
            answer = bucket.get_object(bucket_name=BUCKET, object_name=name)
            tables.append(pq.read_table(io.BytesIO(answer.read())))
            answer.close()
        return names, pa.concat_tables(tables).to_pylist() if tables else []

    return read


@pytest.fixture
def connect_to(plane, shop, s3_config):
    """Makes a connection; destination: s3 or crashing."""

    def make(streams, *, destination="s3", source_options=None, **options) -> str:
        config = source_config(shop, **(source_options or {}))
        source = plane.source("shop", {"sourceType": "postgres", **config})
        lake = plane.destination("lake", {"destinationType": destination, **s3_config})
        return plane.connection(source, lake, streams, **options)

    return make


def ids(rows: list[dict]) -> list[int]:
    return sorted(row["id"] for row in rows)


def test_the_calls_of_the_specification(plane, connect_to) -> None:
    connection = connect_to([INCREMENTAL])
    job = plane.rpc.post("/connections/sync", json={"connectionId": connection}).json()["job"]
    assert (job["configType"], job["configId"]) == ("sync", connection)
    plane.wait(job["id"])
    told = plane.rpc.post("/jobs/get", json={"id": str(job["id"])}).json()
    assert told["job"]["id"] == job["id"]
    assert told["job"]["status"] == "succeeded"
    assert told["job"]["aggregatedStats"]["recordsCommitted"] == 1000
    assert told["attempts"][0]["attempt"]["status"] == "succeeded"


def test_the_second_sync_moves_only_what_changed(plane, connect_to, shop, objects) -> None:
    connection = connect_to([INCREMENTAL])
    first = plane.sync(connection)
    assert (first["status"], first["rowsSynced"]) == ("succeeded", 1000)
    names, rows = objects()
    assert len(names) == 1
    assert "/customers/date=20" in names[0]
    assert ids(rows) == list(range(1, 1001))
    assert rows[0]["amount"] == rows[0]["id"] * 1.25
    assert plane.sync(connection)["rowsSynced"] == 0
    with connect(shop) as db:
        db.execute("UPDATE customers SET name = 'changed', updated_at = now() WHERE id <= 3")
        # The same cursor value as the newest row of the first sync.
        db.execute("INSERT INTO customers SELECT 2000, 'late', 1, max(updated_at) FROM customers")
    assert plane.sync(connection)["rowsSynced"] == 4
    names, rows = objects()
    assert len(names) == 2
    assert ids(rows) == sorted([*range(1, 1001), 1, 2, 3, 2000])


def test_a_late_row_with_the_last_cursor_value_is_not_lost(
    plane, connect_to, shop, objects
) -> None:
    connection = connect_to([INCREMENTAL])
    plane.sync(connection)
    with connect(shop) as db:
        db.execute("INSERT INTO customers SELECT 2000, 'late', 1, max(updated_at) FROM customers")
    assert plane.sync(connection)["rowsSynced"] == 2  # it, and the row that shares its value
    assert 2000 in ids(objects()[1])


def test_state_is_in_the_table_of_the_specification(
    plane, connect_to, plane_database, shop
) -> None:
    connection = connect_to([INCREMENTAL])
    plane.sync(connection)
    with connect(plane_database) as db:
        (state,) = db.execute(
            "SELECT state FROM airbyte_state WHERE connection_id = %s", [connection]
        ).fetchone()
    with connect(shop) as db:
        db.execute("SET TIME ZONE 'UTC'")
        (newest,) = db.execute("SELECT max(updated_at)::text FROM customers").fetchone()
    (entry,) = state["streamState"]
    assert entry["streamDescriptor"] == {"name": "customers", "namespace": "public"}
    assert entry["streamState"]["cursor"] == newest
    assert {**state, "connectionId": connection} == plane.state(connection)


def test_overwrite_replaces_the_older_generation_and_only_that(
    plane, connect_to, shop, objects, bucket, s3_config
) -> None:
    connection = connect_to([{"name": "customers", "syncMode": "full_refresh_overwrite"}])
    plane.sync(connection)
    first, _ = objects()
    stranger = f"{first[0].rpartition('/')[0]}/somebody-elses.parquet"
    data = io.BytesIO()
    pq.write_table(pa.table({"id": [-1]}), data)
    bucket.put_object(
        bucket_name=BUCKET,
        object_name=stranger,
        data=io.BytesIO(data.getvalue()),
        length=len(data.getvalue()),
    )
    with connect(shop) as db:
        db.execute("DELETE FROM customers WHERE id > 10")
    assert plane.sync(connection)["rowsSynced"] == 10
    bucket.remove_object(bucket_name=BUCKET, object_name=stranger)  # it was still there
    second, rows = objects()
    assert ids(rows) == list(range(1, 11))
    assert not set(first) & set(second)
    assert {row["_airbyte_generation_id"] for row in rows} == {2}


def test_a_failed_overwrite_leaves_the_old_data(
    plane, connect_to, crash_marker, shop, objects
) -> None:
    connection = connect_to([{"name": "customers"}], destination="crashing")
    plane.sync(connection)
    before, _ = objects()
    with connect(shop) as db:
        db.execute("REVOKE SELECT ON customers FROM CURRENT_USER")
    assert plane.sync(connection)["status"] == "failed"
    assert objects()[0] == before


def test_append_keeps_everything(plane, connect_to, objects) -> None:
    connection = connect_to([{"name": "customers", "syncMode": "full_refresh_append"}])
    plane.sync(connection)
    plane.sync(connection)
    assert ids(objects()[1]) == sorted([*range(1, 1001)] * 2)


def test_clear_empties_the_destination_and_the_state(plane, connect_to, objects) -> None:
    connection = connect_to([INCREMENTAL])
    plane.sync(connection)
    assert plane.sync(connection, "clear")["status"] == "succeeded"
    assert objects() == ([], [])
    assert plane.state(connection)["stateType"] == "not_set"
    assert plane.sync(connection)["rowsSynced"] == 1000


def test_selected_fields_only(plane, connect_to, objects) -> None:
    fields = [{"fieldPath": ["id"]}, {"fieldPath": ["updated_at"]}]
    plane.sync(connect_to([{**INCREMENTAL, "selectedFields": fields}]))
    row = objects()[1][0]
    assert {name for name in row if not name.startswith("_airbyte")} == {"id", "updated_at"}


def test_namespace_and_prefix_at_the_destination(plane, connect_to, objects) -> None:
    plane.sync(connect_to([INCREMENTAL], namespaceDefinition="source", prefix="raw_"))
    assert "/raw_customers/" in objects()[0][0]


def test_a_destination_killed_in_the_middle_loses_nothing(
    plane, connect_to, crash_marker, objects, plane_database
) -> None:
    connection = connect_to(
        [INCREMENTAL], destination="crashing", source_options={"batch_size": 100}
    )
    crash_marker.write_text("500")
    job = plane.start_sync(connection)
    ended = plane.wait(job)
    assert not crash_marker.exists()
    assert ended["status"] == "succeeded"
    first, second = plane.attempts(job)
    assert (first["status"], second["status"]) == ("failed", "succeeded")
    assert first["failureSummary"]["failures"][0]["failureOrigin"] == "destination"
    # Nothing was durable when it died, so nothing counts and no state was saved.
    assert first["totalStats"]["recordsCommitted"] == 0
    assert ids(objects()[1]) == list(range(1, 1001))
    assert ended["rowsSynced"] == 1000


def test_state_never_is_ahead_of_the_data(
    plane, connect_to, crash_marker, shop, objects, s3_config
) -> None:
    """Objects of 1 MB: the destination dies after some are durable and others are not."""
    with connect(shop) as db:
        noise = " || ".join(["md5(random()::text)"] * 10)
        db.execute(
            f"INSERT INTO customers SELECT i, {noise}, i, "
            "timestamptz '2025-11-01 00:00Z' + i * interval '1 second' "
            "FROM generate_series(10000, 39999) i"
        )
    s3_config |= {"file_size_mb": 1, "buffer_size_mb": 4}
    connection = connect_to(
        [INCREMENTAL], destination="crashing", source_options={"batch_size": 1000}
    )
    crash_marker.write_text("24500")
    job = plane.start_sync(connection)
    assert plane.wait(job)["status"] == "succeeded"
    first, second = plane.attempts(job)
    committed = first["totalStats"]["recordsCommitted"]
    assert first["status"] == "failed"
    assert 0 < committed < 24500
    # The second attempt went on after what was committed: nothing less, or rows would be missing.
    assert second["totalStats"]["recordsEmitted"] == 31000 - committed + 1
    found = ids(objects()[1])
    assert set(found) == {*range(1, 1001), *range(10000, 40000)}


def test_a_wrong_password_fails_at_once_and_clearly(plane, connect_to, shop) -> None:
    connection = connect_to([INCREMENTAL])
    source = plane.public.get(f"/connections/{connection}").json()["sourceId"]
    body = {"configuration": {"password": "not-the-password"}}
    plane.public.patch(f"/sources/{source}", json=body)
    job = plane.start_sync(connection)
    assert plane.wait(job)["status"] == "failed"
    (attempt,) = plane.attempts(job)  # a configuration error is not retried
    (failure,) = attempt["failureSummary"]["failures"]
    assert failure["failureOrigin"] == "source"
    assert failure["failureType"] == "config_error"
    assert "password authentication failed" in failure["externalMessage"]
    assert "not-the-password" not in plane.log.read_text()


def test_a_destination_that_confirms_nothing_is_not_a_success(plane, shop) -> None:
    source = plane.source("shop", {"sourceType": "postgres", **source_config(shop)})
    mute = plane.destination("mute", {"destinationType": "mute"})
    connection = plane.connection(source, mute, [INCREMENTAL])
    job = plane.start_sync(connection)
    assert plane.wait(job)["status"] == "failed"
    attempts = plane.attempts(job)
    assert len(attempts) == 3  # engine.maxAttempts
    assert "unconfirmed" in attempts[0]["failureSummary"]["failures"][0]["externalMessage"]
    assert plane.state(connection)["stateType"] == "not_set"


@pytest.fixture
def endless(plane, s3_config, tmp_path):
    pid_file = tmp_path / "pid"
    config = {"sourceType": "endless", "pid_file": str(pid_file), "token": "t0ken-in-a-log"}
    source = plane.source("ticks", config)
    lake = plane.destination("lake", {"destinationType": "s3", **s3_config})
    return plane.connection(source, lake, []), pid_file


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_cancel_ends_the_processes_and_a_second_sync_is_refused_meanwhile(plane, endless) -> None:
    connection, pid_file = endless
    job = plane.start_sync(connection)
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "", "the source")
    assert plane.job(job)["status"] == "running"
    again = plane.public.post("/jobs", json={"connectionId": connection, "jobType": "sync"})
    assert again.status_code == 409
    assert "already running" in again.json()["data"]["message"]
    state = {"connectionId": connection, "connectionState": {"stateType": "not_set"}}
    assert plane.rpc.post("/state/create_or_update_safe", json=state).status_code == 423
    cancelled = plane.public.delete(f"/jobs/{job}")
    assert cancelled.json()["status"] == "cancelled"
    assert not is_alive(int(pid_file.read_text()))
    assert plane.public.delete(f"/jobs/{job}").status_code == 409
    assert "t0ken-in-a-log" not in plane.log.read_text()
    assert "using **********" in plane.log.read_text()


def test_jobs_can_be_listed_by_status(plane, connect_to) -> None:
    connection = connect_to([INCREMENTAL])
    jobs = [plane.sync(connection)["jobId"] for _ in range(2)]
    params = {"connectionId": connection, "status": "succeeded", "orderBy": "createdAt|ASC"}
    listed = plane.public.get("/jobs", params=params).json()["data"]
    assert [job["jobId"] for job in listed] == jobs
    params["status"] = "failed"
    assert plane.public.get("/jobs", params=params).json()["data"] == []


def test_metrics_have_the_names_of_the_specification(plane, connect_to) -> None:
    connection = connect_to([INCREMENTAL])
    plane.sync(connection)
    lines = httpx.get(f"{plane.url}/metrics").text.splitlines()
    mine = {line.split("{")[0]: line.split()[-1] for line in lines if connection in line}
    assert mine["airbyte_records_synced_total"] == "1000.0"
    assert mine["airbyte_sync_failures_total"] == "0.0"
    assert mine["airbyte_sync_duration_seconds_count"] == "1.0"


def test_a_schedule_starts_syncs(plane, connect_to) -> None:
    in_two_seconds = time.gmtime(time.time() + 2)
    expression = f"{in_two_seconds.tm_sec} * * * * ?"
    schedule = {"scheduleType": "cron", "cronExpression": expression}
    connection = connect_to([INCREMENTAL], schedule=schedule)
    params = {"connectionId": connection}
    wait_until(
        lambda: bool(plane.public.get("/jobs", params=params).json()["data"]), "the schedule"
    )
    plane.public.patch(f"/connections/{connection}", json={"schedule": {"scheduleType": "manual"}})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_control_plane_takes_its_jobs_up_again(
    number, tmp_path, new_database, connectors, s3_config
) -> None:
    database = new_database("airbyte")
    plane = ControlPlane(tmp_path / "plane", database, connectors=connectors)
    plane.start()
    pid_file = tmp_path / "pid"
    config = {"sourceType": "endless", "pid_file": str(pid_file)}
    source = plane.source("ticks", config)
    lake = plane.destination("lake", {"destinationType": "s3", **s3_config})
    job = plane.start_sync(plane.connection(source, lake, []))
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "", "the source")
    first = int(pid_file.read_text())
    plane.stop(number)
    if number == signal.SIGTERM:
        assert not is_alive(first)
    with psycopg.connect(**database) as db:
        (status,) = db.execute("SELECT status FROM airbyte_job").fetchone()
        assert status == ("incomplete" if number == signal.SIGTERM else "running")
    plane.start()
    try:
        wait_until(lambda: len(plane.attempts(job)) == 2, "the second attempt")
        attempts = plane.attempts(job)
        assert [a["status"] for a in attempts] == ["failed", "running"]
        assert "stopped" in attempts[0]["failureSummary"]["failures"][0]["externalMessage"]
        wait_until(lambda: int(pid_file.read_text() or first) != first, "the second source")
        assert plane.public.delete(f"/jobs/{job}").json()["status"] == "cancelled"
    finally:
        plane.stop()
        if is_alive(first):  # an orphan of the killed control plane's source
            os.kill(first, signal.SIGKILL)


def test_one_database_one_control_plane(plane, plane_database, tmp_path) -> None:
    second = ControlPlane(tmp_path, plane_database)
    with pytest.raises(AssertionError, match="another control plane uses it"):
        second.start()
