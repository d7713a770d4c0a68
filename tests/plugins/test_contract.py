"""The contract of dynamic_providers/handler.py, for every handler against the real service, or
what stands in for it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dynamic_providers.waiting import wait_for
from plugins.provider import differences
from tests.plugins.conftest import PLUGINS
from tests.plugins.contract import CASES as SERVICE_CASES
from tests.plugins.kubernetes_cases import KUBERNETES_CASES

CASES = SERVICE_CASES | KUBERNETES_CASES
HANDLERS = {token: h for plugin in PLUGINS.values() for token, h in plugin.handlers.items()}


def paths(old, new):
    return {path for path, _, _ in differences(old, new)}


def test_every_handler_has_a_case():
    assert HANDLERS.keys() == CASES.keys()


@pytest.fixture
def client(token, connected):
    client = connected(token)
    case, handler = CASES[token], HANDLERS[token]
    case.prepare(client)
    yield client
    spec = handler.normalize(case.raw)
    for inputs in (spec, spec | case.change):
        if (live := handler.read(client, own_id(handler, client, inputs), inputs)) is not None:
            handler.delete(client, live.id, live.inputs)
    case.clean(client)


def own_id(handler, client, inputs):
    key = handler.natural_key(inputs)
    return client.id_of(key) if hasattr(client, "id_of") else key


@pytest.mark.parametrize("token", sorted(CASES))
def test_normalize_is_idempotent(token):
    handler, case = HANDLERS[token], CASES[token]
    for raw in (case.raw, case.raw | case.change):
        spec = handler.normalize(raw)
        assert handler.normalize(spec) == spec


@pytest.mark.service
@pytest.mark.parametrize("token", sorted(CASES))
def test_lifecycle(token, client):
    handler, case = HANDLERS[token], CASES[token]
    spec = handler.normalize(case.raw)
    created = handler.create(client, spec)
    assert created.inputs == spec
    assert handler.COMPUTED <= created.outputs.keys() | created.inputs.keys() | handler.SECRETS
    assert handler.create(client, spec).id == created.id, "run again after a crash: no twin"

    live = handler.read(client, created.id, spec)
    assert live is not None and live.id == created.id
    assert paths(spec, live.inputs) == set(), "refresh sees no drift"

    changed = handler.normalize(case.raw | case.change)
    assert paths(spec, changed) == case.changed
    updated = handler.update(client, created.id, spec, changed)
    assert updated.inputs == changed
    live = handler.read(client, created.id, changed)
    assert live is not None and paths(changed, live.inputs) == set()

    case.drift(client, created.id)
    live = handler.read(client, created.id, changed)
    assert live is not None and paths(changed, live.inputs) == case.drifted
    handler.update(client, created.id, live.inputs, changed)
    live = handler.read(client, created.id, changed)
    assert live is not None and paths(changed, live.inputs) == set(), "up repairs the drift"

    handler.delete(client, created.id, changed)
    handler.delete(client, created.id, changed)
    if not case.lingers:  # some kinds go only once a controller has looked at them
        wait_for(lambda: handler.read(client, created.id, changed) is None or None, 60, "its end")


@pytest.mark.service
@pytest.mark.parametrize("token", sorted(CASES))
def test_import_finds_what_the_program_says(token, client):
    handler, case = HANDLERS[token], CASES[token]
    spec = handler.normalize(case.raw)
    created = handler.create(client, spec)
    live = handler.read(client, created.id, {})
    assert live is not None
    assert handler.normalize(live.inputs) == live.inputs
    told = {
        path.split(".")[0].split("[")[0]
        for path in paths(live.inputs, spec)
        if path.split(".")[0].split("[")[0] in spec or path not in handler.COMPUTED
    }
    assert told <= handler.SECRETS | case.imports


@pytest.mark.service
@pytest.mark.parametrize("token", sorted(CASES))
def test_an_object_that_never_was_is_gone(token, client):
    handler, case = HANDLERS[token], CASES[token]
    spec = handler.normalize(case.raw)
    id_ = own_id(handler, client, spec)
    assert handler.read(client, id_, {}) is None
    handler.delete(client, id_, spec)


@pytest.mark.service
def test_many_grants_at_once(connected):
    """The engine creates grants in parallel; PostgreSQL refuses two changes of one list."""
    client, handler = connected("postgresql"), HANDLERS["postgresql:index/grant:Grant"]
    roles = [f"parallel_{number}" for number in range(12)]
    with client.session() as session:
        for role in roles:
            session.run("CREATE ROLE {}", role)
    base = {"database": "postgres", "schema": "public", "objectType": "schema"}
    specs = [handler.normalize(base | {"role": r, "privileges": ["CREATE"]}) for r in roles]
    with ThreadPoolExecutor(len(roles)) as pool:
        made = list(pool.map(lambda spec: handler.create(client, spec), specs))
        list(pool.map(lambda live: handler.delete(client, live.id, live.inputs), made))
    with client.session() as session:
        for role in roles:
            session.run("DROP ROLE {}", role)


@pytest.mark.service
def test_many_settings_of_a_bucket_at_once(connected):
    """MinIO itself loses one of two settings that are changed at the same time."""
    client = connected("minio")
    client.s3("make_bucket", "contract")
    tokens = [t for t in CASES if CASES[t].raw.get("bucket") == "contract"]
    specs = {token: HANDLERS[token].normalize(CASES[token].raw) for token in tokens}
    assert len(specs) == 3
    with ThreadPoolExecutor(len(specs)) as pool:
        for _ in range(10):
            list(pool.map(lambda token: HANDLERS[token].create(client, specs[token]), specs))
            for token, spec in specs.items():
                live = HANDLERS[token].read(client, "contract", spec)
                assert live is not None and live.inputs == spec
                HANDLERS[token].delete(client, "contract", spec)
    client.s3("remove_bucket", "contract")
