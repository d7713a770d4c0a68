"""Elasticsearch's life cycles of indices (ILM) and of snapshots (SLM), and repositories of type
s3, as far as the plugin uses them, with the rules of the server.

Version 9, of the default distribution: the minimal one that tests run has none of the three.

Kept: a version and a date that a PUT without a change leaves alone, phases and actions that the
server knows, ages with a unit, defaults that it fills in, 404 for what is not there, and no end of
a policy that indices are under. `indices` are those: name of an index -> its policy. A policy of
snapshots names a repository that is there, and keeps no fewer than it may; a repository names a
bucket and one of `clients`, and its settings come back as texts.
"""

import re
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ACTIONS = {
    "hot": "set_priority unfollow rollover readonly downsample shrink forcemerge "
    "searchable_snapshot",
    "warm": "set_priority unfollow readonly downsample allocate migrate shrink forcemerge",
    "cold": "set_priority unfollow readonly downsample searchable_snapshot allocate migrate "
    "freeze",
    "frozen": "unfollow searchable_snapshot",
    "delete": "wait_for_snapshot delete",
}
NEEDS_ROLLOVER = {"readonly", "shrink", "forcemerge", "downsample", "searchable_snapshot"}
DEFAULTS = {"delete": {"delete_searchable_snapshot": True}}
FIELDS = {"delete": {"delete_searchable_snapshot"}, "set_priority": {"priority"}}
UNIT = re.compile(r"\d+(nanos|micros|ms|s|m|h|d)")


