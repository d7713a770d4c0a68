"""Dremio's REST API as far as the handlers use it, with the rules of the real server.

Payloads of 26.x (docs.dremio.com/current/reference/api) and 25.2.

Kept: no login before the first user, empty 401, lock tags, 409 for duplicates and stale tags,
masked secrets, config defaults, views in spaces only, promotion by id and path, reflections that
need `enabled`, build for a while, and may give up. Grants, roles and the end of users are of
edition enterprise alone; a PUT of grants replaces them all.
"""

import hashlib
import itertools
import json
import re
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MASK = "$DREMIO_EXISTING_VALUE$"
SECRET_KEYS = {"accessSecret", "password"}
SOURCE_DEFAULTS = {"isCachingEnabled": True, "maxCacheSpacePct": 100}
POLICY_DEFAULTS = {
    "accelerationRefreshPeriodMs": 3_600_000,
    "accelerationGracePeriodMs": 10_800_000,
    "accelerationNeverRefresh": False,
    "accelerationNeverExpire": False,
    "metadataPolicy": {"authTTLMs": 86_400_000},
}
FORMAT_DEFAULTS = {"Parquet": {"autoCorrectCorruptDates": True}}


def error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"errorMessage": message}, status)


def _named(path: tuple[str, ...]) -> dict[str, str]:
    return {"TABLE_SCHEMA": ".".join(path[:-1]), "TABLE_NAME": path[-1]}


