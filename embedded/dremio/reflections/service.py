# ruff: noqa: S608 (SQL is this module's product; names and texts go through identifier and literal)
"""Reflections at work: stored, refreshed in the background, offered to the planner.

Freshness. A materialisation may be used while
- every view behind it still has the same definition, and every table the same columns;
- every table that the engine itself writes still has the same content: CREATE TABLE AS, INSERT,
  MERGE and the like make it unusable at once and queue a refresh;
- its grace period (refresh policy of the tables) has not ended. Files that others add to a
  promoted dataset are therefore missing from answers until the next refresh, as in the product.
"""

import hashlib
import logging
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.datasets import CREATED, Datasets
from embedded.dremio.catalog.model import TABLE, VIEW, Entity, dotted, key, new_tag, quoted
from embedded.dremio.errors import EngineError, conflict, invalid, not_found
from embedded.dremio.metrics import Metrics
from embedded.dremio.reflections import matching, policy
from embedded.dremio.reflections.matching import Candidate
from embedded.dremio.reflections.model import (
    MAX_FAILURES,
    Materialization,
    Reflection,
    iso,
    normalize,
    rest_body,
)
from embedded.dremio.sql.system import Row, as_json
from embedded.dremio.storage.duck import DATASETS, Duck, identifier, literal
from embedded.dremio.storage.leases import Leases
from embedded.dremio.storage.store import Store
from embedded.dremio.users import now_ms

LOG = logging.getLogger(__name__)
TICK_S = 1.0  # how late a scheduled refresh or an expiry may be noticed
SORTED_ROW_GROUP = 20_480  # rows: sorted data is pruned by row group, so they are small


class Plan(Protocol):
    @property
    def sql(self) -> str: ...
    @property
    def leases(self) -> frozenset[str]: ...
    @property
    def datasets(self) -> tuple[Entity, ...]: ...


class PlanFunction(Protocol):
    def __call__(self, sql: str, *, reflections: bool) -> Plan: ...


class InternalJobs(Protocol):
    def internal(self, sql: str, action: Any) -> str:
        """Runs `action(job_id)` as a job of the engine; raises what it raises."""
        ...


