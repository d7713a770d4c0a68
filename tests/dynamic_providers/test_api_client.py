"""When a call is repeated, and when it must not be."""

from collections import Counter

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from dynamic_providers.api import ApiClient, ApiError, post_once
from tests.fakes.serving import serving


@pytest.fixture
def service():
    """Answers with the statuses in `script`, then 200."""
    script, calls = [], Counter()

    async def answer(request):
        calls[request.method] += 1
        status = script.pop(0) if script else 200
        return JSONResponse({"message": "token-of-5tack says no"}, status)

    app = Starlette(routes=[Route("/x", answer, methods=["GET", "POST", "PUT", "DELETE"])])
    with serving(app) as url:
        client = ApiClient("test", url, secrets=("token-of-5tack",), retry_deadline_s=20)
        yield client, script, calls
        client.close()


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 502), ("PUT", 504), ("DELETE", 503), ("POST", 429), ("POST", 503)],
)
def test_a_passing_fault_is_repeated(service, method, status):
    client, script, calls = service
    script += [status, status]
    assert client.send(method, "/x") == {"message": "token-of-5tack says no"}
    assert calls[method] == 3


@pytest.mark.parametrize("status", [502, 504])
def test_a_post_that_may_have_worked_is_looked_up_not_repeated(service, status):
    client, script, calls = service
    script += [status]
    assert post_once(lambda: client.require("POST", "/x"), lambda: "found") == "found"
    script += [status]
    with pytest.raises(ApiError):
        post_once(lambda: client.require("POST", "/x"), lambda: None)
    assert calls["POST"] == 2


def test_a_refusal_is_not_looked_up(service):
    client, script, _ = service
    script += [400]
    with pytest.raises(ApiError) as raised:
        post_once(lambda: client.require("POST", "/x"), lambda: pytest.fail("looked up"))
    assert "token-of-5tack" not in str(raised.value)


def test_a_404_is_none_or_an_error_as_the_caller_wants(service):
    client, script, _ = service
    script += [404, 404]
    assert client.send("GET", "/x") is None
    with pytest.raises(ApiError) as raised:
        client.require("GET", "/x")
    assert raised.value.status == 404
