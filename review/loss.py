"""What could lose data, or has to be read or computed again."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_providers.airbyte.connection import lost_streams
from review.data import dbt_step
from review.preview import Preview, Step

# Services of the stack that keep data of their own, beside what the buckets and databases hold.
STATEFUL_SERVICES = ("dremio", "elasticsearch", "minio", "postgres", "prometheus")
LOSS = "loss"
EXPIRY = "expiry"
NEW_EXPIRY = "new expiry"
RESYNC = "resync"
REBUILD = "rebuild"
EFFECTS = {
    LOSS: "data is gone",
    EXPIRY: "goes away earlier",
    NEW_EXPIRY: "goes away, as it did not before",
    RESYNC: "is read from its beginning again",
    REBUILD: "is computed again",
}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How much there is. None: unknown."""

    rows: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Loss:
    """effect: a key of EFFECTS. measure: what to ask the running services for the size:
    (`bucket`, name), (`database`, name), (`connection`, name), (`sync`, id of its connection)
    or (`dataset`, path)."""

    effect: str
    what: str
    why: str
    measure: tuple[str, str] = ("", "")
    estimate: Estimate = Estimate()


def losses(preview: Preview) -> list[Loss]:
    """In order of gravity, without estimates."""
    found = [loss for step in preview.steps for loss in _of_step(step)]
    if step := dbt_step(preview.steps):
        found.append(
            Loss(
                effect=REBUILD,
                what="tables of silver and gold",
                why=f"job {step.name}: the dbt project changed",
                measure=("layers", "silver,gold"),
            )
        )
    gravity = list(EFFECTS)
    return sorted(set(found), key=lambda loss: (gravity.index(loss.effect), loss.what, loss.why))


def _of_step(step: Step) -> Iterator[Loss]:
    finder = _FINDERS.get(step.kind)
    if finder:
        yield from finder(step)


def _verb(step: Step) -> str:
    if step.op == "replace":
        reason = f" ({', '.join(step.replaced_by)})" if step.replaced_by else ""
        return f"is replaced{reason}"
    return "is deleted"


def _whole(kind: str, key: str, label: str) -> Callable[[Step], Iterator[Loss]]:
    """The object holds data, and goes away with it."""

    def find(step: Step) -> Iterator[Loss]:
        if not step.lost:
            return
        old = step.old or step.new
        name = str(_name(old, key) or step.name)
        yield Loss(
            effect=LOSS, what=f"{label} {name}", why=f"it {_verb(step)}", measure=(kind, name)
        )

    return find


def _name(inputs: Mapping[str, Any], key: str) -> Any:
    value: Any = inputs
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _bucket(step: Step) -> Iterator[Loss]:
    for loss in _whole("bucket", "bucket", "bucket")(step):
        empty = "" if step.old.get("forceDestroy") else "; refused by the store unless it is empty"
        yield Loss(effect=loss.effect, what=loss.what, why=loss.why + empty, measure=loss.measure)


def _lifecycle(step: Step) -> Iterator[Loss]:
    """Shorter retention deletes what is older at once."""
    for field in step.fields if step.op == "update" else ():
        old, new = _number(field.old), _number(field.new)
        if str(field.keys[-1]) not in _RETENTION_KEYS or new is None:
            continue
        if old is None or new < old:
            yield Loss(
                effect=NEW_EXPIRY if old is None else EXPIRY,
                what=f"what is older than {step.name} says",
                why=f"{field.path}: {field.old} → {field.new}",
                measure=("", ""),
            )


_RETENTION_KEYS = (
    "expiration",
    "noncurrentVersionExpirationDays",
    "retentionDays",
    "minAge",
    "expireAfter",
    "retention",
)


def _number(value: Any) -> float | None:
    text = str(value).strip().rstrip("dhms")
    try:
        return float(text)
    except ValueError:
        return None


def _process(step: Step) -> Iterator[Loss]:
    name = str((step.old or step.new).get("name", step.name))
    if step.lost and not step.old.get("keepData") and name in STATEFUL_SERVICES:
        yield Loss(
            effect=LOSS,
            what=f"data folder of service {name}",
            why=f"it {_verb(step)}, and keepData is off",
            measure=("service", name),
        )


