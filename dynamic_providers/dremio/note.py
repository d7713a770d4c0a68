"""What tags and wikis have in common: texts of people about one catalog object.

https://docs.dremio.com/current/reference/api/catalog/
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_providers import inputs
from dynamic_providers.api import ApiError
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import InputError, Live, Props

REPLACE_ON = frozenset({"path"})


@dataclass(frozen=True)
class Note:
    """kind: last part of the URL. field: where both the API and the inputs hold the content.
    check: canonical content. none: what content is after a delete, which the API lacks."""

    kind: str
    field: str
    check: Callable[[Any, str], Any]
    none: Any

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        spec = inputs.known_keys(raw, ("path", self.field))
        path = catalog.path(spec["path"], "path", least=1)
        return {"path": path, self.field: self.check(spec[self.field], self.field)}

    def natural_key(self, spec: Props) -> str:
        return catalog.dotted(spec["path"])

    def create(self, client: DremioClient, spec: Props) -> Live:
        if not self._write(client, spec["path"], spec[self.field]):
            raise InputError("path", f"{self.natural_key(spec)}: no such catalog object")
        return Live(id=self.natural_key(spec), inputs=spec)

    def read(self, client: DremioClient, id_: str, known: Props) -> Live | None:
        path = catalog.parts_of(id_)
        live = client.by_path(path)
        content = self._get(client, live["id"]).get(self.field) if live else None
        if not content:
            return None
        return Live(id=id_, inputs=self.normalize({"path": path, self.field: content}))

    def update(self, client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
        if self.read(client, id_, old) is None:
            raise LookupError(f"the {self.kind} of {id_} is gone")
        self._write(client, spec["path"], spec[self.field])
        return Live(id=id_, inputs=spec)

    def delete(self, client: DremioClient, id_: str, known: Props) -> None:
        path = catalog.parts_of(id_)
        if self.read(client, id_, known) is not None:
            self._write(client, path, self.none)

    def _get(self, client: DremioClient, id_: str) -> Props:
        # Some versions answer 404 where there is none yet.
        return client.send("GET", f"{entity(id_)}/collaboration/{self.kind}") or {}

    def _write(self, client: DremioClient, path: list[str], content: Any) -> bool:
        """False if there is no such object. Another writer's change in between is written over
        once if it left the content alone; else ApiError."""
        object_ = client.by_path(path)
        if object_ is None:
            return False
        url = f"{entity(object_['id'])}/collaboration/{self.kind}"
        live = self._get(client, object_["id"])
        for last in (False, True):
            version = {"version": live["version"]} if live.get("version") is not None else {}
            try:
                client.require("POST", url, {self.field: content, **version})
            except ApiError as error:
                fresh = self._get(client, object_["id"])
                same = fresh.get(self.field) == live.get(self.field)
                if error.status != 409 or last or not same:
                    raise
                live = fresh
            else:
                break
        return True
