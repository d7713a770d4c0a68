"""The catalog: /api/v3/catalog, and the /apiv2 calls that its clients use."""

from typing import Any

from embedded.dremio.api.call import Call, Reply, rule
from embedded.dremio.catalog.model import TABLE, VIEW
from embedded.dremio.errors import EngineError, invalid, unsupported

MAX_ITEMS = 50


def _roots(call: Call) -> Reply:
    return Reply({"data": call.engine.entities.roots()})


def _by_path(call: Call) -> Reply:
    return Reply(call.engine.entities.by_path(call.path))


def _by_id(call: Call) -> Reply:
    return Reply(call.engine.entities.by_id(call.path[0]))


def _several(call: Call, key: str, items: list[Any]) -> Reply:
    if not 0 < len(items) <= MAX_ITEMS:
        raise invalid(f"{key}: expected 1 to {MAX_ITEMS} items")
    found: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for item in items:
        try:
            if key == "ids":
                found.append(call.engine.entities.by_id(str(item)))
            else:
                found.append(call.engine.entities.by_path(tuple(item)))
        except EngineError as fault:
            errors.append({key.removesuffix("s"): item, "errorMessage": fault.message})
    return Reply({"data": found, "errors": errors})


def _by_ids(call: Call) -> Reply:
    return _several(call, "ids", list(call.body.get("ids") or []))


def _by_paths(call: Call) -> Reply:
    return _several(call, "paths", list(call.body.get("paths") or []))


def _create(call: Call) -> Reply:
    return Reply(call.engine.entities.create(call.body))


def _promote(call: Call) -> Reply:
    return Reply(call.engine.entities.promote(call.path[0], call.body))


def _update(call: Call) -> Reply:
    return Reply(call.engine.entities.update(call.path[0], call.body))


def _delete(call: Call) -> Reply:
    call.engine.entities.delete(call.path[0], call.query.get("tag"))
    return Reply(status=204)


def _refresh(call: Call) -> Reply:
    entity = call.engine.entities.entity(call.path[0])
    if entity.kind == VIEW:
        raise unsupported("A virtual dataset cannot be refreshed: refresh its tables.")
    if entity.kind != TABLE:
        raise unsupported("Can only refresh physical datasets.")
    call.engine.reflections.refresh_dataset(entity)
    return Reply(status=204)


def _note(kind: str, *, write: bool) -> Any:
    def handle(call: Call) -> Reply:
        if write:
            return Reply(call.engine.entities.set_note(call.path[0], kind, call.body))
        return Reply(call.engine.entities.note(call.path[0], kind))

    return handle


def _enterprise(call: Call) -> Reply:
    # Not stored in either edition: a grant that no query obeys would be a lie.
    if call.engine.config.enterprise:
        raise unsupported("Grants are not built yet in this engine.")
    raise unsupported("Grants are only supported in Enterprise Edition.")


def _put_source(call: Call) -> Reply:
    return Reply(call.engine.entities.put_source(call.path[0], call.body))


def _impacting(call: Call) -> Reply:
    impacting = call.engine.entities.is_metadata_impacting(call.body)
    return Reply({"isMetadataImpacting": impacting})


RULES = (
    rule("GET", "/api/v3/catalog", _roots),
    rule("POST", "/api/v3/catalog", _create),
    rule("GET", "/api/v3/catalog/by-path/**", _by_path),
    rule("POST", "/api/v3/catalog/by-ids", _by_ids),
    rule("POST", "/api/v3/catalog/by-paths", _by_paths),
    rule("GET", "/api/v3/catalog/*", _by_id),
    rule("POST", "/api/v3/catalog/*", _promote),
    rule("PUT", "/api/v3/catalog/*", _update),
    rule("DELETE", "/api/v3/catalog/*", _delete),
    rule("POST", "/api/v3/catalog/*/refresh", _refresh),
    rule("GET", "/api/v3/catalog/*/collaboration/wiki", _note("wiki", write=False)),
    rule("POST", "/api/v3/catalog/*/collaboration/wiki", _note("wiki", write=True)),
    rule("GET", "/api/v3/catalog/*/collaboration/tag", _note("tag", write=False)),
    rule("POST", "/api/v3/catalog/*/collaboration/tag", _note("tag", write=True)),
    rule("GET", "/api/v3/catalog/*/grants", _enterprise),
    rule("PUT", "/api/v3/catalog/*/grants", _enterprise),
    rule("PUT", "/apiv2/source/*", _put_source),
    rule("POST", "/apiv2/sources/isMetadataImpacting", _impacting),
)
