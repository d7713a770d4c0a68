"""Traps of Airbyte's API, against the fake that keeps them."""

import pytest

from dynamic_providers.airbyte import connection, destination, source, sync, tag, workspace
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.api import ApiError
from dynamic_providers.handler import UNKNOWN, InputError
from dynamic_providers.waiting import WorkFailedError
from tests.dynamic_providers.cases import CASES, made, unique
from tests.fakes.serving import serving


def _connected(service, **more) -> tuple[str, dict]:
    raw = {
        "name": unique("shop"),
        "sourceId": made(
            source, service, {"name": unique("s"), "configuration": service.facts["source"]}
        ),
        "destinationId": made(
            destination,
            service,
            {"name": unique("d"), "configuration": service.facts["destination"]},
        ),
        "streams": [dict(s) for s in service.facts["streams"]],
        **more,
    }
    spec = connection.normalize(raw)
    return connection.create(service.client, spec).id, spec


def test_a_token_that_ends_or_is_revoked_is_renewed(airbyte, airbyte_fake):
    airbyte.client.workspace(None)
    airbyte_fake.tokens.clear()
    assert list(airbyte.client.every("/sources", {})) == []
    assert airbyte_fake.requests.count(("POST", "/api/public/v1/applications/token")) == 2


@pytest.mark.parametrize("path", ["", "/", "/api/public/v1", "/api/public/v1/"])
def test_the_address_may_be_that_of_the_public_api(airbyte_fake, path):
    """The product's documents give it with that path; the Config API is beside it."""
    with serving(airbyte_fake.app) as url:
        client = AirbyteClient(url + path, airbyte_fake.client_secret)
        try:
            assert client.offers_config_api(client.workspace(None))
        finally:
            client.close()
    paths = {called for _method, called in airbyte_fake.requests}
    assert "/api/public/v1/applications/token" in paths and "/api/v1/connections/list" in paths


def test_a_wrong_secret_is_an_error_that_does_not_show_it(airbyte, airbyte_fake):
    airbyte_fake.client_secret = "another"
    with pytest.raises(ApiError) as raised:
        airbyte.client.workspace(None)
    assert raised.value.status == 401
    assert "5ecret" not in str(raised.value)


def test_a_name_taken_by_another_connector_is_not_adopted(airbyte):
    made(source, airbyte, {"name": "shop", "configuration": {"sourceType": "faker"}})
    spec = source.normalize({"name": "shop", "configuration": airbyte.facts["source"]})
    with pytest.raises(InputError, match="'faker', not 'postgres'"):
        source.create(airbyte.client, spec)


def test_two_objects_of_one_name_are_not_guessed_between(airbyte, airbyte_fake):
    spec = source.normalize({"name": "shop", "configuration": {"sourceType": "faker"}})
    first = source.create(airbyte.client, spec).id
    airbyte_fake.actors["sources"]["twin"] = {
        **airbyte_fake.actors["sources"][first],
        "sourceId": "twin",
    }
    with pytest.raises(InputError, match="2 objects have it"):
        source.create(airbyte.client, spec)


def test_a_change_of_a_visible_setting_is_drift_and_a_masked_one_is_not(airbyte, airbyte_fake):
    spec = source.normalize({"name": "shop", "configuration": airbyte.facts["source"]})
    id_ = source.create(airbyte.client, spec).id
    stored = airbyte_fake.actors["sources"][id_]["configuration"]
    stored |= {"host": "moved", "password": "changed by hand"}
    found = source.read(airbyte.client, id_, spec).inputs["configuration"]
    assert found == {**spec["configuration"], "host": "moved"}


def test_more_objects_than_a_page_are_all_searched(airbyte, airbyte_fake):
    raw = {"name": "last", "configuration": {"sourceType": "faker"}}
    last = made(source, airbyte, raw)
    sources = airbyte_fake.actors["sources"]
    others = {f"s{n}": {**sources[last], "sourceId": f"s{n}", "name": f"s{n}"} for n in range(100)}
    airbyte_fake.actors["sources"] = {**others, last: sources[last]}
    assert made(source, airbyte, raw) == last


def test_streams_added_by_hand_are_drift(airbyte, airbyte_fake):
    id_, spec = _connected(airbyte)
    live = airbyte_fake.connections[id_]["configurations"]["streams"]
    live.append({**live[0], "name": "refunds"})
    names = [s["name"] for s in connection.read(airbyte.client, id_, spec).inputs["streams"]]
    assert names == ["customers", "orders", "refunds"]


def test_a_basic_schedule_set_by_hand_is_drift_not_an_error(airbyte, airbyte_fake):
    id_, spec = _connected(airbyte)
    airbyte_fake.connections[id_]["schedule"] = {
        "scheduleType": "basic",
        "basicTiming": "Every 24 HOURS",
    }
    found = connection.read(airbyte.client, id_, spec).inputs
    basic = {"scheduleType": "basic", "units": 24, "timeUnit": "hours"}
    assert found == {**spec, "schedule": basic}


