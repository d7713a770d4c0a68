"""The dbt models of a project and how two versions of it differ, down to columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from flow.dbt import digest
from review.columns import Column, Relation, reads, relation, table_of


@dataclass(frozen=True, kw_only=True)
class Model:
    """inputs: tables that it reads. relation: None when its SQL cannot be read.
    text: its SQL. macros: the text of those that it calls."""

    name: str
    inputs: tuple[str, ...]
    relation: Relation | None
    text: str
    macros: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelChange:
    """What differs in one model: nothing named means its settings or comments. rows: filters,
    joins or keys differ, so any value may. read: whether its SQL could be read on both sides."""

    name: str
    op: str  # create, update, delete
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    rows: bool = False
    read: bool = True


@dataclass(frozen=True, kw_only=True)
class Project:
    """models: name -> model. digest: as the dbt-build job records it."""

    digest: str
    models: Mapping[str, Model]
    other: Mapping[str, bytes] = field(default_factory=dict)  # tests, properties, settings


def of_files(files: Mapping[str, bytes]) -> Project:
    """files: path below the project's folder -> content."""
    texts = {path: content.decode(errors="replace") for path, content in files.items()}
    macros = {
        PurePosixPath(path).stem: text
        for path, text in texts.items()
        if path.startswith("macros/")
    }
    sources = {
        PurePosixPath(path).stem: text
        for path, text in texts.items()
        if path.startswith("models/") and path.endswith(".sql")
    }
    models: dict[str, Model] = {}
    for name in _in_order({name: reads(text) for name, text in sources.items()}):
        models[name] = _model(name, sources[name], models, macros)
    taken = ("models/", "macros/")
    other = {
        path: content
        for path, content in files.items()
        if not (path.startswith(taken) and path.endswith(".sql"))
    }
    return Project(digest=digest(files), models=models, other=other)


def _model(name: str, text: str, known: Mapping[str, Model], macros: Mapping[str, str]) -> Model:
    inputs = reads(text)
    tables: dict[str, Relation] = {}
    for table in inputs:
        upstream = known.get(table)
        found = upstream.relation if upstream else None
        tables[table] = table_of(table, found.columns if found else {})
    called = [macros[macro] for macro in sorted(macros) if f"{macro}(" in text]
    return Model(
        name=name,
        inputs=tuple(inputs),
        relation=relation(text, tables),
        text=text,
        macros="\n".join(called),
    )


def _in_order(inputs: Mapping[str, list[str]]) -> list[str]:
    """Models after those that they read. A circle, which dbt refuses, is cut."""
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in inputs and name not in done and name not in path:
            for table in inputs[name]:
                visit(table, (*path, name))
            done.append(name)

    for name in sorted(inputs):
        visit(name, ())
    return done


def compare(old: Project, new: Project) -> list[ModelChange]:
    """The models that differ, by name."""
    changes = []
    for name in sorted({*old.models, *new.models}):
        before, after = old.models.get(name), new.models.get(name)
        if before is None:
            columns = after.relation.columns if after and after.relation else {}
            changes.append(ModelChange(name=name, op="create", added=tuple(columns)))
        elif after is None:
            columns = before.relation.columns if before.relation else {}
            changes.append(ModelChange(name=name, op="delete", removed=tuple(columns)))
        elif (before.text, before.macros) != (after.text, after.macros):
            changes.append(_difference(before, after))
    return changes


def _difference(before: Model, after: Model) -> ModelChange:
    if before.relation is None or after.relation is None:
        return ModelChange(name=after.name, op="update", read=False, rows=True)
    old, new = before.relation, after.relation
    shared = [column for column in new.columns if column in old.columns]
    return ModelChange(
        name=after.name,
        op="update",
        added=tuple(column for column in new.columns if column not in old.columns),
        removed=tuple(column for column in old.columns if column not in new.columns),
        changed=tuple(c for c in shared if old.columns[c].text != new.columns[c].text),
        # A macro decides what a model reads: its text counts as such a decision.
        rows=old.rows != new.rows or before.macros != after.macros,
    )


def downstream_columns(project: Project, changed: set[Column]) -> set[Column]:
    """Columns of models that are computed from `changed` columns, without these."""
    found = set(changed)
    for model in project.models.values():  # in order: what a model reads comes before it
        if model.relation is None:
            continue
        for name, output in model.relation.columns.items():
            if output.inputs & found:
                found.add((model.name, name))
    return found - changed
