"""What sources and destinations have in common; Airbyte calls both actors.

https://reference.airbyte.com/reference/createsource
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_providers import inputs
from dynamic_providers.airbyte import configuration as settings
from dynamic_providers.airbyte import specifications
from dynamic_providers.airbyte.client import MASK, AirbyteClient
from dynamic_providers.api import post_once
from dynamic_providers.canonical import only_known_keys, unmasked, whole_floats_to_int
from dynamic_providers.handler import InputError, Live, Props

REPLACE_ON = frozenset({"definitionId", "workspaceId"})
SECRETS = frozenset({"configuration"})


@dataclass(frozen=True)
class Actor:
    """path: of the collection. type_key: where the kind of connector is named."""

    path: str
    id_key: str
    type_key: str

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        spec = inputs.known_keys(raw, ("name", "configuration"), ("definitionId", "workspaceId"))
        inputs.text(spec["name"], "name")
        configuration = inputs.mapping(spec["configuration"], "configuration")
        for key in ("definitionId", "workspaceId"):
            if key in spec:
                inputs.text(spec[key], key)
        if inputs.is_unknown(configuration):
            return spec
        if not configuration.get(self.type_key) and "definitionId" not in spec:
            raise InputError(
                "configuration", f"names no connector: set {self.type_key} in it, or definitionId"
            )
        if specification := self._specification(configuration, spec.get("definitionId")):
            sent = {key: value for key, value in configuration.items() if key != self.type_key}
            settings.check(sent, specification, "configuration")
        return spec

    def marked_secrets(
        self, configuration: Any, definition_id: Any, hide: Callable[[Any], Any]
    ) -> Any:
        """`configuration` with `hide` applied to its secrets; to all of it, if it has no
        specification here."""
        specification = None
        if isinstance(configuration, Mapping):
            specification = self._specification(configuration, definition_id)
        if specification is None:
            return hide(configuration)
        named: Props = {"properties": {self.type_key: {}}}
        return settings.marked_secrets(configuration, [specification, named], hide)

    def _specification(
        self, configuration: Mapping[str, Any], definition_id: Any
    ) -> Mapping[str, Any] | None:
        kind, type_ = self.type_key.removesuffix("Type"), configuration.get(self.type_key)
        return specifications.find(kind, type_, definition_id)

    def natural_key(self, spec: Props) -> str:
        workspace = spec.get("workspaceId")
        return f"{workspace}/{spec['name']}" if workspace else str(spec["name"])

    def create(self, client: AirbyteClient, spec: Props) -> Live:
        workspace = client.workspace(spec.get("workspaceId"))
        if found := self._find(client, workspace, spec):
            return self.update(client, found, spec, spec)
        made = post_once(
            lambda: str(
                client.require("POST", self.path, {**_body(spec), "workspaceId": workspace})[
                    self.id_key
                ]
            ),
            lambda: self._find(client, workspace, spec),
        )
        return Live(id=made, inputs=spec)

    def read(self, client: AirbyteClient, id_: str, known: Props) -> Live | None:
        live = client.public("GET", f"{self.path}/{id_}")
        if live is None:
            return None
        found: Props = {
            "name": live["name"],
            "configuration": self._configuration(live, known.get("configuration")),
        }
        for key in ("definitionId", "workspaceId"):
            if key in known or not known:
                found[key] = live[key]
        try:
            return Live(id=id_, inputs=self.normalize(found))
        except InputError:  # what check would refuse is drift to show, not an error
            return Live(id=id_, inputs=whole_floats_to_int(found))

    def update(self, client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
        body = {"name": spec["name"], "configuration": spec["configuration"]}
        # PUT, not PATCH: PATCH merges, so a removed key would stay.
        client.change("PUT", f"{self.path}/{id_}", body, id_)
        return Live(id=id_, inputs=spec)

    def delete(self, client: AirbyteClient, id_: str, known: Props) -> None:
        client.public("DELETE", f"{self.path}/{id_}")

    def _find(self, client: AirbyteClient, workspace: str, spec: Props) -> str | None:
        """Id of the actor of that name. Airbyte itself lets several have one name."""
        same = client.named(self.path, {"workspaceIds": workspace}, spec["name"])
        id_ = client.only_one(same, self.id_key)
        if not same:
            return None
        for wanted, key in (
            (spec["configuration"].get(self.type_key), self.type_key),
            (spec.get("definitionId"), "definitionId"),
        ):
            if wanted and wanted != same[0].get(key):
                raise InputError(
                    "name", f"taken by an object with {key} {same[0].get(key)!r}, not {wanted!r}"
                )
        return id_

    def _configuration(self, live: Props, known: Any) -> Props:
        shown: Props = {self.type_key: live.get(self.type_key), **live["configuration"]}
        if known is None:
            return shown
        kept: Props = only_known_keys(unmasked(shown, known, MASK), known)
        return kept


def _body(spec: Props) -> Props:
    return {key: value for key, value in spec.items() if key != "workspaceId"}
