"""The HTTP application: both APIs, their errors, authentication, metrics."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson
import psycopg
import psycopg_pool
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedded.airbyte.api import metrics, public, rpc
from embedded.airbyte.api.call import Call, Handler, Plane, Reply
from embedded.airbyte.api.errors import RequestError, bad_request, problem, rpc_error

PUBLIC = "/api/public/v1"
CONFIG = "/api/v1"
OPEN = frozenset({"/health", "/applications/token"})

_log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


def build(plane: Plane) -> Starlette:
    routes = [
        Route(prefix + path, _endpoint(plane, prefix, path, handler), methods=[method])
        for prefix, found in ((PUBLIC, public.routes()), (CONFIG, rpc.routes()))
        for (method, path), handler in found.items()
    ]

    async def show_metrics(request: Request) -> Response:
        text = await run_in_threadpool(metrics.render, plane.pool)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def unmatched(request: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        known = "not covered by the embedded engine"
        text = f"{request.method} {request.url.path}: {known}, or no such route"
        return _error(request.url.path, RequestError(status, text))

    return Starlette(
        routes=[*routes, Route("/metrics", show_metrics)],
        exception_handlers={HTTPException: unmatched},
    )


def _endpoint(plane: Plane, prefix: str, path: str, handler: Handler) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            if path not in OPEN and plane.auth_enabled:
                if not plane.tokens.valid(request.headers.get("Authorization", "")):
                    raise RequestError(401, "missing, wrong or expired bearer token")
            call = Call(
                url=str(request.url.replace(query="")),
                path=request.path_params,
                query=parse_qs(request.url.query),
                body=await _body(request),
            )
            return _answer(await run_in_threadpool(handler, plane, call))
        except RequestError as error:
            return _error(prefix, error)
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as fault:
            _log.error("%s %s: %s", request.method, path, type(fault).__name__)
            return _error(prefix, RequestError(500, "the control plane's database is away"))
        except Exception:  # the boundary of the request
            _log.exception("%s %s", request.method, path)
            return _error(prefix, RequestError(500, "an unexpected problem; see the log"))

    return endpoint


async def _body(request: Request) -> Mapping[str, Any]:
    raw = await request.body()
    if not raw.strip():
        return {}
    if request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return {name: values[-1] for name, values in parse_qs(raw.decode()).items()}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        raise bad_request(f"the body is not JSON: line {fault.lineno}: {fault.msg}") from None
    if not isinstance(body, dict):
        raise bad_request("the body is not a JSON object")
    return body


def _answer(reply: Reply) -> Response:
    if reply.body is None:
        return Response(status_code=reply.status)
    return Response(orjson.dumps(reply.body), reply.status, media_type="application/json")


def _error(path: str, error: RequestError) -> Response:
    is_public = path.startswith(PUBLIC)
    body = problem(error) if is_public else rpc_error(error)
    media_type = "application/problem+json" if is_public else "application/json"
    return Response(orjson.dumps(body), error.status, media_type=media_type)
