"""What a preview changes for data: the objects of the flow that it touches, and what follows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flow.model import Layer
from review.lineage import Lineage, order
from review.models import ModelChange, Project, downstream_columns
from review.preview import Step

DBT_JOB = "dbt-build"  # the job whose trigger is the digest of the dbt project
DBT_TRIGGER = "dbtProject"


@dataclass(frozen=True, kw_only=True)
class Touched:
    """An object of the flow that changes. node: see review/lineage.py. details: what changes in
    it. columns: the ones that change, when that is all that does."""

    op: str
    node: str
    details: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()

    @property
    def reaches_people(self) -> bool:
        """Whether somebody sees it: in a dashboard, or in a table of gold."""
        nodes = (self.node, *self.downstream)
        return any(n.startswith(("dashboard ", "chart ", f"table {Layer.GOLD}.")) for n in nodes)


@dataclass(frozen=True, kw_only=True)
class DbtChange:
    """How the dbt project differs from the deployed one.

    base: the revision it was compared with, "" when there was none to be had.
    exact: whether that revision is what is deployed. models: None when nothing is known.
    """

    base: str = ""
    exact: bool = False
    models: tuple[ModelChange, ...] | None = None
    other: tuple[str, ...] = ()  # tests, properties and settings that differ


@dataclass(frozen=True, kw_only=True)
class DataChanges:
    touched: tuple[Touched, ...] = ()
    dbt: DbtChange | None = None  # None: the project is the deployed one
    remarks: tuple[str, ...] = field(default=())


def dbt_step(steps: Sequence[Step]) -> Step | None:
    """The step that builds the models again because their project changed."""
    for step in steps:
        if step.name.startswith(DBT_JOB) and DBT_TRIGGER in repr(step.inputs):
            paths = [field.path for field in step.fields]
            if step.op in ("update", "replace") and any(DBT_TRIGGER in path for path in paths):
                return step
    return None


def deployed_digest(step: Step) -> str:
    """Of the dbt project, as the last run recorded it; "" when it cannot be told."""
    for changed in step.fields:
        if DBT_TRIGGER in changed.path and isinstance(changed.old, str):
            return changed.old
    return ""


def changes(
    steps: Sequence[Step], lineage: Lineage, project: Project | None, dbt: DbtChange | None
) -> DataChanges:
    found: dict[str, Touched] = {}
    for step in steps:
        for touched in _touched(step):
            node = touched.node
            found[node] = _joined(found[node], touched) if node in found else touched
    for touched in _models(dbt, lineage, project):
        found[touched.node] = touched
    complete = [_with_downstream(one, lineage, project) for one in found.values()]
    return DataChanges(touched=tuple(sorted(complete, key=lambda t: order(t.node))), dbt=dbt)


def _joined(one: Touched, other: Touched) -> Touched:
    op = one.op if one.op == other.op else "update"
    details = tuple(dict.fromkeys((*one.details, *other.details)))
    return Touched(op=op, node=one.node, details=details)


def _with_downstream(one: Touched, lineage: Lineage, project: Project | None) -> Touched:
    reached = lineage.downstream([one.node])
    if one.columns and project:
        reached = _by_column(one, reached, lineage, project)
    return Touched(
        op=one.op,
        node=one.node,
        details=one.details,
        columns=one.columns,
        downstream=tuple(reached),
    )


def _by_column(
    one: Touched, reached: Sequence[str], lineage: Lineage, project: Project
) -> list[str]:
    """Of what is downstream, that which reads one of the changed columns. What reads a table as
    a whole stays in."""
    table = one.node.partition(" ")[2]
    # Models are known by their bare name, datasets of bronze with their space.
    name = table if table.startswith(f"{Layer.BRONZE}.") else table.rpartition(".")[2]
    start = {(name, column) for column in one.columns}
    columns = start | downstream_columns(project, start)
    read: dict[str, set[str]] = {}
    for owner, column in columns:
        read.setdefault(owner, set()).add(column)

    kept: set[str] = {one.node}
    for node in reached:  # in the order of the data
        kind, _, label = node.partition(" ")
        if kind == "table":
            hit = bool(read.get(label.rpartition(".")[2]))
        elif kind in ("chart", "reflection"):
            hit = any(
                node in lineage.edges.get(parent, ())
                and lineage.columns.get(node, frozenset())
                & (read.get(parent.rpartition(".")[2], set()) | read.get(parent[6:], set()))
                for parent in kept
            )
        else:
            hit = any(node in lineage.edges.get(parent, ()) for parent in kept)
        if hit:
            kept.add(node)
    return [node for node in reached if node in kept]


def _models(dbt: DbtChange | None, lineage: Lineage, project: Project | None) -> Iterator[Touched]:
    if dbt is None:
        return
    tables = {n.rpartition(".")[2]: n for n in lineage.edges if n.startswith("table ")}
    if dbt.models is None:
        for name in sorted(project.models if project else ()):
            node = tables.get(name, f"table {name}")
            yield Touched(op="update", node=node, details=("may have changed",))
        return
    for change in dbt.models:
        columns: tuple[str, ...] = ()
        if change.op == "update" and change.read and not change.rows:
            columns = (*change.removed, *change.changed)
        yield Touched(
            op=change.op,
            node=tables.get(change.name, f"table {change.name}"),
            details=tuple(_model_details(change)),
            columns=columns,
        )


def _model_details(change: ModelChange) -> Iterator[str]:
    if not change.read:
        yield "its SQL cannot be read here: any column may change"
    for label, columns in (
        ("new columns", change.added),
        ("columns gone", change.removed),
        ("columns computed differently", change.changed),
    ):
        if columns and change.op == "update":
            yield f"{label}: {', '.join(columns)}"
    if change.rows and change.read:
        yield "filters, joins or keys: any row may change"
    if change.op == "update" and not any((change.added, change.removed, change.changed)):
        if not change.rows:
            yield "same rows and columns: settings or comments"


def _touched(step: Step) -> Iterator[Touched]:
    if finder := _FINDERS.get(step.kind):
        yield from finder(step)


def _path(step: Step, key: str = "path") -> list[str]:
    value = step.inputs.get(key)
    return [str(part) for part in value] if isinstance(value, list) else []


def _fields(step: Step) -> tuple[str, ...]:
    if step.op not in ("update", "replace"):
        return ()
    roots = sorted({str(field.keys[0]) for field in step.fields if field.keys})
    replaced = ", ".join(step.replaced_by)
    return (f"replaced because of {replaced}",) if replaced else (f"changes: {', '.join(roots)}",)


def _source(step: Step) -> Iterator[Touched]:
    yield Touched(op=step.op, node=f"source {step.inputs.get('name')}", details=_fields(step))


def _destination(step: Step) -> Iterator[Touched]:
    prefix = str(_get(step.inputs, "configuration", "s3_bucket_path") or "")
    # Made and removed together with its source, which says so.
    if prefix.startswith(f"{Layer.BRONZE}/") and step.op in ("update", "replace"):
        name = prefix.partition("/")[2]
        details = ("destination: " + ", ".join(_fields(step)),)
        yield Touched(op="update", node=f"source {name}", details=details)


def _connection(step: Step) -> Iterator[Touched]:
    name = step.inputs.get("name")
    old, new = _streams(step.old), _streams(step.new)
    for key in sorted({*old, *new}):
        node = f"stream {name}.{key}"
        if key not in old:
            mode = new[key].get("syncMode")
            yield Touched(op="create", node=node, details=(f"{mode}; read from its beginning",))
        elif key not in new:
            yield Touched(op="delete", node=node, details=("no longer synced; its files stay",))
        elif old[key] != new[key] or step.op == "replace":
            yield Touched(
                op=step.op, node=node, details=tuple(_stream_details(old[key], new[key]))
            )
    beside = {str(field.keys[0]) for field in step.fields} - {"streams", "allowReset"}
    if step.op == "update" and beside and not step.changed("streams"):
        yield Touched(op="update", node=f"source {name}", details=_fields(step))


def _streams(inputs: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    listed = inputs.get("streams")
    if not isinstance(listed, list):
        return {}
    return {str(entry["name"]): entry for entry in listed if isinstance(entry, Mapping)}


def _stream_details(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*old, *new}):
        if old.get(key) == new.get(key):
            continue
        if key == "selectedFields":
            before, after = set(old.get(key) or ()), set(new.get(key) or ())
            if gone := sorted(before - after):
                yield f"columns gone: {', '.join(map(str, gone))}"
            if more := sorted(after - before):
                yield f"new columns: {', '.join(map(str, more))}"
        else:
            yield f"{key}: {_short(old.get(key))} → {_short(new.get(key))}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value) or "none"
    return "none" if value is None else str(value)


def _physical(step: Step) -> Iterator[Touched]:
    path = _path(step)
    if len(path) == 4 and path[1] == Layer.BRONZE:
        yield Touched(
            op=step.op, node=f"stream {path[2]}.{path[3]}", details=_about("files", step)
        )


def _about(what: str, step: Step) -> tuple[str, ...]:
    return (f"{what}: {step.op}d" if step.op.endswith("e") else f"{what}: {step.op}ed",)


def _view(step: Step) -> Iterator[Touched]:
    path = _path(step)
    if len(path) >= 2 and path[0] in list(Layer):
        yield Touched(op=step.op, node=f"table {'.'.join(path)}", details=_fields(step))


def _reflection(step: Step) -> Iterator[Touched]:
    on = ".".join(_path(step, "datasetPath"))
    details = (f"on {on}", *_fields(step), *_reflection_columns(step))
    yield Touched(op=step.op, node=f"reflection {step.inputs.get('name')}", details=details)


def _reflection_columns(step: Step) -> Iterator[str]:
    if step.op != "update" and step.op != "replace":
        return
    for key in ("displayFields", "dimensionFields", "measureFields"):
        before, after = (set(_names(side.get(key))) for side in (step.old, step.new))
        if gone := sorted(before - after):
            yield f"columns gone: {', '.join(gone)}"
        if more := sorted(after - before):
            yield f"new columns: {', '.join(more)}"


def _names(entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else []:
        yield str(entry.get("name")) if isinstance(entry, Mapping) else str(entry)


def _superset_dataset(step: Step) -> Iterator[Touched]:
    table = f"{step.inputs.get('schema')}.{step.inputs.get('tableName')}"
    yield Touched(op=step.op, node=f"dataset {table}", details=_fields(step))


def _chart(step: Step) -> Iterator[Touched]:
    name = str(step.inputs.get("sliceName") or step.inputs.get("name"))
    # Resources are `<component>-<slug>-<chart>`: the slug is what is left between them.
    tail = f"-{name.lower().replace(' ', '-')}"
    slug = step.name.removesuffix(tail).partition("-")[2]
    yield Touched(op=step.op, node=f"chart {slug}/{name}", details=_fields(step))


def _dashboard(step: Step) -> Iterator[Touched]:
    yield Touched(op=step.op, node=f"dashboard {step.inputs.get('slug')}", details=_fields(step))


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


_FINDERS: Mapping[str, Callable[[Step], Iterator[Touched]]] = {
    "airbyte:Source": _source,
    "airbyte:Destination": _destination,
    "airbyte:Connection": _connection,
    "dremio:PhysicalDataset": _physical,
    "dremio:View": _view,
    "dremio:RawReflection": _reflection,
    "dremio:AggregationReflection": _reflection,
    "superset:Dataset": _superset_dataset,
    "superset:Chart": _chart,
    "superset:Dashboard": _dashboard,
}
