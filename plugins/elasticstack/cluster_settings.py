"""Settings of the cluster. id: `<cluster uuid>/cluster-settings`; only what the program names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.kind import Fields, Kind

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

SCOPES = ("persistent", "transient")


class ClusterSettings(Kind):
    KIND = "elasticstack/ClusterSettings"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        given = [fields.nested(scope, _scope) for scope in SCOPES]
        if given == [None, None]:
            raise InputError("persistent", "is missing: expected it or transient")
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return "cluster-settings"

    def create(self, client: "SearchClient", spec: Props) -> Live:
        return self.update(client, client.id_of(self.natural_key(spec)), {}, spec)

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        live = client.send("GET", "/_cluster/settings", flat_settings=True)
        inputs: Props = {}
        for scope in SCOPES:
            names = {setting["name"] for setting in known.get(scope, {}).get("settings", [])}
            found = [
                _setting(name, value)
                for name, value in live[scope].items()
                if name in names or not known
            ]
            if found or scope in known:
                inputs[scope] = {"settings": found}
        if not any(part["settings"] for part in inputs.values()):
            return None
        return Live(id=id_, inputs=self.normalize(inputs))

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        body = {scope: _values(old, scope, reset=True) | _values(spec, scope) for scope in SCOPES}
        client.send("PUT", "/_cluster/settings", body)
        return Live(id=id_, inputs=spec)

    def delete(self, client: "SearchClient", id_: str, known: Props) -> None:
        body = {scope: _values(known, scope, reset=True) for scope in SCOPES}
        if any(body.values()):
            client.send("PUT", "/_cluster/settings", body)


def _scope(fields: Fields) -> None:
    fields.each("settings", _one, lambda setting: str(setting["name"]), required=True)


def _one(fields: Fields) -> None:
    fields.text("name", required=True)
    value, values = fields.text("value"), fields.names("valueLists", ordered=True)
    if (value is None) == (values is None):
        raise InputError(fields.at("value"), "expected either value or valueLists")


def _setting(name: str, value: Any) -> Props:
    if isinstance(value, list):
        return {"name": name, "valueLists": [str(item) for item in value]}
    return {"name": name, "value": str(value)}


def _values(spec: Props, scope: str, *, reset: bool = False) -> Props:
    return {
        setting["name"]: None if reset else setting.get("value", setting.get("valueLists"))
        for setting in spec.get(scope, {}).get("settings", [])
    }
