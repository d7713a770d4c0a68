"""User with an access key (its name) and a secret key. id: the name."""

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import Fields, Kind

if TYPE_CHECKING:
    from plugins.minio.client import MinioClient

MISSING = ("XMinioAdminNoSuchUser",)
SECRET_LEAST, NAME_LEAST = 8, 3  # characters, the server's rule
GENERATED_BYTES = 30


class IamUser(Kind):
    KIND = "minio/IamUser"
    REPLACE_ON = frozenset({"name"})
    SECRETS = frozenset({"secret"})
    COMPUTED = frozenset({"secret", "status"})
    STABLE = frozenset({"secret"})
    NAME = "name"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        name = fields.text("name", required=True)
        if name != UNKNOWN and len(name) < NAME_LEAST:
            raise InputError("name", f"{name!r}: expected {NAME_LEAST} or more characters")
        secret = fields.secret("secret")
        if secret not in (None, UNKNOWN) and len(secret) < SECRET_LEAST:
            raise InputError("secret", f"expected {SECRET_LEAST} or more characters")
        fields.flag("disableUser", False)
        fields.flag("forceDestroy", False)
        fields.flag("updateSecret", False)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "MinioClient", spec: Props) -> Live:
        # A user that exists gets the secret too: the one it has cannot be read.
        return self._bring(client, spec, spec.get("secret") or _generated())

    def read(self, client: "MinioClient", id_: str, known: Props) -> Live | None:
        live = client.admin("user_info", id_, absent=MISSING)
        if live is None:
            return None
        inputs = {
            "name": id_,
            "disableUser": live["status"] == "disabled",
            "forceDestroy": known.get("forceDestroy", False),  # these two: only this plugin's
            "updateSecret": known.get("updateSecret", False),
        }
        if "secret" in known:
            inputs["secret"] = known["secret"]
        return Live(id=id_, inputs=inputs, outputs={"status": live["status"]})

    def update(self, client: "MinioClient", id_: str, old: Props, spec: Props) -> Live:
        if client.admin("user_info", id_, absent=MISSING) is None:
            raise LookupError(f"user {id_!r} is gone: run pulumi refresh, then up")
        secret = spec.get("secret")
        if secret is not None and secret != old.get("secret"):
            return self._bring(client, spec, secret)
        if secret is None and spec["updateSecret"] and not old.get("updateSecret"):
            return self._bring(client, spec, _generated())
        return self._bring(client, spec, None)

    def delete(self, client: "MinioClient", id_: str, known: Props) -> None:
        client.admin("user_remove", id_, absent=MISSING)

    def _bring(self, client: "MinioClient", spec: Props, secret: str | None) -> Live:
        outputs = {"status": "disabled" if spec["disableUser"] else "enabled"}
        if secret is not None:
            client.admin("user_add", spec["name"], secret)
            outputs["secret"] = secret
        client.admin("user_disable" if spec["disableUser"] else "user_enable", spec["name"])
        return Live(id=spec["name"], inputs=spec, outputs=outputs)


def _generated() -> str:
    return secrets.token_urlsafe(GENERATED_BYTES)
