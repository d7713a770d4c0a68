"""User of the native realm. id: `<cluster uuid>/<username>`."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import Fields, Kind, ServiceError, compact

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

PASSWORD_LEAST = 6  # characters, the server's rule
PASSWORDS = ("password", "passwordHash")


class SecurityUser(Kind):
    KIND = "elasticstack/SecurityUser"
    REPLACE_ON = frozenset({"username"})
    SECRETS = frozenset(PASSWORDS)

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("username", required=True)
        password, hashed = fields.secret("password"), fields.secret("passwordHash")
        if password is not None and hashed is not None:
            raise InputError("passwordHash", "excludes password: give one of the two")
        if password not in (None, UNKNOWN) and len(password) < PASSWORD_LEAST:
            raise InputError("password", f"expected {PASSWORD_LEAST} or more characters")
        fields.names("roles", required=True)
        fields.text("fullName")
        fields.text("email")
        fields.flag("enabled", True)
        fields.document("metadata", default="{}")
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["username"])

    def create(self, client: "SearchClient", spec: Props) -> Live:
        return self.update(client, client.id_of(spec["username"]), {}, spec)

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        from plugins.elasticstack.client import name_in, path

        name = name_in(id_)
        answer = client.send("GET", path("_security", "user", name))
        if not answer or name not in answer:
            return None
        live = answer[name]
        if live["metadata"].get("_reserved"):
            raise ServiceError(f"user {name!r} is built into Elasticsearch: choose another name")
        inputs: Props = {
            "username": name,
            "roles": live["roles"],
            "enabled": live["enabled"],
            "metadata": compact(live["metadata"]),
        }
        for own, field in (("fullName", "full_name"), ("email", "email")):
            if live.get(field):
                inputs[own] = live[field]
        inputs |= {secret: known[secret] for secret in PASSWORDS if secret in known}
        return Live(id=client.whole(id_), inputs=self.normalize(inputs))

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        from plugins.elasticstack.client import path

        body: Props = {
            "roles": spec["roles"],
            "enabled": spec["enabled"],
            "full_name": spec.get("fullName"),
            "email": spec.get("email"),
            "metadata": json.loads(spec["metadata"]),
        }
        # Left out while it is the same: the server would hash it again and end its sessions.
        for secret, field in (("password", "password"), ("passwordHash", "password_hash")):
            if secret in spec and spec[secret] != old.get(secret):
                body[field] = spec[secret]
        client.send("PUT", path("_security", "user", spec["username"]), body)
        return Live(id=id_, inputs=spec)

    def delete(self, client: "SearchClient", id_: str, known: Props) -> None:
        from plugins.elasticstack.client import name_in, path

        client.send("DELETE", path("_security", "user", name_in(id_)))
