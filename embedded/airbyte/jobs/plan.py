"""From a job and its connection to the plan of the next attempt."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from embedded.airbyte import catalog, masking
from embedded.airbyte.calls import Connectors
from embedded.airbyte.definitions import DESTINATION, SOURCE, Definition
from embedded.airbyte.jobs import state
from embedded.airbyte.jobs.attempt import Plan, Side
from embedded.airbyte.protocol import StreamKey, stream_key
from embedded.airbyte.store import actors, connections
from embedded.airbyte.store.database import Connection, Row

CLEARING = frozenset({"reset", "clear"})


class PlanError(Exception):
    """The job cannot run: something it needs is gone."""


def prepare(
    db: Connection, job: Mapping[str, Any], connectors: Connectors, timeout_s: float
) -> Plan:
    """The plan of attempt job["number"]; starts new generations of streams where due."""
    connection = connections.get(db, job["connection_id"])
    if connection is None or connection["status"] == "deprecated":
        raise PlanError("the connection was deleted")
    clearing = job["job_type"] in CLEARING
    renewed = _renewed(connection, clearing=clearing, first=job["number"] == 0)
    connections.raise_generations(db, connection["id"], renewed)
    if clearing:
        connections.delete_state(db, connection["id"])
    generations = connections.generations(db, connection["id"])

    def side(kind: str, id_: UUID) -> tuple[Side, tuple[str, ...]]:
        actor, definition = _actor(db, connectors, kind, id_)
        configured = catalog.configured(
            connection,
            generations,
            job["id"],
            at_destination=kind == DESTINATION,
            clearing=clearing,
        )
        config = actor["configuration"]
        made = Side(
            service=f"{kind}-{definition.type}",
            command=connectors.command(definition),
            config=config,
            catalog=configured,
        )
        return made, tuple(masking.values(config, connectors.secrets(definition)))

    source, source_secrets = side(SOURCE, connection["source_id"])
    destination, destination_secrets = side(DESTINATION, connection["destination_id"])
    return Plan(
        source=None if clearing else source,
        destination=destination,
        state=state.to_protocol(connections.state(db, connection["id"])),
        routes=catalog.routes(connection),
        secrets=source_secrets + destination_secrets,
        timeout_s=timeout_s,
    )


def _renewed(connection: Row, *, clearing: bool, first: bool) -> list[StreamKey]:
    """Streams that start over: every full refresh in the first attempt, and in a retry those
    whose source cannot resume them."""
    keys = []
    for entry in connection["streams"]:
        full = entry["config"]["syncMode"] == "full_refresh"
        resumable = entry["stream"].get("isResumable", False)
        if clearing and first or not clearing and full and (first or not resumable):
            keys.append(stream_key(entry["stream"]))
    return keys


def _actor(db: Connection, connectors: Connectors, kind: str, id_: UUID) -> tuple[Row, Definition]:
    actor = actors.get(db, kind, id_)
    if actor is None:
        raise PlanError(f"the {kind} was deleted")
    definition = connectors.by_id(str(actor["definition_id"]), kind)
    if definition is None:
        raise PlanError(f"the connector of the {kind} is no longer configured")
    return actor, definition
