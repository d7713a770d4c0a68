"""Airbyte's two APIs as far as the handlers use them, with the rules of the real server.

Kept: tokens that end, masks, configuration defaults, source-defined keys and namespaces that the
server fills in, the zone after a cron expression, 409 for a second sync, connections that stay
readable as `deprecated`, cascading deletes, lists that say `next` on every page with entries.
"""

import itertools
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MASK = "*" * 10
SECRET_KEYS = {"password", "secret_access_key", "ssh_key"}
SERVER_DEFAULTS = {"tunnel_method": {"tunnel_method": "NO_TUNNEL"}}
SOURCE_KEY = [["id"]]
PUBLIC = "/api/public/v1"
TOKEN = f"{PUBLIC}/applications/token"
NOTIFICATIONS = {"failure": {"email": {"enabled": True}}}


def problem(status: int, message: str) -> JSONResponse:
    return JSONResponse(
        {"status": status, "title": "problem", "data": {"message": message}}, status
    )


def masked(value, key=""):
    if isinstance(value, dict):
        return {k: masked(v, k) for k, v in value.items()}
    return MASK if key in SECRET_KEYS else value


class Airbyte:
    def __init__(self, client_secret: str) -> None:
        self.client_secret = client_secret
        self.workspace = str(uuid4())
        self.workspaces = {self.workspace: {"workspaceId": self.workspace, "name": "Default"}}
        self.definitions = {"sources": {}, "destinations": {}, "declarative_sources": {}}
        self.tags = {}
        self.races = 0  # how many changes are refused before one is accepted
        self.lost_answers = 0  # how many objects are made without the maker hearing of it
        self.offers_config_api = True
        self.actors = {"sources": {}, "destinations": {}}
        self.connections, self.jobs, self.tokens = {}, {}, set()
        self.failure = None  # text with which the next job fails
        self.polls_per_job = 2
        self.token_lifetime_s = 900
        self.requests = []
        self._numbers = itertools.count(1)
        self.app = Starlette(
            routes=self._routes(),
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._authorize)],
        )

    def _routes(self):
        routes = [
            Route(f"{PUBLIC}/applications/token", self.token, methods=["POST"]),
            Route(f"{PUBLIC}/workspaces", self.workspace_list, methods=["GET", "POST"]),
            Route(
                f"{PUBLIC}/workspaces/{{id}}",
                self.one_workspace,
                methods=["GET", "PATCH", "DELETE"],
            ),
            Route(
                f"{PUBLIC}/workspaces/{{workspace}}/definitions/{{kind}}",
                self.definition_list,
                methods=["GET", "POST"],
            ),
            Route(
                f"{PUBLIC}/workspaces/{{workspace}}/definitions/{{kind}}/{{id}}",
                self.definition,
                methods=["GET", "PUT", "DELETE"],
            ),
            Route(f"{PUBLIC}/tags", self.tag_list, methods=["GET", "POST"]),
            Route(f"{PUBLIC}/tags/{{id}}", self.tag, methods=["GET", "PATCH", "DELETE"]),
            Route("/api/v1/connections/list", self.config_connections, methods=["POST"]),
            Route("/api/v1/connections/update", self.config_update, methods=["POST"]),
            Route(f"{PUBLIC}/connections", self.connection_list, methods=["GET", "POST"]),
            Route(
                f"{PUBLIC}/connections/{{id}}",
                self.connection,
                methods=["GET", "PATCH", "DELETE"],
            ),
            Route(f"{PUBLIC}/jobs", self.job_list, methods=["GET", "POST"]),
            Route(f"{PUBLIC}/jobs/{{id:int}}", self.job),
            Route("/api/v1/jobs/get", self.job_of_config, methods=["POST"]),
        ]
        for kind in self.actors:
            routes += [
                Route(f"{PUBLIC}/{kind}", self.actor_list, methods=["GET", "POST"]),
                Route(
                    f"{PUBLIC}/{kind}/{{id}}",
                    self.actor,
                    methods=["GET", "PUT", "PATCH", "DELETE"],
                ),
            ]
        return routes

    async def _authorize(self, request: Request, call_next) -> Response:
        self.requests.append((request.method, request.url.path))
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not request.url.path.endswith("/token") and token not in self.tokens:
            return problem(401, "Unauthorized")
        answer = await call_next(request)
        if self.lost_answers and request.method == "POST" and request.url.path != TOKEN:
            self.lost_answers -= 1
            return problem(504, "Gateway time-out")
        return answer

    async def token(self, request: Request) -> Response:
        body = await request.json()
        if (body["client_id"], body["client_secret"]) != ("dataflow", self.client_secret):
            return problem(401, "Invalid client")
        token = str(uuid4())
        self.tokens.add(token)
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": self.token_lifetime_s}
        )

    def _lost_race(self) -> JSONResponse | None:
        if not self.races:
            return None
        self.races -= 1
        return problem(409, "Try again later")

    async def workspace_list(self, request: Request) -> Response:
        if request.method == "GET":
            return self._page(request, list(self.workspaces.values()))
        body = await request.json()
        workspace = {"workspaceId": str(uuid4()), "name": body["name"], "dataResidency": "auto"}
        workspace["notifications"] = {**NOTIFICATIONS, **body.get("notifications", {})}
        self.workspaces[workspace["workspaceId"]] = workspace
        return JSONResponse(workspace)

    async def one_workspace(self, request: Request) -> Response:
        workspace = self.workspaces.get(request.path_params["id"])
        if workspace is None:
            return problem(404, "no workspace")
        if request.method == "DELETE":
            del self.workspaces[workspace["workspaceId"]]
            return Response(status_code=204)
        if request.method == "PATCH":
            if lost := self._lost_race():
                return lost
            body = await request.json()
            workspace["name"] = body.get("name", workspace["name"])
            workspace["notifications"].update(body.get("notifications", {}))
        return JSONResponse(workspace)

    # definitions and tags: lists without pages

    async def definition_list(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if request.path_params["workspace"] not in self.workspaces:
            return problem(404, "no workspace")
        if request.method == "GET":
            data = list(self.definitions[kind].values())
            return JSONResponse({"data": data, "next": "", "previous": ""})
        body = await request.json()
        made = {"id": str(uuid4()), **body}
        if kind == "declarative_sources":
            made |= {"manifest": {**body["manifest"], "metadata": {}}, "version": 1}
        self.definitions[kind][made["id"]] = made
        return JSONResponse(made)

    async def definition(self, request: Request) -> Response:
        found = self.definitions[request.path_params["kind"]]
        one = found.get(request.path_params["id"])
        if one is None:
            return problem(404, "no definition")
        if request.method == "DELETE":
            return JSONResponse(found.pop(one["id"]))
        if request.method == "PUT":
            body, declarative = await request.json(), "manifest" in one
            keys = ("manifest",) if declarative else ("name", "dockerImageTag")
            if set(body) != set(keys):
                return problem(400, f"expected {keys}, not {sorted(body)}")
            one.update(body)
        return JSONResponse(one)

    async def tag_list(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse({"data": list(self.tags.values())})
        tag = {"tagId": str(uuid4()), **await request.json()}
        if any(t["name"] == tag["name"] for t in self.tags.values()):
            return problem(409, "A tag of that name exists")
        self.tags[tag["tagId"]] = tag
        return JSONResponse(tag)

    async def tag(self, request: Request) -> Response:
        tag = self.tags.get(request.path_params["id"])
        if tag is None:
            return problem(404, "no tag")
        if request.method == "DELETE":
            del self.tags[tag["tagId"]]
            return Response(status_code=204)
        if request.method == "PATCH":
            tag.update(await request.json())
        return JSONResponse(tag)

    def _page(self, request: Request, found: list) -> Response:
        offset = int(request.query_params.get("offset", 0))
        page = found[offset : offset + int(request.query_params.get("limit", 20))]
        return JSONResponse({"data": page, "previous": "", "next": "/more" if page else ""})

    # sources and destinations

    def _actor_kind(self, request: Request) -> str:
        return request.url.path.split("/")[4]

    def _shown(self, kind: str, actor: dict) -> dict:
        return {**actor, "configuration": masked(actor["configuration"])}

    async def actor_list(self, request: Request) -> Response:
        kind = self._actor_kind(request)
        if request.method == "GET":
            actors = [self._shown(kind, a) for a in self.actors[kind].values()]
            wanted = request.query_params.get("workspaceIds", self.workspace)
            return self._page(request, [a for a in actors if a["workspaceId"] == wanted])
        body, one = await request.json(), kind[:-1]
        configuration = dict(body["configuration"])
        type_ = configuration.pop(f"{one}Type", None)
        if not type_ and "definitionId" not in body:
            return problem(400, "no connector named")
        actor = {
            f"{one}Id": str(uuid4()),
            "name": body["name"],
            f"{one}Type": type_ or "custom",
            "definitionId": body.get("definitionId", str(uuid4())),
            "workspaceId": body["workspaceId"],
            "createdAt": 1,
            "configuration": {**SERVER_DEFAULTS, **configuration},
        }
        self.actors[kind][actor[f"{one}Id"]] = actor
        return JSONResponse(self._shown(kind, actor))

    async def actor(self, request: Request) -> Response:
        kind, id_ = self._actor_kind(request), request.path_params["id"]
        one = kind[:-1]
        actor = self.actors[kind].get(id_)
        if actor is None:
            return problem(404, f"no {one} {id_}")
        if request.method == "DELETE":
            del self.actors[kind][id_]
            for connection in self.connections.values():
                if connection[f"{one}Id"] == id_:
                    connection["status"] = "deprecated"
            return Response(status_code=204)
        if request.method == "PUT":
            if lost := self._lost_race():
                return lost
            body = await request.json()
            sent = {k: v for k, v in body["configuration"].items() if k != f"{one}Type"}
            actor["name"] = body["name"]
            actor["configuration"] = {**SERVER_DEFAULTS, **sent}
        return JSONResponse(self._shown(kind, actor))

    # connections

    def _filled(self, streams: list[dict]) -> list[dict]:
        names = [(s.get("namespace"), s["name"]) for s in streams]
        if len(set(names)) != len(names):
            raise ValueError("duplicate stream")
        for stream in streams:
            if stream.get("selectedFields") == []:
                raise ValueError("selectedFields must not be empty")
            if stream["syncMode"].startswith("incremental_deduped"):
                raise ValueError("the destination cannot deduplicate")
        return [
            {
                "name": s["name"],
                "namespace": s.get("namespace", "public"),
                "syncMode": s["syncMode"],
                "cursorField": s.get("cursorField", []),
                "primaryKey": s.get("primaryKey") or SOURCE_KEY,
                "selectedFields": s.get("selectedFields", []),
                "mappers": [],
            }
            for s in streams
        ]

    @staticmethod
    def _schedule(sent: dict) -> dict:
        if sent["scheduleType"] not in ("manual", "cron"):
            raise ValueError("scheduleType must be manual or cron")
        if sent["scheduleType"] == "manual":
            return {"scheduleType": "manual", "basicTiming": None, "cronExpression": None}
        return {
            "scheduleType": "cron",
            "cronExpression": sent["cronExpression"].removesuffix(" UTC") + " UTC",
        }

    async def connection_list(self, request: Request) -> Response:
        if request.method == "GET":
            return self._page(request, list(self.connections.values()))
        body = await request.json()
        if body["sourceId"] not in self.actors["sources"]:
            return problem(404, f"no source {body['sourceId']}")
        try:
            streams = self._filled(body["configurations"]["streams"])
        except ValueError as error:
            return problem(400, str(error))
        if not set(body) <= {
            "name", "sourceId", "destinationId", "configurations", "schedule", "prefix",
            "namespaceDefinition", "namespaceFormat", "status",
            "nonBreakingSchemaUpdatesBehavior", "tags",
        }:  # fmt: skip
            return problem(400, f"unknown field in {sorted(body)}")
        connection = {
            "namespaceDefinition": "destination",
            "namespaceFormat": None,
            "prefix": "",
            "nonBreakingSchemaUpdatesBehavior": "ignore",
            "status": "active",
            "tags": [],
            **body,
            "connectionId": str(uuid4()),
            "workspaceId": self.workspace,
            "createdAt": 1,
            "statusReason": None,
            "schedule": self._schedule(body.get("schedule", {"scheduleType": "manual"})),
            "configurations": {"streams": streams},
        }
        self.connections[connection["connectionId"]] = connection
        return JSONResponse(connection)

    async def connection(self, request: Request) -> Response:
        connection = self.connections.get(request.path_params["id"])
        if connection is None:
            return problem(404, "no connection")
        if request.method == "DELETE":
            connection["status"] = "deprecated"
            return Response(status_code=204)
        if request.method == "PATCH":
            if lost := self._lost_race():
                return lost
            body = await request.json()
            if {"sourceId", "destinationId"} & set(body):
                return problem(400, "sourceId and destinationId cannot change")
            try:
                if streams := body.pop("configurations", {}).get("streams"):
                    connection["configurations"] = {"streams": self._filled(streams)}
            except ValueError as error:
                return problem(400, str(error))
            if schedule := body.pop("schedule", None):
                connection["schedule"] = self._schedule(schedule)
            connection.update(body)
        return JSONResponse(connection)

    async def config_connections(self, request: Request) -> Response:
        if not self.offers_config_api:
            return problem(404, "no such route")
        return JSONResponse({"connections": []})

    async def config_update(self, request: Request) -> Response:
        if not self.offers_config_api:
            return problem(404, "no such route")
        body = await request.json()
        connection = self.connections[body["connectionId"]]
        data = body["scheduleData"]
        if body["scheduleType"] == "basic":
            basic = data["basicSchedule"]
            timing = f"Every {basic['units']} {basic['timeUnit'].upper()}"
            connection["schedule"] = {"scheduleType": "basic", "basicTiming": timing}
        else:
            cron = f"{data['cron']['cronExpression']} {data['cron']['cronTimeZone']}"
            connection["schedule"] = {"scheduleType": "cron", "cronExpression": cron}
        return JSONResponse(body)

    # jobs

    def _advance(self, job: dict) -> None:
        if job["status"] not in ("pending", "running"):
            return
        job["polls"] += 1
        job["status"] = "running"
        if job["polls"] >= self.polls_per_job:
            job["status"] = "failed" if job["failure"] else "succeeded"

    def _job(self, job: dict) -> dict:
        shown = {k: job[k] for k in ("jobId", "status", "jobType", "connectionId")}
        synced = {"rowsSynced": 10, "bytesSynced": 1000}
        return shown | (synced if job["status"] == "succeeded" else {})

    async def job_list(self, request: Request) -> Response:
        if request.method == "GET":
            wanted = request.query_params.get("connectionId")
            jobs = [j for j in self.jobs.values() if wanted in (None, j["connectionId"])]
            return self._page(request, [self._job(job) for job in jobs])
        body = await request.json()
        for job in self.jobs.values():
            if job["connectionId"] == body["connectionId"] and job["status"] in (
                "pending",
                "running",
            ):
                return problem(409, "A sync is already running")
        job = {**body, "jobId": next(self._numbers), "status": "pending", "polls": 0}
        job["failure"], self.failure = self.failure, None
        self.jobs[job["jobId"]] = job
        return JSONResponse(self._job(job))

    async def job(self, request: Request) -> Response:
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return problem(404, "no job")
        self._advance(job)
        return JSONResponse(self._job(job))

    async def job_of_config(self, request: Request) -> Response:
        job = self.jobs[int((await request.json())["id"])]
        failures = [{"externalMessage": job["failure"]}] if job["failure"] else []
        attempt = {"id": 0, "status": job["status"], "failureSummary": {"failures": failures}}
        return JSONResponse(
            {"job": {"id": job["jobId"]}, "attempts": [{"attempt": attempt, "logs": {}}]}
        )
