"""The REST application."""

import logging
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedded.dremio.api import handlers
from embedded.dremio.api.call import Call, Reply
from embedded.dremio.engine import Engine
from embedded.dremio.errors import EngineError, Kind, not_found
from embedded.dremio.users import parse_authorization

LOG = logging.getLogger(__name__)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
MAX_BODY_BYTES = 32 * 1024 * 1024


def build(engine: Engine) -> Starlette:
    async def answer(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_answer, engine, request, body)

    async def metrics(_: Request) -> Response:
        return Response(engine.metrics.text(), media_type="text/plain; version=0.0.4")

    routes = [
        Route("/metrics", metrics, methods=["GET"]),
        Route("/{rest:path}", answer, methods=METHODS),
    ]
    return Starlette(routes=routes)


def _answer(engine: Engine, request: Request, body: bytes) -> Response:
    # The raw path: an id such as dremio:/src/dir arrives with its slashes encoded.
    raw = bytes(request.scope.get("raw_path") or request.url.path.encode()).decode()
    parts = tuple(unquote(part) for part in raw.partition("?")[0].split("/") if part)
    try:
        route = handlers.route(request.method, parts)
        if route is None:
            raise not_found(f"HTTP 404 Not Found: {request.method} /{'/'.join(parts)}")
        token = parse_authorization(request.headers.get("authorization", ""))
        user = engine.users.by_token(token) if token else None
        if user is None and not route.open:
            return Response(status_code=401)
        call = Call(
            engine=engine,
            user=user,
            token=token,
            path=parts[route.prefix :],
            query=dict(request.query_params),
            body=_json(body),
        )
        return _response(route.handler(call))
    except EngineError as fault:
        return _error(fault)
    except Exception:
        LOG.exception("%s /%s", request.method, "/".join(parts[:3]))
        return _error(EngineError(Kind.SYSTEM, "Unexpected error occurred"))


def _json(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise EngineError(Kind.VALIDATION, f"The body exceeds {MAX_BODY_BYTES} bytes.")
    if not body.strip():
        return {}
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise EngineError(Kind.VALIDATION, "The body is not valid JSON.") from None
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise EngineError(Kind.VALIDATION, "The body must be a JSON object.")
    return parsed


def _response(reply: Reply) -> Response:
    if reply.body is None:
        return Response(status_code=reply.status)
    return Response(orjson.dumps(reply.body), reply.status, media_type="application/json")


def _error(fault: EngineError) -> Response:
    body = {"errorMessage": fault.message, "moreInfo": ""}
    return Response(orjson.dumps(body), fault.kind.status, media_type="application/json")
