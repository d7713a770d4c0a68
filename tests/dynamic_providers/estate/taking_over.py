"""The adoption list applied as the engine applies it: create, in the order of the list."""

import importlib
import inspect
from urllib.parse import quote

from adoption.listing import ID, SECRET, WITHIN, Listing, resolved
from dynamic_providers.adapter import HandlerProvider


def handler_of(kind: str):
    module = importlib.import_module(f"dynamic_providers.{kind.split('/')[0]}.resources")
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, HandlerProvider):
            if getattr(getattr(value, "handler", None), "KIND", None) == kind:
                return value.handler
    raise LookupError(kind)


def take_over(client, listing: Listing, secrets: dict[str, str]) -> dict[str, str]:
    """dict name -> id of what `create` took over; secrets by their names in the list."""
    ids: dict[str, str] = {}

    def fill(placeholder):
        if ID in placeholder:
            return ids[placeholder[ID]]
        value = secrets[placeholder[SECRET]]
        within = placeholder.get(WITHIN)
        return within.replace("{}", quote(value, safe="")) if within else value

    for adopted in listing.objects:
        handler = handler_of(adopted.kind)
        spec = handler.normalize(resolved(adopted.inputs, fill))
        live = handler.create(client, spec)
        ids[adopted.name] = live.id
        assert live.id == adopted.id, f"{adopted.name}: another object was made"
        assert handler.natural_key(spec) == adopted.key or "$id" in str(adopted.inputs)
        found = handler.read(client, live.id, spec)
        assert found.inputs == spec, f"{adopted.name}: the next preview would show drift"
    return ids
