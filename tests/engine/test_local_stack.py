"""The whole platform by the real engine: use it as the specification does, drift, change."""

import json
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from flow.commerce import FLOW
from operations.clients import search
from tests.support.deployed import ORDERS, Deployed, flight_rows

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(1800)]


def test_gold_is_served_through_flight(deployed):
    rows = flight_rows(deployed, "SELECT * FROM gold.customer_metrics LIMIT 1000")
    assert rows and rows[0]["lifetime_value"] > 0
    [daily] = flight_rows(deployed, "SELECT SUM(daily_revenue) AS r FROM gold.fct_daily_revenue")
    [orders] = flight_rows(
        deployed, "SELECT SUM(amount) AS r FROM gold.fct_orders WHERE status = 'completed'"
    )
    assert float(daily["r"]) == pytest.approx(float(orders["r"]))


def test_nothing_changes_after_up(deployed):
    deployed.pulumi("preview", "--expect-no-changes")
    deployed.pulumi("refresh", "--preview-only", "--run-program", "--expect-no-changes")


def airbyte(deployed: Deployed) -> httpx.Client:
    answer = httpx.post(
        deployed.url("airbyte") + "/api/public/v1/applications/token",
        json={
            "client_id": "dataflow",
            "client_secret": deployed.password("airbyte-client"),
            "grant_type": "client_credentials",
        },
        verify=deployed.stack.trust,
    )
    token = answer.raise_for_status().json()["access_token"]
    return httpx.Client(
        base_url=deployed.url("airbyte"),
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        verify=deployed.stack.trust,
    )


def test_the_specifications_airbyte_calls_work(deployed):
    with airbyte(deployed) as api:
        connections = api.get("/api/public/v1/connections").json()["data"]
        [postgres] = [c for c in connections if c["name"] == "postgres"]
        started = api.post(
            "/api/v1/connections/sync", json={"connectionId": postgres["connectionId"]}
        ).json()["job"]
        deadline = time.monotonic() + 120
        while True:
            job = api.post("/api/v1/jobs/get", json={"id": str(started["id"])}).json()["job"]
            if job["status"] not in ("pending", "running", "incomplete"):
                break
            assert time.monotonic() < deadline, job
            time.sleep(0.2)
        assert job["status"] == "succeeded"


def test_the_specifications_sql_call_works(deployed):
    login = {"userName": "admin", "password": deployed.password("dremio-admin")}
    with httpx.Client(
        base_url=deployed.url("dremio"), timeout=60, verify=deployed.stack.trust
    ) as api:
        token = api.post("/apiv2/login", json=login).json()["token"]
        api.headers["Authorization"] = f"Bearer {token}"
        job = api.post("/api/v3/sql", json={"sql": "SELECT COUNT(*) FROM gold.fct_orders"}).json()
        deadline = time.monotonic() + 60
        while api.get(f"/api/v3/job/{job['id']}").json()["jobState"] != "COMPLETED":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        [row] = api.get(f"/api/v3/job/{job['id']}/results").json()["rows"]
    assert list(row.values())[0] > ORDERS / 2


def test_the_specifications_log_search_works(deployed):
    query = {
        "query": {
            "bool": {
                "filter": [
                    {"range": {"timestamp": {"gte": "now-1h"}}},
                    {"term": {"level": "INFO"}},
                ]
            }
        },
        "aggs": {"by_service": {"terms": {"field": "service"}}},
    }
    answer = httpx.post(
        deployed.url("elasticsearch") + "/airbyte-logs-*/_search",
        json=query,
        auth=("elastic", deployed.password("elasticsearch-superuser")),
        verify=deployed.stack.trust,
    )
    found = answer.raise_for_status().json()
    assert found["hits"]["total"]["value"] > 0
    assert found["aggregations"]["by_service"]["buckets"]
    assert re.match(r"airbyte-logs-\d{4}\.\d\d\.\d\d\Z", found["hits"]["hits"][0]["_index"])


def test_the_lake_has_the_specifications_paths(deployed):
    store = deployed.store()
    names = [str(o.object_name) for o in store.list_objects("datalake", recursive=True)]
    for table in ("customers", "orders"):
        pattern = rf"bronze/postgres/{table}/date=\d{{4}}-\d\d-\d\d/.+\.parquet"
        assert any(re.fullmatch(pattern, name) for name in names), names
    assert any(name.startswith("silver/") for name in names)
    assert any(name.startswith("gold/") for name in names)


def test_the_dashboard_shows_numbers(deployed):
    with httpx.Client(
        base_url=deployed.url("superset"), timeout=120, verify=deployed.stack.trust
    ) as api:
        login = {
            "username": "admin",
            "password": deployed.password("superset-admin"),
            "provider": "db",
            "refresh": True,
        }
        token = api.post("/api/v1/security/login", json=login).json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        [board] = FLOW.dashboards
        charts = api.get(f"/api/v1/dashboard/{board.slug}/charts").json()["result"]
        assert {chart["slice_name"] for chart in charts} == {c.name for c in board.charts}
        for chart in charts:
            data = api.get(f"/api/v1/chart/{chart['id']}/data/").json()
            assert data["result"][0]["rowcount"] > 0, chart["slice_name"]


