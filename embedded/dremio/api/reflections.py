"""Reflections: /api/v3/reflection."""

from embedded.dremio.api.call import Call, Reply, rule
from embedded.dremio.errors import invalid, unsupported


def _create(call: Call) -> Reply:
    reflections = call.engine.reflections
    return Reply(reflections.body(reflections.create(call.body)))


def _get(call: Call) -> Reply:
    reflections = call.engine.reflections
    return Reply(reflections.body(reflections.get(call.path[0])))


def _change(call: Call) -> Reply:
    reflections = call.engine.reflections
    if call.body.get("id", call.path[0]) != call.path[0]:
        raise invalid("The id in the body must be equal to the id in the path.")
    return Reply(reflections.body(reflections.change(call.path[0], call.body)))


def _delete(call: Call) -> Reply:
    call.engine.reflections.delete(call.path[0])
    return Reply()


def _list(call: Call) -> Reply:
    if not call.engine.config.enterprise:
        raise unsupported("Listing all reflections is only supported in Enterprise Edition.")
    reflections = call.engine.reflections
    return Reply({"data": [reflections.body(item) for item in reflections.all()]})


def _of_dataset(call: Call) -> Reply:
    entity = call.engine.entities.entity(call.path[0])
    reflections = call.engine.reflections
    return Reply({"data": [reflections.body(i) for i in reflections.of_dataset(entity.id)]})


RULES = (
    rule("GET", "/api/v3/reflection", _list),
    rule("POST", "/api/v3/reflection", _create),
    rule("GET", "/api/v3/reflection/*", _get),
    rule("PUT", "/api/v3/reflection/*", _change),
    rule("DELETE", "/api/v3/reflection/*", _delete),
    rule("GET", "/api/v3/dataset/*/reflection", _of_dataset),
)
