"""Entities of the catalog and their paths."""

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from embedded.dremio.errors import invalid
from embedded.dremio.users import now_ms

Path = tuple[str, ...]
Column = tuple[str, str]  # name, DuckDB type

SPACE, HOME, SOURCE, FOLDER, TABLE, VIEW = "space", "home", "source", "folder", "table", "view"
CONTAINERS = frozenset({SPACE, HOME, SOURCE, FOLDER})
DATASETS = frozenset({TABLE, VIEW})
RESERVED = frozenset({"sys", "information_schema", "dremio", "$scratch"})


@dataclass(frozen=True, kw_only=True)
class Entity:
    """created_at: ms since 1970. tag: optimistic lock, new at each change. body: by kind."""

    id: str
    kind: str
    path: Path
    tag: str
    created_at: int
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def columns(self) -> list[Column]:
        return [(name, type_) for name, type_ in self.body.get("columns", [])]

    @property
    def generation(self) -> str:
        """Names one state of a table's content; leases and materialisations refer to it."""
        return f"{self.id}_{self.body.get('generation', 0)}"


def new_tag() -> str:
    return secrets.token_urlsafe(9)


def new_entity(kind: str, path: Path, body: dict[str, Any]) -> Entity:
    return Entity(
        id=str(uuid.uuid4()), kind=kind, path=path, tag=new_tag(), created_at=now_ms(), body=body
    )


def key(path: Path) -> str:
    """Names are found without regard to case."""
    return "\0".join(part.lower() for part in path)


def dotted(path: Path) -> str:
    return ".".join(path)


def quoted(path: Path) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in path)


def check_root_name(name: Any, what: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise invalid(f"{what} name must not be empty.")
    bad = [mark for mark in '."@' if mark in name]
    if bad:
        raise invalid(f'{what} name [{name}] must not contain any of [., ", @]')
    if name.lower() in RESERVED:
        raise invalid(f"{what} name [{name}] is reserved.")
    return name


def check_part(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise invalid("A path element must be a text that is not empty.")
    if any(mark in name for mark in './"'):
        raise invalid(f'Folder name [{name}] must not contain any of [., /, "]')
    return name
