"""Handlers over a network that fails: the result is exact, nothing is made twice.

The faults happen in the client's transport, before or after the fake did the work.
"""

import itertools
from collections.abc import Callable

import httpx
import pytest

from dynamic_providers.airbyte import source as airbyte_source
from dynamic_providers.api import ApiError
from dynamic_providers.dremio import space, view
from tests.dynamic_providers.conftest import POSTGRES, SECRET

CALLS = 30  # of one life, with its repeats and log-ins


def lost_before(send: Callable[[], httpx.Response]) -> httpx.Response:
    raise httpx.ConnectError(f"refused, as {SECRET} knows")


def lost_after(send: Callable[[], httpx.Response]) -> httpx.Response:
    send().read()
    raise httpx.ReadError(f"closed, as {SECRET} knows")


def too_slow(send: Callable[[], httpx.Response]) -> httpx.Response:
    send().read()
    raise httpx.ReadTimeout("no answer in time")


def truncated(send: Callable[[], httpx.Response]) -> httpx.Response:
    answer = send()
    return httpx.Response(answer.status_code, content=answer.read()[:-1] or b"")


def status(code: int, done: bool = False, **headers: str):
    def fault(send: Callable[[], httpx.Response]) -> httpx.Response:
        if done:
            send().read()
        return httpx.Response(code, headers=headers, json={"message": f"{SECRET}"})

    return fault


ENDED = status(401)
FAULTS = {
    "refused": lost_before,
    "answer lost": lost_after,
    "slow": too_slow,
    "502 after the work": status(502, done=True),
    "504 after the work": status(504, done=True),
    "503": status(503),
    "429": status(429, **{"Retry-After": "0"}),
    "token ended": ENDED,
}


class Faulty(httpx.BaseTransport):
    """Passes calls on; `fault` happens to the one with number `at`."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner, self.fault, self.at, self.calls = inner, None, 0, 0

    def arm(self, fault, at: int) -> None:
        self.fault, self.at, self.calls = fault, at, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        log_in = "authorization" not in request.headers  # a refused log-in is no fault of a call
        if self.calls != self.at or self.fault is None or (self.fault is ENDED and log_in):
            return self.inner.handle_request(request)
        return self.fault(lambda: self.inner.handle_request(request))


def faulty(http: httpx.Client) -> Faulty:
    http._transport = Faulty(http._transport)  # the client's own connection pool stays below
    return http._transport


def life(handler, client, spec, changed) -> tuple[object, object]:
    """What is read after create and after update; then the object is gone."""
    id_ = handler.create(client, spec).id
    first = handler.read(client, id_, spec)
    handler.update(client, id_, spec, changed)
    second = handler.read(client, id_, changed)
    try:
        handler.delete(client, id_, changed)
    except ApiError as error:  # Dremio's asks for readers by a POST, which is not repeated
        assert "/sql" in str(error)
        handler.delete(client, id_, changed)
    return first.inputs, second.inputs


def check(handler, client, wire, raw, edit, left: Callable[[], int], fault) -> None:
    """Every call of a life fails once, each in a life of its own."""
    spec, changed = handler.normalize(raw), handler.normalize({**raw, **edit})
    before = left()
    for at in itertools.count(1):
        wire.arm(fault, at)
        assert life(handler, client, spec, changed) == (spec, changed), at
        assert left() == before, at
        if wire.calls < at:
            return
        assert wire.calls <= CALLS


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_at_any_call_of_airbyte(fault, airbyte, airbyte_fake):
    raw = {"name": "shop", "configuration": POSTGRES}
    check(
        airbyte_source,
        airbyte.client,
        faulty(airbyte.client.api._http),
        raw,
        {"name": "other"},
        lambda: len(airbyte_fake.actors["sources"]),
        fault,
    )


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_at_any_call_of_dremio(fault, dremio, dremio_fake):
    space.create(dremio.client, space.normalize({"name": "gold"}))
    check(
        view,
        dremio.client,
        faulty(dremio.client.api._http),
        {"path": ["gold", "orders"], "sql": "SELECT 1"},
        {"sql": "SELECT 2"},
        lambda: len(dremio_fake.objects),
        fault,
    )


@pytest.mark.parametrize("fault", [lost_after, truncated, status(500)])
def test_a_failed_create_is_taken_over_by_the_next(fault, airbyte, airbyte_fake):
    """Where one call cannot be mended at once, a second up makes no twin."""
    wire = faulty(airbyte.client.api._http)
    spec = airbyte_source.normalize({"name": "shop", "configuration": POSTGRES})
    for at in range(1, 5):
        wire.arm(fault, at)
        try:
            airbyte_source.create(airbyte.client, spec)
        except ApiError as error:
            assert SECRET not in str(error)
        wire.arm(None, 0)
        id_ = airbyte_source.create(airbyte.client, spec).id
        assert list(airbyte_fake.actors["sources"]) == [id_]
        airbyte_source.delete(airbyte.client, id_, spec)
