"""Life cycle (ILM policy) of indices. id: `<cluster uuid>/<name>`.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-ilm-put-lifecycle
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.elasticstack.named import Named, from_api, to_api
from plugins.kind import Fields, compact

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

PHASES = ("hot", "delete")
AT_ONCE = "0ms"  # as the server spells it
AGE = re.compile(r"\d+(?:nanos|micros|ms|s|m|h|d)")
MODIFIED = "modifiedDate"


class IndexLifecycle(Named):
    KIND = "elasticstack/IndexLifecycle"
    PLACE = ("_ilm", "policy")
    COMPUTED = frozenset({MODIFIED})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        given = [fields.nested("hot", _hot), fields.nested("delete", _delete)]
        if given == [None, None]:
            raise InputError("delete", "is missing: expected it or hot")
        fields.document("metadata")
        return fields.done()

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        name, live = self.live(client, id_)
        if live is None:
            return None
        policy = live["policy"]
        found: Props = {"name": name}
        found |= {phase: _from_api(body) for phase, body in policy["phases"].items()}
        if "_meta" in policy:
            found["metadata"] = compact(policy["_meta"])
        outputs = {MODIFIED: live["modified_date"]}
        return Live(id=client.whole(id_), inputs=self.seen(found), outputs=outputs)

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        policy: Props = {
            "phases": {phase: _to_api(spec[phase]) for phase in PHASES if phase in spec}
        }
        if "metadata" in spec:
            policy["_meta"] = json.loads(spec["metadata"])
        where = self.path(spec["name"])
        client.send("PUT", where, {"policy": policy})
        live = client.send("GET", where)[spec["name"]]
        return Live(id=id_, inputs=spec, outputs={MODIFIED: live["modified_date"]})


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
    fields = to_api(phase)
    return {"min_age": fields.pop("min_age"), "actions": fields}


def _from_api(live: Props) -> Props:
    return from_api({"min_age": live["min_age"], **live["actions"]})
