"""A named policy on a user. id: `<user>/<policy>`, also the form to import."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.kind import Fields, Kind

if TYPE_CHECKING:
    from plugins.minio.client import MinioClient

NO_USER = ("XMinioAdminNoSuchUser",)
DONE = ("XMinioAdminPolicyChangeAlreadyApplied",)


class IamUserPolicyAttachment(Kind):
    KIND = "minio/IamUserPolicyAttachment"
    REPLACE_ON = frozenset({"userName", "policyName"})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("userName", required=True)
        fields.text("policyName", required=True)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return f"{spec['userName']}/{spec['policyName']}"

    def create(self, client: "MinioClient", spec: Props) -> Live:
        policies = [spec["policyName"]]
        client.admin("attach_policy", policies, user=spec["userName"], absent=DONE)
        return Live(id=self.natural_key(spec), inputs=spec)

    def read(self, client: "MinioClient", id_: str, known: Props) -> Live | None:
        user, policy = _parts(id_, known)
        live = client.admin("user_info", user, absent=NO_USER)
        if live is None or policy not in live.get("policyName", "").split(","):
            return None
        return Live(id=id_, inputs={"userName": user, "policyName": policy})

    def update(self, client: "MinioClient", id_: str, old: Props, spec: Props) -> Live:
        return self.create(client, spec)  # both inputs replace: nothing is left to change

    def delete(self, client: "MinioClient", id_: str, known: Props) -> None:
        user, policy = _parts(id_, known)
        gone = (*NO_USER, *DONE, "XMinioAdminNoSuchPolicy")
        client.admin("detach_policy", [policy], user=user, absent=gone)


def _parts(id_: str, known: Props) -> tuple[str, str]:
    if known:  # the official plugin's ids hold a random part
        return known["userName"], known["policyName"]
    user, slash, policy = id_.partition("/")
    if not slash:
        raise InputError("id", f"{id_!r}: expected <user>/<policy>")
    return user, policy