class RefusedError(Exception):
    def __init__(self, kind: str, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        cause = {"type": kind, "reason": reason}
        self.answer = JSONResponse(
            {"error": {"root_cause": [cause], **cause}, "status": status}, status
        )


class Elasticsearch:
    def __init__(self) -> None:
        self.policies: dict[str, dict] = {}
        self.indices: dict[str, str] = {}
        self.schedules: dict[str, dict] = {}
        self.repositories: dict[str, dict] = {}
        self.clients = {"default"}
        self.app = Starlette(
            routes=[
                Route("/", lambda _: JSONResponse({"cluster_uuid": "stands-in"})),
                Route("/_ilm/policy/{name}", self._get),
                Route("/_ilm/policy/{name}", self._put, methods=["PUT"]),
                Route("/_ilm/policy/{name}", self._delete, methods=["DELETE"]),
                Route("/_slm/policy/{name}", self._get_schedule),
                Route("/_slm/policy/{name}", self._put_schedule, methods=["PUT"]),
                Route("/_slm/policy/{name}", self._delete_schedule, methods=["DELETE"]),
                Route("/_snapshot/{name}", self._get_repository),
                Route("/_snapshot/{name}", self._put_repository, methods=["PUT"]),
                Route("/_snapshot/{name}", self._delete_repository, methods=["DELETE"]),
            ],
            exception_handlers={RefusedError: lambda _, refused: refused.answer},
        )

    async def _get(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        held = self._held(name)
        used = {
            "indices": self._under(name),
            "data_streams": [],
            "composable_templates": [],
        }
        return JSONResponse({name: {**held, "in_use_by": used}})

    async def _put(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        if re.search(r"^_|[, ]", name):
            raise RefusedError("illegal_argument_exception", f"invalid policy name [{name}]")
        policy = _checked((await request.json())["policy"])
        old = self.policies.get(name, {"version": 0, "policy": None})
        if policy != old["policy"]:
            self.policies[name] = {
                "version": old["version"] + 1,
                "modified_date": f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:-6]}Z",
                "policy": policy,
            }
        return JSONResponse({"acknowledged": True})

    async def _delete(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        if under := self._under(name):
            raise RefusedError(
                "illegal_argument_exception",
                f"Cannot delete policy [{name}]. It is in use by one or more indices: "
                f"[{', '.join(under)}]",
            )
        self._held(name)
        del self.policies[name]
        return JSONResponse({"acknowledged": True})

    async def _get_schedule(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        self._scheduled(name)
        told = {"version": 1, "modified_date_millis": 1, "stats": {"policy": name}}
        return JSONResponse({name: {**told, "policy": self.schedules[name]}})

    async def _put_schedule(self, request: Request) -> JSONResponse:
        policy = await request.json()
        retention = policy.get("retention", {})
        if policy["repository"] not in self.repositories:
            reason = f"no such repository [{policy['repository']}]"
            raise RefusedError("illegal_argument_exception", reason)
        if not (UNIT.fullmatch(policy["schedule"]) or len(policy["schedule"].split()) in (6, 7)):
            raise RefusedError(
                "action_request_validation_exception",
                f"Validation Failed: 1: invalid schedule [{policy['schedule']}]: must be a valid "
                "cron expression or time unit;",
            )
        if retention.get("min_count", 1) > retention.get("max_count", float("inf")):
            reason = "minimum snapshot count cannot be larger than maximum snapshot count"
            raise RefusedError("illegal_argument_exception", reason)
        self.schedules[request.path_params["name"]] = policy
        return JSONResponse({"acknowledged": True})

    async def _delete_schedule(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        self._scheduled(name)
        del self.schedules[name]
        return JSONResponse({"acknowledged": True})

    def _scheduled(self, name: str) -> None:
        if name not in self.schedules:
            reason = f"snapshot lifecycle policy not found: {name}"
            raise RefusedError("resource_not_found_exception", reason, 404)

    async def _get_repository(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        self._registered(name)
        return JSONResponse({name: self.repositories[name]})

    async def _put_repository(self, request: Request) -> JSONResponse:
        name, body = request.path_params["name"], await request.json()
        settings = body["settings"]
        if body["type"] != "s3":
            reason = f"[{name}] repository type [{body['type']}] does not exist"
            raise RefusedError("repository_exception", reason, 500)
        if not settings.get("bucket"):
            reason = f"[{name}] No bucket defined for s3 repository"
            raise RefusedError("repository_exception", reason, 500)
        if settings["client"] not in self.clients:
            reason = f"[{name}] Unknown s3 client name [{settings['client']}]"
            raise RefusedError("repository_verification_exception", reason, 500)
        texts = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in settings.items()
        }
        self.repositories[name] = {"type": "s3", "settings": texts}
        return JSONResponse({"acknowledged": True})

    async def _delete_repository(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        self._registered(name)
        del self.repositories[name]
        return JSONResponse({"acknowledged": True})

    def _registered(self, name: str) -> None:
        if name not in self.repositories:
            raise RefusedError("repository_missing_exception", f"[{name}] missing", 404)

    def _held(self, name: str) -> dict:
        if name not in self.policies:
            reason = f"Lifecycle policy not found: {name}"
            raise RefusedError("resource_not_found_exception", reason, 404)
        return self.policies[name]

    def _under(self, name: str) -> list[str]:
        return [index for index, policy in self.indices.items() if policy == name]


def _checked(policy: dict) -> dict:
    """The policy as the server keeps it."""
    if unknown := policy.keys() - {"phases", "_meta"}:
        raise _unknown_field("lifecycle_policy", unknown)
    return {
        **policy,
        "phases": {name: _phase(name, phase) for name, phase in policy["phases"].items()},
    }


def _phase(name: str, phase: dict) -> dict:
    if unknown := phase.keys() - {"min_age", "actions"}:
        raise _unknown_field("phase", unknown)
    if name not in ACTIONS:
        reason = f"Timeseries lifecycle does not support phase [{name}]"
        raise RefusedError("illegal_argument_exception", reason)
    age = phase.get("min_age", "0ms")
    if not UNIT.fullmatch(age):
        raise RefusedError(
            "illegal_argument_exception",
            f"failed to parse setting [min_age] with value [{age}] as a time value: unit is "
            "missing or unrecognized",
        )
    actions = phase["actions"]
    for action, fields in actions.items():
        if action not in ACTIONS[name].split():
            reason = f"invalid action [{action}] defined in phase [{name}]"
            raise RefusedError("illegal_argument_exception", reason)
        if action in FIELDS and (unknown := fields.keys() - FIELDS[action]):
            raise _unknown_field(action, unknown)
    if name == "hot" and "rollover" not in actions and (alone := NEEDS_ROLLOVER & actions.keys()):
        raise RefusedError(
            "illegal_argument_exception",
            f"the [{', '.join(sorted(alone))}] action(s) may not be used in the [hot] phase "
            "without an accompanying [rollover] action",
        )
    filled = {action: {**DEFAULTS.get(action, {}), **fields} for action, fields in actions.items()}
    return {"min_age": age, "actions": filled}


def _unknown_field(of: str, names: set[str]) -> RefusedError:
    reason = f"[1:1] [{of}] unknown field [{sorted(names)[0]}]"
    return RefusedError("x_content_parse_exception", reason)
