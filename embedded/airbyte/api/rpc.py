"""Config API, /api/v1: POST-only calls for what the public API lacks."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from embedded.airbyte import catalog
from embedded.airbyte.api import actors as shared
from embedded.airbyte.api import public
from embedded.airbyte.api.call import Call, Handler, Plane, Reply
from embedded.airbyte.api.errors import RequestError, bad_request, not_found
from embedded.airbyte.calls import ConnectorFailure
from embedded.airbyte.definitions import DESTINATION, IMAGE_TAG, SOURCE, Definition
from embedded.airbyte.store import connections, jobs
from embedded.airbyte.store.database import Connection, Row

STATE_TYPES = ("global", "stream", "legacy", "not_set")
PAGE = 20


def health(plane: Plane, call: Call) -> Reply:
    return Reply(200, {"available": True})


def sync_connection(plane: Plane, call: Call) -> Reply:
    job = public.start_job(plane, call.body_id("connectionId"), "sync")
    return Reply(200, _job_info(plane, job))


def get_connection(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        return Reply(200, _connection(_required_connection(db, call.body_id("connectionId"))))


def get_job(plane: Plane, call: Call) -> Reply:
    id_ = _job_id(call.body.get("id"))
    with plane.pool.connection() as db:
        job = public.required_job(db, id_)
    return Reply(200, _job_info(plane, job))


def list_jobs(plane: Plane, call: Call) -> Reply:
    wanted = jobs.Filter(
        connection_id=call.body_id("configId"),
        types=[t for t in call.optional("configTypes", list) or [] if t in jobs.TYPES],
    )
    window = call.optional("pagination", dict) or {}
    limit, offset = int(window.get("pageSize") or PAGE), int(window.get("rowOffset") or 0)
    with plane.pool.connection() as db:
        rows = jobs.page(db, wanted, limit, offset)
    shown = [_job_info(plane, row) for row in rows]
    return Reply(200, {"jobs": shown, "totalJobCount": len(shown) + offset})


def _job_id(value: Any) -> int:
    """An integer; the specification's call sends it as a text."""
    text = str(value)
    if isinstance(value, bool) or not text.isdigit() or int(text) >= 2**63:
        raise bad_request(f"id: {value!r}: expected the number of a job")
    return int(text)


def _job_info(plane: Plane, job: Row) -> dict[str, Any]:
    with plane.pool.connection() as db:
        tried = jobs.attempts(db, job["id"])
    return {
        "job": {
            "id": job["id"],
            "configType": job["job_type"],
            "configId": str(job["connection_id"]),
            "status": job["status"],
            "createdAt": int(job["created_at"].timestamp()),
            "updatedAt": int(job["updated_at"].timestamp()),
            "aggregatedStats": {**_stats(job), "recordsRejected": 0},
        },
        "attempts": [_attempt(row) for row in tried],
    }


def _attempt(row: Row) -> dict[str, Any]:
    ended = row["ended_at"]
    attempt: dict[str, Any] = {
        "id": row["number"],
        "status": row["status"],
        "createdAt": int(row["created_at"].timestamp()),
        "updatedAt": int((ended or row["created_at"]).timestamp()),
        "bytesSynced": row["bytes_committed"],
        "recordsSynced": row["records_committed"],
        "totalStats": _stats(row),
        "streamStats": row["stream_stats"],
    }
    if ended is not None:
        attempt["endedAt"] = int(ended.timestamp())
    if row["failure"] is not None:
        attempt["failureSummary"] = row["failure"]
    return {"attempt": attempt, "logs": {"logLines": []}}


def _stats(row: Row) -> dict[str, int]:
    return {
        "recordsEmitted": row["records_emitted"],
        "bytesEmitted": row["bytes_emitted"],
        "recordsCommitted": row["records_committed"],
        "bytesCommitted": row["bytes_committed"],
    }