def test_a_connection_between_others_is_not_adopted(airbyte):
    _, spec = _connected(airbyte)
    with pytest.raises(InputError, match="taken by connection"):
        _connected(airbyte, name=spec["name"])


def test_a_stream_mode_that_the_server_refuses_is_an_error_with_its_words(airbyte):
    streams = [{"name": "orders", "syncMode": "incremental_deduped_history"}]
    with pytest.raises(ApiError, match="cannot deduplicate"):
        _connected(airbyte, streams=streams)


def _synced(airbyte, connection_id, **more):
    spec = sync.normalize({"connectionId": connection_id, "timeoutS": 30, **more})
    return sync.create(airbyte.client, spec), spec


def test_a_failed_sync_says_why(airbyte, airbyte_fake):
    id_, _ = _connected(airbyte)
    airbyte_fake.failure = "the bucket does not exist"
    with pytest.raises(WorkFailedError, match="job 1 failed: the bucket does not exist"):
        _synced(airbyte, id_)


def test_a_running_sync_is_joined(airbyte, airbyte_fake):
    id_, _ = _connected(airbyte)
    airbyte.client.require("POST", "/jobs", {"connectionId": id_, "jobType": "sync"})
    _synced(airbyte, id_)
    assert [job["status"] for job in airbyte_fake.jobs.values()] == ["succeeded"]


def test_a_sync_runs_again_only_when_its_triggers_change(airbyte, airbyte_fake):
    id_, _ = _connected(airbyte)
    _, spec = _synced(airbyte, id_, triggers={"streams": "a"})
    sync.update(airbyte.client, id_, spec, {**spec, "timeoutS": 60})
    assert len(airbyte_fake.jobs) == 1
    sync.update(airbyte.client, id_, spec, {**spec, "triggers": {"streams": "a,b"}})
    assert len(airbyte_fake.jobs) == 2


def test_a_sync_that_does_not_end_is_given_up_in_time(airbyte, airbyte_fake):
    id_, _ = _connected(airbyte)
    airbyte_fake.polls_per_job = 10_000
    with pytest.raises(TimeoutError, match="not done after 1 s"):
        _synced(airbyte, id_, timeoutS=1)


def test_a_sync_goes_with_its_connection(airbyte):
    id_, connected = _connected(airbyte)
    _, spec = _synced(airbyte, id_)
    connection.delete(airbyte.client, id_, connected)
    assert sync.read(airbyte.client, id_, spec) is None


def test_a_change_that_lost_a_race_is_sent_again(airbyte, airbyte_fake):
    id_, spec = _connected(airbyte)
    airbyte_fake.races = 2
    connection.update(airbyte.client, id_, spec, {**spec, "prefix": "raw_"})
    assert airbyte_fake.connections[id_]["prefix"] == "raw_"


def test_a_change_that_loses_every_race_is_an_error(airbyte, airbyte_fake):
    id_, spec = _connected(airbyte)
    airbyte_fake.races = 100
    with pytest.raises(ApiError, match="Try again later"):
        connection.update(airbyte.client, id_, spec, {**spec, "prefix": "raw_"})


def test_lists_are_not_read_again_for_each_new_object(airbyte, airbyte_fake):
    for number in range(150):
        raw = {"name": f"s{number}", "configuration": {"sourceType": "faker"}}
        made(source, airbyte, raw)
    reads = airbyte_fake.requests.count(("GET", "/api/public/v1/sources"))
    made(source, airbyte, raw)  # a name that was used is looked for
    assert reads <= 2
    assert len(airbyte_fake.actors["sources"]) == 150


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.handler.KIND.startswith("airbyte/") and c.deletes],
    ids=lambda case: case.handler.KIND,
)
def test_an_object_whose_creation_was_not_answered_is_found_not_made_twice(
    case, airbyte, airbyte_fake
):
    raw, _ = case.make(airbyte)
    spec = case.handler.normalize(raw)
    airbyte_fake.lost_answers = 1
    id_ = case.handler.create(airbyte.client, spec).id
    assert airbyte_fake.lost_answers == 0
    assert case.handler.read(airbyte.client, id_, spec).inputs == spec
    assert case.handler.create(airbyte.client, spec).id == id_


def test_a_creation_that_fails_outright_leaves_nothing_behind(airbyte, airbyte_fake):
    with pytest.raises(ApiError):
        source.create(airbyte.client, {"name": "x", "configuration": {}})
    assert airbyte_fake.actors["sources"] == {}


