"""What the plugins' handlers share: defaults of the contract, reading of inputs, errors.

No pulumi import: `plugins/provider.py` is the only module here that knows the engine.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props


class ServiceError(Exception):
    """The service refused or could not be reached; the text says what to do next."""


class NotReadyError(ServiceError):
    """The object was made or changed, but did not become ready. live: as it was last seen."""

    def __init__(self, text: str, live: Live) -> None:
        super().__init__(text)
        self.live = live


class Kind:
    """Defaults for a handler (dynamic_providers/handler.py), and what a native plugin adds.

    NAME: input that gets an automatic name when the program gives none; "" for no such input.
    NAME_PREFIX: input that an automatic name starts with.
    STABLE: the part of COMPUTED that an update never changes, so previews may show it.
    """

    KIND: ClassVar[str]
    REPLACE_ON: ClassVar[frozenset[str]] = frozenset()
    SECRETS: ClassVar[frozenset[str]] = frozenset()
    COMPUTED: ClassVar[frozenset[str]] = frozenset()
    NAME: ClassVar[str] = ""
    NAME_PREFIX: ClassVar[str] = ""
    STABLE: ClassVar[frozenset[str]] = frozenset()


class Fields:
    """Builds canonical inputs field by field; UNKNOWN passes every test.

    `path` is the place of `raw` in the inputs, for messages. `done()` refuses what no call
    has asked for, so a typing error is never ignored. Keys that begin with `__` belong to the
    engine's bridge and are dropped.
    """

    def __init__(self, raw: Mapping[str, Any], path: str = "") -> None:
        self._raw = {k: v for k, v in raw.items() if v is not None and not k.startswith("__")}
        self._path = path
        self._asked: set[str] = set()
        self.values: Props = {}

    def at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def field(
        self, name: str, convert: Callable[[Any, str], Any], default: Any, required: bool
    ) -> Any:
        """The converted value, which is also kept; absent fields with no default stay unset."""
        self._asked.add(name)
        value = self._raw.get(name, default)
        if value is None:
            if required:
                raise InputError(self.at(name), "is missing: expected a value")
            return None
        self.values[name] = value if value == UNKNOWN else convert(value, self.at(name))
        return self.values[name]

    def text(
        self,
        name: str,
        default: str | None = None,
        *,
        required: bool = False,
        among: Iterable[str] = (),
    ) -> Any:
        choices = tuple(among)

        def convert(value: Any, at: str) -> str:
            if not isinstance(value, str) or (required and not value):
                raise InputError(at, f"{value!r}: expected a text")
            if choices and value not in choices:
                raise InputError(at, f"{value!r}: expected one of {', '.join(choices)}")
            return value

        return self.field(name, convert, default, required)

    def secret(self, name: str, *, empty: bool = False) -> Any:
        """A text that no message may show."""

        def convert(value: Any, at: str) -> str:
            if not isinstance(value, str) or not (value or empty):
                raise InputError(at, f"expected a text{'' if empty else ' that is not empty'}")
            return value

        return self.field(name, convert, None, False)

    def flag(self, name: str, default: bool | None) -> Any:
        def convert(value: Any, at: str) -> bool:
            if isinstance(value, bool):
                return value
            if value in ("true", "false"):
                return bool(value == "true")
            raise InputError(at, f"{value!r}: expected true or false")

        return self.field(name, convert, default, False)

    def integer(self, name: str, default: int | None = None, *, least: int = 0) -> Any:
        def convert(value: Any, at: str) -> int:
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = float("nan")
            if isinstance(value, bool) or not number.is_integer() or number < least:
                raise InputError(at, f"{value!r}: expected a whole number, {least} or more")
            return int(number)

        return self.field(name, convert, default, False)

    def names(
        self,
        name: str,
        default: list[str] | None = None,
        *,
        required: bool = False,
        ordered: bool = False,
        among: Iterable[str] = (),
        fold: Callable[[str], str] = str,
    ) -> Any:
        """A list of texts: a sorted set, unless `ordered`."""
        choices = tuple(among)

        def convert(value: Any, at: str) -> list[str]:
            if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
                raise InputError(at, f"{value!r}: expected a list of texts")
            folded = [v if v == UNKNOWN else fold(v) for v in value]
            for item in folded:
                if choices and item not in choices and item != UNKNOWN:
                    raise InputError(at, f"{item!r}: expected one of {', '.join(choices)}")
            return folded if ordered else sorted(set(folded))

        return self.field(name, convert, default, required)

    def document(
        self,
        name: str,
        canonical: Callable[[Any], Any] = lambda parsed: parsed,
        default: str | None = None,
        *,
        required: bool = False,
    ) -> Any:
        """A JSON object as text, in canonical form: no spaces, keys sorted."""

        def convert(value: Any, at: str) -> str:
            try:
                parsed = json.loads(value)
            except (TypeError, ValueError) as fault:
                raise InputError(at, f"is not JSON: {fault}") from None
            if not isinstance(parsed, dict):
                raise InputError(at, f"expected a JSON object, got {type(parsed).__name__}")
            return compact(canonical(parsed))

        return self.field(name, convert, default, required)

    def nested(
        self, name: str, read: Callable[["Fields"], None], *, required: bool = False
    ) -> Any:
        """An object whose fields `read` reads."""

        def convert(value: Any, at: str) -> Props:
            return _object(value, at, read)

        return self.field(name, convert, None, required)

    def each(
        self,
        name: str,
        read: Callable[["Fields"], None],
        order: Callable[[Props], str],
        *,
        required: bool = False,
    ) -> Any:
        """A list of objects whose fields `read` reads, sorted by `order`."""

        def convert(value: Any, at: str) -> list[Any]:
            if not isinstance(value, list | tuple):
                raise InputError(at, f"{value!r}: expected a list of objects")
            objects = [
                item if item == UNKNOWN else _object(item, f"{at}[{index}]", read)
                for index, item in enumerate(value)
            ]
            return sorted(objects, key=lambda item: item if item == UNKNOWN else order(item))

        return self.field(name, convert, None, required)

    def done(self) -> Props:
        if unread := sorted(self._raw.keys() - self._asked):
            valid = ", ".join(sorted(self._asked))
            raise InputError(self.at(unread[0]), f"is not served here: expected one of {valid}")
        return self.values


def _object(value: Any, at: str, read: Callable[[Fields], None]) -> Props:
    if not isinstance(value, Mapping):
        raise InputError(at, f"{value!r}: expected an object")
    fields = Fields(value, at)
    read(fields)
    return fields.done()


def compact(parsed: Any) -> str:
    return json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def same_keys(live: Props, known: Props, optional: Iterable[str]) -> Props:
    """`live` without the `optional` keys that the program never set: what the service chose
    by itself is no drift. All of `live` on import, when nothing is known."""
    if not known:
        return live
    return {k: v for k, v in live.items() if k in known or k not in set(optional)}
