"""Sources, destinations and connections of a live Airbyte, through its public API."""

from adoption.estate import Estate
from dynamic_providers.airbyte import connection, destination, source
from dynamic_providers.airbyte.client import MASK, AirbyteClient

# Shown as sourceType by connectors that have no type of their own.
UNTYPED = (None, "", "custom")


def read(client: AirbyteClient) -> Estate:
    """Every workspace of the instance. Raises ApiError."""
    estate = Estate(client=client, mask=MASK)
    workspaces = [str(found["workspaceId"]) for found in client.every("/workspaces", {})]
    # Left out, it is the first workspace: the flow's own resources do the same.
    implied = ("workspaceId",) if len(workspaces) == 1 else ()
    for workspace in workspaces:
        only = {"workspaceIds": workspace}
        for handler, path in ((source, "/sources"), (destination, "/destinations")):
            id_key = f"{path[1:-1]}Id"
            for live in client.every(path, only):
                typed = live.get(f"{path[1:-1]}Type") not in UNTYPED
                without = (*implied, *(("definitionId",) if typed else ()))
                estate.add(handler, str(live[id_key]), label=str(live["name"]), without=without)
        for live in client.every("/connections", only):
            if live["status"] != connection.GONE:
                estate.add(
                    connection,
                    str(live["connectionId"]),
                    label=str(live["name"]),
                    scope=("sourceId", "destinationId"),
                )
    return estate
