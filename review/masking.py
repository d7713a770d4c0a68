"""Keeps secrets out of a comment, whatever the preview holds.

The engine blinds what is marked as secret. Here everything else is assumed to leak: values under
a key that names a secret, passwords in URLs, and each text that is known to be one, wherever it
appears again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from review.preview import SECRET_MARK, UNKNOWN, Preview, Step

# Content, although their names end like names of files.
HOLD_SECRETS = frozenset({"secretFiles", "secret_files", "secretData"})
MIN_LENGTH = 6  # shorter ones cannot be told from common words
_SECRET_KEY = re.compile(
    r"pass(word|phrase|wd)?$|secret(?!s?provider)|token|api_?key|private_?key|access_?key(?!_?id)"
    r"|secret_?key|credential|seed$|bearer|authorization|client_?secret|signature|salt$|pwd$"
    r"|connection_?string|sqlalchemy_?uri|\bdsn$|encryption_?key",
    re.IGNORECASE,
)
# Names and places of secrets, which tell nothing: secretName, passwordFile, secretsProvider.
_ABOUT_SECRETS = re.compile(
    r"(name|names|file|files_?dir|path|ref|refs|provider|length|version|type|algorithm|uuid|days|"
    r"enabled|required|mount|class|mode|key_?ref|lifetime|timeout(_?s)?|ttl|sdir|dir)$",
    re.IGNORECASE,
)
# Both begin at a fixed place, so that a long text without a match takes no more than one pass.
_URL_PASSWORD = re.compile(r"(?P<head>://[^\s/:@\"']*:)(?P<password>[^\s/@\"']+)@")
_ASSIGNED = re.compile(
    r"""(?<![A-Za-z0-9_.-])(?P<head>(?P<key>[A-Za-z0-9_.-]{1,100})["']?\s{0,8}[=:]\s{0,8}["']?)"""
    r"""(?P<value>[^\s"',;&}\]]+)"""
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)


def names_secret(key: str) -> bool:
    """Whether what stands under `key` is a secret, by its name."""
    if key in HOLD_SECRETS:
        return True
    return bool(_SECRET_KEY.search(key)) and not _ABOUT_SECRETS.search(key)


class Mask:
    """Replaces secrets in texts and values.

    known: secret texts from elsewhere, such as the stack's configuration.
    """

    def __init__(self, preview: Preview, known: Iterable[str] = ()) -> None:
        texts = {text for text in known if len(text) >= MIN_LENGTH}
        for step in preview.steps:
            texts |= set(_secrets_of(step))
        texts -= {SECRET_MARK, UNKNOWN}
        # The longest first: one secret may be a part of another.
        ordered = sorted(texts, key=lambda text: (-len(text), text))
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """`text` without any secret in it."""
        text = _PEM.sub(SECRET_MARK, text)
        text = _URL_PASSWORD.sub(lambda m: f"{m['head']}{SECRET_MARK}@", text)
        text = _ASSIGNED.sub(_masked_assignment, text)
        return self._known.sub(SECRET_MARK, text) if self._known else text

    def value(self, value: Any, *, secret: bool = False) -> Any:
        """`value` without any secret in it. secret: all of it is one."""
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): self.value(item, secret=inner)
                for key, item, inner in _members(value, secret)
            }
        if isinstance(value, list):
            return [self.value(item, secret=inner) for item, inner in _items(value, secret)]
        if secret and value not in (None, "", True, False, UNKNOWN):
            return SECRET_MARK
        return self.text(value) if isinstance(value, str) else value


def _masked_assignment(found: re.Match[str]) -> str:
    return f"{found['head']}{SECRET_MARK}" if _assigns_secret(found) else found[0]


def _assigns_secret(found: re.Match[str]) -> bool:
    return names_secret(found["key"]) and found["value"].lower() not in ("true", "false", "null")


def _secrets_of(step: Step) -> Iterator[str]:
    whole = step.kind == "kubernetes:Secret"
    for inputs in (step.old, step.new):
        yield from _texts(inputs, secret=False)
        if whole:
            yield from _texts([inputs.get("data"), inputs.get("stringData")], secret=True)
    for field in step.fields:
        secret = is_secret_path(field.keys) or (whole and field.keys[0] in ("data", "stringData"))
        yield from _texts([field.old, field.new], secret=secret)


def is_secret_path(keys: Iterable[str | int]) -> bool:
    return any(isinstance(key, str) and names_secret(key) for key in keys)


def _texts(value: Any, *, secret: bool) -> Iterator[str]:
    """The secret texts in `value`."""
    if isinstance(value, Mapping):
        for _key, item, inner in _members(value, secret):
            yield from _texts(item, secret=inner)
    elif isinstance(value, list):
        for item, inner in _items(value, secret):
            yield from _texts(item, secret=inner)
    elif isinstance(value, str):
        yield from (text for text in _in_text(value, secret) if len(text) >= MIN_LENGTH)


def _in_text(text: str, secret: bool) -> Iterator[str]:
    if secret:
        yield text
    yield from (found["password"] for found in _URL_PASSWORD.finditer(text))
    yield from (found["value"] for found in _ASSIGNED.finditer(text) if _assigns_secret(found))


def _members(value: Mapping[Any, Any], secret: bool) -> Iterator[tuple[Any, Any, bool]]:
    """Key, value, whether it is secret. An entry {name: DB_PASSWORD, value: ...} is one."""
    named = names_secret(str(value.get("name", ""))) and "value" in value
    for key, item in value.items():
        yield key, item, secret or names_secret(str(key)) or (named and key == "value")


def _items(value: list[Any], secret: bool) -> Iterator[tuple[Any, bool]]:
    """Item, whether it is secret. What follows an option such as `--password` is one."""
    after_option = False
    for item in value:
        yield item, secret or after_option
        after_option = isinstance(item, str) and item.startswith("-") and names_secret(item)
