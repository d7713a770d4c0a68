"""What resources are made of, as rules read it: values that may be unknown or secret.

A rule that touches an unknown value ends there: it is not judged until the value is known. A
secret's value can be judged, but never shown.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

SHOWN_CHARACTERS = 80  # of an offending value: enough to find it


class Unknown:
    """A value that the engine does not know before the update."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine keeps encrypted."""

    value: Any = field(repr=False)


class NotKnown(Exception):  # noqa: N818 - no error: the rule waits for the value
    """Raised when a rule needs a value that is unknown."""


class Node:
    """A value inside a resource, and the path to it. What is not there is a Node of None."""

    __slots__ = ("_value", "path", "secret")

    def __init__(self, value: Any, path: str = "", *, secret: bool = False) -> None:
        self.secret = secret or isinstance(value, Secret)
        self._value = value.value if isinstance(value, Secret) else value
        self.path = path

    def __getitem__(self, key: str | int) -> "Node":
        """A member, or an item of a list; `a.b` is the member b of the member a."""
        if isinstance(key, int):
            return self._child(key, f"{self.path}[{key}]")
        node = self
        for part in key.split("."):
            node = node.member(part)
        return node

    def member(self, key: str) -> "Node":
        """The member of exactly this name, which may hold dots."""
        return self._child(key, f"{self.path}.{key}" if self.path else key)

    def derived(self, value: Any, path: str = "") -> "Node":
        """What was read out of this value, as secret as it is. path: its own where not given."""
        return Node(value, path or self.path, secret=self.secret)

    def _child(self, key: str | int, path: str) -> "Node":
        value: Any = None
        if self._value is UNKNOWN:
            value = UNKNOWN
        elif isinstance(self._value, Mapping):
            value = self._value.get(key)
        elif isinstance(key, int) and isinstance(self._value, list):
            value = self._value[key] if key < len(self._value) else None
        return self.derived(value, path)

    @property
    def known(self) -> bool:
        return self._value is not UNKNOWN

    @property
    def value(self) -> Any:
        """As it is. Raises NotKnown."""
        if self._value is UNKNOWN:
            raise NotKnown
        return self._value

    @property
    def missing(self) -> bool:
        """Whether it is not set, or empty."""
        return self.value in (None, "", [], {})

    @property
    def text(self) -> str:
        """A text, number or boolean as text; "" for anything else."""
        value = self.value
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, str | int | float) else ""

    @property
    def number(self) -> float | None:
        """A number, also one written as text; None for anything else."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        try:
            return float(value)
        except ValueError:
            return None

    @property
    def on(self) -> bool:
        return self.text.lower() in ("true", "on", "yes", "1")

    @property
    def off(self) -> bool:
        """Set to false; not the same as not set."""
        return self.text.lower() in ("false", "off", "no", "0")

    def __iter__(self) -> Iterator["Node"]:
        """The items of a list; none for anything else."""
        if isinstance(self.value, list):
            for index in range(len(self._value)):
                yield self[index]

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """The members of an object; none for anything else."""
        if isinstance(self.value, Mapping):
            for key in self._value:
                yield str(key), self.member(str(key))

    def texts(self) -> list[str]:
        """The items of a list as texts. Raises NotKnown if one of them is unknown."""
        return [node.text for node in self]

    def parsed(self) -> "Node":
        """What a text holds as JSON or YAML; a Node of None for what is neither."""
        text = self.text
        if not text.strip():
            return self.derived(None)
        try:
            value = json.loads(text) if text.lstrip()[:1] in "{[" else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError, RecursionError):
            value = None
        return self.derived(value)

    def leaves(self) -> Iterator["Node"]:
        """Every value that holds no others, known or not."""
        if isinstance(self._value, Mapping):
            for key in self._value:
                yield from self.member(str(key)).leaves()
        elif isinstance(self._value, list):
            for index in range(len(self._value)):
                yield from self[index].leaves()
        else:
            yield self

    def shown(self) -> str:
        """For a message: never a secret, never long."""
        if self.secret:
            return "[secret]"
        if self._value is None:
            return "not set"
        text = json.dumps(self._value, default=repr)
        return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def strings(value: Any) -> list[str]:
    """A text, or a list of texts, as a list: the two forms of fields in IAM documents."""
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, Sequence) else []
