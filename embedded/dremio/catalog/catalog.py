"""The catalog: a tree of entities, durable, with optimistic locks."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from embedded.dremio.catalog.model import (
    CONTAINERS,
    SOURCE,
    Entity,
    Path,
    dotted,
    key,
    new_entity,
    new_tag,
)
from embedded.dremio.errors import conflict, invalid, not_found
from embedded.dremio.storage.store import Store

Listener = Callable[[Entity, bool], None]  # entity, whether it is gone


class Catalog:
    """Thread-safe. `version` grows with each change, so plans can be cached by it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._by_id: dict[str, Entity] = {}
        self._by_key: dict[str, str] = {}
        self._listeners: list[Listener] = []
        self.version = 0
        for id_, body in store.all("entity").items():
            entity = Entity(**{**body, "path": tuple(body["path"])})
            self._by_id[id_] = entity
            self._by_key[key(entity.path)] = id_

    def listen(self, listener: Listener) -> None:
        """`listener` hears of each dataset and source that changes or goes."""
        self._listeners.append(listener)

    def get(self, id_: str) -> Entity:
        with self._lock:
            if entity := self._by_id.get(id_):
                return entity
        raise not_found(f"Could not find entity with id [{id_}]")

    def find(self, path: Path) -> Entity | None:
        with self._lock:
            id_ = self._by_key.get(key(path))
            return self._by_id[id_] if id_ else None

    def root(self, path: Path) -> Entity | None:
        return self.find(path[:1])

    def all(self, *kinds: str) -> list[Entity]:
        with self._lock:
            found = [e for e in self._by_id.values() if not kinds or e.kind in kinds]
        return sorted(found, key=lambda entity: key(entity.path))

    def under(self, path: Path) -> list[Entity]:
        """All entities below `path`, at any depth."""
        prefix = key(path) + "\0"
        with self._lock:
            return [self._by_id[i] for k, i in self._by_key.items() if k.startswith(prefix)]

    def children(self, path: Path) -> list[Entity]:
        found = [e for e in self.under(path) if len(e.path) == len(path) + 1]
        return sorted(found, key=lambda entity: key(entity.path))

    def add(self, kind: str, path: Path, body: dict[str, Any]) -> Entity:
        """Raises EngineError: the name is taken, or its parent is missing."""
        with self._lock:
            if self.find(path) is not None:
                raise conflict(f"Unable to create {kind} [{dotted(path)}]: it already exists.")
            self._check_parent(path)
            entity = new_entity(kind, path, body)
            self._save(entity)
            self._by_key[key(path)] = entity.id
        self._tell(entity, gone=False)
        return entity

    def change(self, id_: str, tag: str | None, body: dict[str, Any]) -> Entity:
        """`tag`: the caller's lock; None when the engine itself changes the entity."""
        with self._lock:
            old = self.get(id_)
            self._check_tag(old, tag)
            entity = replace(old, body=body, tag=new_tag())
            self._save(entity)
        self._tell(entity, gone=False)
        return entity

    def remove(self, id_: str, tag: str | None) -> list[Entity]:
        """Removes the entity and all below it; returns them."""
        with self._lock:
            entity = self.get(id_)
            self._check_tag(entity, tag)
            removed = [entity, *self.under(entity.path)]
            with self._store.transaction():
                for item in removed:
                    self._store.delete("entity", item.id)
            for item in removed:
                del self._by_id[item.id]
                del self._by_key[key(item.path)]
            self.version += 1
        for item in removed:
            self._tell(item, gone=True)
        return removed

    def _check_parent(self, path: Path) -> None:
        if len(path) == 1:
            return
        root = self.root(path)
        if root is None:
            raise not_found(f"Could not find entity with path [{path[0]}]")
        if root.kind == SOURCE:
            return  # folders of a source are those of its storage
        parent = self.find(path[:-1])
        if parent is None or parent.kind not in CONTAINERS:
            raise invalid(f"Parent folder [{dotted(path[:-1])}] does not exist.")

    @staticmethod
    def _check_tag(entity: Entity, tag: str | None) -> None:
        if tag is not None and tag != entity.tag:
            raise conflict(
                f"Tag [{tag}] does not match the current tag of [{dotted(entity.path)}]: "
                "it seems to have been modified by another flow. Try reading the latest version."
            )

    def _save(self, entity: Entity) -> None:
        self._store.put(
            "entity",
            entity.id,
            {
                "id": entity.id,
                "kind": entity.kind,
                "path": list(entity.path),
                "tag": entity.tag,
                "created_at": entity.created_at,
                "body": entity.body,
            },
        )
        self._by_id[entity.id] = entity
        self.version += 1

    def _tell(self, entity: Entity, *, gone: bool) -> None:
        for listener in self._listeners:
            listener(entity, gone)