def test_a_query_uses_a_reflection(deployed):
    sql = "SELECT order_date, SUM(amount) AS revenue FROM gold.fct_orders GROUP BY order_date"
    assert flight_rows(deployed, sql)
    [last] = flight_rows(
        deployed,
        "SELECT accelerated FROM sys.jobs_recent WHERE query LIKE '%AS revenue%' "
        "AND query NOT LIKE '%jobs_recent%' ORDER BY submitted_ts DESC LIMIT 1",
    )
    assert str(last["accelerated"]).lower() == "true"


def unordered(policy: str) -> list:
    """A policy document without the order of its lists, which MinIO does not keep."""
    [statement] = json.loads(policy)["Statement"]
    return sorted((key, str(sorted(value))) for key, value in statement.items())


def judged(deployed: Deployed, folder: Path, command: str, status: int = 0) -> dict:
    """What `review` or `drift` finds."""
    file = folder / "found.json"
    deployed.dataflow(command, "--format", "json", "--output", file, status=status)
    return json.loads(file.read_text())


def test_a_bucket_policy_deleted_by_hand_is_the_only_drift(deployed, tmp_path):
    store = deployed.store()
    before = store.get_bucket_policy("datalake")
    store.delete_bucket_policy("datalake")
    found = judged(deployed, tmp_path, "drift", status=2)
    assert [(step["op"], step["kind"], step["name"]) for step in found["steps"]] == [
        ("delete", "minio:S3BucketPolicy", "object-store-datalake-policy")
    ]
    deployed.pulumi("up", "--yes", "--skip-preview", "--refresh")
    assert unordered(store.get_bucket_policy("datalake")) == unordered(before)


def test_a_third_table_is_one_stream_in_the_review(deployed, tmp_path):
    deployed.pulumi("config", "set", "flow", "tests.engine.flows:WITH_THIRD_TABLE")
    try:
        found = judged(deployed, tmp_path, "review")
        changes = {step["name"]: step["fields"] for step in found["steps"]}
        assert set(changes) == {
            "connections-postgres",
            "connections-postgres-first-sync",
            "datasets-postgres-products",
            "datasets-bronze-shop_products",
            "dbt-build-run",
            "pipeline-process",
        }
        assert [field["path"] for field in changes["connections-postgres"]] == ["streams[2]"]
        # At most what the live Airbyte says that it has read.
        [again] = found["losses"]
        assert (again["effect"], again["what"]) == (
            "resync",
            "sync connections-postgres-first-sync",
        )
        assert again["rows"] > ORDERS
        assert again["bytes"] > ORDERS
        deployed.up()
        [count] = flight_rows(deployed, "SELECT COUNT(*) AS n FROM bronze.shop_products")
        assert count["n"] > 0
        deployed.pulumi("preview", "--expect-no-changes")
    finally:
        deployed.pulumi("config", "rm", "flow")
    deployed.up()
    deployed.pulumi("preview", "--expect-no-changes")


def test_the_pipeline_runs_again(deployed):
    expired = "/airbyte-logs-2020.01.01"
    with search(deployed.stack) as api:
        api.put(expired).raise_for_status()
    done = subprocess.run(
        ["bin/dataflow", "run", "--stack", deployed.stack.name],
        cwd=deployed.stack.paths.root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = subprocess.run(
        ["bin/dataflow", "summary", "--stack", deployed.stack.name],
        cwd=deployed.stack.paths.root,
        capture_output=True,
        text=True,
    )
    assert "fct_daily_revenue" in shown.stdout, shown.stdout + shown.stderr
    with search(deployed.stack) as api:
        assert api.head(expired).status_code == 404, done.stdout
    deployed.output += done.stdout + shown.stdout


# After the test above: some metrics exist once the pipeline has run. These need an event that no
# test of this stack causes, or a backup store, which clusters alone have.
NOT_HERE = {
    "elasticsearch_snapshot_timestamp_seconds",
    "lake_backup_timestamp_seconds",
    "minio_s3_requests_5xx_errors_total",
    "superset_dashboard_load_time_bucket",
}
METRIC = re.compile(
    r"\b(?:airbyte|certificate|dbt|dremio|elasticsearch|lake|minio|pipeline|postgres|prometheus"
    r"|superset)_\w+"
)


def test_every_metric_that_an_alert_asks_for_exists(deployed):
    with httpx.Client(base_url=deployed.url("prometheus"), verify=deployed.stack.trust) as api:
        groups = api.get("/api/v1/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        asked = {name for rule in rules for name in METRIC.findall(rule["query"])}
        assert len(asked) > 20

        def missing() -> set[str]:
            known = api.get("/api/v1/label/__name__/values").json()["data"]
            return asked - NOT_HERE - set(known)

        deadline = time.monotonic() + 150  # exporters are asked once a minute
        while missing():
            assert time.monotonic() < deadline, missing()
            time.sleep(1)
        assert [r["name"] for r in rules if r["health"] == "err"] == []
        up = api.get("/api/v1/query", params={"query": "up"}).json()["data"]["result"]
        assert {sample["metric"]["job"]: sample["value"][1] for sample in up} == dict.fromkeys(
            (
                *("airbyte", "dremio", "elasticsearch", "minio", "pipeline", "postgres"),
                *("prometheus", "superset"),
            ),
            "1",
        )
