"""What the elasticstack plugin refuses, and what it says then."""

import pytest

from dynamic_providers.handler import InputError
from plugins.elasticstack.client import SearchClient
from plugins.elasticstack.index_lifecycle import IndexLifecycle
from plugins.elasticstack.snapshot_lifecycle import SnapshotLifecycle
from plugins.elasticstack.snapshot_repository import SnapshotRepository
from plugins.kind import ServiceError
from plugins.provider import differences
from tests.fakes.elasticsearch import Elasticsearch
from tests.fakes.serving import serving

LIFE_CYCLE = {"name": "logs", "delete": {"minAge": "90d", "delete": {}}}
REPOSITORY = {"name": "backups", "s3": {"bucket": "lake-backups", "basePath": "search"}}
SCHEDULE = {"name": "nightly", "repository": "backups", "schedule": "0 30 1 * * ?"}


@pytest.fixture
def server():
    return Elasticsearch()


@pytest.fixture
def client(server):
    with serving(server.app) as url:
        yield SearchClient(url, None, {}, "")


def paths(old, new):
    return {path for path, _, _ in differences(old, new)}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"delete": None}, "delete: is missing: expected it or hot"),
        ({"delete": {"minAge": "90d"}}, "delete.delete: is missing"),
        ({"delete": {"minAge": "3 months", "delete": {}}}, "delete.minAge: '3 months': expected"),
        ({"hot": {"setPriority": {}}}, "hot.setPriority.priority: is missing"),
        ({"warm": {}}, "warm: is not served here: expected one of delete, hot, metadata, name"),
        ({"hot": {"rollover": {}}}, "hot.rollover: is not served here"),
        ({"elasticsearchConnection": {}}, "elasticsearchConnection: is not served here"),
    ],
)
def test_a_life_cycle_that_is_not_served_is_named(inputs, message):
    with pytest.raises(InputError) as error:
        IndexLifecycle().normalize(LIFE_CYCLE | inputs)
    assert message in str(error.value)


def test_a_life_cycle_says_when_it_was_last_changed(client):
    handler, spec = IndexLifecycle(), IndexLifecycle().normalize(LIFE_CYCLE)
    made = handler.create(client, spec)
    assert handler.create(client, spec).outputs == made.outputs, "nothing changed"
    live = handler.read(client, made.id, spec)
    assert live is not None and live.outputs == made.outputs


def test_a_life_cycle_that_indices_are_under_does_not_end(server, client):
    handler, spec = IndexLifecycle(), IndexLifecycle().normalize(LIFE_CYCLE)
    made = handler.create(client, spec)
    server.indices["audit-2026.01.30"] = "logs"
    with pytest.raises(ServiceError, match=r"in use by one or more indices: \[audit-2026"):
        handler.delete(client, made.id, spec)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"s3": None}, "s3: expected either fs or s3, got neither"),
        ({"fs": {"location": "x"}}, "s3: expected either fs or s3, got fs and s3"),
        ({"s3": {}}, "s3.bucket: is missing"),
        ({"s3": {"bucket": "b", "storageClass": "cold"}}, "s3.storageClass: 'cold': expected"),
        ({"s3": {"bucket": "b", "endpoint": "https://x"}}, "s3.endpoint: is not served here"),
        (
            {"gcs": {"bucket": "b"}},
            "gcs: is not served here: expected one of fs, name",
        ),
    ],
)
def test_a_repository_that_is_not_served_is_named(inputs, message):
    with pytest.raises(InputError) as error:
        SnapshotRepository().normalize(REPOSITORY | inputs)
    assert message in str(error.value)


def test_a_repository_in_s3_is_as_the_official_plugin_makes_it(server, client):
    handler, spec = SnapshotRepository(), SnapshotRepository().normalize(REPOSITORY)
    made = handler.create(client, spec)
    assert server.repositories["backups"]["settings"] == {
        "bucket": "lake-backups",
        "base_path": "search",
        "client": "default",
        "compress": "true",
        "readonly": "false",
        "max_snapshot_bytes_per_sec": "40mb",
        "canned_acl": "private",
        "storage_class": "standard",
        "server_side_encryption": "false",
    }
    live = handler.read(client, made.id, spec)
    assert live is not None and live.inputs == spec
    server.repositories["backups"]["settings"] |= {"bucket": "other", "endpoint": "by hand"}
    live = handler.read(client, made.id, spec)
    assert live is not None and {"s3.bucket", "s3.endpoint"} <= paths(spec, live.inputs)
    handler.update(client, made.id, live.inputs, spec)
    live = handler.read(client, made.id, spec)
    assert live is not None and live.inputs == spec


def test_a_repository_names_a_client_that_the_servers_have(client):
    spec = SnapshotRepository().normalize(REPOSITORY | {"s3": {"bucket": "b", "client": "x"}})
    with pytest.raises(ServiceError, match=r"Unknown s3 client name \[x\]"):
        SnapshotRepository().create(client, spec)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"minCount": 8, "maxCount": 7}, "minCount: 8: expected no more than maxCount, 7"),
        ({"minCount": 0}, "minCount: 0: expected a whole number, 1 or more"),
        ({"expandWildcards": "open,some"}, "expandWildcards: 'open,some': expected some of all"),
        ({"retention": {}}, "retention: is not served here"),
    ],
)
def test_a_schedule_that_is_not_served_is_named(inputs, message):
    with pytest.raises(InputError) as error:
        SnapshotLifecycle().normalize(SCHEDULE | inputs)
    assert message in str(error.value)


def test_a_schedule_needs_its_repository(client):
    handler = SnapshotLifecycle()
    with pytest.raises(ServiceError, match=r"no such repository \[backups\]"):
        handler.create(client, handler.normalize(SCHEDULE))


@pytest.mark.service
def test_logs_come_back_from_a_snapshot(connected):
    handler, client = SnapshotRepository(), connected("elasticstack")
    spec = handler.normalize({"name": "kept", "fs": {"location": "kept"}})
    made = handler.create(client, spec)
    client.send("PUT", "/audit-2026.01.30/_doc/1", {"actor": "ada"}, refresh="true")
    taken = {"indices": "audit-*", "include_global_state": False}
    client.send("PUT", "/_snapshot/kept/first", taken, wait_for_completion="true")
    client.send("DELETE", "/audit-2026.01.30")
    handler.delete(client, made.id, spec)
    handler.create(client, spec)  # the snapshots are still there
    client.send(
        "POST",
        "/_snapshot/kept/first/_restore",
        {"indices": "audit-*"},
        wait_for_completion="true",
    )
    assert client.send("GET", "/audit-2026.01.30/_doc/1")["_source"] == {"actor": "ada"}
    client.send("DELETE", "/audit-2026.01.30")
    client.send("DELETE", "/_snapshot/kept/first")
    handler.delete(client, made.id, spec)


@pytest.mark.service
def test_a_server_without_life_cycles_says_what_to_do(connected):
    handler, client = IndexLifecycle(), connected("elasticstack")
    spec = handler.normalize(LIFE_CYCLE)
    for call in (
        lambda: handler.create(client, spec),
        lambda: handler.read(client, "logs", spec),
        lambda: handler.delete(client, "logs", spec),
    ):
        with pytest.raises(ServiceError, match="_ilm.* lacks this API.* default distribution"):
            call()
