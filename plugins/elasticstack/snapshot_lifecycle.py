"""Schedule and retention of snapshots (SLM policy). id: `<cluster uuid>/<name>`.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-slm-put-lifecycle
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.elasticstack.named import Named, from_api, to_api
from plugins.kind import Fields, compact

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

CONFIG = (
    "expandWildcards",
    "featureStates",
    "ignoreUnavailable",
    "includeGlobalState",
    "indices",
    "partial",
)
RETENTION = ("expireAfter", "maxCount", "minCount")
WILDCARDS = ("all", "open", "closed", "hidden", "none")


class SnapshotLifecycle(Named):
    KIND = "elasticstack/SnapshotLifecycle"
    PLACE = ("_slm", "policy")

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.text("repository", required=True)
        fields.text("schedule", required=True)
        fields.text("snapshotName", "<snap-{now/d}>")
        _wildcards(fields)
        fields.names("indices", [], ordered=True)  # a later one may take away from an earlier
        fields.names("featureStates", [])
        fields.flag("ignoreUnavailable", False)
        fields.flag("includeGlobalState", True)
        fields.flag("partial", False)
        fields.document("metadata")
        fields.text("expireAfter")
        most, least = fields.integer("maxCount", least=1), fields.integer("minCount", least=1)
        if isinstance(most, int) and isinstance(least, int) and least > most:
            raise InputError("minCount", f"{least}: expected no more than maxCount, {most}")
        return fields.done()

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        name, live = self.live(client, id_)
        if live is None:
            return None
        policy = live["policy"]
        config = dict(policy.get("config", {}))
        metadata = config.pop("metadata", None)
        found: Props = {
            "name": name,
            "repository": policy["repository"],
            "schedule": policy["schedule"],
            "snapshotName": policy["name"],
            **from_api(config),
            **from_api(policy.get("retention", {})),
        }
        if metadata is not None:
            found["metadata"] = compact(metadata)
        return Live(id=client.whole(id_), inputs=self.seen(found))

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        config = to_api({name: spec[name] for name in CONFIG})
        if "metadata" in spec:
            config["metadata"] = json.loads(spec["metadata"])
        body: Props = {
            "name": spec["snapshotName"],
            "schedule": spec["schedule"],
            "repository": spec["repository"],
            "config": config,
        }
        if kept := {name: spec[name] for name in RETENTION if name in spec}:
            body["retention"] = to_api(kept)
        client.send("PUT", self.path(spec["name"]), body)
        return Live(id=id_, inputs=spec)


def _wildcards(fields: Fields) -> None:
    given = fields.text("expandWildcards", "open,hidden")
    for word in () if given == UNKNOWN else given.split(","):
        if word not in WILDCARDS:
            expected = f"expected some of {', '.join(WILDCARDS)}, with commas between"
            raise InputError("expandWildcards", f"{given!r}: {expected}")
