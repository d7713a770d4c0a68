"""What objects have in common that their names stand for. id: `<cluster uuid>/<name>`."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dynamic_providers.handler import InputError, Live, Props
from plugins.kind import Kind

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient


class Named(Kind):
    """PLACE: where the API has them, before the name."""

    REPLACE_ON = frozenset({"name"})
    NAME = "name"
    PLACE: ClassVar[tuple[str, ...]]

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        raise NotImplementedError

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        raise NotImplementedError

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "SearchClient", spec: Props) -> Live:
        return self.update(client, client.id_of(spec["name"]), {}, spec)

    def delete(self, client: "SearchClient", id_: str, known: Props) -> None:
        from plugins.elasticstack.client import name_in

        client.send("DELETE", self.path(name_in(id_)))

    def path(self, name: str) -> str:
        from plugins.elasticstack.client import path

        return path(*self.PLACE, name)

    def live(self, client: "SearchClient", id_: str) -> tuple[str, Any]:
        """Its name, and what the API tells of it: None where it is not."""
        from plugins.elasticstack.client import name_in

        name = name_in(id_)
        return name, (client.send("GET", self.path(name)) or {}).get(name)

    def seen(self, found: Props) -> Props:
        """Inputs of a live object. What is not served here, and was added by hand, has to show
        as drift: then they are as they were found."""
        try:
            return self.normalize(found)
        except InputError:
            return found


def to_api(values: Props) -> Props:
    """Inputs by the names that the API has for them, at each depth."""
    return _renamed(values, _snake)


def from_api(values: Props) -> Props:
    """The same, the other way round."""
    return _renamed(values, _camel)


def _renamed(values: Props, rename: Callable[[str], str]) -> Props:
    return {
        rename(key): _renamed(value, rename) if isinstance(value, dict) else value
        for key, value in values.items()
    }


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda part: part[1].upper(), name)
