"""Component template. id: `<cluster uuid>/<name>`."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.elasticstack import template as shared
from plugins.elasticstack.named import Named
from plugins.kind import Fields, compact

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient


class ComponentTemplate(Named):
    KIND = "elasticstack/ComponentTemplate"
    PLACE = ("_component_template",)

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.nested("template", shared.template, required=True)
        fields.document("metadata")
        fields.integer("version")
        return fields.done()

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        from plugins.elasticstack.client import name_in

        name = name_in(id_)
        answer = client.send("GET", self.path(name), flat_settings=True)
        if not answer or not answer["component_templates"]:
            return None
        live = answer["component_templates"][0]["component_template"]
        part = shared.from_api(live["template"], shared.known_part(known, "template"))
        inputs: Props = {"name": name, "template": part}
        if "_meta" in live:
            inputs["metadata"] = compact(live["_meta"])
        if "version" in live:
            inputs["version"] = live["version"]
        return Live(id=client.whole(id_), inputs=self.normalize(inputs))

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        body: Props = {"template": shared.to_api(spec["template"])}
        if "metadata" in spec:
            body["_meta"] = json.loads(spec["metadata"])
        if "version" in spec:
            body["version"] = spec["version"]
        client.send("PUT", self.path(spec["name"]), body)
        return Live(id=id_, inputs=spec)
