"""Programs' output without the secrets that they were given."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dynamic_providers.api import REDACTED

MIN_LENGTH = 6  # shorter ones cannot be told from common words
_DELIMITERS = re.compile(r"[\s\"'`=:,;{}\[\]()<>@/?&|\\]+")


def redact(lines: Iterable[str], props: Mapping[str, Any]) -> list[str]:
    """`lines` without any part of the secret files in `props`: a program may print just the
    password out of a whole URL or JSON document. Words that public inputs hold too are kept."""
    public = _words(repr([props.get(key) for key in ("command", "environment", "files", "name")]))
    secrets = set()
    for content in (props.get("secretFiles") or {}).values():
        secrets |= {line.strip() for line in content.splitlines()} | _words(content)
    hidden = sorted((s for s in secrets - public if len(s) >= MIN_LENGTH), key=len, reverse=True)
    return [_without(line, hidden) for line in lines]


def _words(text: str) -> set[str]:
    return set(_DELIMITERS.split(text))


def _without(line: str, secrets: list[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, REDACTED)
    return line
