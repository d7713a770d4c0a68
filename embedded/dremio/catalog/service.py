"""The catalog as REST shows it: bodies in, bodies out.

https://docs.dremio.com/25.x/reference/api/catalog/
"""

from typing import Any

from embedded.dremio.catalog import sources
from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.datasets import CREATED, EXTERNAL, Child, Datasets, Sources
from embedded.dremio.catalog.model import (
    FOLDER,
    HOME,
    SOURCE,
    SPACE,
    TABLE,
    VIEW,
    Entity,
    Path,
    check_part,
    check_root_name,
    dotted,
    new_tag,
)
from embedded.dremio.errors import EngineError, conflict, invalid, not_found, unsupported
from embedded.dremio.reflections import policy
from embedded.dremio.reflections.model import iso
from embedded.dremio.sql.executor import Executor
from embedded.dremio.sql.types import sql_type
from embedded.dremio.storage.store import Store
from embedded.dremio.users import Users

Body = dict[str, Any]
STORAGE_ID = "dremio:/"  # ids of files and folders that only the storage knows
CONTAINER_TYPES = {SPACE: "SPACE", HOME: "HOME", SOURCE: "SOURCE", FOLDER: "FOLDER"}
MAX_CHILDREN = 1000


class CatalogService:
    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        live: Sources,
        datasets: Datasets,
        executor: Executor,
        users: Users,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._sources = live
        self._datasets = datasets
        self._executor = executor
        self._users = users

    # -- reading -----------------------------------------------------------------------------

    def roots(self) -> list[Body]:
        return [_summary(e) for e in self._catalog.all(SPACE, HOME, SOURCE)]

    def by_id(self, id_: str) -> Body:
        if id_.startswith(STORAGE_ID):
            return self._by_storage_id(id_)
        return self.body(self._catalog.get(id_))

    def _by_storage_id(self, id_: str) -> Body:
        path = _storage_path(id_)
        found = self._find(path)
        if found is None:
            raise not_found(f"Could not find entity with id [{id_}]")
        return found

    def by_path(self, path: Path) -> Body:
        found = self._find(path)
        if found is None:
            raise not_found(f"Could not find entity with path [{dotted(path)}]")
        return found

    def _find(self, path: Path) -> Body | None:
        if entity := self._catalog.find(path):
            return self.body(entity)
        source = self._datasets.source_of(path)
        if source is None:
            return None
        if source.body["type"] == "POSTGRES" and len(path) == 3:
            entity = self._datasets.find(path)
            return self.body(entity) if entity else None
        child = self._sources.find(source, path)
        if child is None:
            below = self._catalog.under(path)  # a folder that holds only datasets
            child = Child(path, True) if below else None
        return self._storage_body(source, child) if child else None

    def _storage_body(self, source: Entity, child: Child) -> Body:
        body: Body = {
            "entityType": "folder" if child.is_folder else "file",
            "id": storage_id(child.path),
            "path": list(child.path),
        }
        if child.is_folder:
            body["children"] = self._children(source, child.path)
        return body

    def body(self, entity: Entity) -> Body:
        makers = {SOURCE: self._source_body, TABLE: self._table_body, VIEW: self._view_body}
        if maker := makers.get(entity.kind):
            return maker(entity)
        body: Body = {
            "entityType": entity.kind,
            "id": entity.id,
            "tag": entity.tag,
            "createdAt": iso(entity.created_at),
            "children": self._children(None, entity.path),
        }
        if entity.kind == FOLDER:
            return body | {"path": list(entity.path)}
        return body | {"name": entity.name}

    def _source_body(self, entity: Entity) -> Body:
        kept = {k: v for k, v in entity.body.items() if k not in ("config", "type")}
        state = self._sources.state(entity)
        children = self._children(entity, entity.path) if state["status"] == "good" else []
        return {
            "entityType": "source",
            "id": entity.id,
            "tag": entity.tag,
            "type": entity.body["type"],
            "name": entity.name,
            "createdAt": iso(entity.created_at),
            "config": sources.masked(entity.body),
            **kept,
            "state": state,
            "children": children,
        }

    def _children(self, source: Entity | None, path: Path) -> list[Body]:
        known = {e.path: _summary(e) for e in self._catalog.children(path)}
        if source is not None:
            for child in self._sources.children(source, path)[:MAX_CHILDREN]:
                known.setdefault(child.path, _storage_summary(child))
        return list(known.values())

    def _table_body(self, entity: Entity) -> Body:
        body: Body = {
            "entityType": "dataset",
            "id": entity.id,
            "type": "PHYSICAL_DATASET",
            "path": list(entity.path),
            "createdAt": iso(entity.created_at),
            "tag": entity.tag,
            "accelerationRefreshPolicy": self._refresh_policy(entity),
            "isMetadataExpired": False,
            "lastMetadataRefreshAt": iso(entity.body["metadata_at"]),
            "approximateStatisticsAllowed": False,
            "fields": _fields(entity),
        }
        if entity.body["origin"] != EXTERNAL:
            source = self._datasets.source_of(entity.path)
            location = source and sources.locate(source.body["config"], entity.path)
            body["format"] = {
                **entity.body["format"],
                "name": entity.name,
                "fullPath": list(entity.path),
                "ctime": 0,
                "isFolder": True,
                "location": f"/{location.bucket}/{location.prefix}" if location else "",
            }
        return body

    def _refresh_policy(self, entity: Entity) -> Body:
        if own := entity.body.get("accelerationRefreshPolicy"):
            return dict(own)
        source = self._datasets.source_of(entity.path)
        return policy.of_source(source.body) if source else {}

    def _view_body(self, entity: Entity) -> Body:
        return {
            "entityType": "dataset",
            "id": entity.id,
            "type": "VIRTUAL_DATASET",
            "path": list(entity.path),
            "createdAt": iso(entity.created_at),
            "tag": entity.tag,
            "sql": entity.body["sql"],
            "sqlContext": entity.body.get("sqlContext") or [],
            "isMetadataExpired": False,
            "fields": _fields(entity),
        }

    # -- writing -----------------------------------------------------------------------------

    def create(self, raw: Body) -> Body:
        kind = raw.get("entityType")
        makers = {
            "space": self._create_space,
            "source": self._create_source,
            "folder": self._create_folder,
            "dataset": self._create_view,
        }
        if kind not in makers:
            if kind == "function":
                raise unsupported("Functions are not built yet in this engine.")
            raise invalid(f"entityType [{kind}]: expected one of {', '.join(makers)}")
        return self.body(makers[kind](raw))

    def _create_space(self, raw: Body) -> Entity:
        return self._catalog.add(SPACE, (check_root_name(raw.get("name"), "Space"),), {})

    def _create_folder(self, raw: Body) -> Entity:
        path = _path(raw)
        root = self._catalog.root(path)
        if root is not None and root.kind == SOURCE:
            raise invalid("Can not create a folder inside a [SOURCE].")
        return self._catalog.add(FOLDER, (*path[:-1], check_part(path[-1])), {})

    def _create_view(self, raw: Body) -> Entity:
        path = _path(raw)
        if raw.get("type") != "VIRTUAL_DATASET":
            raise invalid("Can only create a dataset of type [VIRTUAL_DATASET].")
        if self._catalog.find(path) is not None:
            raise conflict(f"Unable to create dataset [{dotted(path)}]: it already exists.")
        self._executor.save_view(path, str(raw.get("sql", "")), _context(raw), replace=False)
        found = self._catalog.find(path)
        assert found is not None  # noqa: S101 (saved above)
        return found

    def _create_source(self, raw: Body) -> Entity:
        name = check_root_name(raw.get("name"), "Source")
        if self._catalog.find((name,)) is not None:
            raise conflict(f"Unable to create source [{name}]: it already exists.")
        body = sources.normalize(raw, None)
        self._check_source(name, body)
        source = self._catalog.add(SOURCE, (name,), body)
        try:
            self._sources.check(source)
        except EngineError as fault:
            self._sources.detach(source)
            self._catalog.remove(source.id, None)
            raise invalid(f"Failed to create source with name '{name}': {fault.message}") from None
        return source

    def _check_source(self, name: str, body: Body) -> None:
        if body["type"] == "S3":
            self._sources.check_scope(name, body["config"])

    def put_source(self, name: str, raw: Body) -> Body:
        """PUT /apiv2/source/{name}: creates or replaces."""
        raw = {"entityType": "source", **raw, "name": name}
        old = self._catalog.find((name,))
        if old is None:
            return self.body(self._create_source(raw))
        return self.update(old.id, {**raw, "id": old.id, "tag": raw.get("tag") or old.tag})

    def is_metadata_impacting(self, raw: Body) -> bool:
        """Whether saving the source would drop and rediscover its datasets."""
        old = self._catalog.find((str(raw.get("name", "")),))
        if old is None:
            return False
        new = sources.normalize(raw, old.body)
        return _reach(new) != _reach(old.body)

    def update(self, id_: str, raw: Body) -> Body:
        entity = self._catalog.get(id_)
        if raw.get("id") != id_:
            raise invalid("The id in the body must be equal to the id in the path.")
        tag = str(raw.get("tag", ""))
        if tag != entity.tag:
            self._catalog.change(id_, tag, entity.body)  # raises the conflict
        changers = {
            SOURCE: self._update_source,
            TABLE: self._update_table,
            VIEW: self._update_view,
        }
        changer = changers.get(entity.kind)
        if changer is None:
            return self.body(self._update_container(entity, raw))
        return self.body(changer(entity, raw, tag))

    def _update_container(self, entity: Entity, raw: Body) -> Entity:
        given = raw.get("path") or [raw.get("name")]
        if list(given) != list(entity.path):
            raise unsupported(f"Renaming a {entity.kind} is not supported.")
        return entity

    def _update_source(self, entity: Entity, raw: Body, tag: str) -> Entity:
        if raw.get("name") != entity.name:
            raise invalid("Renaming a source is not supported.")
        body = sources.normalize(raw, entity.body)
        self._check_source(entity.name, body)
        impacting = _reach(body) != _reach(entity.body)
        changed = self._catalog.change(entity.id, tag, body)
        try:
            self._sources.check(changed)
        except EngineError as fault:
            self._catalog.change(entity.id, None, entity.body)
            raise invalid(f"Failed to update source '{entity.name}': {fault.message}") from None
        if impacting:  # as the product: datasets are dropped and found anew
            for dataset in self._catalog.under(entity.path):
                self._datasets.forget(dataset)
        return changed

    def _update_table(self, entity: Entity, raw: Body, tag: str) -> Entity:
        if raw.get("type") != "PHYSICAL_DATASET":
            raise invalid("Dataset type can not be modified.")
        given = raw.get("format")
        if given and given.get("type") != entity.body["format"].get("type"):
            raise unsupported("Changing the format of a dataset is not built yet in this engine.")
        fresh = policy.normalize(raw.get("accelerationRefreshPolicy"))
        return self._catalog.change(
            entity.id, tag, {**entity.body, "accelerationRefreshPolicy": fresh}
        )

    def _update_view(self, entity: Entity, raw: Body, tag: str) -> Entity:
        if raw.get("type") != "VIRTUAL_DATASET":
            raise invalid("Dataset type can not be modified.")
        if list(raw.get("path") or entity.path) != list(entity.path):
            raise unsupported("Renaming a dataset is not built yet in this engine.")
        sql, context = str(raw.get("sql", "")), _context(raw)
        columns = self._executor.view_columns(sql, context)
        body = {**entity.body, "sql": sql, "sqlContext": context}
        return self._catalog.change(
            entity.id, tag, {**body, "columns": [list(column) for column in columns]}
        )

    def promote(self, id_: str, raw: Body) -> Body:
        """POST /catalog/{id}: a file or folder becomes a dataset."""
        if raw.get("type") != "PHYSICAL_DATASET" or raw.get("entityType") != "dataset":
            raise invalid("Can only promote to entityType dataset, type [PHYSICAL_DATASET].")
        if not id_.startswith(STORAGE_ID):
            path = self._catalog.get(id_).path
        else:
            path = _storage_path(id_)
        if tuple(raw.get("path") or ()) != path:
            raise invalid("Entity id does not match the path specified in the dataset.")
        settings = policy.normalize(raw.get("accelerationRefreshPolicy"))
        return self.body(self._datasets.promote(path, raw.get("format") or {}, settings))

    def delete(self, id_: str, tag: str | None) -> None:
        if id_.startswith(STORAGE_ID):
            entity = self._catalog.find(_storage_path(id_))
            if entity is None:
                raise unsupported("Files and folders of a source can not be deleted.")
        else:
            entity = self._catalog.get(id_)
        if entity.kind == TABLE:
            if entity.body["origin"] in (EXTERNAL, CREATED):
                raise invalid("A physical dataset can not be deleted.")
            self._datasets.forget(entity, tag)
            return
        if entity.kind == HOME:
            raise invalid("A home space can not be deleted.")
        self._catalog.remove(entity.id, tag)
        if entity.kind == SOURCE:
            self._sources.detach(entity)

    # -- collaboration -----------------------------------------------------------------------

    def note(self, id_: str, kind: str) -> Body:
        """Wiki or tags of an entity; empty when there are none."""
        self._catalog.get(id_)
        return self._store.get(kind, id_) or {}

    def set_note(self, id_: str, kind: str, raw: Body) -> Body:
        self._catalog.get(id_)
        known = self._store.get(kind, id_) or {}
        if known and raw.get("version") != known["version"]:
            raise conflict(f"The {kind} has been changed by someone else.")
        field = "text" if kind == "wiki" else "tags"
        version: int | str = known.get("version", -1) + 1 if kind == "wiki" else new_tag()
        body = {field: raw.get(field) or ("" if kind == "wiki" else []), "version": version}
        self._store.put(kind, id_, body)
        return body

    def entity(self, id_: str) -> Entity:
        if id_.startswith(STORAGE_ID):
            found = self._catalog.find(_storage_path(id_))
            if found is None:
                raise not_found(f"Could not find entity with id [{id_}]")
            return found
        return self._catalog.get(id_)


