"""Objects that exist already, taken over from the list that `dataflow import` writes.

    objects = adopted(Path("estate/adoption-airbyte.json"))
    pulumi.export("shop", objects["airbyte-connection-shop"].id)

The first `up` changes nothing on the server. Secrets come from the stack's configuration,
`adopted:<name>`: the report of the import lists them.
"""

import importlib
import inspect
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pulumi

from adoption.listing import CONFIG_NAMESPACE, ID, SECRET, WITHIN, Listing, resolved
from dynamic_providers.adapter import DynamicResource, HandlerProvider


def adopted(path: Path, opts: pulumi.ResourceOptions | None = None) -> dict[str, DynamicResource]:
    """dict name in the list -> its resource. `opts` go to each of them, such as protect.

    Raises OSError or ValueError for a list that cannot be read, and pulumi.ConfigMissingError for
    a secret that is not set.
    """
    resources: dict[str, DynamicResource] = {}
    for entry in Listing.from_json(path.read_text()).objects:
        needs = [resources[name] for name in entry.depends_on]
        resources[entry.name] = DynamicResource(
            _provider(entry.kind),
            entry.name,
            resolved(entry.inputs, partial(_filled, resources)),
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=needs)),
        )
    return resources


def _filled(resources: Mapping[str, DynamicResource], placeholder: Mapping[str, Any]) -> Any:
    if ID in placeholder:
        return resources[placeholder[ID]].id
    secret = pulumi.Config(CONFIG_NAMESPACE).require_secret(placeholder[SECRET])
    if WITHIN not in placeholder:
        return secret
    text = str(placeholder[WITHIN])
    return secret.apply(lambda value: text.replace("{}", quote(value, safe="")))


@cache
def _provider(kind: str) -> type[HandlerProvider]:
    """The provider of a handler's KIND. Raises ValueError if there is none."""
    area = kind.partition("/")[0]
    module = importlib.import_module(f"dynamic_providers.{area}.resources")
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, HandlerProvider):
            if getattr(getattr(value, "handler", None), "KIND", None) == kind:
                return value
    raise ValueError(f"{kind!r}: no such kind of resource")