class Reflections:
    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        datasets: Datasets,
        duck: Duck,
        leases: Leases,
        metrics: Metrics,
        folder: Path,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._datasets = datasets
        self._duck = duck
        self._leases = leases
        self._metrics = metrics
        self._folder = folder
        self._lock = threading.RLock()
        self._wake = threading.Condition()
        self._stopped = False
        self._dirty: set[str] = set()
        self._running: set[str] = set()
        self._views: set[str] = set()
        self._counts: dict[str, Counter[str]] = {}
        self.version = 0
        self._reflections = {i: Reflection(**b) for i, b in store.all("reflection").items()}
        self._done: dict[str, Materialization] = {}
        self._load_materializations()
        self._dirty |= set(self._reflections) - set(self._done)
        catalog.listen(self._on_change)

    def _load_materializations(self) -> None:
        for id_, body in self._store.all("materialization").items():
            item = Materialization(**body)
            whole = item.state == "DONE" and all(Path(file).exists() for file in item.files)
            if whole and item.reflection_id in self._reflections:
                self._done[item.reflection_id] = item
            else:
                self._store.delete("materialization", id_)
        kept = {item.id for item in self._done.values()}
        for folder in self._folder.glob("*/*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def start(self, plan: PlanFunction, jobs: InternalJobs) -> None:
        self._plan, self._jobs = plan, jobs
        self._thread = threading.Thread(target=self._loop, name="reflections", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        self._thread.join(timeout=10)

    # -- definitions -------------------------------------------------------------------------

    def create(self, raw: dict[str, Any]) -> Reflection:
        for name in ("id", "tag"):
            if raw.get(name):
                raise invalid(f"A new reflection must not have the field {name}")
        anchor = self._anchor(str(raw.get("datasetId", "")))
        definition = normalize(raw, anchor)
        with self._lock:
            for other in self.of_dataset(anchor.id):
                if other.definition["name"].lower() == str(definition["name"]).lower():
                    raise conflict(
                        f"Reflection [{definition['name']}] already exists on the dataset."
                    )
            now = now_ms()
            made = Reflection(
                id=str(uuid.uuid4()),
                tag=new_tag(),
                created_at=now,
                updated_at=now,
                definition=definition,
            )
            self._save(made)
        self.refresh_soon([made.id])
        return made

    def change(self, id_: str, raw: dict[str, Any]) -> Reflection:
        with self._lock:
            old = self.get(id_)
            if raw.get("tag") != old.tag:
                raise conflict(
                    f"Reflection [{old.definition['name']}] seems to have been modified by "
                    "another flow. Please verify the reflection version and try again."
                )
            for name in ("type", "datasetId"):
                if raw.get(name, old.definition[name]) != old.definition[name]:
                    raise invalid(f"The {name} of a reflection cannot change.")
            given = {"datasetId": old.definition["datasetId"], **raw}
            definition = normalize(given, self._anchor(old.definition["datasetId"]))
            if definition == old.definition:
                return old
            new = replace(
                old, tag=new_tag(), updated_at=now_ms(), definition=definition, failures=0,
                last_failure="", config_error="",
            )  # fmt: skip
            self._save(new)
            self._discard(id_)  # its content may lack what the new definition promises
        self.refresh_soon([id_])
        return new

    def delete(self, id_: str) -> None:
        with self._lock:
            self.get(id_)
            del self._reflections[id_]
            self._dirty.discard(id_)
            self._store.delete("reflection", id_)
            self.version += 1
            self._discard(id_)

    def get(self, id_: str) -> Reflection:
        with self._lock:
            if found := self._reflections.get(id_):
                return found
        raise not_found(f"Could not find reflection with id [{id_}]")

    def of_dataset(self, dataset_id: str) -> list[Reflection]:
        with self._lock:
            found = list(self._reflections.values())
        return [item for item in found if item.definition["datasetId"] == dataset_id]

    def all(self) -> list[Reflection]:
        with self._lock:
            return list(self._reflections.values())

    def _anchor(self, dataset_id: str) -> Entity:
        try:
            anchor = self._catalog.get(dataset_id)
        except EngineError:
            raise invalid(f"Could not find dataset with id [{dataset_id}]") from None
        if anchor.kind not in (TABLE, VIEW):
            raise invalid(f"[{dotted(anchor.path)}] is not a dataset.")
        return anchor

    def _save(self, reflection: Reflection) -> None:
        self._reflections[reflection.id] = reflection
        self._store.put("reflection", reflection.id, asdict(reflection))
        self.version += 1

    # -- what the planner asks ---------------------------------------------------------------

    def considered(self, entity: Entity) -> list[str]:
        return [item.id for item in self.of_dataset(entity.id) if item.definition["enabled"]]

    def of(self, entity: Entity) -> list[Candidate]:
        found: list[Candidate] = []
        for item in self.of_dataset(entity.id):
            done = self._done.get(item.id)
            if item.definition["enabled"] and done is not None and self._usable(done):
                found.append(self._candidate(item, done, entity))
        return found

    def _usable(self, done: Materialization) -> bool:
        return now_ms() < done.expires and self._current(done)

    def _current(self, done: Materialization) -> bool:
        for dataset_id, (_, definition, generation) in done.depends.items():
            try:
                entity = self._catalog.get(dataset_id)
            except EngineError:
                return False
            if _definition(entity) != definition:
                return False
            if entity.body.get("origin") == CREATED and entity.generation != generation:
                return False
        return True

    def _candidate(self, item: Reflection, done: Materialization, entity: Entity) -> Candidate:
        fields = item.definition
        return Candidate(
            reflection_id=item.id,
            dataset_id=entity.id,
            type=fields["type"],
            display=frozenset(f["name"].lower() for f in fields["displayFields"]),
            dimensions={f["name"].lower(): f["granularity"] for f in fields["dimensionFields"]},
            measures=_measures(fields),
            types={name.lower(): type_ for name, type_ in entity.columns},
            view=self._view(done, item),
            lease=f"m_{done.id}",
            rows=done.rows,
            size_bytes=done.size_bytes,
            refreshed_at=done.started,
        )

    def _view(self, done: Materialization, item: Reflection) -> str:
        name = f"{DATASETS}.{identifier('m_' + done.id)}"
        with self._lock:
            if done.id not in self._views:
                files = ", ".join(literal(file) for file in done.files)
                self._duck.run(
                    f"CREATE OR REPLACE VIEW {name} AS SELECT {_column_list(item.definition)}"
                    f" FROM read_parquet([{files}], hive_partitioning=false)"
                )
                self._views.add(done.id)
        return name

    def count(self, relationships: dict[str, tuple[str, str]]) -> None:
        with self._lock:
            for reflection_id, (_, level) in relationships.items():
                self._counts.setdefault(reflection_id, Counter())[level] += 1

    # -- refresh -----------------------------------------------------------------------------

    def refresh_dataset(self, entity: Entity) -> None:
        """Queues every reflection that depends on the dataset."""
        ids = [item.id for item in self.all() if item.definition["datasetId"] == entity.id]
        with self._lock:
            for id_, done in self._done.items():
                if entity.id in done.depends:
                    ids.append(id_)
            for id_ in ids:
                item = self._reflections[id_]
                self._save(replace(item, failures=0, last_failure=""))
        self.refresh_soon(ids)

    def refresh_soon(self, ids: Iterable[str]) -> None:
        with self._wake:
            self._dirty |= set(ids)
            self._wake.notify_all()

    def _on_change(self, entity: Entity, gone: bool) -> None:
        if entity.kind not in (TABLE, VIEW):
            return
        with self._lock:
            if gone:
                for item in self.of_dataset(entity.id):
                    self.delete(item.id)  # as in the product, they go with their dataset
            path = key(entity.path)
            stale = [
                id_
                for id_, done in self._done.items()
                if (entity.id in done.depends or path in _paths(done)) and not self._current(done)
            ]
            waiting = [i.id for i in self._reflections.values() if i.id not in self._done]
            self.version += 1
        if not gone:
            self.refresh_soon([*stale, *waiting])

    def _loop(self) -> None:
        while True:
            with self._wake:
                if not self._stopped and not self._dirty:
                    self._wake.wait(TICK_S)
                if self._stopped:
                    return
                due = self._dirty | set(self._due())
                self._dirty.clear()
            for id_ in due:
                if not self._stopped:
                    self._refresh(id_)

    def _due(self) -> list[str]:
        now = now_ms()
        due: list[str] = []
        with self._lock:
            for item in self._reflections.values():
                done = self._done.get(item.id)
                if done is None or not item.definition["enabled"]:
                    continue
                next_run = self._policy(done).due(done.started)
                if next_run is not None and next_run <= now and item.failures < MAX_FAILURES:
                    due.append(item.id)
                if done.expires <= now < done.expires + 2 * TICK_S * 1000:
                    self.version += 1  # cached plans must not use it any longer
        return due

    def _policy(self, done: Materialization) -> policy.Policy:
        policies: list[dict[str, Any]] = []
        for dataset_id in done.depends:
            try:
                entity = self._catalog.get(dataset_id)
            except EngineError:
                continue
            source = self._datasets.source_of(entity.path)
            if entity.kind == TABLE and source is not None:
                own = entity.body.get("accelerationRefreshPolicy")
                policies.append(own or policy.of_source(source.body))
        return policy.combine(policies)

    def _refresh(self, id_: str) -> None:
        with self._lock:
            item = self._reflections.get(id_)
            if item is None or not item.definition["enabled"] or item.failures >= MAX_FAILURES:
                return
            self._running.add(id_)
        started = time.monotonic()
        outcome = "DONE"
        made = str(uuid.uuid4())
        try:
            self._jobs.internal(
                f"REFRESH REFLECTION '{id_}' AS '{made}'",
                lambda job_id: self._materialize(item, made, job_id),
            )
        except EngineError as fault:
            outcome = "FAILED"
            self._failed(id_, fault)
        finally:
            with self._lock:
                self._running.discard(id_)
            self._metrics.refresh.labels(item.definition["name"], outcome).observe(
                time.monotonic() - started
            )

    def _failed(self, id_: str, fault: EngineError) -> None:
        LOG.warning("reflection %s: refresh failed: %s", id_, fault.message)
        with self._lock:
            if item := self._reflections.get(id_):
                failures = item.failures + 1
                self._save(replace(item, failures=failures, last_failure=fault.message))
                if failures < MAX_FAILURES and "not found" not in fault.message:
                    self._dirty.add(id_)  # what is missing now wakes us when it appears

    def _materialize(self, item: Reflection, made: str, job_id: str) -> int:
        anchor = self._anchor(item.definition["datasetId"])
        try:
            normalize(item.definition, anchor)
        except EngineError as fault:  # a column may have gone since
            self._save(replace(item, config_error=fault.message))
            raise
        started = now_ms()
        plan = self._plan(f"SELECT * FROM {quoted(anchor.path)}", reflections=False)
        folder = self._folder / item.id / made
        folder.mkdir(parents=True)
        self._leases.acquire(plan.leases)
        try:
            rows, files = self._write(item, anchor, plan.sql, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            self._leases.release(plan.leases)
        depends = {e.id: [dotted(e.path), _definition(e), e.generation] for e in plan.datasets}
        done = Materialization(
            id=made,
            reflection_id=item.id,
            state="DONE",
            created=now_ms(),
            started=started,
            expires=0,
            job_id=job_id,
            rows=rows,
            size_bytes=sum(Path(file).stat().st_size for file in files),
            files=files,
            depends=depends,
        )
        self._publish(replace(done, expires=self._policy(done).expires(started)))
        return rows

    def _write(
        self, item: Reflection, anchor: Entity, dataset: str, folder: Path
    ) -> tuple[int, list[str]]:
        fields = item.definition
        types = {name.lower(): type_ for name, type_ in anchor.columns}
        if fields["type"] == "RAW":
            select = f"SELECT {_column_list(fields)} FROM ({dataset}) AS d"
        else:
            select = matching.materialisation_sql(
                dataset,
                dimensions={
                    f["name"].lower(): f["granularity"] for f in fields["dimensionFields"]
                },
                measures=_measures(fields),
                types=types,
            )
        order = ", ".join(identifier(f["name"].lower()) for f in fields["sortFields"])
        order = f" ORDER BY {order}" if order else ""
        rows_sql = f", ROW_GROUP_SIZE {SORTED_ROW_GROUP}" if order else ""
        extra, partition = _partitions(fields)
        target = folder if partition else folder / "0_0_0.parquet"
        options = f"FORMAT parquet, COMPRESSION snappy{rows_sql}{partition}, RETURN_FILES true"
        content = f"SELECT *{extra} FROM ({select}) AS m{order}"
        counted = self._duck.run(f"COPY ({content}) TO {literal(str(target))} ({options})")[0]
        files = [str(file) for file in counted[1]]  # type: ignore[attr-defined]
        if not files:  # partitioned and empty
            empty = folder / "empty.parquet"
            self._duck.run(f"COPY ({select}) TO {literal(str(empty))} (FORMAT parquet)")
            files = [str(empty)]
        return int(str(counted[0])), files

    def _publish(self, done: Materialization) -> None:
        with self._lock:
            item = self._reflections.get(done.reflection_id)
            if item is None:  # deleted meanwhile
                shutil.rmtree(self._folder / done.reflection_id, ignore_errors=True)
                return
            old = self._done.get(done.reflection_id)
            with self._store.transaction():
                self._store.put("materialization", done.id, asdict(done))
                self._done[done.reflection_id] = done
                self._save(replace(item, failures=0, last_failure="", config_error=""))
                if old is not None:
                    self._store.delete("materialization", old.id)
            if not self._current(done):
                self._dirty.add(done.reflection_id)  # its data changed during the refresh
        if old is not None:
            self._remove_content(old)

    def _discard(self, id_: str) -> None:
        if old := self._done.pop(id_, None):
            self._store.delete("materialization", old.id)
            self.version += 1
            self._remove_content(old)

    def _remove_content(self, old: Materialization) -> None:
        def finish() -> None:
            with self._lock:
                self._views.discard(old.id)
            self._duck.run(f"DROP VIEW IF EXISTS {DATASETS}.{identifier('m_' + old.id)}")
            shutil.rmtree(self._folder / old.reflection_id / old.id, ignore_errors=True)

        self._leases.when_free(f"m_{old.id}", finish)

    # -- reports -----------------------------------------------------------------------------

    def body(self, item: Reflection) -> dict[str, Any]:
        done = self._done.get(item.id)
        available = done is not None and self._usable(done)
        status = {
            "config": "INVALID" if item.config_error else "OK",
            "refresh": self._refresh_state(item, done),
            "availability": "AVAILABLE" if available else ("EXPIRED" if done else "NONE"),
            "combinedStatus": self._combined(item, done, available),
            "refreshMethod": "FULL" if done else "NONE",
            "failureCount": item.failures,
            "lastFailureMessage": item.last_failure,
        }
        sizes: dict[str, Any] = {"currentSizeBytes": 0, "totalSizeBytes": 0}
        if done is not None:
            status |= {"lastDataFetch": iso(done.started), "expiresAt": iso(done.expires)}
            sizes = {"currentSizeBytes": done.size_bytes, "totalSizeBytes": done.size_bytes}
        return rest_body(item, {"status": status, **sizes})

    def _refresh_state(self, item: Reflection, done: Materialization | None) -> str:
        if item.id in self._running:
            return "RUNNING"
        if item.failures >= MAX_FAILURES:
            return "GIVEN_UP"
        if item.definition["enabled"] and (done is None or item.id in self._dirty):
            return "PENDING"
        if done is not None and self._policy(done).due(done.started) is None:
            return "MANUAL"
        return "SCHEDULED"

    def _combined(self, item: Reflection, done: Materialization | None, available: bool) -> str:
        if not item.definition["enabled"]:
            return "DISABLED"
        if item.config_error:
            return "INVALID"
        if available:
            return "CAN_ACCELERATE_WITH_FAILURES" if item.failures else "CAN_ACCELERATE"
        if item.failures >= MAX_FAILURES:
            return "FAILED"
        if item.id in self._running or item.id in self._dirty:
            return "REFRESHING"
        return "EXPIRED" if done is not None else "CANNOT_ACCELERATE_INITIALIZING"

    def system_rows(self, table: str) -> Iterable[Row]:
        if table == "sys.materializations":
            return [self._materialization_row(done) for done in list(self._done.values())]
        return [self._reflection_row(item) for item in self.all()]

    def _materialization_row(self, done: Materialization) -> Row:
        return {
            "reflection_id": done.reflection_id,
            "materialization_id": done.id,
            "created": done.created,
            "expires": done.expires,
            "size_bytes": done.size_bytes,
            "series_id": done.started,
            "init_refresh_job_id": done.job_id,
            "series_ordinal": 0,
            "state": done.state,
            "failure_msg": done.failure,
            "last_refresh_from_pds": done.started,
        }

    def _reflection_row(self, item: Reflection) -> Row:
        fields = item.definition
        body = self.body(item)
        done = self._done.get(item.id)
        anchor = self._catalog.get(fields["datasetId"])
        counts = self._counts.get(item.id, Counter())

        def names(field: str) -> str:
            return ", ".join(f["name"] for f in fields[field])

        return {
            "reflection_id": item.id,
            "reflection_name": fields["name"],
            "type": fields["type"],
            "status": body["status"]["combinedStatus"],
            "dataset_id": anchor.id,
            "dataset_name": quoted(anchor.path),
            "dataset_type": "VIRTUAL_DATASET" if anchor.kind == VIEW else "PHYSICAL_DATASET",
            "sort_columns": names("sortFields"),
            "partition_columns": names("partitionFields"),
            "distribution_columns": names("distributionFields"),
            "dimensions": names("dimensionFields"),
            "measures": names("measureFields"),
            "display_columns": names("displayFields"),
            "external_reflection": "",
            "num_failures": item.failures,
            "last_failure_message": item.last_failure,
            "acceleration_status": body["status"]["availability"],
            "record_count": done.rows if done else -1,
            "current_footprint_bytes": body["currentSizeBytes"],
            "total_footprint_bytes": body["totalSizeBytes"],
            "considered_count": sum(counts.values()),
            "matched_count": counts["MATCHED"] + counts["CHOSEN"],
            "accelerated_count": counts["CHOSEN"],
            "refresh_method": body["status"]["refreshMethod"],
            "refresh_status": body["status"]["refresh"],
            "last_refresh_duration_millis": done.created - done.started if done else None,
            "last_refresh_from_table": done.started if done else None,
            "reflection_mode": "MANUAL",
            "created_at": item.created_at,
            "updated_at": item.updated_at,
            "available_until": done.expires if done else None,
            "arrow_cache": fields["arrowCachingEnabled"],
        }


def _definition(entity: Entity) -> str:
    """Changes when the dataset's columns or, for a view, its query change."""
    text = as_json([entity.kind, entity.body.get("sql"), entity.body.get("sqlContext"),
                    entity.body["columns"] if entity.kind == TABLE else None])  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()


def _paths(done: Materialization) -> set[str]:
    return {key(tuple(path.split("."))) for path, _, _ in done.depends.values()}


def _measures(fields: dict[str, Any]) -> dict[str, frozenset[str]]:
    return {f["name"].lower(): frozenset(f["measureTypeList"]) for f in fields["measureFields"]}


def _column_list(fields: dict[str, Any]) -> str:
    if fields["type"] == "RAW":
        return ", ".join(identifier(f["name"]) for f in fields["displayFields"])
    names = [f["name"].lower() for f in fields["dimensionFields"]]
    names.append(matching.ROW_COUNT)
    for name, wanted in _measures(fields).items():
        names += [matching.measure_column(name, measure) for measure in sorted(wanted)]
    return ", ".join(identifier(name) for name in names)


def _partitions(fields: dict[str, Any]) -> tuple[str, str]:
    """(extra columns, COPY option) of the partition folders."""
    extra: list[str] = []
    names: list[str] = []
    for item in fields["partitionFields"]:
        column, transform = identifier(item["name"]), item["transform"]
        name = identifier(f"{item['name']}_{transform['type'].lower()}")
        extra.append(f"{partition_sql(column, transform)} AS {name}")
        names.append(name)
    if not names:
        return "", ""
    option = (
        f", PARTITION_BY ({', '.join(names)}), OVERWRITE_OR_IGNORE true,"
        " FILENAME_PATTERN 'part_{uuid}'"
    )
    return ", " + ", ".join(extra), option


def partition_sql(column: str, transform: dict[str, Any]) -> str:
    """DuckDB SQL of a partition transform's value, as text."""
    type_ = transform["type"]
    formats = {"YEAR": "%Y", "MONTH": "%Y-%m", "DAY": "%Y-%m-%d", "HOUR": "%Y-%m-%d-%H"}
    if type_ in formats:
        return f"strftime({column}, '{formats[type_]}')"
    if type_ == "BUCKET":
        return f"CAST(hash({column}) % {transform['bucketTransform']['bucketCount']} AS VARCHAR)"
    if type_ == "TRUNCATE":
        return (
            f"left(CAST({column} AS VARCHAR), {transform['truncateTransform']['truncateLength']})"
        )
    return f"CAST({column} AS VARCHAR)"