def storage_id(path: Path) -> str:
    return STORAGE_ID + "/".join(path)


def _storage_path(id_: str) -> Path:
    return tuple(part for part in id_.removeprefix(STORAGE_ID).split("/") if part)


def _reach(body: Body) -> Body:
    """The settings that decide which data a source shows."""
    names = ("rootPath", "whitelistedBuckets", "isPartitionInferenceEnabled", "hostname", "port",
             "databaseName", "propertyList")  # fmt: skip
    config = {name: body["config"].get(name) for name in names}
    rules = config["propertyList"] or []
    config["propertyList"] = sorted(
        f"{r['name']}={r['value']}" for r in rules
        if not str(r["name"]).startswith(sources.COMPRESSION_PREFIX)
    )  # fmt: skip
    return config


def _path(raw: Body) -> Path:
    path = raw.get("path")
    if not isinstance(path, list) or len(path) < 2 or not all(isinstance(p, str) for p in path):
        raise invalid("path: expected a list of at least two names")
    return tuple(path)


def _context(raw: Body) -> list[str]:
    return [str(part) for part in raw.get("sqlContext") or []]


def _summary(entity: Entity) -> Body:
    body: Body = {"id": entity.id, "path": list(entity.path), "tag": entity.tag}
    if entity.kind in (TABLE, VIEW):
        kind = "VIRTUAL" if entity.kind == VIEW else "PROMOTED"
        return body | {"type": "DATASET", "datasetType": kind, "createdAt": iso(entity.created_at)}
    return body | {
        "type": "CONTAINER",
        "containerType": CONTAINER_TYPES[entity.kind],
        "createdAt": iso(entity.created_at),
    }


def _storage_summary(child: Child) -> Body:
    body: Body = {"id": storage_id(child.path), "path": list(child.path)}
    if child.is_folder:
        return body | {"type": "CONTAINER", "containerType": "FOLDER"}
    return body | {"type": "FILE"}


def field_type(type_: str) -> Body:
    kind = sql_type(type_)
    body: Body = {"name": kind.name}
    if kind.name == "DECIMAL":
        body |= {"precision": kind.precision, "scale": kind.scale}
    return body


def _fields(entity: Entity) -> list[Body]:
    return [{"name": name, "type": field_type(type_)} for name, type_ in entity.columns]