SCHEDULES = [
    {"scheduleType": "basic", "units": 24, "timeUnit": "hours"},
    {"scheduleType": "cron", "cronExpression": "0 30 2 * * ?", "cronTimeZone": "Europe/Rome"},
    {"scheduleType": "cron", "cronExpression": "0 30 2 ? * MON"},
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_comes_back_as_it_was_set(airbyte, schedule):
    id_, spec = _connected(airbyte, schedule=schedule)
    assert spec["schedule"] == schedule
    assert connection.read(airbyte.client, id_, spec).inputs == spec
    plain = {**spec, "schedule": {"scheduleType": "manual"}}
    connection.update(airbyte.client, id_, spec, plain)
    assert connection.read(airbyte.client, id_, plain).inputs == plain
    connection.update(airbyte.client, id_, plain, spec)
    assert connection.read(airbyte.client, id_, spec).inputs == spec


@pytest.mark.parametrize("schedule", SCHEDULES[:2])
def test_a_schedule_that_the_server_cannot_set_is_refused_before_anything_changes(
    airbyte, airbyte_fake, schedule
):
    airbyte_fake.offers_config_api = False
    with pytest.raises(InputError, match="offers no Config API"):
        _connected(airbyte, schedule=schedule)
    assert airbyte_fake.connections == {}
    id_, spec = _connected(airbyte)
    with pytest.raises(InputError, match="offers no Config API"):
        connection.update(airbyte.client, id_, spec, {**spec, "prefix": "p", "schedule": schedule})
    assert airbyte_fake.connections[id_]["prefix"] == ""


def test_tags_that_are_no_longer_wanted_are_taken_off_and_those_by_hand_are_kept(
    airbyte, airbyte_fake
):
    label = made(tag, airbyte, {"name": "gold"})
    id_, spec = _connected(airbyte, tags=[label])
    without = {key: value for key, value in spec.items() if key != "tags"}
    connection.update(airbyte.client, id_, spec, without)
    assert airbyte_fake.connections[id_]["tags"] == []
    airbyte_fake.connections[id_]["tags"] = [airbyte_fake.tags[label]]
    assert connection.read(airbyte.client, id_, without).inputs == without
    connection.update(airbyte.client, id_, without, without)
    assert airbyte_fake.connections[id_]["tags"] != []


def test_a_workspace_in_use_is_not_deleted(airbyte, airbyte_fake):
    spec = workspace.normalize({"name": "team"})
    id_ = workspace.create(airbyte.client, spec).id
    raw = {"name": "kept", "configuration": {"sourceType": "faker"}, "workspaceId": id_}
    made(source, airbyte, raw)
    with pytest.raises(InputError, match="still has sources: kept"):
        workspace.delete(airbyte.client, id_, spec)
    assert id_ in airbyte_fake.workspaces


# What a review refuses

ORDERS = {"name": "orders", "syncMode": "incremental_append", "cursorField": "at"}
COUNTRIES = {"name": "countries", "syncMode": "full_refresh_overwrite"}
RECORDED = connection.normalize(
    {"name": "c", "sourceId": "s", "destinationId": "d", "streams": [ORDERS, COUNTRIES]}
)


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"sourceId": "s2"}, "sourceId", "sourceId changes: the connection is replaced"),
        ({"destinationId": UNKNOWN}, "destinationId", "the connection is replaced"),
        ({"streams": [COUNTRIES]}, "streams", "orders is removed"),
        (
            {"streams": [{**ORDERS, "cursorField": "id"}, COUNTRIES]},
            "streams",
            "orders: cursorField ['at'] becomes ['id']",
        ),
        (
            {"streams": [{**ORDERS, "primaryKey": "id"}, COUNTRIES]},
            "streams",
            "orders: primaryKey None becomes [['id']]",
        ),
        (
            {"streams": [{**ORDERS, "syncMode": "full_refresh_append"}, COUNTRIES]},
            "streams",
            "syncMode incremental_append becomes full_refresh_append",
        ),
    ],
)
def test_what_loses_state_must_be_allowed(change, field, says):
    wanted = connection.normalize({**RECORDED, **change})
    with pytest.raises(InputError) as raised:
        connection.review(RECORDED, wanted)
    assert raised.value.field == field
    assert says in raised.value.reason
    assert "set allowReset" in raised.value.reason
    connection.review(RECORDED, connection.normalize({**wanted, "allowReset": True}))


@pytest.mark.parametrize(
    "change",
    [
        {"prefix": "raw_", "status": "inactive"},
        {"streams": [ORDERS]},  # a full refresh has no state to lose
        {"streams": [ORDERS, {**COUNTRIES, "syncMode": "full_refresh_append"}]},
        {"streams": [{**ORDERS, "cursorField": UNKNOWN}, COUNTRIES]},
        {"streams": UNKNOWN},
        {"streams": [UNKNOWN, COUNTRIES]},
        {"streams": [ORDERS, COUNTRIES, {"name": "new", "syncMode": "full_refresh_append"}]},
    ],
)
def test_what_loses_nothing_needs_no_permission(change):
    connection.review(RECORDED, connection.normalize({**RECORDED, **change}))


def test_a_workspace_cannot_move():
    old = workspace.normalize({"name": "team", "regionId": "eu"})
    with pytest.raises(InputError, match="regionId: from 'eu' to 'us': a workspace cannot move"):
        workspace.review(old, {**old, "regionId": "us"})
    workspace.review(old, {**old, "name": "team two"})


@pytest.mark.service
@pytest.mark.parametrize("schedule", SCHEDULES[:2])
def test_the_embedded_engine_offers_no_basic_schedules_and_time_zones(embedded_airbyte, schedule):
    with pytest.raises(InputError, match="offers no Config API"):
        _connected(embedded_airbyte, schedule=schedule)
