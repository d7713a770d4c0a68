"""Life cycle (ILM policy) of indices. id: `<cluster uuid>/<name>`.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-ilm-put-lifecycle
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.kind import Fields, Kind, compact

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

PHASES = ("hot", "delete")
AT_ONCE = "0ms"  # as the server spells it
AGE = re.compile(r"\d+(?:nanos|micros|ms|s|m|h|d)")
MODIFIED = "modifiedDate"
API = {  # input -> field of the API
    "minAge": "min_age",
    "setPriority": "set_priority",
    "deleteSearchableSnapshot": "delete_searchable_snapshot",
}
OWN = {field: name for name, field in API.items()}


class IndexLifecycle(Kind):
    KIND = "elasticstack/IndexLifecycle"
    REPLACE_ON = frozenset({"name"})
    NAME = "name"
    COMPUTED = frozenset({MODIFIED})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        given = [fields.nested("hot", _hot), fields.nested("delete", _delete)]
        if given == [None, None]:
            raise InputError("delete", "is missing: expected it or hot")
        fields.document("metadata")
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "SearchClient", spec: Props) -> Live:
        return self.update(client, client.id_of(spec["name"]), {}, spec)

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        from plugins.elasticstack.client import name_in, path

        name = name_in(id_)
        answer = client.send("GET", path("_ilm", "policy", name))
        if not answer or name not in answer:
            return None
        policy = answer[name]["policy"]
        found: Props = {"name": name}
        found |= {phase: _from_api(live) for phase, live in policy["phases"].items()}
        if "_meta" in policy:
            found["metadata"] = compact(policy["_meta"])
        try:
            inputs = self.normalize(found)
        except InputError:  # what is not served here was added by hand: it has to show as drift
            inputs = found
        whole = id_ if "/" in id_ else client.id_of(name)
        return Live(id=whole, inputs=inputs, outputs={MODIFIED: answer[name]["modified_date"]})

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        from plugins.elasticstack.client import path

        policy: Props = {
            "phases": {phase: _to_api(spec[phase]) for phase in PHASES if phase in spec}
        }
        if "metadata" in spec:
            policy["_meta"] = json.loads(spec["metadata"])
        where = path("_ilm", "policy", spec["name"])
        client.send("PUT", where, {"policy": policy})
        live = client.send("GET", where)[spec["name"]]
        return Live(id=id_, inputs=spec, outputs={MODIFIED: live["modified_date"]})

    def delete(self, client: "SearchClient", id_: str, known: Props) -> None:
        from plugins.elasticstack.client import name_in, path

        client.send("DELETE", path("_ilm", "policy", name_in(id_)))


def _hot(fields: Fields) -> None:
    _age(fields)
    fields.nested("setPriority", _priority)


def _priority(fields: Fields) -> None:
    if fields.integer("priority") is None:
        raise InputError(fields.at("priority"), "is missing: expected a whole number")


def _delete(fields: Fields) -> None:
    _age(fields)
    fields.nested("delete", _action, required=True)  # a phase without it would delete nothing


def _action(fields: Fields) -> None:
    fields.flag("deleteSearchableSnapshot", True)


def _age(fields: Fields) -> None:
    def convert(value: Any, at: str) -> str:
        if not isinstance(value, str) or not AGE.fullmatch(value):
            raise InputError(at, f"{value!r}: expected an age such as 90d or 12h")
        return value

    fields.field("minAge", convert, AT_ONCE, False)


def _to_api(phase: Props) -> Props:
    fields = _spelled(phase, API)
    return {"min_age": fields.pop("min_age"), "actions": fields}


def _from_api(live: Props) -> Props:
    return _spelled({"min_age": live["min_age"], **live["actions"]}, OWN)


def _spelled(values: Props, names: Mapping[str, str]) -> Props:
    return {
        names.get(key, key): _spelled(value, names) if isinstance(value, dict) else value
        for key, value in values.items()
    }
