"""The contract of handlers (dynamic_providers/handler.py), for every handler that is found."""

import copy

import pytest

from dynamic_providers.handler import UNKNOWN
from tests.dynamic_providers.cases import CASES, Case, Service, handlers

MEMBERS = (
    "KIND REPLACE_ON SECRETS COMPUTED normalize natural_key create read update delete".split()
)


def cases(*areas: str, enterprise: bool = True) -> list:
    return [
        pytest.param(case, id=case.handler.KIND)
        for case in CASES
        if case.handler.KIND.split("/")[0] in areas and (enterprise or not case.enterprise)
    ]


def check(case: Case, service: Service) -> None:
    handler, client = case.handler, service.client
    raw, changed = case.make(service)
    given = copy.deepcopy(raw)
    spec = handler.normalize(raw)
    assert raw == given  # the caller's dict is not ours to change
    assert handler.normalize(spec) == spec  # else every preview shows a change

    live = handler.create(client, spec)
    assert live.inputs == spec
    assert set(live.outputs) == handler.COMPUTED
    assert handler.create(client, spec).id == live.id  # after a crash: adopted, no twin
    found = handler.read(client, live.id, spec)
    assert (found.id, found.inputs) == (live.id, spec)  # refresh sees no drift
    assert set(found.outputs) == handler.COMPUTED
    imported = handler.read(client, live.id, {})
    assert imported.inputs[_first_input(spec)] == spec[_first_input(spec)]

    if changed is not None:
        wanted = handler.normalize(changed)
        assert wanted != spec
        assert not {key for key in handler.REPLACE_ON if wanted.get(key) != spec.get(key)}
        handler.update(client, live.id, spec, wanted)
        assert handler.read(client, live.id, wanted).inputs == wanted
        handler.create(client, spec)  # adoption brings a different object to the inputs
        assert handler.read(client, live.id, spec).inputs == spec

    handler.delete(client, live.id, spec)
    handler.delete(client, live.id, spec)  # deleting twice is fine
    if case.deletes:
        assert handler.read(client, live.id, spec) is None
        assert handler.create(client, spec).inputs == spec  # and it can come back


def _first_input(spec: dict) -> str:
    return next(
        key
        for key in ("uuid", "name", "path", "connectionId", "userName", "username")
        if key in spec
    )


def test_every_handler_has_a_case():
    found = {handler.KIND for handler in handlers()}
    assert found == {case.handler.KIND for case in CASES}
    assert len(found) >= 16


@pytest.mark.parametrize("handler", handlers(), ids=lambda handler: handler.KIND)
def test_a_handler_has_all_members(handler):
    assert [name for name in MEMBERS if not hasattr(handler, name)] == []


@pytest.mark.parametrize("case", cases("airbyte"))
def test_airbyte(case, airbyte):
    check(case, airbyte)


@pytest.mark.parametrize("case", cases("dremio"))
def test_dremio(case, dremio):
    check(case, dremio)


@pytest.mark.service
@pytest.mark.parametrize("case", cases("airbyte"))
def test_embedded_airbyte(case, embedded_airbyte):
    check(case, embedded_airbyte)


@pytest.mark.service
@pytest.mark.parametrize("case", cases("dremio", enterprise=False))
def test_embedded_dremio(case, embedded_dremio):
    check(case, embedded_dremio)


@pytest.mark.parametrize("case", cases("superset"))
def test_superset(case, superset):
    check(case, superset)


@pytest.mark.service
@pytest.mark.timeout(400)  # the first of them starts Superset
@pytest.mark.parametrize(
    # Schedules need a feature flag and workers, which the platform leaves off.
    "case",
    [c for c in cases("superset") if c.id not in ("superset/Alert", "superset/Report")],
)
def test_real_superset(case, real_superset):
    check(case, real_superset)


@pytest.mark.parametrize("case", cases("superset"))
def test_a_gone_superset_object_is_not_updated(case, superset):
    _check_gone(case, superset)


@pytest.mark.parametrize("case", cases("airbyte"))
def test_a_gone_airbyte_object_is_not_updated(case, airbyte):
    _check_gone(case, airbyte)


@pytest.mark.parametrize("case", cases("dremio"))
def test_a_gone_dremio_object_is_not_updated(case, dremio):
    _check_gone(case, dremio)


def _check_gone(case: Case, service: Service) -> None:
    raw, changed = case.make(service)
    if changed is None or not case.deletes:
        return
    spec = case.handler.normalize(raw)
    id_ = case.handler.create(service.client, spec).id
    case.handler.delete(service.client, id_, spec)
    with pytest.raises(LookupError):
        case.handler.update(service.client, id_, spec, case.handler.normalize(changed))


@pytest.mark.parametrize("case", cases("airbyte", "dremio", "superset"))
def test_every_input_may_be_unknown(case, request):
    """Each alone, and all together: a preview must not fail for what it cannot know."""
    service = request.getfixturevalue(case.handler.KIND.split("/")[0])
    raw, _ = case.make(service)
    everything = {key: UNKNOWN for key in case.handler.normalize(raw)}
    for unknown in [everything, *({**raw, key: UNKNOWN} for key in raw)]:
        spec = case.handler.normalize(unknown)
        assert {key for key, value in spec.items() if value == UNKNOWN} >= {
            key for key, value in unknown.items() if value == UNKNOWN
        }
        assert case.handler.normalize(spec) == spec
        assert isinstance(case.handler.natural_key(spec), str)