def _required_connection(db: Connection, id_: UUID) -> Row:
    row = connections.get(db, id_)
    if row is None:
        raise not_found("STANDARD_SYNC", id_)
    return row


def _connection(row: Row) -> dict[str, Any]:
    expression = row["cron_expression"]
    shown: dict[str, Any] = {
        "connectionId": str(row["id"]),
        "name": row["name"],
        "sourceId": str(row["source_id"]),
        "destinationId": str(row["destination_id"]),
        "workspaceId": str(row["workspace_id"]),
        "status": row["status"],
        "syncCatalog": {"streams": row["streams"]},
        "scheduleType": "manual" if expression is None else "cron",
        "namespaceDefinition": row["namespace_definition"].replace("_", ""),
        "namespaceFormat": row["namespace_format"],
        "prefix": row["prefix"],
        "nonBreakingChangesPreference": row["schema_updates"],
        "breakingChange": False,
        "created_at": int(row["created_at"].timestamp()),
        "tags": [],
    }
    if expression is not None:
        cron = {"cronExpression": expression, "cronTimeZone": "UTC"}
        shown["scheduleData"] = {"cron": cron}
    return shown


# Connector calls


def check_source(plane: Plane, call: Call) -> Reply:
    return _check(plane, call, SOURCE)


def check_destination(plane: Plane, call: Call) -> Reply:
    return _check(plane, call, DESTINATION)


def _check(plane: Plane, call: Call, kind: str) -> Reply:
    with plane.pool.connection() as db:
        actor = shared.require(db, kind, call.body_id(f"{kind}Id"))
    definition = shared.definition_of(plane, kind, actor["definition_id"])
    started_ms = _now_ms()
    try:
        reason = plane.connectors.check(definition, actor["configuration"])
    except ConnectorFailure as fault:
        info = _job_of_call(f"check_connection_{kind}", definition, started_ms, str(fault))
        return Reply(200, {"status": "failed", "message": str(fault), "jobInfo": info})
    info = _job_of_call(f"check_connection_{kind}", definition, started_ms, None)
    if reason is None:
        return Reply(200, {"status": "succeeded", "jobInfo": info})
    return Reply(200, {"status": "failed", "message": reason, "jobInfo": info})


def discover_schema(plane: Plane, call: Call) -> Reply:
    refresh = bool(call.optional("disable_cache", bool))
    started_ms = _now_ms()
    with plane.pool.connection() as db:
        source = shared.require(db, SOURCE, call.body_id("sourceId"))
        definition = shared.definition_of(plane, SOURCE, source["definition_id"])
        try:
            id_, streams = shared.discovered(plane, db, source, refresh=refresh)
        except ConnectorFailure as fault:
            info = _job_of_call("discover_schema", definition, started_ms, str(fault))
            return Reply(200, {"jobInfo": info})
    entries = catalog.every_stream(streams)
    info = _job_of_call("discover_schema", definition, started_ms, None)
    return Reply(
        200,
        {
            "catalog": {"streams": entries},
            "catalogId": id_,
            "breakingChange": False,
            "jobInfo": info,
        },
    )


def _job_of_call(
    kind: str, definition: Definition, started_ms: int, failure: str | None
) -> dict[str, Any]:
    info: dict[str, Any] = {
        "id": str(uuid4()),
        "configType": kind,
        "configId": definition.id,
        "createdAt": started_ms,
        "endedAt": _now_ms(),
        "succeeded": failure is None,
        "logs": {"logLines": []},
    }
    if failure is not None:
        info["failureReason"] = {
            "failureOrigin": definition.kind,
            "failureType": "config_error",
            "externalMessage": failure,
            "timestamp": _now_ms(),
        }
    return info


def _now_ms() -> int:
    return int(time.time() * 1000)


# State


def get_state(plane: Plane, call: Call) -> Reply:
    id_ = call.body_id("connectionId")
    with plane.pool.connection() as db:
        _required_connection(db, id_)
        saved = connections.state(db, id_)
    return Reply(200, {"stateType": "not_set", **(saved or {}), "connectionId": str(id_)})


