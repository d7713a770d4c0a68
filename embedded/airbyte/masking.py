"""Secrets in connector configurations: masked in answers, kept when the mask comes back."""

from collections.abc import Iterator, Mapping
from typing import Any

MASK = "**********"

Path = tuple[str, ...]  # "*" stands for each item of an array
_COMBINED = ("oneOf", "anyOf", "allOf")


def secret_paths(schema: Mapping[str, Any]) -> frozenset[Path]:
    """Where a connector specification says `airbyte_secret: true`, in any of its variants."""
    return frozenset(_walk(schema, ()))


def _walk(schema: Any, path: Path) -> Iterator[Path]:
    if not isinstance(schema, Mapping):
        return
    if schema.get("airbyte_secret") is True:
        yield path
    for name, member in (schema.get("properties") or {}).items():
        yield from _walk(member, (*path, name))
    if isinstance(schema.get("items"), Mapping):
        yield from _walk(schema["items"], (*path, "*"))
    for word in _COMBINED:
        for variant in schema.get(word) or ():
            yield from _walk(variant, path)


def mask(config: Any, secrets: frozenset[Path], path: Path = ()) -> Any:
    """A copy with the mask in place of each secret that is set."""
    if path in secrets and config is not None:
        return MASK
    if isinstance(config, Mapping):
        return {key: mask(value, secrets, (*path, key)) for key, value in config.items()}
    if isinstance(config, list):
        return [mask(item, secrets, (*path, "*")) for item in config]
    return config


def keep(sent: Any, stored: Any, secrets: frozenset[Path], path: Path = ()) -> Any:
    """`sent`, with stored secrets where it holds the mask."""
    if path in secrets and sent == MASK and stored is not None:
        return stored
    if isinstance(sent, Mapping):
        known = stored if isinstance(stored, Mapping) else {}
        return {k: keep(v, known.get(k), secrets, (*path, k)) for k, v in sent.items()}
    if isinstance(sent, list):
        items = stored if isinstance(stored, list) else []
        padded = items + [None] * (len(sent) - len(items))
        pairs = zip(sent, padded, strict=False)
        return [keep(item, old, secrets, (*path, "*")) for item, old in pairs]
    return sent


def merge(stored: Any, patch: Any) -> Any:
    """PATCH inside a configuration: objects are merged, everything else is replaced."""
    if isinstance(stored, Mapping) and isinstance(patch, Mapping):
        merged = dict(stored)
        for key, value in patch.items():
            merged[key] = merge(stored.get(key), value)
        return merged
    return patch


def values(config: Any, secrets: frozenset[Path], path: Path = ()) -> Iterator[str]:
    """The secrets themselves, to take them out of a connector's messages."""
    if path in secrets:
        if isinstance(config, str) and config:
            yield config
    elif isinstance(config, Mapping):
        for key, value in config.items():
            yield from values(value, secrets, (*path, key))
    elif isinstance(config, list):
        for item in config:
            yield from values(item, secrets, (*path, "*"))


def redact(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
