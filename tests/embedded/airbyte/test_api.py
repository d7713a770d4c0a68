"""Contract of both APIs over HTTP: shapes, errors, masks."""

import httpx
import pytest

from tests.embedded.airbyte.conftest import CLIENT_ID, source_config

pytestmark = pytest.mark.service

MASK = "**********"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
POSTGRES_ID = "decd338e-5647-4c0b-adf4-da0e75f5a750"


@pytest.fixture(scope="module")
def shop(new_database):
    from tests.embedded.airbyte.conftest import connect

    database = new_database("shop")
    with connect(database) as db:
        db.execute(
            "CREATE TABLE customers (id int PRIMARY KEY, name text, updated_at timestamptz)"
        )
    return database


@pytest.fixture
def source(plane, shop) -> str:
    return plane.source("shop", {"sourceType": "postgres", **source_config(shop)})


@pytest.fixture
def destination(plane) -> str:
    config = {
        "destinationType": "s3",
        "s3_bucket_name": "datalake",
        "s3_bucket_path": "bronze",
        "s3_bucket_region": "us-east-1",
        "access_key_id": "key",
        "secret_access_key": "hidden",
        "format": {"format_type": "Parquet"},
    }
    return plane.destination("lake", config)


def problem(answer: httpx.Response, status: int, title: str) -> str:
    """The useful text of a public error."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert (body["status"], body["title"]) == (status, title)
    assert {"type", "detail", "documentationUrl"} <= set(body)
    return body["data"]["message"]


# Authentication


def test_health_and_token_need_no_token_and_everything_else_does(plane) -> None:
    assert httpx.get(f"{plane.url}/api/public/v1/health").is_success
    assert httpx.get(f"{plane.url}/api/v1/health").json() == {"available": True}
    assert httpx.get(f"{plane.url}/metrics").is_success
    problem(httpx.get(f"{plane.url}/api/public/v1/sources"), 401, "unauthorized")
    answer = httpx.post(f"{plane.url}/api/v1/jobs/get", json={"id": 1})
    assert answer.status_code == 401
    assert {"message", "errorId"} <= set(answer.json())
    wrong = {"Authorization": "Bearer guessed"}
    assert httpx.get(f"{plane.url}/api/public/v1/sources", headers=wrong).status_code == 401


@pytest.mark.parametrize("kind", ["json", "data"])
@pytest.mark.parametrize("grant", ["grant_type", "grant-type"])
def test_token_by_json_and_by_form(plane, kind, grant) -> None:
    body = {"client_id": CLIENT_ID, "client_secret": plane.secret, grant: "client_credentials"}
    answer = httpx.post(f"{plane.url}/api/public/v1/applications/token", **{kind: body})
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] > 0
    wrong = {**body, "client_secret": "wrong"}
    refused = httpx.post(f"{plane.url}/api/v1/applications/token", **{kind: wrong})
    assert refused.status_code == 401
    assert plane.secret not in refused.text


# Workspaces


def test_workspaces(plane) -> None:
    made = plane.made("/workspaces", {"name": "second"})
    path = f"/workspaces/{made['workspaceId']}"
    assert made["dataResidency"] == "auto"
    assert plane.public.patch(path, json={"name": "renamed"}).json()["name"] == "renamed"
    assert plane.public.get(path).json()["name"] == "renamed"
    assert plane.public.delete(path).status_code == 204
    problem(plane.public.get(path), 404, "resource-not-found")


# Custom definitions and tags


def _definitions(plane, kind: str) -> str:
    workspace = plane.public.get("/workspaces").json()["data"][0]["workspaceId"]
    return f"/workspaces/{workspace}/definitions/{kind}"


def test_a_custom_definition_of_a_configured_image_runs(plane, shop) -> None:
    path = _definitions(plane, "sources")
    image = {"dockerRepository": "airbyte/source-postgres", "dockerImageTag": "1"}
    made = plane.made(path, {"name": "Own", **image})
    source = plane.made(
        "/sources",
        {
            "name": "by own definition",
            "definitionId": made["id"],
            "workspaceId": path.split("/")[2],
            "configuration": source_config(shop),
        },
    )
    check = plane.rpc.post(
        "/sources/check_connection", json={"sourceId": source["sourceId"]}
    ).json()
    assert check["status"] == "succeeded"
    changed = plane.public.put(
        f"{path}/{made['id']}", json={"name": "Own two", "dockerImageTag": "2"}
    ).json()
    assert (changed["name"], changed["dockerImageTag"]) == ("Own two", "2")
    assert made["id"] in [d["id"] for d in plane.public.get(path).json()["data"]]
    assert plane.public.delete(f"{path}/{made['id']}").json() == changed
    problem(plane.public.get(f"{path}/{made['id']}"), 404, "resource-not-found")


def test_a_definition_without_a_program_says_which_there_are(plane) -> None:
    path = _definitions(plane, "sources")
    image = {"dockerRepository": "example/source-own", "dockerImageTag": "1"}
    made = plane.made(path, {"name": "Without", **image})
    answer = plane.public.post(
        "/sources",
        json={
            "name": "x",
            "definitionId": made["id"],
            "workspaceId": path.split("/")[2],
            "configuration": {},
        },
    )
    message = problem(answer, 500, "unexpected-problem")
    assert "example/source-own" in message and "airbyte/source-postgres" in message


def test_a_configured_definition_cannot_be_changed(plane) -> None:
    answer = plane.public.delete(f"{_definitions(plane, 'sources')}/{POSTGRES_ID}")
    problem(answer, 403, "forbidden")


def test_a_connection_shows_its_tags_until_they_are_deleted(plane, source, destination) -> None:
    workspace = _definitions(plane, "sources").split("/")[2]
    tag = plane.made("/tags", {"name": "gold", "color": "FFD700", "workspaceId": workspace})
    body = {"name": "gold", "color": "000000", "workspaceId": workspace}
    problem(plane.public.post("/tags", json=body), 409, "state-conflict")
    ends = {"sourceId": source, "destinationId": destination}
    made = plane.made("/connections", {**ends, "tags": [tag]})
    path = f"/connections/{made['connectionId']}"
    assert made["tags"] == [tag]
    assert plane.public.patch(path, json={"prefix": "p_"}).json()["tags"] == [tag]
    wrong = plane.public.patch(path, json={"tags": [{"tagId": UNKNOWN}]})
    assert "no such tag" in problem(wrong, 400, "bad-request")
    plane.public.delete(f"/tags/{tag['tagId']}")
    assert plane.public.get(path).json()["tags"] == []


# Sources and destinations


def test_secrets_are_masked_everywhere_and_kept_when_the_mask_returns(plane, source, shop) -> None:
    shown = plane.public.get(f"/sources/{source}").json()
    assert shown["configuration"]["password"] == MASK
    assert (shown["sourceType"], shown["definitionId"]) == ("postgres", POSTGRES_ID)
    assert shop["password"] not in plane.public.get("/sources", params={"limit": 100}).text
    patched = plane.public.patch(
        f"/sources/{source}", json={"configuration": {"password": MASK, "schemas": ["public"]}}
    )
    assert patched.json()["configuration"]["schemas"] == ["public"]
    assert patched.json()["configuration"]["host"] == shop["host"]  # merged, not replaced
    check = plane.rpc.post("/sources/check_connection", json={"sourceId": source}).json()
    assert check["status"] == "succeeded"  # so the password was kept
    replaced = plane.public.put(
        f"/sources/{source}",
        json={"name": "new", "configuration": source_config(shop, password="wrong")},
    )
    assert replaced.json()["name"] == "new"
    assert "schemas" not in replaced.json()["configuration"]
    check = plane.rpc.post("/sources/check_connection", json={"sourceId": source}).json()
    assert check["status"] == "failed"
    assert "password authentication failed" in check["message"]


def test_a_configuration_that_breaks_the_specification_is_422_and_not_quoted(plane) -> None:
    body = {
        "name": "bad",
        "workspaceId": plane.workspace,
        "definitionId": POSTGRES_ID,
        "configuration": {"host": "h", "port": "my-secret", "database": "d"},
    }
    text = problem(plane.public.post("/sources", json=body), 422, "unprocessable-entity")
    assert "$.port" in text
    assert "username" in text
    assert "my-secret" not in text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": ""}, 400),
        ({"configuration": None}, 400),
        ({"configuration": {"sourceType": "oracle"}}, 400),
        ({"definitionId": UNKNOWN}, 400),
        ({"workspaceId": "nonsense"}, 400),
        ({"workspaceId": UNKNOWN}, 404),
    ],
)
def test_wrong_requests_for_a_source(plane, shop, change, status) -> None:
    body = {
        "name": "s",
        "workspaceId": plane.workspace,
        "configuration": {"sourceType": "postgres", **source_config(shop)},
    }
    assert plane.public.post("/sources", json={**body, **change}).status_code == status


def test_type_of_a_source_cannot_change(plane, source) -> None:
    body = {"configuration": {"sourceType": "endless"}}
    text = problem(plane.public.patch(f"/sources/{source}", json=body), 400, "bad-request")
    assert "cannot change" in text


def test_lists_have_a_next_link_until_a_page_is_empty(plane, source) -> None:
    page = plane.public.get("/sources", params={"limit": 1}).json()
    assert len(page["data"]) == 1
    assert "offset=1" in page["next"]
    empty = plane.public.get("/sources", params={"offset": 100_000}).json()
    assert (empty["data"], empty["next"]) == ([], "")
    problem(plane.public.get("/sources", params={"limit": "x"}), 400, "bad-request")


def test_ids_that_cannot_exist_are_404(plane) -> None:
    for path in (f"/sources/{UNKNOWN}", "/sources/x", f"/connections/{UNKNOWN}", "/jobs/999999"):
        answer = plane.public.get(path)
        problem(answer, 404, "resource-not-found")
        assert answer.json()["data"]["resourceId"] == path.rpartition("/")[2]


def test_what_is_not_covered_says_so(plane) -> None:
    assert "not covered" in problem(plane.public.get("/users"), 404, "resource-not-found")
    answer = plane.rpc.post("/web_backend/connections/get", json={})
    assert answer.status_code == 404
    assert "not covered" in answer.json()["message"]
    assert plane.public.put("/connections/x", json={}).status_code == 405


def test_a_body_that_is_not_json_is_400(plane) -> None:
    answer = plane.public.post(
        "/sources", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert "not JSON" in problem(answer, 400, "bad-request")


# Connections


def test_a_connection_without_streams_takes_all(plane, source, destination) -> None:
    body = {"sourceId": source, "destinationId": destination}
    made = plane.made("/connections", body)
    (stream,) = made["configurations"]["streams"]
    assert stream == {
        "name": "customers",
        "namespace": "public",
        "syncMode": "full_refresh_overwrite",
        "cursorField": [],
        "primaryKey": [["id"]],
        "selectedFields": [],
        "mappers": [],
    }
    assert made["schedule"] == {"scheduleType": "manual"}
    assert (made["status"], made["prefix"]) == ("active", "")
    assert made["namespaceDefinition"] == "destination"
    assert made["nonBreakingSchemaUpdatesBehavior"] == "ignore"


def test_patch_leaves_alone_what_is_null_or_empty(plane, source, destination) -> None:
    wanted = {"name": "customers", "syncMode": "incremental_append", "cursorField": ["updated_at"]}
    id_ = plane.connection(source, destination, [wanted], prefix="p_")
    before = plane.public.get(f"/connections/{id_}").json()
    schedule = {"scheduleType": "cron", "cronExpression": "0 0 1 * * ?"}
    body = {
        "name": None,
        "prefix": None,
        "configurations": {"streams": []},
        "schedule": schedule,
        "status": "inactive",
    }
    after = plane.public.patch(f"/connections/{id_}", json=body).json()
    shown = {"scheduleType": "cron", "cronExpression": "0 0 1 * * ? UTC"}
    assert after == {**before, "schedule": shown, "status": "inactive"}
    rpc = plane.rpc.post("/connections/get", json={"connectionId": id_}).json()
    assert rpc["scheduleData"]["cron"] == {
        "cronExpression": "0 0 1 * * ?",
        "cronTimeZone": "UTC",
    }
    assert rpc["syncCatalog"]["streams"][0]["config"]["syncMode"] == "incremental"


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": {"scheduleType": "cron", "cronExpression": "* * * * * ?"}},
        {"schedule": {"scheduleType": "basic"}},
        {"status": "sleeping"},
        {"namespaceDefinition": "custom_format"},
        {"nonBreakingSchemaUpdatesBehavior": "propagate_fully"},
        {"configurations": {"streams": [{"name": "nothing"}]}},
        {
            "configurations": {
                "streams": [{"name": "customers", "syncMode": "incremental_deduped_history"}]
            }
        },
        {"sourceId": UNKNOWN},
    ],
)
def test_a_refused_patch_changes_nothing(plane, source, destination, change) -> None:
    id_ = plane.connection(source, destination, [])
    before = plane.public.get(f"/connections/{id_}").json()
    problem(plane.public.patch(f"/connections/{id_}", json=change), 400, "bad-request")
    assert plane.public.get(f"/connections/{id_}").json() == before


def test_a_locked_connection_refuses_changes(plane, source, destination) -> None:
    id_ = plane.connection(source, destination, [], status="locked")
    problem(plane.public.patch(f"/connections/{id_}", json={"name": "x"}), 409, "state-conflict")


def test_a_table_that_came_after_the_discovery_is_found(plane, source, destination, shop) -> None:
    from tests.embedded.airbyte.conftest import connect

    plane.connection(source, destination, [])
    with connect(shop) as db:
        db.execute("CREATE TABLE IF NOT EXISTS late (id int)")
    plane.connection(source, destination, [{"name": "late"}])


def test_a_deleted_connection_stays_readable_as_deprecated(plane, source, destination) -> None:
    id_ = plane.connection(source, destination, [])
    for _ in range(2):
        answer = plane.public.delete(f"/connections/{id_}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert plane.public.get(f"/connections/{id_}").json()["status"] == "deprecated"
    listed = plane.public.get("/connections", params={"limit": 100}).json()["data"]
    assert id_ not in [entry["connectionId"] for entry in listed]
    refused = plane.public.post("/jobs", json={"connectionId": id_, "jobType": "sync"})
    problem(refused, 409, "state-conflict")


def test_deleting_a_source_takes_its_connections(plane, source, destination) -> None:
    id_ = plane.connection(source, destination, [])
    assert plane.public.delete(f"/sources/{source}").status_code == 204
    assert plane.public.get(f"/connections/{id_}").json()["status"] == "deprecated"
    problem(plane.public.get(f"/sources/{source}"), 404, "resource-not-found")


# Streams, definitions, discovery


def test_streams(plane, source, destination) -> None:
    params = {"sourceId": source, "destinationId": destination}
    streams = {s["streamName"]: s for s in plane.public.get("/streams", params=params).json()}
    customers = streams["customers"]
    assert customers["streamnamespace"] == "public"
    assert customers["syncModes"] == [
        "full_refresh_overwrite",
        "full_refresh_append",
        "incremental_append",
    ]
    assert customers["sourceDefinedPrimaryKey"] == [["id"]]
    assert ["updated_at"] in customers["propertyFields"]
    alone = plane.public.get("/streams", params={"sourceId": source}).json()
    assert alone[0]["syncModes"] is None


def test_definitions_and_their_specifications(plane) -> None:
    path = f"/workspaces/{plane.workspace}/definitions/sources"
    listed = {d["id"]: d for d in plane.public.get(path).json()["data"]}
    assert listed[POSTGRES_ID]["dockerRepository"] == "airbyte/source-postgres"
    assert plane.public.get(f"{path}/{POSTGRES_ID}").json() == listed[POSTGRES_ID]
    problem(plane.public.get(f"{path}/{UNKNOWN}"), 404, "resource-not-found")
    rpc = plane.rpc.post("/source_definitions/list", json={}).json()["sourceDefinitions"]
    assert POSTGRES_ID in [d["sourceDefinitionId"] for d in rpc]
    body = {"sourceDefinitionId": POSTGRES_ID, "workspaceId": plane.workspace}
    spec = plane.rpc.post("/source_definition_specifications/get", json=body).json()
    properties = spec["connectionSpecification"]["properties"]
    assert properties["password"]["airbyte_secret"] is True
    assert spec["jobInfo"]["succeeded"] is True


def test_discover_schema(plane, source) -> None:
    body = {"sourceId": source, "disable_cache": True}
    found = plane.rpc.post("/sources/discover_schema", json=body).json()
    names = [entry["stream"]["name"] for entry in found["catalog"]["streams"]]
    assert "customers" in names
    assert found["jobInfo"]["succeeded"] is True
    again = plane.rpc.post("/sources/discover_schema", json=body).json()
    assert again["catalogId"] == found["catalogId"]  # nothing changed


def test_a_failed_discovery_is_told(plane, source, destination, shop) -> None:
    config = {"configuration": source_config(shop, password="wrong")}
    plane.public.patch(f"/sources/{source}", json=config)
    found = plane.rpc.post("/sources/discover_schema", json={"sourceId": source}).json()
    assert found["jobInfo"]["succeeded"] is False
    body = {"sourceId": source, "destinationId": destination}
    text = problem(plane.public.post("/connections", json=body), 400, "bad-request")
    assert "password authentication failed" in text


# State and jobs


def test_state_can_be_saved_and_restored(plane, source, destination) -> None:
    id_ = plane.connection(source, destination, [])
    assert plane.state(id_) == {"stateType": "not_set", "connectionId": id_}
    entry = {
        "streamDescriptor": {"name": "customers", "namespace": "public"},
        "streamState": {"cursor": "5"},
    }
    wanted = {"stateType": "stream", "connectionId": id_, "streamState": [entry]}
    body = {"connectionId": id_, "connectionState": wanted}
    plane.rpc.post("/state/create_or_update_safe", json=body)
    assert plane.state(id_) == wanted
    bad = {"connectionId": id_, "connectionState": {"stateType": "stream", "streamState": [{}]}}
    assert plane.rpc.post("/state/create_or_update_safe", json=bad).status_code == 400
    assert plane.state(id_) == wanted


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"jobType": "refresh", "connectionId": UNKNOWN}, 422),
        ({"jobType": "bogus", "connectionId": UNKNOWN}, 400),
        ({"jobType": "sync", "connectionId": UNKNOWN}, 404),
        ({"jobType": "sync"}, 400),
    ],
)
def test_wrong_requests_for_a_job(plane, body, status) -> None:
    assert plane.public.post("/jobs", json=body).status_code == status


@pytest.mark.parametrize("id_", ["job-id", None, -1, True, "1.5"])
def test_job_ids_that_are_no_numbers(plane, id_) -> None:
    assert plane.rpc.post("/jobs/get", json={"id": id_}).status_code == 400


@pytest.mark.parametrize(
    "params",
    [{"status": "bogus"}, {"jobType": "x"}, {"orderBy": "name|ASC"}, {"createdAtStart": "soon"}],
)
def test_wrong_filters_for_jobs(plane, params) -> None:
    problem(plane.public.get("/jobs", params=params), 400, "bad-request")