def put_state(plane: Plane, call: Call) -> Reply:
    """Refused with 423 while a sync runs: it would overwrite what is put here."""
    id_ = call.body_id("connectionId")
    wanted = call.optional("connectionState", dict) or {}
    kind = wanted.get("stateType")
    if kind not in STATE_TYPES:
        raise bad_request(
            f"connectionState.stateType: {kind!r}: expected one of {', '.join(STATE_TYPES)}"
        )
    _validate_state(wanted)
    with plane.pool.connection() as db:
        _required_connection(db, id_)
        if jobs.active(db, id_) is not None:
            raise RequestError(423, "State cannot be updated while a sync is running.")
        if kind == "not_set":
            connections.delete_state(db, id_)
        else:
            kept = ("stateType", "streamState", "globalState", "state")
            connections.save_state(db, id_, {k: wanted[k] for k in kept if k in wanted})
    return get_state(plane, call)


def _validate_state(wanted: Mapping[str, Any]) -> None:
    kind = wanted["stateType"]
    streams: Any = ()
    if kind == "stream":
        streams = wanted.get("streamState")
    elif kind == "global":
        whole = wanted.get("globalState")
        streams = whole.get("streamStates") if isinstance(whole, dict) else None
    good = isinstance(streams, list | tuple) and all(
        isinstance(one, dict) and "name" in (one.get("streamDescriptor") or {}) for one in streams
    )
    if not good:
        raise bad_request(
            "connectionState: expected a list of "
            "{streamDescriptor: {name, namespace}, streamState}"
        )


# Definitions


class DefinitionCalls:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id_key = f"{kind}DefinitionId"

    def list(self, plane: Plane, call: Call) -> Reply:
        found = [
            {
                self.id_key: definition.id,
                "name": definition.name,
                "dockerRepository": definition.repository,
                "dockerImageTag": IMAGE_TAG,
                "documentationUrl": definition.documentation_url,
                "custom": False,
            }
            for definition in plane.connectors.of_kind(self.kind)
        ]
        return Reply(200, {f"{self.kind}Definitions": found})

    def specification(self, plane: Plane, call: Call) -> Reply:
        definition = plane.connectors.by_id(str(call.body_id(self.id_key)), self.kind)
        if definition is None:
            raise not_found(f"STANDARD_{self.kind.upper()}_DEFINITION", call.body[self.id_key])
        started_ms = _now_ms()
        spec = shared.spec(plane, definition)
        answer = {
            self.id_key: definition.id,
            "documentationUrl": spec.get("documentationUrl") or definition.documentation_url,
            "connectionSpecification": spec.get("connectionSpecification") or {},
            "jobInfo": _job_of_call("get_spec", definition, started_ms, None),
        }
        if self.kind == DESTINATION:
            modes = spec.get("supported_destination_sync_modes") or []
            answer["supportedDestinationSyncModes"] = modes
        return Reply(200, answer)


def routes() -> dict[tuple[str, str], Handler]:
    found: dict[tuple[str, str], Handler] = {
        ("GET", "/health"): health,
        ("POST", "/applications/token"): public.token,
        ("POST", "/connections/sync"): sync_connection,
        ("POST", "/connections/get"): get_connection,
        ("POST", "/jobs/get"): get_job,
        ("POST", "/jobs/list"): list_jobs,
        ("POST", "/sources/check_connection"): check_source,
        ("POST", "/destinations/check_connection"): check_destination,
        ("POST", "/sources/discover_schema"): discover_schema,
        ("POST", "/state/get"): get_state,
        ("POST", "/state/create_or_update_safe"): put_state,
    }
    for kind in (SOURCE, DESTINATION):
        calls = DefinitionCalls(kind)
        found[("POST", f"/{kind}_definitions/list")] = calls.list
        found[("POST", f"/{kind}_definition_specifications/get")] = calls.specification
    return found
