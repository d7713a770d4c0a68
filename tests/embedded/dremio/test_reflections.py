"""Reflections: their REST contract, and never an old answer where the engine knows better."""

from typing import Any

import pytest

from tests.embedded.dremio.conftest import ORDERS, Dremio, Lake

pytestmark = pytest.mark.service
REVENUE = "select status, sum(amount) as a from gold.v group by status order by status"


def chosen(job: dict[str, Any]) -> bool:
    found = job.get("acceleration", {}).get("reflectionRelationships", [])
    return any(item["relationship"] == "CHOSEN" for item in found)


def body(dataset_id: str, **fields: Any) -> dict[str, Any]:
    return {"entityType": "reflection", "type": "AGGREGATION", "name": "agg", "enabled": True,
            "datasetId": dataset_id, "dimensionFields": [{"name": "status"}],
            "measureFields": [{"name": "amount"}], **fields}  # fmt: skip


def test_the_contract(dremio: Dremio, orders: dict[str, Any]) -> None:
    id_, url = orders["id"], "/api/v3/reflection"
    unset = body(id_)
    del unset["enabled"]
    message = dremio.call("POST", url, unset, 400)["errorMessage"]
    assert message == "Reflections must have the enabled field set"
    dremio.call("POST", url, body(id_, tag="x"), 400)
    dremio.call("POST", url, body("none"), 400)
    dremio.call("POST", url, body(id_, dimensionFields=[{"name": "nope"}]), 400)
    made = dremio.call("POST", url, body(id_))
    assert made["dimensionFields"] == [{"name": "status", "granularity": "DATE"}]
    assert made["measureFields"] == [{"name": "amount", "measureTypeList": ["SUM", "COUNT"]}]
    assert made["partitionDistributionStrategy"] == "CONSOLIDATED" and "sortFields" not in made
    dremio.call("POST", url, body(id_), 409)
    same = dremio.call("PUT", f"{url}/{made['id']}", made)
    assert same["tag"] == made["tag"]  # an unchanged PUT keeps the tag
    off = dremio.call("PUT", f"{url}/{made['id']}", {**made, "enabled": False})
    assert off["status"]["combinedStatus"] == "DISABLED"
    stale = dremio.call("PUT", f"{url}/{made['id']}", {**made, "enabled": True}, 409)
    assert "seems to have been modified by another flow" in stale["errorMessage"]
    dremio.call("PUT", f"{url}/{made['id']}", {**off, "type": "RAW"}, 400)
    listed = dremio.call("GET", f"/api/v3/dataset/{id_}/reflection")["data"]
    assert [item["id"] for item in listed] == [made["id"]]
    assert "Enterprise" in dremio.call("GET", url, status=400)["errorMessage"]
    dremio.call("DELETE", f"{url}/{made['id']}")
    dremio.call("GET", f"{url}/{made['id']}", status=404)


def test_sql_makes_refreshes_and_drops_one(dremio: Dremio, lake: Lake, orders: Any) -> None:
    table = "lake.bronze.postgres.orders"
    dremio.rows(f"alter table {table} create aggregate reflection agg using dimensions"
                " (order_date by day) measures (amount (sum, count))")  # fmt: skip
    found = dremio.call("GET", f"/api/v3/dataset/{orders['id']}/reflection")["data"][0]
    first = dremio.available(found["id"])
    sql = f"select date_trunc('month', order_date) m, sum(amount) a from {table} group by 1"
    assert chosen(dremio.job(sql))
    lake.put_parquet("bronze/postgres/orders/date=2026-01-09/p.parquet", ORDERS)
    dremio.rows(f"alter table {table} refresh metadata")
    # Files that others add: stale within the grace period, until the refresh.
    total = f"select sum(amount) as a from {table}"
    assert dremio.rows(total) == [{"a": 300.0}]
    assert dremio.rows(total.replace("select", "select /*+ no_reflections */")) == [{"a": 600.0}]
    dremio.rows(f"alter table {table} refresh reflections")
    dremio.available(found["id"], after=first["status"]["lastDataFetch"])
    assert chosen(dremio.job(total)) and dremio.rows(total) == [{"a": 600.0}]
    dremio.rows(f"alter table {table} drop reflection agg")
    assert not chosen(dremio.job(sql))


def test_what_the_engine_changes_is_never_answered_old(
    dremio: Dremio, lake: Lake, orders: Any
) -> None:
    dremio.rows("create table lake.gold.t as select * from lake.bronze.postgres.orders")
    dremio.rows("create view gold.v as select status, amount from lake.gold.t")
    made = dremio.reflect(dremio.by_path("gold", "v")["id"], type="AGGREGATION",
                          dimensionFields=[{"name": "status"}],
                          measureFields=[{"name": "amount"}])  # fmt: skip
    assert chosen(dremio.job(REVENUE))
    before = made["status"]["lastDataFetch"]
    changes = (
        ("insert into lake.gold.t (status, amount) select 'new', 5", 4),
        ("drop table lake.gold.t", None),
        ("create table lake.gold.t as select 'only' as status, 7 as amount", 1),
        ("create or replace view gold.v as select 'x' as status, 1 as amount", 1),
    )
    for sql, rows in changes:
        dremio.rows(sql)
        if rows is not None:
            assert len(dremio.rows(REVENUE)) == rows, sql  # at once, whoever answers
            after = dremio.available(made["id"], after=before)  # and refreshed by itself
            before = after["status"]["lastDataFetch"]
            assert chosen(dremio.job(REVENUE)) and len(dremio.rows(REVENUE)) == rows


def test_a_dropped_table_takes_its_reflections_along(
    dremio: Dremio, lake: Lake, orders: Any
) -> None:
    dremio.rows("create table lake.gold.t as select * from lake.bronze.postgres.orders")
    made = dremio.reflect(dremio.by_path("lake", "gold", "t")["id"], type="RAW",
                          displayFields=[{"name": "status"}])  # fmt: skip
    folder = dremio.engine.config.data_dir / "accelerator" / made["id"]
    assert list(folder.glob("*/*.parquet"))
    dremio.rows("drop table lake.gold.t")
    dremio.call("GET", f"/api/v3/reflection/{made['id']}", status=404)
    assert not list(folder.glob("*/*.parquet"))


def test_a_refresh_that_fails_gives_up_and_a_request_tries_again(
    dremio: Dremio, lake: Lake, orders: Any
) -> None:
    dremio.rows("create view gold.bad as select cast(status as int) as n"
                " from lake.bronze.postgres.orders")  # fmt: skip
    anchor = dremio.by_path("gold", "bad")
    made = dremio.call("POST", "/api/v3/reflection", {
        "type": "RAW", "name": "bad", "enabled": True, "datasetId": anchor["id"],
        "displayFields": [{"name": "n"}]})  # fmt: skip
    status: dict[str, Any] = {"refresh": ""}
    while status["refresh"] != "GIVEN_UP":
        status = dremio.call("GET", f"/api/v3/reflection/{made['id']}")["status"]
    assert status["combinedStatus"] == "FAILED" and status["lastFailureMessage"]
    dremio.rows("create or replace view gold.bad as select 1 as n")
    dremio.rows("alter view gold.bad refresh reflections")
    assert dremio.available(made["id"])["status"]["combinedStatus"] == "CAN_ACCELERATE"
