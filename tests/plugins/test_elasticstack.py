"""What the elasticstack plugin refuses, and what it says then."""

import pytest

from dynamic_providers.handler import InputError
from plugins.elasticstack.client import SearchClient
from plugins.elasticstack.index_lifecycle import IndexLifecycle
from plugins.kind import ServiceError
from tests.fakes.elasticsearch import Elasticsearch
from tests.fakes.serving import serving

LIFE_CYCLE = {"name": "logs", "delete": {"minAge": "90d", "delete": {}}}


@pytest.fixture
def server():
    return Elasticsearch()


@pytest.fixture
def client(server):
    with serving(server.app) as url:
        yield SearchClient(url, None, {}, "")


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
