"""Live objects turned into an adoption list, by the handlers that will take them over."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from adoption.listing import ID, SECRET, WITHIN, Adopted, Listing, Refused, placeholders
from dynamic_providers.handler import Handler, InputError, Props


@dataclass(frozen=True, kw_only=True)
class _Found:
    kind: str
    key: str
    scope: tuple[str, ...]
    id: str
    inputs: Props
    secrets: frozenset[str]
    after: tuple[str, ...]


@dataclass
class Estate:
    """What has been read of one system.

    mask: the text that the service shows instead of a secret. links: whether inputs refer to
    other objects by id; Dremio's do so by path, and its ids are paths.
    """

    client: Any
    mask: str
    links: bool = True
    found: list[_Found] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def add(
        self,
        handler: Handler[Any],
        id_: str,
        *,
        label: str,
        without: Iterable[str] = (),
        scope: tuple[str, ...] = (),
        after: Iterable[str] = (),
    ) -> Props | None:
        """The inputs that take over the object, None if there are none: then it is refused.

        label: how people know it. without: inputs whose default is meant. scope: inputs that,
        beside the natural key, tell objects apart. after: ids of objects that it needs.
        """
        try:
            live = handler.read(self.client, id_, {})
            if live is None:
                self.refuse(handler.KIND, label, "it went away while it was read")
                return None
            shown = {key: v for key, v in live.inputs.items() if key not in without}
            inputs = handler.normalize(shown)
        except InputError as error:
            self.refuse(handler.KIND, label, str(error))
            return None
        self.found.append(
            _Found(
                kind=handler.KIND,
                key=handler.natural_key(inputs),
                scope=tuple(str(inputs.get(name)) for name in scope),
                id=live.id,
                inputs=inputs,
                secrets=handler.SECRETS,
                after=tuple(after),
            )
        )
        return inputs

    def refuse(self, kind: str, key: str, reason: str) -> None:
        self.refused.append(Refused(kind=kind, key=key, reason=reason))

    def listing(self, service: str, url: str) -> Listing:
        """Everything that can be taken over, in an order in which it can be created."""
        unique = self._unique()
        names = _names(unique)
        by_id = {one.id: names[at] for at, one in enumerate(unique)}
        linked = by_id if self.links else {}
        objects = [
            Adopted(
                name=names[at],
                kind=one.kind,
                key=one.key,
                id=one.id,
                inputs=_with_placeholders(one, names[at], linked, self.mask),
                depends_on=tuple(sorted({by_id[id_] for id_ in one.after if id_ in by_id})),
            )
            for at, one in enumerate(unique)
        ]
        return Listing(
            service=service, url=url, objects=_ordered(objects), refused=tuple(self.refused)
        )

    def _unique(self) -> list[_Found]:
        counts = Counter((one.kind, one.key, one.scope) for one in self.found)
        for (kind, key, _), count in counts.items():
            if count > 1:
                self.refuse(
                    kind,
                    key,
                    f"{count} objects have this name, so none can be told from the others: "
                    "delete or rename all but one",
                )
        return [one for one in self.found if counts[(one.kind, one.key, one.scope)] == 1]


def _names(found: list[_Found]) -> list[str]:
    """A resource name for each: short, stable and unique."""
    taken: Counter[str] = Counter()
    names = []
    for one in found:
        title = next((one.inputs[k] for k in ("slug", "name", "tableName") if k in one.inputs), "")
        name = slug(f"{one.kind} {title or one.key}", "-")
        taken[name] += 1
        names.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return names


def slug(text: str, joint: str) -> str:
    """Lower-case letters and digits of `text`, words of CamelCase apart, joined by `joint`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text).lower()
    return re.sub(r"[^a-z0-9]+", joint, words).strip(joint)


def _with_placeholders(one: _Found, name: str, by_id: Mapping[str, str], mask: str) -> Props:
    def link(value: Any, at: str) -> Any:
        if isinstance(value, Mapping):
            return {key: link(item, f"{at}-{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [link(item, f"{at}-{index}") for index, item in enumerate(value)]
        if isinstance(value, str) and value in by_id and value != one.id:
            return {ID: by_id[value]}
        return value

    def hide(value: Any, at: str) -> Any:
        if isinstance(value, Mapping):
            return {key: hide(item, f"{at}-{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [hide(item, f"{at}-{index}") for index, item in enumerate(value)]
        if value == mask:
            return {SECRET: slug(at, "-")}
        if isinstance(value, str) and mask in value:
            return {SECRET: slug(at, "-"), WITHIN: value.replace(mask, "{}")}
        return value

    return {
        key: (hide if key in one.secrets else link)(value, f"{name}-{key}")
        for key, value in one.inputs.items()
    }


def _ordered(objects: list[Adopted]) -> tuple[Adopted, ...]:
    by_name = {adopted.name: adopted for adopted in objects}
    needs = {
        adopted.name: [
            *adopted.depends_on,
            *(placeholder[ID] for _, placeholder in placeholders(adopted.inputs, ID)),
        ]
        for adopted in objects
    }
    return tuple(by_name[name] for name in TopologicalSorter(needs).static_order())
