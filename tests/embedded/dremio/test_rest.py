"""The REST API: the product's routes, bodies, locks and errors."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.embedded.dremio.conftest import ORDERS, PASSWORD, USER, Dremio, Lake, SqlError

MASK = "$DREMIO_EXISTING_VALUE$"
SPACE = {"entityType": "space", "name": "gold"}


def test_the_first_user_logs_in_and_out(fresh: Dremio) -> None:
    assert fresh.http.get("/").is_success  # readiness needs no login
    refused = fresh.http.get("/api/v3/catalog")
    assert (refused.status_code, refused.content) == (401, b"")
    weak = {"userName": USER, "password": "short"}
    assert (
        "8 letters" in fresh.call("PUT", "/apiv2/bootstrap/firstuser", weak, 400)["errorMessage"]
    )
    body = {
        "userName": USER,
        "password": PASSWORD,
        "firstName": "A",
        "lastName": "B",
        "email": "e",
    }
    fresh.call("PUT", "/apiv2/bootstrap/firstuser", body)
    fresh.call("PUT", "/apiv2/bootstrap/firstuser", {**body, "userName": "other"}, 400)
    bad = fresh.call("POST", "/apiv2/login", {"userName": USER, "password": "nope"}, 401)
    assert set(bad) == {"errorMessage"}
    answer = fresh.call("POST", "/apiv2/login", {"userName": USER, "password": PASSWORD})
    assert answer["admin"] is True and answer["userName"] == USER
    token = answer["token"]
    for header in (f"_dremio{token}", f"Bearer {token}", f"bearer {token}", token):
        found = fresh.http.get("/apiv2/login", headers={"Authorization": header})
        assert found.json() is True
    fresh.http.headers["Authorization"] = f"_dremio{token}"
    fresh.call("DELETE", "/apiv2/login", status=204)
    assert fresh.http.get("/apiv2/login").status_code == 401


def test_users(dremio: Dremio) -> None:
    body = {"name": "bob", "password": "another-pass-2", "firstName": "Bob", "email": "b@x"}
    bob = dremio.call("POST", "/api/v3/user", body)
    dremio.call("POST", "/api/v3/user", body, 409)
    assert dremio.call("GET", "/api/v3/user/by-name/bob")["id"] == bob["id"]
    renamed = {**bob, "name": "rob"}
    assert (
        "Renaming" in dremio.call("PUT", f"/api/v3/user/{bob['id']}", renamed, 400)["errorMessage"]
    )
    changed = dremio.call("PUT", f"/api/v3/user/{bob['id']}", {**bob, "firstName": "Robert"})
    assert changed["firstName"] == "Robert" and changed["tag"] != bob["tag"]
    dremio.call("PUT", f"/api/v3/user/{bob['id']}", {**bob, "firstName": "late"}, 409)
    dremio.call("GET", "/api/v3/user/none", status=404)
    assert "password" not in str(changed)


def test_scripts(dremio: Dremio) -> None:
    body = {"name": "top customers", "content": "SELECT 1", "context": ["gold"]}
    made = dremio.call("POST", "/api/v3/scripts", body)
    dremio.call("POST", "/api/v3/scripts", body, 409)
    dremio.call("POST", "/api/v3/scripts", {"name": "empty"}, 400)
    dremio.call("POST", "/api/v3/scripts", {"name": "other", "content": "SELECT 2"})
    at = f"/api/v3/scripts/{made['id']}"
    changed = dremio.call("PATCH", at, {"content": "SELECT 3"})
    assert (changed["content"], changed["context"]) == ("SELECT 3", ["gold"])
    assert changed["createdAt"] == made["createdAt"] and changed["owner"] == made["owner"]
    dremio.call("PATCH", at, {"name": "other"}, 409)
    listed = dremio.call("GET", "/api/v3/scripts?search=TOP&maxResults=1&offset=0")
    assert (listed["total"], [script["id"] for script in listed["data"]]) == (1, [made["id"]])
    dremio.call("DELETE", at, status=204)
    dremio.call("GET", at, status=404)
    dremio.call("PATCH", at, {"content": "SELECT 3"}, 404)


def test_spaces_folders_and_views(dremio: Dremio) -> None:
    space = dremio.call("POST", "/api/v3/catalog", SPACE)
    assert dremio.call("POST", "/api/v3/catalog", SPACE, 409)["errorMessage"]
    for bad in ("a.b", 'a"b', "a@b", ""):
        dremio.call("POST", "/api/v3/catalog", {"entityType": "space", "name": bad}, 400)
    folder = {"entityType": "folder", "path": ["gold", "marts"]}
    dremio.call("POST", "/api/v3/catalog", folder)
    dremio.call("POST", "/api/v3/catalog", folder, 409)
    dremio.call(
        "POST", "/api/v3/catalog", {"entityType": "folder", "path": ["gold", "x", "y"]}, 400
    )
    view = {"entityType": "dataset", "type": "VIRTUAL_DATASET", "path": ["gold", "marts", "v"],
            "sql": "SELECT 1 AS a, 'x' AS b", "sqlContext": ["gold"]}  # fmt: skip
    made = dremio.call("POST", "/api/v3/catalog", view)
    assert [field["name"] for field in made["fields"]] == ["a", "b"]
    broken = {**view, "path": ["gold", "w"], "sql": "SELECT * FROM nowhere"}
    assert "not found" in dremio.call("POST", "/api/v3/catalog", broken, 400)["errorMessage"]
    edited = dremio.call("PUT", f"/api/v3/catalog/{made['id']}", {**made, "sql": "SELECT 2 AS c"})
    assert edited["id"] == made["id"] and edited["tag"] != made["tag"]
    dremio.call("PUT", f"/api/v3/catalog/{made['id']}", made, 409)  # a stale tag
    dremio.call("PUT", f"/api/v3/catalog/{made['id']}", {**edited, "id": "other"}, 400)
    assert dremio.rows('select * from "GOLD".marts.V') == [{"c": 2}]  # case does not matter
    assert dremio.rows("select * from v", ["gold", "marts"]) == [{"c": 2}]
    dremio.call("DELETE", f"/api/v3/catalog/{space['id']}?tag=stale", status=409)
    dremio.call("DELETE", f"/api/v3/catalog/{space['id']}", status=204)
    missing = dremio.call("GET", "/api/v3/catalog/by-path/gold/marts/v", status=404)
    assert missing["errorMessage"] == "Could not find entity with path [gold.marts.v]"


def test_wiki_and_tags(dremio: Dremio) -> None:
    id_ = dremio.call("POST", "/api/v3/catalog", SPACE)["id"]
    for kind, body in (("wiki", {"text": "hello"}), ("tag", {"tags": ["a", "b"]})):
        url = f"/api/v3/catalog/{id_}/collaboration/{kind}"
        assert dremio.call("GET", url) == {}
        made = dremio.call("POST", url, body)
        assert dremio.call("GET", url) == {**body, "version": made["version"]}
        dremio.call("POST", url, body, 409)
        dremio.call("POST", url, {**body, "version": made["version"]})


def test_jobs(dremio: Dremio) -> None:
    job = dremio.job("select * from (values (1, 'a', date '2026-01-02', cast(null as double)),"
                     " (2, 'b', null, 1.5)) t(i, s, d, f) order by i")  # fmt: skip
    assert (job["jobState"], job["rowCount"], job["queryType"]) == ("COMPLETED", 2, "REST")
    page = dremio.call("GET", f"/api/v3/job/{job['id']}/results?offset=1&limit=1")
    assert page["rowCount"] == 2
    assert page["rows"] == [{"i": 2, "s": "b", "d": None, "f": 1.5}]
    assert [item["type"]["name"] for item in page["schema"]] == [
        "INTEGER", "VARCHAR", "DATE", "DOUBLE"
    ]  # fmt: skip
    dremio.call("GET", f"/api/v3/job/{job['id']}/results?limit=501", status=400)
    dremio.call("GET", "/api/v3/job/none", status=404)
    failed = dremio.job("select * from none.such")
    assert failed["jobState"] == "FAILED"
    assert failed["errorMessage"] == "Object 'such' not found within 'none'"
    dremio.call("GET", f"/api/v3/job/{failed['id']}/results", status=400)
    dremio.call("POST", "/api/v3/sql", {"sql": ""}, 400)
    assert dremio.http.post("/api/v3/sql", content=b"{").status_code == 400


def test_a_job_can_be_canceled(dremio: Dremio) -> None:
    slow = "select count(*) from " + ", ".join(
        f"(select * from sys.jobs_recent union all select * from sys.jobs_recent) t{i}"
        for i in range(40)
    )
    id_ = dremio.call("POST", "/api/v3/sql", {"sql": slow})["id"]
    dremio.call("POST", f"/api/v3/job/{id_}/cancel", status=204)
    state = ""
    while state not in ("CANCELED", "COMPLETED", "FAILED"):
        state = dremio.call("GET", f"/api/v3/job/{id_}")["jobState"]
    assert state == "CANCELED"


@pytest.mark.parametrize(
    "sql",
    ["grant select on table a.b to role c", "create user x", "revoke select on a from user b"],
)
def test_enterprise_statements_fail_as_in_community(dremio: Dremio, sql: str) -> None:
    with pytest.raises(SqlError, match="only supported in Enterprise Edition"):
        dremio.rows(sql)


@pytest.mark.service
def test_a_source_hides_and_keeps_its_secret(dremio: Dremio, bucket: Lake) -> None:
    wrong = bucket.source(accessSecret="wrong-secret")
    assert "Failed to create" in dremio.call("POST", "/api/v3/catalog", wrong, 400)["errorMessage"]
    dremio.call("GET", "/api/v3/catalog/by-path/lake", status=404)  # nothing half-made
    made = dremio.call("POST", "/api/v3/catalog", bucket.source())
    assert made["state"]["status"] == "good"
    assert made["config"]["accessSecret"] == MASK and bucket.server.password not in str(made)
    policy = {**made["metadataPolicy"], "datasetExpireAfterMs": 7_200_000}
    edited = dremio.call(
        "PUT", f"/api/v3/catalog/{made['id']}", {**made, "metadataPolicy": policy}
    )
    assert edited["metadataPolicy"]["datasetExpireAfterMs"] == 7_200_000
    assert edited["state"]["status"] == "good"  # the masked secret kept the stored one
    again = {**edited, "config": {**edited["config"], "rootPath": "/other"}}
    url = "/apiv2/sources/isMetadataImpacting"
    assert dremio.call("POST", url, again) == {"isMetadataImpacting": True}
    assert dremio.call("POST", url, edited) == {"isMetadataImpacting": False}
    elastic = {"entityType": "source", "name": "es", "type": "ELASTIC", "config": {}}
    assert "not built" in dremio.call("POST", "/api/v3/catalog", elastic, 400)["errorMessage"]
    folder = {"entityType": "folder", "path": ["lake", "x"]}
    message = dremio.call("POST", "/api/v3/catalog", folder, 400)["errorMessage"]
    assert "Can not create a folder inside a [SOURCE]" in message


@pytest.mark.service
def test_folders_are_promoted_refreshed_and_forgotten(
    dremio: Dremio, lake: Lake, orders: dict[str, Any]
) -> None:
    folder = dremio.by_path("lake", "bronze", "postgres")
    assert folder["entityType"] == "folder" and folder["id"] == "dremio:/lake/bronze/postgres"
    assert dremio.by_path("lake", "bronze", "postgres", "orders")["id"] == orders["id"]
    names = [field["name"] for field in orders["fields"]]
    assert names[-1] == "date" and orders["format"]["type"] == "Parquet"
    body = {"entityType": "dataset", "type": "PHYSICAL_DATASET", "path": ["lake", "other"],
            "format": {"type": "Parquet"}}  # fmt: skip
    dremio.call("POST", "/api/v3/catalog/dremio%3A%2Flake%2Fnone", body, 400)
    dremio.call("POST", "/api/v3/catalog/dremio%3A%2Flake%2Fother", body, 404)

    count = "select count(*) as n from lake.bronze.postgres.orders"
    lake.put_parquet("bronze/postgres/orders/date=2026-01-03/p.parquet", ORDERS.slice(0, 1))
    assert dremio.rows(count) == [{"n": 8}]  # metadata is cached, as in the product
    dremio.rows("alter pds lake.bronze.postgres.orders refresh metadata")
    assert dremio.rows(count) == [{"n": 9}]
    dremio.call("DELETE", f"/api/v3/catalog/{orders['id']}", status=204)
    with pytest.raises(SqlError, match="not found within"):
        dremio.rows(count)
    assert len(lake.keys("bronze/")) == 3  # un-promoted: the files stay


@pytest.mark.service
def test_json_lines_and_files_that_differ(dremio: Dremio, lake: Lake) -> None:
    lake.put("bronze/api/timestamp=1/a.jsonl", b'{"id": 1, "at": "2026-01-01", "n": {"k": [1]}}\n')
    lake.put("bronze/api/timestamp=2/b.jsonl", b'{"id": 2, "extra": true}\n{"id": 3}\n')
    dremio.promote("lake", "bronze", "api", format_="JSON")
    rows = dremio.rows('select id, at, extra, "timestamp" from lake.bronze.api order by id')
    assert rows[0] == {"id": 1, "at": "2026-01-01", "extra": None, "timestamp": "1"}
    assert rows[2] == {"id": 3, "at": None, "extra": None, "timestamp": "2"}
    message = {"entityType": "dataset", "type": "PHYSICAL_DATASET", "path": ["lake", "bronze"],
               "format": {"type": "Excel"}}  # fmt: skip
    dremio.call("POST", "/api/v3/catalog/dremio%3A%2Flake%2Fbronze", message, 400)


@pytest.mark.service
def test_everything_survives_a_restart(
    dremio: Dremio, lake: Lake, orders: dict[str, Any], start: Callable[[], Dremio]
) -> None:
    dremio.rows("create table lake.gold.t as select * from lake.bronze.postgres.orders")
    dremio.rows("create view gold.v as select status, amount from lake.gold.t")
    view = dremio.by_path("gold", "v")
    made = dremio.reflect(view["id"], type="AGGREGATION", dimensionFields=[{"name": "status"}],
                          measureFields=[{"name": "amount"}])  # fmt: skip
    token = dremio.http.headers["Authorization"]
    again = start()
    again.http.headers["Authorization"] = token  # the login holds, too
    assert again.call("GET", f"/api/v3/reflection/{made['id']}")["status"]["availability"] == (
        "AVAILABLE"
    )
    job = again.job("select status, sum(amount) from gold.v group by status")
    assert job["acceleration"]["reflectionRelationships"][0]["relationship"] == "CHOSEN"
    assert again.rows("select count(*) as n from lake.gold.t") == [{"n": 8}]
