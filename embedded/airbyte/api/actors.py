"""Sources and destinations: rules that both APIs share."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import jsonschema

from embedded.airbyte import masking
from embedded.airbyte.api.call import Plane
from embedded.airbyte.api.errors import RequestError, bad_request, not_found
from embedded.airbyte.calls import ConnectorFailure
from embedded.airbyte.definitions import SOURCE, Definition
from embedded.airbyte.store import actors
from embedded.airbyte.store.database import Connection, Row


def require(db: Connection, kind: str, id_: UUID) -> Row:
    actor = actors.get(db, kind, id_)
    if actor is None:
        raise not_found(kind, id_)
    return actor


def definition_of(plane: Plane, kind: str, definition_id: object) -> Definition:
    definition = plane.connectors.by_id(str(definition_id), kind)
    if definition is None:
        known = ", ".join(f"{d.type} {d.id}" for d in plane.connectors.of_kind(kind))
        raise bad_request(
            f"definitionId: {definition_id}: not a configured {kind} connector; known: {known}"
        )
    return definition


def spec(plane: Plane, definition: Definition) -> dict[str, Any]:
    try:
        return plane.connectors.spec(definition)
    except ConnectorFailure as fault:
        raise RequestError(500, str(fault)) from None


def secrets(plane: Plane, definition: Definition) -> frozenset[masking.Path]:
    found = spec(plane, definition).get("connectionSpecification") or {}
    return masking.secret_paths(found)


def validate(plane: Plane, definition: Definition, configuration: Mapping[str, Any]) -> None:
    """Against the connector's specification. Messages name paths, never values: a value may be
    a secret that was put in the wrong place."""
    schema = spec(plane, definition).get("connectionSpecification") or {}
    problems = [
        f"$.{'.'.join(map(str, error.absolute_path))}: {_reason(error)}"
        for error in jsonschema.Draft7Validator(schema).iter_errors(configuration)
    ]
    if problems:
        raise RequestError(
            422,
            "The provided configuration does not fulfill the specification. Errors: "
            f"{'; '.join(problems)}",
        )


def _reason(error: jsonschema.ValidationError) -> str:
    if error.validator == "required":
        wanted: list[str] = list(error.schema["required"])  # type: ignore[index]
        missing = [name for name in wanted if name not in error.instance]  # type: ignore[operator]
        return f"required property missing: {', '.join(missing)}"
    if error.validator in ("oneOf", "anyOf"):
        return "fits none of the variants"
    return f"does not fulfill {error.validator}: {error.validator_value}"


def shown_configuration(plane: Plane, actor: Row) -> Any:
    definition = plane.connectors.by_id(str(actor["definition_id"]), actor["kind"])
    if definition is None:  # no longer configured: what is secret is not known
        return {}
    return masking.mask(actor["configuration"], secrets(plane, definition))


def discovered(
    plane: Plane, db: Connection, source: Row, *, refresh: bool
) -> tuple[str, list[dict[str, Any]]]:
    """Id and streams of the source's catalog, from the cache unless `refresh`.

    Raises ConnectorFailure.
    """
    cached = None if refresh else actors.catalog(db, source["id"])
    if cached is None:
        definition = definition_of(plane, SOURCE, source["definition_id"])
        found = plane.connectors.discover(definition, source["configuration"])
        cached = actors.save_catalog(db, source["id"], found)
    return str(cached["id"]), list(cached["catalog"]["streams"])


def destination_modes(plane: Plane, destination: Row) -> list[str]:
    definition = definition_of(plane, "destination", destination["definition_id"])
    modes = spec(plane, definition).get("supported_destination_sync_modes")
    return list(modes or ["append"])
