"""Small pure steps that bring values into the form in which they can be compared."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit


def whole_floats_to_int(value: Any) -> Any:
    """`value` with 3.0 as 3, at any depth: numbers reach a provider as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: whole_floats_to_int(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [whole_floats_to_int(item) for item in value]
    return value


def without_nulls(value: Any) -> Any:
    """`value` without the keys that hold None, at any depth: nulls vanish on the wire."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value]
    return value


def only_known_keys(live: Any, known: Any) -> Any:
    """`live` cut down to the keys of `known`, at any depth: a server fills in defaults that the
    user never set, and those are not drift. A list of another length is taken as it is."""
    if isinstance(live, Mapping) and isinstance(known, Mapping):
        return {
            key: only_known_keys(live[key], item) for key, item in known.items() if key in live
        }
    if isinstance(live, list) and isinstance(known, list) and len(live) == len(known):
        return [only_known_keys(a, b) for a, b in zip(live, known, strict=True)]
    return live


def unmasked(live: Any, known: Any, mask: str) -> Any:
    """`live` with the known value wherever the server shows only `mask`; a masked leaf that is
    not known keeps the mask, so that it shows as drift."""
    if live == mask:
        return mask if known is None else known
    if isinstance(live, Mapping):
        old = known if isinstance(known, Mapping) else {}
        return {key: unmasked(item, old.get(key), mask) for key, item in live.items()}
    if isinstance(live, list):
        same = isinstance(known, list) and len(known) == len(live)
        olds = known if same else [None] * len(live)
        return [unmasked(a, b, mask) for a, b in zip(live, olds, strict=True)]
    return live


def secret_texts(value: Any) -> Iterator[str]:
    """The strings in a secret value that must not show in a message, passwords inside URLs
    included. Shorter than 6 characters they cannot be told from common words."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from secret_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_texts(item)
    elif isinstance(value, str) and len(value) >= 6:
        yield value
        password = _url_password(value)
        if password:
            yield password


def _url_password(text: str) -> str | None:
    try:
        return urlsplit(text).password if "://" in text else None
    except ValueError:
        return None
