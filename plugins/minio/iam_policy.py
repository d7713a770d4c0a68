"""Named access policy. id: its name."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.kind import Fields, Kind, compact
from plugins.minio.policy import canonical

if TYPE_CHECKING:
    from plugins.minio.client import MinioClient

MISSING = ("XMinioAdminNoSuchPolicy",)


class IamPolicy(Kind):
    KIND = "minio/IamPolicy"
    REPLACE_ON = frozenset({"name"})
    NAME = "name"
    NAME_PREFIX = "namePrefix"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("namePrefix")
        fields.text("name", required=True)
        fields.document("policy", canonical, required=True)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "MinioClient", spec: Props) -> Live:
        return self.update(client, spec["name"], {}, spec)

    def read(self, client: "MinioClient", id_: str, known: Props) -> Live | None:
        live = client.admin("policy_info", id_, absent=MISSING)
        if live is None:
            return None
        inputs = {"name": id_, "policy": compact(canonical(live))}
        if "namePrefix" in known:
            inputs["namePrefix"] = known["namePrefix"]
        return Live(id=id_, inputs=inputs)

    def update(self, client: "MinioClient", id_: str, old: Props, spec: Props) -> Live:
        client.admin("policy_add", id_, policy=json.loads(spec["policy"]))
        return Live(id=id_, inputs=spec)

    def delete(self, client: "MinioClient", id_: str, known: Props) -> None:
        client.admin("policy_remove", id_, absent=MISSING)
