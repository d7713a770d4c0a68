"""Superset CSS template: a style sheet that editors of dashboards may choose."""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.handler import Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient

KIND: Final = "superset/CssTemplate"
REPLACE_ON = frozenset({"name"})  # the name is the only identity that a template has
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

PATH = "css_template"


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name", "css"))
    inputs.text(spec["name"], "name")
    inputs.text(spec["css"], "css")
    return spec


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: SupersetClient, spec: Props) -> Live:
    body = _body(spec)
    return objects.create_named(
        client,
        PATH,
        _key(spec["name"]),
        spec,
        body,
        lambda number: objects.put_named(client, PATH, number, body),
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    # Superset allows many templates of one name: the oldest is ours.
    number = client.number_named(PATH, *_key(id_))
    answer = None if number is None else client.send("GET", f"/{PATH}/{number}")
    if answer is None:
        return None
    live = answer["result"]
    # Emptied by somebody it is drift to show, not an error.
    return Live(id=id_, inputs={"name": live["template_name"], "css": live["css"] or ""})


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    number = objects.number_to_update(client, PATH, _key(id_))
    objects.put_named(client, PATH, number, _body(spec))
    return Live(id=id_, inputs=spec)


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    objects.delete_named(client, PATH, _key(id_))


def _key(name: str) -> tuple[str, str]:
    return "template_name", name


def _body(spec: Props) -> Props:
    return {"template_name": spec["name"], "css": spec["css"]}
