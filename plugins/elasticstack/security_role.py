"""Role. id: `<cluster uuid>/<name>`.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-security-put-role
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.elasticstack.named import Named
from plugins.kind import Fields, compact

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

METADATA = "{}"  # the server's default


class SecurityRole(Named):
    KIND = "elasticstack/SecurityRole"
    PLACE = ("_security", "role")

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.names("clusters", [])
        fields.names("runAs", [])
        fields.each("indices", _indices, compact)
        fields.each("applications", _application, compact)
        fields.document("global")
        fields.document("metadata", default=METADATA)
        return fields.done()

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        name, live = self.live(client, id_)
        if live is None:
            return None
        inputs: Props = {
            "name": name,
            "clusters": live["cluster"],
            "runAs": live.get("run_as", []),
            "metadata": compact(live.get("metadata", {})),
        }
        if live["indices"] or "indices" in known:
            inputs["indices"] = [_indices_from_api(item) for item in live["indices"]]
        if live.get("applications") or "applications" in known:
            inputs["applications"] = live.get("applications", [])
        if live.get("global") or "global" in known:
            inputs["global"] = compact(live.get("global", {}))
        return Live(id=client.whole(id_), inputs=self.normalize(inputs))

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        body: Props = {
            "cluster": spec["clusters"],
            "run_as": spec["runAs"],
            "indices": [_indices_to_api(item) for item in spec.get("indices", [])],
            "applications": spec.get("applications", []),
            "metadata": json.loads(spec["metadata"]),
        }
        if "global" in spec:
            body["global"] = json.loads(spec["global"])
        client.send("PUT", self.path(spec["name"]), body)
        return Live(id=id_, inputs=spec)


def _indices(fields: Fields) -> None:
    fields.names("names", required=True)
    fields.names("privileges", required=True)
    fields.document("query")
    fields.flag("allowRestrictedIndices", False)
    fields.nested("fieldSecurity", _field_security)


def _field_security(fields: Fields) -> None:
    fields.names("grants", [])
    fields.names("excepts", [])


def _application(fields: Fields) -> None:
    fields.text("application", required=True)
    fields.names("privileges", required=True)
    fields.names("resources", required=True)


def _indices_to_api(item: Props) -> Props:
    body: Props = {
        "names": item["names"],
        "privileges": item["privileges"],
        "allow_restricted_indices": item["allowRestrictedIndices"],
    }
    if "query" in item:
        body["query"] = item["query"]
    if security := item.get("fieldSecurity"):
        body["field_security"] = {"grant": security["grants"], "except": security["excepts"]}
    return body


def _indices_from_api(item: Props) -> Props:
    found: Props = {
        "names": item["names"],
        "privileges": item["privileges"],
        "allowRestrictedIndices": item.get("allow_restricted_indices", False),
    }
    if query := item.get("query"):
        found["query"] = query if isinstance(query, str) else compact(query)
    if security := item.get("field_security"):
        found["fieldSecurity"] = {
            "grants": security.get("grant", []),
            "excepts": security.get("except", []),
        }
    return found
