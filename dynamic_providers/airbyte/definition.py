"""Custom connectors: what the definitions of sources and of destinations have in common.

https://reference.airbyte.com/reference/createsourcedefinition
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_providers import inputs
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.api import post_once
from dynamic_providers.handler import InputError, Live, Props

# What the API's update does not take: it changes a definition's name and image tag only.
REPLACE_ON = frozenset({"dockerRepository", "documentationUrl", "workspaceId"})


@dataclass(frozen=True)
class Definition:
    """kind: sources or destinations, as the path names the collection."""

    kind: str

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        spec = inputs.known_keys(
            raw,
            ("name", "dockerRepository", "dockerImageTag"),
            ("documentationUrl", "workspaceId"),
        )
        for key in spec:
            inputs.text(spec[key], key)
        repository = spec["dockerRepository"]
        if not inputs.is_unknown(repository) and ":" in repository.rpartition("/")[2]:
            raise InputError(
                "dockerRepository", f"{repository!r}: has a tag: set dockerImageTag instead"
            )
        return spec

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: AirbyteClient, spec: Props) -> Live:
        if found := self._find(client, spec):
            return self.update(client, found, spec, spec)
        body = {key: value for key, value in spec.items() if key != "workspaceId"}
        made = post_once(
            lambda: str(client.require("POST", self._path(client, spec), body)["id"]),
            lambda: self._find(client, spec),
        )
        return Live(id=made, inputs=spec)

    def read(self, client: AirbyteClient, id_: str, known: Props) -> Live | None:
        live = client.public("GET", f"{self._path(client, known)}/{id_}")
        if live is None:
            return None
        found = {key: live[key] for key in ("name", "dockerRepository", "dockerImageTag")}
        if live.get("documentationUrl") and ("documentationUrl" in known or not known):
            found["documentationUrl"] = live["documentationUrl"]
        if "workspaceId" in known:
            found["workspaceId"] = known["workspaceId"]
        return Live(id=id_, inputs=self.normalize(found))

    def update(self, client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
        body = {key: spec[key] for key in ("name", "dockerImageTag")}
        client.change("PUT", f"{self._path(client, spec)}/{id_}", body, f"definition {id_}")
        return Live(id=id_, inputs=spec)

    def delete(self, client: AirbyteClient, id_: str, known: Props) -> None:
        client.public("DELETE", f"{self._path(client, known)}/{id_}")

    def _path(self, client: AirbyteClient, spec: Props) -> str:
        workspace = client.workspace(spec.get("workspaceId"))
        return f"/workspaces/{workspace}/definitions/{self.kind}"

    def _find(self, client: AirbyteClient, spec: Props) -> str | None:
        """Id of the definition of that name; of another image it is another connector."""
        same = client.named(self._path(client, spec), {}, spec["name"])
        id_ = client.only_one(same, "id")
        if same and same[0]["dockerRepository"] != spec["dockerRepository"]:
            raise InputError(
                "name", f"taken by a definition of image {same[0]['dockerRepository']!r}"
            )
        return id_
