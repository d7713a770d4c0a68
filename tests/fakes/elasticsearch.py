"""Elasticsearch's life cycles (ILM) as far as the plugin uses them, with the rules of the server.

Version 9, of the default distribution: the minimal one that tests run has no `_ilm`.

Kept: a version and a date that a PUT without a change leaves alone, phases and actions that the
server knows, ages with a unit, defaults that it fills in, 404 for what is not there, and no end of
a policy that indices are under. `indices` are those: name of an index -> its policy.
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
        self.app = Starlette(
            routes=[
                Route("/", lambda _: JSONResponse({"cluster_uuid": "stands-in"})),
                Route("/_ilm/policy/{name}", self._get),
                Route("/_ilm/policy/{name}", self._put, methods=["PUT"]),
                Route("/_ilm/policy/{name}", self._delete, methods=["DELETE"]),
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
