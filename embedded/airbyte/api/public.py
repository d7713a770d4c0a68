"""Public API, /api/public/v1: workspaces, sources, destinations, connections, jobs, streams.

https://reference.airbyte.com
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from embedded.airbyte import catalog, cron, masking
from embedded.airbyte.api import actors as shared
from embedded.airbyte.api import definitions, tags
from embedded.airbyte.api.call import Call, Handler, Plane, Reply
from embedded.airbyte.api.errors import RequestError, bad_request, not_found
from embedded.airbyte.api.tokens import LIFETIME_S
from embedded.airbyte.calls import ConnectorFailure
from embedded.airbyte.definitions import DESTINATION, SOURCE, Definition
from embedded.airbyte.store import actors, connections, jobs, workspaces
from embedded.airbyte.store import tags as tag_store
from embedded.airbyte.store.database import Connection, Row

NAMESPACES = ("source", "destination", "custom_format")
STATUSES = ("active", "inactive", "deprecated", "locked")
SCHEMA_UPDATES = ("ignore", "disable_connection", "propagate_columns", "propagate_fully")
COVERED_SCHEMA_UPDATES = ("ignore",)


def health(plane: Plane, call: Call) -> Reply:
    return Reply(200, "Successful operation")


def token(plane: Plane, call: Call) -> Reply:
    grant = call.body.get("grant_type") or call.body.get("grant-type") or "client_credentials"
    if grant != "client_credentials":
        raise bad_request(f"grant_type: {grant!r}: expected client_credentials")
    minted: str | None = plane.tokens.mint() if not plane.auth_enabled else None
    if minted is None:
        given = (str(call.body.get("client_id")), str(call.body.get("client_secret")))
        minted = plane.tokens.issue(*given)
    if minted is None:
        raise RequestError(401, "client_id or client_secret is wrong")
    return Reply(200, {"access_token": minted, "token_type": "Bearer", "expires_in": LIFETIME_S})


# Workspaces


def create_workspace(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        notifications = call.optional("notifications", dict) or {}
        return Reply(200, _workspace(workspaces.create(db, call.text("name"), notifications)))


def list_workspaces(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        rows = workspaces.page(db, call.ids("workspaceIds"), *call.window())
    return Reply(200, call.page([_workspace(row) for row in rows]))


def get_workspace(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        return Reply(200, _workspace(_required_workspace(db, call)))


def update_workspace(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        id_ = _required_workspace(db, call)["id"]
        name, notifications = call.optional("name", str), call.optional("notifications", dict)
        return Reply(200, _workspace(workspaces.update(db, id_, name, notifications)))


def delete_workspace(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        id_ = _required_workspace(db, call)["id"]
        active = jobs.page(
            db, jobs.Filter(workspace_ids=[id_], statuses=list(jobs.ACTIVE)), 1000, 0
        )
    for job in active:
        plane.runner.cancel(job["id"])
    with plane.pool.connection() as db:
        workspaces.delete(db, id_)
    return Reply(204)


def _required_workspace(db: Connection, call: Call) -> Row:
    id_ = call.id("workspace", "workspace")
    row = workspaces.get(db, id_)
    if row is None:
        raise not_found("workspace", id_)
    return row


def _workspace(row: Row) -> dict[str, Any]:
    return {
        "workspaceId": str(row["id"]),
        "name": row["name"],
        "dataResidency": "auto",
        "notifications": row["notifications"],
    }


# Sources and destinations


class ActorRoutes:
    """The routes of sources, or those of destinations."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.type_key = f"{kind}Type"

    def create(self, plane: Plane, call: Call) -> Reply:
        name = call.text("name")
        configuration = self._configuration(call, required=True)
        definition = self._definition(plane, call, configuration)
        settings = self._settings(configuration)
        shared.validate(plane, definition, settings)
        with plane.pool.connection() as db:
            workspace = workspaces.get(db, call.body_id("workspaceId"))
            if workspace is None:
                raise not_found("workspace", call.body["workspaceId"])
            row = actors.create(db, self.kind, workspace["id"], definition.id, name, settings)
        return Reply(200, self._shown(plane, row))

    def list(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            rows = actors.page(db, self.kind, call.ids("workspaceIds"), *call.window())
        return Reply(200, call.page([self._shown(plane, row) for row in rows]))

    def get(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            row = shared.require(db, self.kind, call.id("id", self.kind))
        return Reply(200, self._shown(plane, row))

    def put(self, plane: Plane, call: Call) -> Reply:
        return self._update(plane, call, call.text("name"), replace=True)

    def patch(self, plane: Plane, call: Call) -> Reply:
        return self._update(plane, call, call.optional("name", str), replace=False)

    def delete(self, plane: Plane, call: Call) -> Reply:
        with plane.pool.connection() as db:
            row = shared.require(db, self.kind, call.id("id", self.kind))
            every = connections.page(db, [row["workspace_id"]], False, 10_000, 0)
            mine = [c["id"] for c in every if c[f"{self.kind}_id"] == row["id"]]
        for connection_id in mine:
            _cancel_active(plane, connection_id)
        with plane.pool.connection() as db:
            actors.delete(db, row["id"])
        return Reply(204)

    def _update(self, plane: Plane, call: Call, name: str | None, *, replace: bool) -> Reply:
        sent = self._configuration(call, required=replace)
        with plane.pool.connection() as db:
            row = shared.require(db, self.kind, call.id("id", self.kind))
            definition = shared.definition_of(plane, self.kind, row["definition_id"])
            if sent is None:
                settings = row["configuration"]
            else:
                self._same_type(sent, definition)
                settings = self._settings(sent)
                if not replace:
                    settings = masking.merge(row["configuration"], settings)
                hidden = shared.secrets(plane, definition)
                settings = masking.keep(settings, row["configuration"], hidden)
                shared.validate(plane, definition, settings)
            updated = actors.update(db, row["id"], name or row["name"], settings)
        return Reply(200, self._shown(plane, updated))

    def _configuration(self, call: Call, *, required: bool) -> Any:
        configuration = call.optional("configuration", dict)
        if required and configuration is None:
            raise bad_request("configuration: required")
        return configuration

    def _settings(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Without the type, which is not part of what the connector gets."""
        return {key: value for key, value in configuration.items() if key != self.type_key}

    def _definition(
        self, plane: Plane, call: Call, configuration: Mapping[str, Any]
    ) -> Definition:
        if call.body.get("definitionId"):
            definition = shared.definition_of(plane, self.kind, call.body["definitionId"])
            self._same_type(configuration, definition)
            return definition
        type_ = configuration.get(self.type_key)
        if type_ is None:
            raise bad_request(f"definitionId or configuration.{self.type_key}: required")
        found = plane.connectors.by_type(str(type_), self.kind)
        if found is None:
            known = ", ".join(d.type for d in plane.connectors.of_kind(self.kind))
            raise bad_request(f"configuration.{self.type_key}: {type_!r}: expected one of {known}")
        return found

    def _same_type(self, configuration: Mapping[str, Any], definition: Definition) -> None:
        given = configuration.get(self.type_key)
        if given is not None and given != definition.type:
            raise bad_request(
                f"configuration.{self.type_key}: {given!r}: the {self.kind} is of type "
                f"{definition.type!r}, which cannot change"
            )

    def _shown(self, plane: Plane, row: Row) -> dict[str, Any]:
        definition = plane.connectors.by_id(str(row["definition_id"]), self.kind)
        return {
            f"{self.kind}Id": str(row["id"]),
            "name": row["name"],
            self.type_key: definition.type if definition else "",
            "definitionId": str(row["definition_id"]),
            "workspaceId": str(row["workspace_id"]),
            "configuration": shared.shown_configuration(plane, row),
            "createdAt": int(row["created_at"].timestamp()),
        }


# Connections


def create_connection(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        source = shared.require(db, SOURCE, call.body_id("sourceId"))
        destination = shared.require(db, DESTINATION, call.body_id("destinationId"))
        values = {
            "name": call.optional("name", str) or f"{source['name']} → {destination['name']}",
            "source_id": source["id"],
            "destination_id": destination["id"],
            "cron_expression": None,
            "namespace_definition": "destination",
            "namespace_format": None,
            "prefix": "",
            "schema_updates": "ignore",
            "status": "active",
            **_connection_options(call),
        }
        wanted = _wanted_streams(call)
        values["streams"] = _streams(plane, db, source, destination, wanted)
        tag_ids = tags.wanted_ids(db, call, source["workspace_id"])
        id_ = connections.create(db, values)
        tag_store.put_on_connection(db, id_, tag_ids or [])
        return Reply(200, _connection(db, _required_connection(db, id_)))


def list_connections(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        rows = connections.page(
            db, call.ids("workspaceIds"), call.flag("includeDeleted"), *call.window()
        )
        shown = [_connection(db, row) for row in rows]
    return Reply(200, call.page(shown))


def get_connection(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        row = _required_connection(db, call.id("id", "connection"))
        return Reply(200, _connection(db, row))


def patch_connection(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        row = _required_connection(db, call.id("id", "connection"))
        if row["status"] == "deprecated":
            raise not_found("connection", row["id"])
        if row["status"] == "locked":
            raise RequestError(409, "The connection is locked and cannot be changed.")
        for key in ("sourceId", "destinationId"):
            column = f"{key.removesuffix('Id')}_id"
            if call.body.get(key) not in (None, str(row[column])):
                raise bad_request(f"{key}: cannot be changed")
        values = _connection_options(call)
        if name := call.optional("name", str):
            values["name"] = name
        wanted = _wanted_streams(call)
        if wanted:
            source = shared.require(db, SOURCE, row["source_id"])
            destination = shared.require(db, DESTINATION, row["destination_id"])
            values["streams"] = _streams(plane, db, source, destination, wanted)
        tag_ids = tags.wanted_ids(db, call, row["workspace_id"])
        if values:
            connections.update(db, row["id"], values)
        if tag_ids is not None:
            tag_store.put_on_connection(db, row["id"], tag_ids)
        return Reply(200, _connection(db, _required_connection(db, row["id"])))


def delete_connection(plane: Plane, call: Call) -> Reply:
    """The connection stays readable, with status deprecated."""
    id_ = call.id("id", "connection")
    with plane.pool.connection() as db:
        row = _required_connection(db, id_)
        if row["status"] == "deprecated":
            return Reply(204)
    _cancel_active(plane, id_)
    with plane.pool.connection() as db:
        connections.update(db, id_, {"status": "deprecated"})
    return Reply(204)


def _cancel_active(plane: Plane, connection_id: UUID) -> None:
    with plane.pool.connection() as db:
        job = jobs.active(db, connection_id)
    if job is not None:
        plane.runner.cancel(job["id"])


def _required_connection(db: Connection, id_: UUID) -> Row:
    row = connections.get(db, id_)
    if row is None:
        raise not_found("connection", id_)
    return row


def _wanted_streams(call: Call) -> list[Mapping[str, Any]]:
    configurations = call.optional("configurations", dict) or {}
    streams = configurations.get("streams") or []
    if not isinstance(streams, list) or not all(isinstance(s, dict) for s in streams):
        raise bad_request("configurations.streams: expected a list of objects")
    return streams


def _streams(
    plane: Plane, db: Connection, source: Row, destination: Row, wanted: list[Mapping[str, Any]]
) -> list[catalog.Entry]:
    try:
        _, found = shared.discovered(plane, db, source, refresh=False)
        if not wanted:
            return catalog.every_stream(found)
        modes = shared.destination_modes(plane, destination)
        try:
            return catalog.select(wanted, found, modes)
        except catalog.CatalogError:
            # The source may have gained the stream since it was looked at.
            _, found = shared.discovered(plane, db, source, refresh=True)
            return catalog.select(wanted, found, modes)
    except catalog.CatalogError as fault:
        raise bad_request(str(fault)) from None
    except ConnectorFailure as fault:
        raise bad_request(f"The source's streams could not be discovered: {fault}") from None


def _connection_options(call: Call) -> dict[str, Any]:
    """Columns for the fields that the request sets."""
    values: dict[str, Any] = {}
    simple = (
        ("status", "status", STATUSES),
        ("namespaceDefinition", "namespace_definition", NAMESPACES),
        ("nonBreakingSchemaUpdatesBehavior", "schema_updates", SCHEMA_UPDATES),
    )
    for key, column, choices in simple:
        value = call.optional(key, str)
        if value is None:
            continue
        if value not in choices:
            raise bad_request(f"{key}: {value!r}: expected one of {', '.join(choices)}")
        values[column] = value
    if values.get("schema_updates", "ignore") not in COVERED_SCHEMA_UPDATES:
        raise bad_request(
            f"nonBreakingSchemaUpdatesBehavior: {values['schema_updates']!r} is not covered by "
            "the embedded engine: expected ignore"
        )
    for key, column in (("namespaceFormat", "namespace_format"), ("prefix", "prefix")):
        if (value := call.optional(key, str)) is not None:
            values[column] = value
    custom = values.get("namespace_definition") == "custom_format"
    if custom and not values.get("namespace_format"):
        raise bad_request("namespaceFormat: required with namespaceDefinition custom_format")
    schedule = call.optional("schedule", dict)
    if schedule is not None:
        values["cron_expression"] = _cron(schedule)
    return values


def _cron(schedule: Mapping[str, Any]) -> str | None:
    kind = schedule.get("scheduleType")
    if kind == "manual":
        return None
    if kind != "cron":
        raise bad_request(f"schedule.scheduleType: {kind!r}: expected manual or cron")
    try:
        return cron.canonical(str(schedule.get("cronExpression") or ""))
    except ValueError as fault:
        raise bad_request(f"schedule.{fault}") from None


def _connection(db: Connection, row: Row) -> dict[str, Any]:
    expression = row["cron_expression"]
    schedule: dict[str, str] = {"scheduleType": "manual"}
    if expression is not None:
        schedule = {"scheduleType": "cron", "cronExpression": f"{expression} UTC"}
    return {
        "connectionId": str(row["id"]),
        "name": row["name"],
        "sourceId": str(row["source_id"]),
        "destinationId": str(row["destination_id"]),
        "workspaceId": str(row["workspace_id"]),
        "status": row["status"],
        "statusReason": None,
        "schedule": schedule,
        "dataResidency": "auto",
        "configurations": {"streams": [catalog.to_public(entry) for entry in row["streams"]]},
        "createdAt": int(row["created_at"].timestamp()),
        "tags": [tags.shown(tag) for tag in tag_store.of_connection(db, row["id"])],
        "prefix": row["prefix"],
        "namespaceDefinition": row["namespace_definition"],
        "namespaceFormat": row["namespace_format"],
        "nonBreakingSchemaUpdatesBehavior": row["schema_updates"],
    }


# Streams


def list_streams(plane: Plane, call: Call) -> Reply:
    sources, destinations = call.ids("sourceId"), call.ids("destinationId")
    if len(sources) != 1 or len(destinations) > 1:
        raise bad_request("sourceId: expected one; destinationId: expected none or one")
    with plane.pool.connection() as db:
        source = shared.require(db, SOURCE, sources[0])
        modes = None
        if destinations:
            destination = shared.require(db, DESTINATION, destinations[0])
            modes = shared.destination_modes(plane, destination)
        try:
            _, found = shared.discovered(plane, db, source, refresh=call.flag("ignoreCache"))
        except ConnectorFailure as fault:
            raise bad_request(str(fault)) from None
    return Reply(200, [_stream(stream, modes) for stream in found])


def _stream(stream: Mapping[str, Any], modes: list[str] | None) -> dict[str, Any]:
    allowed = None if modes is None else catalog.allowed_modes(stream, modes)
    properties = (stream.get("json_schema") or {}).get("properties") or {}
    return {
        "streamName": stream["name"],
        "streamnamespace": stream.get("namespace"),
        "syncModes": None
        if allowed is None
        else [mode for mode in allowed if mode != "full_refresh_overwrite_deduped"],
        "defaultCursorField": stream.get("default_cursor_field") or [],
        "sourceDefinedCursorField": bool(stream.get("source_defined_cursor")),
        "sourceDefinedPrimaryKey": stream.get("source_defined_primary_key") or [],
        "propertyFields": list(_property_fields(properties, ())),
    }


def _property_fields(properties: Mapping[str, Any], path: tuple[str, ...]) -> list[list[str]]:
    found: list[list[str]] = []
    for name, schema in properties.items():
        found.append([*path, name])
        if isinstance(schema, Mapping):
            found += _property_fields(schema.get("properties") or {}, (*path, name))
    return found


# Jobs


def create_job(plane: Plane, call: Call) -> Reply:
    job_type = call.text("jobType")
    if job_type == "refresh":
        raise RequestError(422, "jobType refresh: expected sync, reset or clear")
    if job_type not in jobs.TYPES:
        raise bad_request(f"jobType: {job_type!r}: expected one of {', '.join(jobs.TYPES)}")
    return Reply(200, _job(start_job(plane, call.body_id("connectionId"), job_type)))


def start_job(plane: Plane, connection_id: UUID, job_type: str) -> Row:
    """Raises RequestError 409 while another job of the connection runs."""
    with plane.pool.connection() as db:
        row = _required_connection(db, connection_id)
    if row["status"] != "active":
        raise RequestError(409, f"The connection is {row['status']}: no sync can be started.")
    try:
        job_id = plane.runner.submit(connection_id, job_type)
    except jobs.AlreadyRunning:
        raise RequestError(409, f"A sync is already running for: {connection_id}") from None
    with plane.pool.connection() as db:
        return required_job(db, job_id)


def required_job(db: Connection, id_: int) -> Row:
    job = jobs.get(db, id_)
    if job is None:
        raise not_found("job", id_)
    return job


def list_jobs(plane: Plane, call: Call) -> Reply:
    connection = call.ids("connectionId")
    wanted = jobs.Filter(
        connection_id=connection[0] if connection else None,
        workspace_ids=call.ids("workspaceIds"),
        statuses=_choices(call, "status", jobs.STATUSES),
        types=_choices(call, "jobType", (*jobs.TYPES, "refresh")),
        created_from=_moment(call, "createdAtStart"),
        created_to=_moment(call, "createdAtEnd"),
        updated_from=_moment(call, "updatedAtStart"),
        updated_to=_moment(call, "updatedAtEnd"),
        order=_order(call),
    )
    with plane.pool.connection() as db:
        rows = jobs.page(db, wanted, *call.window())
    return Reply(200, call.page([_job(row) for row in rows]))


def get_job(plane: Plane, call: Call) -> Reply:
    with plane.pool.connection() as db:
        return Reply(200, _job(required_job(db, _job_id(call))))


def cancel_job(plane: Plane, call: Call) -> Reply:
    id_ = _job_id(call)
    with plane.pool.connection() as db:
        required_job(db, id_)
    if not plane.runner.cancel(id_):
        raise RequestError(409, f"Job {id_} is not running.")
    return get_job(plane, call)


def _job_id(call: Call) -> int:
    text = call.path["id"]
    if not text.isdigit() or int(text) >= 2**63:
        raise not_found("job", text)
    return int(text)


def _choices(call: Call, name: str, choices: tuple[str, ...]) -> list[str]:
    values = [part for value in call.query.get(name, []) for part in value.split(",") if part]
    for value in values:
        if value not in choices:
            raise bad_request(f"{name}: {value!r}: expected one of {', '.join(choices)}")
    return values


def _moment(call: Call, name: str) -> str | None:
    text = call.parameter(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(f"{name}: {text!r}: expected a date and time (ISO 8601)") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _order(call: Call) -> tuple[str, bool]:
    text = call.parameter("orderBy") or "createdAt|DESC"
    column, _, direction = text.partition("|")
    if column not in jobs.ORDERS or direction not in ("", "ASC", "DESC"):
        raise bad_request(f"orderBy: {text!r}: expected createdAt or updatedAt, |ASC or |DESC")
    return column, direction != "ASC"


def _job(row: Row) -> dict[str, Any]:
    ended = row["status"] in jobs.TERMINAL
    shown: dict[str, Any] = {
        "jobId": row["id"],
        "status": row["status"],
        "jobType": row["job_type"],
        "startTime": _iso(row["created_at"]),
        "connectionId": str(row["connection_id"]),
        "bytesSynced": row["bytes_committed"],
        "rowsSynced": row["records_committed"],
    }
    if ended:
        shown["lastUpdatedAt"] = _iso(row["updated_at"])
    if row["started_at"] is not None:
        until = row["updated_at"] if ended else datetime.now(UTC)
        shown["duration"] = iso_duration(until - row["started_at"])
    return shown


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_duration(duration: timedelta) -> str:
    """ISO 8601 in hours, minutes and seconds, as Java writes it."""
    seconds = max(int(duration.total_seconds()), 0)
    hours, minutes, rest = seconds // 3600, seconds % 3600 // 60, seconds % 60
    parts = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes) + f"{rest}S" * bool(rest)
    return f"PT{parts or '0S'}"


def routes() -> dict[tuple[str, str], Handler]:
    found: dict[tuple[str, str], Handler] = {
        ("GET", "/health"): health,
        ("POST", "/applications/token"): token,
        ("POST", "/workspaces"): create_workspace,
        ("GET", "/workspaces"): list_workspaces,
        ("GET", "/workspaces/{workspace}"): get_workspace,
        ("PATCH", "/workspaces/{workspace}"): update_workspace,
        ("DELETE", "/workspaces/{workspace}"): delete_workspace,
        ("POST", "/connections"): create_connection,
        ("GET", "/connections"): list_connections,
        ("GET", "/connections/{id}"): get_connection,
        ("PATCH", "/connections/{id}"): patch_connection,
        ("DELETE", "/connections/{id}"): delete_connection,
        ("GET", "/streams"): list_streams,
        ("POST", "/jobs"): create_job,
        ("GET", "/jobs"): list_jobs,
        ("GET", "/jobs/{id}"): get_job,
        ("DELETE", "/jobs/{id}"): cancel_job,
    }
    found |= definitions.routes() | tags.routes()
    for kind in (SOURCE, DESTINATION):
        actor = ActorRoutes(kind)
        found |= {
            ("POST", f"/{kind}s"): actor.create,
            ("GET", f"/{kind}s"): actor.list,
            ("GET", f"/{kind}s/{{id}}"): actor.get,
            ("PUT", f"/{kind}s/{{id}}"): actor.put,
            ("PATCH", f"/{kind}s/{{id}}"): actor.patch,
            ("DELETE", f"/{kind}s/{{id}}"): actor.delete,
        }
    return found