def _connection(step: Step) -> Iterator[Loss]:
    name = str((step.old or step.new).get("name", step.name))
    measure = ("connection", name)
    if step.op == "delete":
        yield Loss(
            effect=RESYNC,
            what=f"state of connection {name}",
            why="it is deleted: its files stay, a new one begins anew",
            measure=measure,
        )
    elif step.op == "replace":
        yield Loss(
            effect=RESYNC, what=f"connection {name}", why=f"it {_verb(step)}", measure=measure
        )
    elif step.op == "update" and isinstance(step.new.get("streams"), list):
        for lost in lost_streams(step.old.get("streams"), step.new["streams"]):
            stream = lost.partition(" ")[0].rstrip(":")
            yield Loss(effect=RESYNC, what=f"stream {name}.{stream}", why=lost, measure=measure)


def _airbyte_source(step: Step) -> Iterator[Loss]:
    if step.op == "replace":
        return  # its connection is replaced too, and says so
    places = ("host", "port", "database", "schemas", "url")
    moved = [f.path for f in step.fields if str(f.keys[-1]) in places and step.op == "update"]
    if moved:
        name = str(step.new.get("name", step.name))
        yield Loss(
            effect=RESYNC,
            what=f"source {name}",
            why=f"it points elsewhere ({', '.join(moved)}): its recorded state may not fit",
            measure=("connection", name),
        )


def _sync(step: Step) -> Iterator[Loss]:
    if step.op in ("update", "replace"):
        reasons = ", ".join(field.path for field in step.fields)
        yield Loss(
            effect=RESYNC,
            what=f"sync {step.name}",
            why=f"runs again ({reasons})",
            measure=("sync", str(step.new.get("connectionId", ""))),
        )


def _reflection(step: Step) -> Iterator[Loss]:
    if step.op in ("update", "replace"):
        name = str(step.new.get("name", step.name))
        dataset = ".".join(map(str, step.new.get("datasetPath") or ()))
        yield Loss(
            effect=REBUILD,
            what=f"reflection {name}",
            why=f"its definition changes; made of {dataset}",
            measure=("dataset", dataset),
        )


def _lake(step: Step) -> Iterator[Loss]:
    if step.lost:
        name = str((step.old or step.new).get("name", step.name))
        yield Loss(
            effect=REBUILD,
            what=f"every dataset and reflection over source {name}",
            why=f"it {_verb(step)}: the files stay",
        )


def _index(step: Step) -> Iterator[Loss]:
    yield from _whole("index", "name", "index")(step)


_FINDERS: Mapping[str, Callable[[Step], Iterator[Loss]]] = {
    "airbyte:Connection": _connection,
    "airbyte:Source": _airbyte_source,
    "airbyte:Sync": _sync,
    "docker:Volume": _whole("volume", "name", "volume"),
    "dremio:AggregationReflection": _reflection,
    "dremio:RawReflection": _reflection,
    "dremio:Source": _lake,
    "elasticstack:DataStream": _index,
    "elasticstack:Index": _index,
    "elasticstack:IndexLifecycle": _lifecycle,
    "elasticstack:SnapshotLifecycle": _lifecycle,
    # Custom resources of the operators (CloudNativePG, ECK): their volumes go with them.
    "kubernetes:Cluster": _whole("volume", "metadata.name", "PostgreSQL cluster"),
    "kubernetes:Elasticsearch": _whole("volume", "metadata.name", "Elasticsearch cluster"),
    "kubernetes:Namespace": _whole("volume", "metadata.name", "everything in namespace"),
    "kubernetes:PersistentVolume": _whole("volume", "metadata.name", "volume"),
    "kubernetes:PersistentVolumeClaim": _whole("volume", "metadata.name", "volume claim"),
    "local:Process": _process,
    "minio:IlmPolicy": _lifecycle,
    "minio:S3Bucket": _bucket,
    "minio:S3Object": _whole("object", "objectName", "object"),
    "postgresql:Database": _whole("database", "name", "database"),
    "postgresql:Schema": _whole("schema", "name", "schema"),
}