class Dremio:
    def __init__(self, edition: str = "enterprise") -> None:
        self.edition = edition
        self.user = None
        self.users, self.roles, self.grants, self.scripts = {}, {}, {}, {}
        self.notes = {"tag": {}, "wiki": {}}
        self.tokens, self.objects, self.reflections, self.jobs = set(), {}, {}, {}
        self.files = set()  # paths that a source shows as folders
        self.polls_per_build = 2
        self.ignores_grants = False  # answers as if it had stored them
        self.failure = None  # text with which the next reflection gives up
        self.requests = []
        self._tags = itertools.count(1)
        self.app = Starlette(
            routes=self._routes(),
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._authorize)],
        )

    def _routes(self):
        return [
            Route("/apiv2/bootstrap/firstuser", self.first_user, methods=["PUT"]),
            Route("/apiv2/login", self.login, methods=["POST"]),
            Route("/apiv2/sources/isMetadataImpacting", self.impacting, methods=["POST"]),
            Route("/api/v3/user/by-name/{name}", self.user_by_name),
            Route("/api/v3/user", self.add_user, methods=["POST"]),
            Route("/api/v3/user/{id}", self.user_by_id, methods=["GET", "PUT", "DELETE"]),
            Route("/api/v3/role", self.all_roles, methods=["GET", "POST"]),
            Route("/api/v3/role/by-name/{name}", self.role_by_name),
            Route("/api/v3/role/{id}", self.role_by_id, methods=["GET", "PUT", "DELETE"]),
            Route("/api/v3/scripts", self.all_scripts, methods=["GET", "POST"]),
            Route("/api/v3/scripts/{id}", self.script, methods=["GET", "PATCH", "DELETE"]),
            Route(
                "/api/v3/catalog/{id}/collaboration/{kind}",
                self.note,
                methods=["GET", "POST"],
            ),
            Route("/api/v3/catalog/{id}/grants", self.grants_of, methods=["GET", "PUT"]),
            Route("/api/v3/catalog", self.add, methods=["POST"]),
            Route("/api/v3/catalog/by-path/{path:path}", self.by_path),
            Route(
                "/api/v3/catalog/{id:path}",
                self.entity,
                methods=["GET", "POST", "PUT", "DELETE"],
            ),
            Route("/api/v3/reflection", self.add_reflection, methods=["POST"]),
            Route("/api/v3/reflection/{id}", self.reflection, methods=["GET", "PUT", "DELETE"]),
            Route("/api/v3/dataset/{id}/reflection", self.reflections_of),
            Route("/api/v3/sql", self.sql, methods=["POST"]),
            Route("/api/v3/job/{id}", self.job),
            Route("/api/v3/job/{id}/results", self.results),
        ]

    async def _authorize(self, request: Request, call_next) -> Response:
        self.requests.append((request.method, request.url.path))
        token = request.headers.get("authorization", "").removeprefix("_dremio")
        free = ("/apiv2/bootstrap/firstuser", "/apiv2/login")
        if request.url.path not in free and token not in self.tokens:
            return Response(status_code=401)
        return await call_next(request)

    # users

    async def first_user(self, request: Request) -> Response:
        if self.user is not None:
            return error(400, "First user can only be created when no user is registered.")
        body = await request.json()
        self.user = {**body, "id": str(uuid4())}
        return JSONResponse({"userName": body["userName"]})

    async def login(self, request: Request) -> Response:
        if self.user is None:
            return error(403, "No User Available")
        body = await request.json()
        known = {u["name"]: u["password"] for u in self.users.values()}
        known[self.user["userName"]] = self.user["password"]
        if known.get(body["userName"]) != body["password"]:
            return error(401, "Login failed: Invalid username or password")
        token = str(uuid4())
        self.tokens.add(token)
        return JSONResponse({"token": token, "userName": body["userName"], "admin": True})

    def _first(self) -> dict:
        keys = ("firstName", "lastName", "email", "id")
        return {"name": self.user["userName"], **{k: self.user[k] for k in keys}}

    def _shown_user(self, user: dict) -> dict:
        shown = {k: v for k, v in user.items() if k not in ("password", "roles")}
        if self.edition == "community":
            return {**shown, "@type": "User"}
        roles = [{"id": "public", "name": "PUBLIC", "type": "SYSTEM"}]
        roles += [{"id": id_, "name": self.roles[id_]["name"]} for id_ in user["roles"]]
        return {**shown, "@type": "EnterpriseUser", "active": True, "roles": roles}

    def _stored_user(self, body: dict, old: dict) -> dict:
        kept = {k: body.get(k, "") for k in ("name", "firstName", "lastName", "email")}
        roles = [r["id"] for r in body.get("roles") or [] if r["id"] != "public"]
        password = body.get("password") or old.get("password")
        return {**kept, "password": password, "roles": roles, "tag": self._tag()}

    async def add_user(self, request: Request) -> Response:
        body = await request.json()
        taken = [u["name"] for u in self.users.values()] + [self.user["userName"]]
        if body["name"] in taken:
            return error(409, f"User [{body['name']}] already exists.")
        user = {**self._stored_user(body, {}), "id": str(uuid4())}
        self.users[user["id"]] = user
        return JSONResponse(self._shown_user(user))

    async def user_by_name(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == self.user["userName"]:
            return JSONResponse(self._first())
        for user in self.users.values():
            if user["name"] == name:
                return JSONResponse(self._shown_user(user))
        return error(404, f"User [{name}] not found.")

    async def user_by_id(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if id_ == self.user["id"]:
            body = await request.json()
            self.user.update({k: body[k] for k in ("firstName", "lastName", "email")})
            return JSONResponse(self._first())
        user = self.users.get(id_)
        if user is None:
            return error(404, f"User with id [{id_}] could not be found.")
        if request.method == "DELETE":
            if self.edition == "community":
                return error(405, "HTTP 405 Method Not Allowed")
            if request.query_params.get("version") != user["tag"]:
                return error(409, "stale tag")
            del self.users[id_]
            return Response(status_code=204)
        if request.method == "PUT":
            body = await request.json()
            if body["name"] != user["name"]:
                return error(400, "Renaming users is not supported.")
            if body.get("tag") != user["tag"]:
                return error(409, "stale tag")
            user.update(self._stored_user(body, user))
        return JSONResponse(self._shown_user(user))

    # roles

    def _shown_role(self, role: dict) -> dict:
        parents = [
            {"id": id_, "name": self.roles[id_]["name"], "type": "INTERNAL"}
            for id_ in role["roles"]
        ]
        return {**role, "type": "INTERNAL", "memberCount": 0, "roles": parents}

    def _stored_role(self, body: dict) -> dict:
        roles = [r["id"] for r in body.get("roles") or []]
        return {"name": body["name"], "description": body.get("description"), "roles": roles}

    async def all_roles(self, request: Request) -> Response:
        if self.edition == "community":
            return error(404, "HTTP 404 Not Found")
        if request.method == "GET":
            return JSONResponse({"data": [self._shown_role(r) for r in self.roles.values()]})
        body = await request.json()
        if body["name"] in [r["name"] for r in self.roles.values()]:
            return error(409, "a role of that name exists")
        role = {**self._stored_role(body), "id": str(uuid4())}
        self.roles[role["id"]] = role
        return JSONResponse(self._shown_role(role))

    async def role_by_name(self, request: Request) -> Response:
        for role in self.roles.values():
            if role["name"] == request.path_params["name"]:
                return JSONResponse(self._shown_role(role))
        return error(404, "no such role")

    async def role_by_id(self, request: Request) -> Response:
        role = self.roles.get(request.path_params["id"])
        if role is None:
            return error(404, "no such role")
        if request.method == "DELETE":
            del self.roles[role["id"]]
            for other in [*self.users.values(), *self.roles.values()]:
                other["roles"] = [id_ for id_ in other["roles"] if id_ != role["id"]]
            return Response(status_code=204)
        if request.method == "PUT":
            role.update(self._stored_role(await request.json()))
        return JSONResponse(self._shown_role(role))

    # scripts

    async def all_scripts(self, request: Request) -> Response:
        if request.method == "GET":
            wanted = request.query_params.get("search", "")
            found = [s for s in self.scripts.values() if wanted in s["name"]]
            start = int(request.query_params.get("offset", 0))
            page = found[start : start + min(int(request.query_params["maxResults"]), 2)]
            return JSONResponse({"total": len(found), "data": page})
        body = await request.json()
        if body["name"] in [s["name"] for s in self.scripts.values()]:
            return error(409, "a script of that name exists")
        script = {"id": str(uuid4()), **self._stored_script(body), "owner": self.user["id"]}
        self.scripts[script["id"]] = script
        return JSONResponse(script)

    @staticmethod
    def _stored_script(body: dict) -> dict:
        return {k: body[k] for k in ("name", "content", "context", "description") if k in body}

    async def script(self, request: Request) -> Response:
        script = self.scripts.get(request.path_params["id"])
        if script is None:
            return error(404, "no such script")
        if request.method == "DELETE":
            del self.scripts[script["id"]]
            return Response(status_code=204)
        if request.method == "PATCH":
            script.update(self._stored_script(await request.json()))
        return JSONResponse(script)

    # tags, wikis and grants of catalog objects

    def _entity(self, id_: str) -> dict | None:
        return next((e for e in self.objects.values() if e["id"] == id_), None)

    async def note(self, request: Request) -> Response:
        id_, kind = request.path_params["id"], request.path_params["kind"]
        if self._entity(id_) is None:
            return error(404, f"Could not find entity with id [{id_}]")
        notes = self.notes[kind]
        if request.method == "POST":
            body = await request.json()
            if body.get("version") != notes.get(id_, {}).get("version"):
                return error(409, "The version is not the current one.")
            field = "tags" if kind == "tag" else "text"
            notes[id_] = {field: body[field], "version": self._tag()}
        return JSONResponse(notes.get(id_, {}))

    async def grants_of(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if self._entity(id_) is None:
            return error(404, f"Could not find entity with id [{id_}]")
        if self.edition == "community":
            return error(400, "Grants are only supported in Enterprise Edition.")
        if request.method == "PUT":
            grants = (await request.json())["grants"]
            named = {**self.users, **self.roles, self.user["id"]: self._first()}
            if any(g["id"] not in named for g in grants):
                return error(400, "no such grantee")
            if self.ignores_grants:
                return Response(status_code=204)
            self.grants[id_] = [{**g, "name": named[g["id"]]["name"]} for g in grants]
            return Response(status_code=204)
        shown = {"availablePrivileges": ["ALTER", "SELECT"], "grants": self.grants.get(id_, [])}
        return JSONResponse({"id": id_, **shown})

    # catalog

    def _tag(self) -> str:
        return str(next(self._tags))

    @staticmethod
    def _path(body: dict) -> tuple[str, ...]:
        return tuple(body.get("path") or [body["name"]])

    def _shown(self, entity: dict) -> dict:
        shown = json.loads(json.dumps(entity))
        if entity["entityType"] == "source":
            shown["config"] = {
                k: (MASK if k in SECRET_KEYS and v else v) for k, v in shown["config"].items()
            }
            shown["state"] = {"status": "good", "messages": []}
        return shown

    async def by_path(self, request: Request) -> Response:
        path = tuple(request.path_params["path"].split("/"))
        if path in self.objects:
            return JSONResponse(self._shown(self.objects[path]))
        if path in self.files:
            id_ = "dremio:/" + "/".join(path)
            return JSONResponse({"entityType": "folder", "id": id_, "path": list(path)})
        return error(404, f"Could not find entity with path [{path}]")

    async def add(self, request: Request) -> Response:
        body = await request.json()
        path = self._path(body)
        if path in self.objects:
            return error(409, f"An object already exists with that name [{path}]")
        if "id" in body or "tag" in body:
            return error(400, "id and tag must be absent")
        root = self.objects.get(path[:1])
        if len(path) > 1 and (root is None or root["entityType"] != "space"):
            return error(400, "Can not create a folder inside a [SOURCE].")
        entity = {**self._stored(body, {}), "id": str(uuid4()), "tag": self._tag()}
        self.objects[path] = entity
        return JSONResponse(self._shown(entity))

    def _stored(self, body: dict, old: dict) -> dict:
        entity = {k: v for k, v in body.items() if k != "tag"}
        if body["entityType"] == "source":
            config = {**SOURCE_DEFAULTS, **body["config"]}
            kept = old.get("config", {})
            config = {k: kept[k] if v == MASK else v for k, v in config.items()}
            entity = {**POLICY_DEFAULTS, **entity, "config": config}
        if body["entityType"] == "dataset":
            if body["type"] == "PHYSICAL_DATASET":
                defaults = FORMAT_DEFAULTS.get(body["format"]["type"], {})
                entity["format"] = {**defaults, **body["format"]}
            else:
                entity.setdefault("sqlContext", [])
            entity["fields"] = [{"name": "id", "type": {"name": "INTEGER"}}]
        return entity

    async def entity(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if request.method == "POST":
            return await self._promote(id_, await request.json())
        found = [(p, e) for p, e in self.objects.items() if e["id"] == id_]
        if not found:
            return error(404, f"Could not find entity with id [{id_}]")
        path, entity = found[0]
        if request.method == "PUT":
            return self._change(path, entity, await request.json())
        if request.method == "DELETE":
            if request.query_params.get("tag", entity["tag"]) != entity["tag"]:
                return error(409, "stale tag")
            for child in [p for p in self.objects if p[: len(path)] == path]:
                gone = self.objects.pop(child)["id"]
                self.reflections = {
                    k: r for k, r in self.reflections.items() if r["datasetId"] != gone
                }
            return Response(status_code=204)
        return JSONResponse(self._shown(entity))

    def _change(self, path: tuple, entity: dict, body: dict) -> Response:
        if body["id"] != entity["id"]:
            return error(400, "id of body and path differ")
        if body["tag"] != entity["tag"]:
            return error(409, "stale tag")
        changed = {**self._stored(body, entity), "id": entity["id"], "tag": self._tag()}
        self.objects[path] = changed
        return JSONResponse(self._shown(changed))

    async def _promote(self, id_: str, body: dict) -> Response:
        path = tuple(body["path"])
        if body["type"] != "PHYSICAL_DATASET" or id_ != "dremio:/" + "/".join(path):
            return error(400, "path and id differ")
        if path not in self.files:
            return error(404, "no such file")
        entity = {**self._stored(body, {}), "id": str(uuid4()), "tag": self._tag()}
        self.objects[path] = entity
        return JSONResponse(self._shown(entity))

    async def impacting(self, request: Request) -> Response:
        body = await request.json()
        old = self.objects[(body["name"],)]["config"].get("rootPath")
        return JSONResponse({"isMetadataImpacting": body["config"].get("rootPath") != old})

    # reflections

    def _shown_reflection(self, reflection: dict) -> dict:
        hidden = ("polls", "failure")
        shown = {k: v for k, v in reflection.items() if k not in hidden and v != []}
        for dimension in shown.get("dimensionFields", []):
            dimension.setdefault("granularity", "DATE")
        status = {"config": "OK", "refresh": "RUNNING", "availability": "NONE"}
        status["combinedStatus"] = "REFRESHING"
        if reflection["polls"] >= self.polls_per_build:
            if reflection["failure"]:
                status |= {"refresh": "GIVEN_UP", "combinedStatus": "FAILED"}
            else:
                status |= {
                    "refresh": "SCHEDULED",
                    "availability": "AVAILABLE",
                    "combinedStatus": "CAN_ACCELERATE",
                }
        return {**shown, "status": status}

    async def add_reflection(self, request: Request) -> Response:
        body = await request.json()
        if "enabled" not in body:
            return error(400, "Reflections must have the enabled field set")
        if "id" in body or "tag" in body:
            return error(400, "id and tag must be absent")
        if body["datasetId"] not in [e["id"] for e in self.objects.values()]:
            return error(404, "no such dataset")
        same = [r for r in self.reflections.values() if r["datasetId"] == body["datasetId"]]
        if body["name"] in [r["name"] for r in same]:
            return error(409, "a reflection of that name exists")
        reflection = {**body, "id": str(uuid4()), "tag": self._tag(), "polls": 0}
        reflection["failure"], self.failure = self.failure, None
        self.reflections[reflection["id"]] = reflection
        return JSONResponse(self._shown_reflection(reflection))

    async def reflection(self, request: Request) -> Response:
        reflection = self.reflections.get(request.path_params["id"])
        if reflection is None:
            return error(404, "no such reflection")
        if request.method == "DELETE":
            del self.reflections[reflection["id"]]
            return Response(status_code=200)
        if request.method == "PUT":
            body = await request.json()
            if body["tag"] != reflection["tag"]:
                return error(409, "seems to have been modified by another flow")
            if any(body[k] != reflection[k] for k in ("type", "datasetId")):
                return error(400, "immutable")
            reflection.update(body, tag=self._tag(), polls=0)
        elif reflection["enabled"]:
            reflection["polls"] += 1
        return JSONResponse(self._shown_reflection(reflection))

    async def reflections_of(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        found = [r for r in self.reflections.values() if r["datasetId"] == id_]
        return JSONResponse({"data": [self._shown_reflection(r) for r in found]})

    # SQL: only the queries of the handlers

    def _rows(self, text: str) -> list[dict]:
        literals = re.findall(r"'((?:[^']|'')*)'", text)
        paths = {p: e for p, e in self.objects.items() if e["entityType"] == "dataset"}
        if "sys.reflections" in text:
            return [
                {"last_failure_message": r["failure"]}
                for r in self.reflections.values()
                if r["id"] in literals
            ]
        if '"VIEWS"' in text:
            return [
                {**_named(path), "VIEW_DEFINITION": e["sql"]}
                for path, e in paths.items()
                if "sql" in e and literals[0] in e["sql"].lower()
            ]
        return [_named(path) for path in paths if path[0] == literals[0]]

    async def sql(self, request: Request) -> Response:
        text = (await request.json())["sql"]
        id_ = hashlib.sha256(text.encode()).hexdigest()
        self.jobs[id_] = self._rows(text)
        return JSONResponse({"id": id_})

    async def job(self, request: Request) -> Response:
        return JSONResponse({"jobState": "COMPLETED", "rowCount": 1})

    async def results(self, request: Request) -> Response:
        rows = self.jobs[request.path_params["id"]]
        start, limit = (int(request.query_params[k]) for k in ("offset", "limit"))
        if limit > 500:
            return error(400, "limit can not exceed 500 rows")
        return JSONResponse({"rowCount": len(rows), "rows": rows[start : start + limit]})
