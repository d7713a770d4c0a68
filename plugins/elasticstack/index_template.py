"""Index template. id: `<cluster uuid>/<name>`."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.elasticstack import template as shared
from plugins.elasticstack.named import Named
from plugins.kind import Fields, compact

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

DATA_STREAM = {"hidden": "hidden", "allowCustomRouting": "allow_custom_routing"}


class IndexTemplate(Named):
    KIND = "elasticstack/IndexTemplate"
    PLACE = ("_index_template",)

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.names("indexPatterns", required=True)
        fields.names("composedOfs", [], ordered=True)  # a later one overrides an earlier
        fields.nested("dataStream", _data_stream)
        fields.nested("template", shared.template)
        fields.document("metadata")
        fields.integer("priority")
        fields.integer("version")
        return fields.done()

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        from plugins.elasticstack.client import name_in

        name = name_in(id_)
        answer = client.send("GET", self.path(name), flat_settings=True)
        if not answer or not answer["index_templates"]:
            return None
        live = answer["index_templates"][0]["index_template"]
        inputs: Props = {
            "name": name,
            "indexPatterns": live["index_patterns"],
            "composedOfs": live.get("composed_of", []),
        }
        part = shared.from_api(live.get("template", {}), shared.known_part(known, "template"))
        if part or "template" in known:
            inputs["template"] = part
        if "data_stream" in live:
            inputs["dataStream"] = {
                own: live["data_stream"].get(field, False) for own, field in DATA_STREAM.items()
            }
        if "_meta" in live:
            inputs["metadata"] = compact(live["_meta"])
        inputs |= {field: live[field] for field in ("priority", "version") if field in live}
        return Live(id=client.whole(id_), inputs=self.normalize(inputs))

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        body: Props = {
            "index_patterns": spec["indexPatterns"],
            "composed_of": spec["composedOfs"],
        }
        if "template" in spec:
            body["template"] = shared.to_api(spec["template"])
        if "dataStream" in spec:
            stream = spec["dataStream"]
            body["data_stream"] = {DATA_STREAM[own]: value for own, value in stream.items()}
        if "metadata" in spec:
            body["_meta"] = json.loads(spec["metadata"])
        body |= {field: spec[field] for field in ("priority", "version") if field in spec}
        client.send("PUT", self.path(spec["name"]), body)
        return Live(id=id_, inputs=spec)


def _data_stream(fields: Fields) -> None:
    for name in DATA_STREAM:
        fields.flag(name, False)
